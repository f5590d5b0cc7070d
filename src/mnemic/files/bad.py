"""What could not be read, and why."""

from __future__ import annotations

from dataclasses import dataclass

from mnemic.errors import InputError
from mnemic.record import Chunk


@dataclass(frozen=True)
class Bad:
    """Something in a source that was not read, or not in full.

    place     where in the source; empty for the whole of it
    reason    what is wrong and what to do
    kept      True: the text was read all the same, and the reason says what was lost or guessed
    stopped   True: whatever comes after this place was not read either
    """

    source: str
    place: str
    reason: str
    kept: bool = False
    stopped: bool = False

    def __str__(self) -> str:
        if self.place.startswith("line "):
            return f"{self.source}:{self.place[5:]}: {self.reason}"
        return f"{self.source}, {self.place}: {self.reason}" if self.place else f"{self.source}: {self.reason}"


Item = Chunk | Bad


class Unreadable(InputError):
    """The rest of a file cannot be read; `read` turns it into a Bad."""

    def __init__(self, reason: str, place: str = "") -> None:
        super().__init__(reason)
        self.reason, self.place = reason, place
