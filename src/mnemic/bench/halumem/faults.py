"""One thing that goes wrong, with a known rate: dropped, corrupted, not updated, found stale, or misread.

Whether it strikes is decided by a hash of where it could: a higher rate strikes wherever a lower one did. So the rate
at which the answers reach a given accuracy is found by halving.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from mnemic.bench.halumem.attributes import FOLLOWS
from mnemic.bench.halumem.contract import Found, Reader
from mnemic.bench.halumem.language import attribute_of, items_in, values_of
from mnemic.bench.halumem.questions import UNKNOWN
from mnemic.bench.halumem.reader import asked_field
from mnemic.errors import InputError

Kind = Literal["none", "drop", "corrupt", "skip", "stale", "misread"]
KINDS: tuple[Kind, ...] = ("drop", "corrupt", "skip", "stale", "misread")
# Where each fault enters: what a diagnosis should name (see diagnosis.STAGES).
STAGE_OF = {"drop": "missing", "corrupt": "wrong", "skip": "update", "stale": "search", "misread": "answer"}
_HALVINGS = 8
_NEAR = 0.004  # of an accuracy: nearer than one question of 200


@dataclass(frozen=True)
class Fault:
    """A kind, how often it strikes (0 to 1), and a seed of where."""

    kind: Kind
    rate: float
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in ("none", *KINDS) or not 0 <= self.rate <= 1:
            raise InputError(f'a fault is one of {KINDS} at a rate from 0 to 1, got "{self.kind}" at {self.rate}.')

    def strikes(self, kind: Kind, *where: str) -> bool:
        return kind == self.kind and self._chance(*where) < self.rate

    def choice(self, values: Sequence[str], *where: str) -> str:
        return values[int(self._chance("choice", *where) * len(values))]

    def _chance(self, *where: str) -> float:
        text = "\x1f".join((str(self.seed), self.kind, *where))
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "big") / 2**56


class Misreader:
    """A reader that now and then gives another value, or says that it does not know, one as often as the other."""

    def __init__(self, reader: Reader, fault: Fault) -> None:
        self.reader, self.fault = reader, fault

    def answer(self, question: str, memories: Sequence[Found]) -> str:
        right = self.reader.answer(question, memories)
        if not self.fault.strikes("misread", question, *(found.text for found in memories)):
            return right
        if right != UNKNOWN and self.fault.choice(("forgets", "confuses"), question, right) == "forgets":
            return UNKNOWN
        return self.fault.choice(_others(question, right), question, right)


def _others(question: str, right: str) -> list[str]:
    """What could be mixed up with the right answer: other values of the same kind."""
    if items_in(right):
        kinds = [list(items.values()) for _, items in FOLLOWS.values() if right in items.values()]
        return [item for item in kinds[0] if item != right]
    value = right.split(", not ")[0]
    field = asked_field(question)
    what = re.search(r"^What is the ([\w ]+) of the person", question)
    attribute = attribute_of(value) or (what[1] if what else field[1] if field else "home city")
    return [other for other in values_of(attribute) if other != value]


def tuned(accuracy: Callable[[float], float], target: float) -> float:
    """The rate at which a falling accuracy comes nearest to the target, by halving."""
    low, high = 0.0, 1.0
    best = (abs(accuracy(high) - target), high)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        reached = accuracy(middle)
        best = min(best, (abs(reached - target), middle))
        if best[0] <= _NEAR:
            break
        low, high = (middle, high) if reached > target else (low, middle)
    return best[1]
