"""What leaves when the memory is full.

forgetting_curve   recency, frequency and importance in one number (the default)
recency            the longest not found or written goes first
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from mnemic.errors import InputError
from mnemic.meter import Budget
from mnemic.moment import moment
from mnemic.record import Eviction, Record
from mnemic.seams import Policy, View

_SPARE = 0.05  # a twentieth is freed beyond need, so that not every single write has to make room
_DAY = 86_400.0


@dataclass(frozen=True)
class ForgettingCurve:
    """Lets go what is least likely to be retained: R = exp(-t / S), Ebbinghaus's curve.

    t   days since the record was last found by recall (or written)
    S   strength in days: importance x (1 + times found), as in MemoryBank (arXiv:2305.10250, section 2.3),
        which starts at 1 and adds 1 at each recall; `days` stretches it

    Only the order matters, so t / S is compared; pinned records never leave.
    """

    days: float = 1.0
    clock: Callable[[], float] = time.time
    name: str = "forgetting_curve"

    def beyond(self, budget: Budget, view: View) -> list[Eviction]:
        return _least(budget, view, self._retention)

    def _retention(self, record: Record, count: int, last: float) -> tuple[float, str]:
        age = max(0.0, self.clock() - last) / _DAY  # days
        strength = self.days * record.importance * (1 + count)  # days
        retention = math.exp(-min(700.0, age / strength))
        return -age / strength, f"retention {retention:.3f} after {age:.1f} days, found {count} times"


@dataclass(frozen=True)
class Recency:
    """Lets go what was found or written longest ago; pinned records never leave."""

    name: str = "recency"

    def beyond(self, budget: Budget, view: View) -> list[Eviction]:
        return _least(budget, view, lambda record, count, last: (last, "longest not found"))


def _least(budget: Budget, view: View, worth: Callable[[Record, int, float], tuple[float, str]]) -> list[Eviction]:
    """The records of least worth, as many as must go: each counts for an equal share of what is used."""
    access = view.access()
    rated = []
    for record in view.records():
        if not record.pinned:
            count, last = access.get(record.id, (0, moment(record.written).start))
            value, why = worth(record, count, last)
            rated.append((value, record.written, record.id, why))
    rated.sort()
    used = view.used(budget.unit)
    total = used.parts["records"]
    excess = (used.amount - budget.amount) / max(1, used.amount)  # share of what is used
    many = math.ceil(total * min(1.0, max(0.0, excess) + (_SPARE if total * _SPARE >= 1 else 0)))
    return [Eviction(id, why) for _, _, id, why in rated[: max(1, many)]]


def open_policy(spec: str | Policy) -> Policy:
    """A policy by name, or the one that was given."""
    if not isinstance(spec, str):
        return spec
    known: dict[str, Callable[[], Policy]] = {"forgetting_curve": ForgettingCurve, "recency": Recency}
    if spec not in known:
        raise InputError(f'no policy is called "{spec}": use one of {", ".join(known)}.')
    return known[spec]()
