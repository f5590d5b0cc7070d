"""What is audited and who helps: the adapter of a memory system, judges and readers. Anything with these methods fits.

A system emits text only. What a judge returns is None when its verdict cannot be read: such a verdict counts in the
denominators of "(all)" and is left out of "(valid)".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from mnemic.bench.halumem.records import MemoryPoint, Question, Turn

Outcome = Literal["Correct", "Hallucination", "Omission", "Other"]
Score = Literal[0, 1, 2]


@dataclass(frozen=True)
class Found:
    """A memory as a search returns it: its text, and when it was true or written (ISO 8601)."""

    text: str
    time: str | None = None


class MemorySystem(Protocol):
    """A memory under test, new for every user; sessions come in the order of time."""

    def add(self, dialogue: Sequence[Turn], time: str) -> None:
        """Take in one session that began then."""

    def session_memories(self) -> list[str] | None:
        """The texts that the last session left in memory; None when the system cannot tell (no extraction scores)."""

    def search(self, query: str, k: int) -> list[Found]:
        """The k memories that fit best, best first."""


@runtime_checkable
class Weighed(Protocol):
    """A system that can tell how many bytes it keeps."""

    def kept_bytes(self) -> int: ...


class Judge(Protocol):
    """Scores one operation against its own gold; the rules stand in prompts.py."""

    name: str

    def integrity(self, memories: Sequence[str], point: MemoryPoint) -> Score | None:
        """How far memories cover a gold point: 2 wholly, 1 in part or with a hedge, 0 not or wrongly."""

    def accuracy(self, dialogue: Sequence[Turn], points: Sequence[MemoryPoint],
                 memory: str) -> tuple[Score, bool] | None:  # fmt: skip
        """How far a dialogue supports a memory, and whether its field (not its value) is among the gold points."""

    def update(self, memories: Sequence[Found], point: MemoryPoint) -> Outcome | None:
        """Whether memories hold the new text of an update, and the old one no longer."""

    def answer(self, question: Question, response: str) -> Outcome | None:
        """Whether a response gives the reference answer."""


class Reader(Protocol):
    """Answers a question in a few words from memories that a search returned."""

    def answer(self, question: str, memories: Sequence[Found]) -> str: ...
