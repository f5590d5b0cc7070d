"""The test of the test: one fault at a time, all at the same accuracy of answers, to be named blindly."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from mnemic.bench.halumem.audit import Audit
from mnemic.bench.halumem.cases import Cases
from mnemic.bench.halumem.faults import KINDS, STAGE_OF, Fault, Kind, Misreader, tuned
from mnemic.bench.halumem.reader import RuleReader
from mnemic.bench.halumem.records import User
from mnemic.bench.halumem.systems import Extractor
from mnemic.meter import Used

TARGET = 0.6  # share of right answers that every fault is tuned to


@dataclass(frozen=True)
class Trial:
    """A system with one fault, audited. Who diagnoses sees the cases only."""

    fault: Fault
    cases: Cases
    used: Used
    accuracy: float

    @property
    def stage(self) -> str:
        """Where the fault is."""
        return STAGE_OF[self.fault.kind]


def faulty(fault: Fault, users: Sequence[User], parts: Sequence[str]) -> Audit:
    """The overwriting extractor with a fault, audited on all users."""
    audit = Audit(lambda: Extractor(fault=fault), reader=Misreader(RuleReader(), fault), parts=parts)
    for user in users:
        audit.add(user)
    return audit


def at_equal_accuracy(kind: Kind, users: Sequence[User], seed: int, target: float = TARGET) -> Trial:
    """A fault at the rate at which the answers reach the target."""

    def accuracy(rate: float) -> float:
        return faulty(Fault(kind, rate, seed), users, ("qa",)).report().qa.correct

    fault = Fault(kind, tuned(accuracy, target), seed)
    audit = faulty(fault, users, ("extraction", "update", "qa"))
    return Trial(fault, audit.cases, audit.used(), audit.report().qa.correct)


def drawn(seed: int) -> Kind:
    """The fault of a blind trial: each block of five seeds has every kind once, in an order of its own."""
    order = list(KINDS)
    random.Random(f"faults/{seed // len(order)}").shuffle(order)
    return order[seed % len(order)]
