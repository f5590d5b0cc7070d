"""An audit of a pattern extractor on small worlds, for the contract tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnemic.bench.halumem import Audit, Extractor, SlotWorld, User
from mnemic.meter import Budget, Used


class Sample:
    smallest = Budget(40, "tokens")

    def items(self, n: int, seed: int) -> list[User]:
        return SlotWorld(users=n, sessions=3, seed=seed).build()

    def make(self, budget: Budget, seed: int, folder: Path) -> Audit:
        folder.mkdir(exist_ok=True)
        return Audit(Extractor, budget=budget)

    def fill(self, system: Audit, items: Sequence[Any]) -> None:
        for user in items:
            system.add(user)

    def ask(self, system: Audit) -> list[Any]:
        answers = [case.response for case in system.cases.questions]
        return [answers, str(system.report().row()), system.report().diagnose()]

    def used(self, system: Audit) -> Used:
        return system.used()

    def reopen(self, system: Audit, folder: Path) -> Audit:
        system.save(folder / "audit.json")
        again = Audit(Extractor, budget=system.budget)
        again.load(folder / "audit.json")
        return again
