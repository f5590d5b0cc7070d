"""A small memory design with a pool of facts, for the contract tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mnemic.bench.memory_agent_bench import Ask, Design, Memo, design
from mnemic.bench.memory_agent_bench.contexts import TASKS
from mnemic.meter import Budget, Used

QUESTION = "In which town was Ana Duarte born?"


class Sample:
    """The window: what it keeps is what it shows, so that its budget binds both."""

    smallest = Budget(20, "tokens")

    def items(self, n: int, seed: int) -> list[str]:
        rng = np.random.default_rng(seed)
        towns = ["Lisbon", "Oslo", "Kyoto", "Lima", "Bergen"]
        people = ["Ana Duarte", "Ben Costa", "Caro Lind"]
        return [f"{i}. {people[i % 3 if i else 0]} was born in the town of {towns[rng.integers(5)]}." for i in range(n)]

    def make(self, budget: Budget, seed: int, folder: Path) -> Design:
        folder.mkdir(exist_ok=True)
        return design("FIFO window", budget)

    def fill(self, system: Design, items: Sequence[Any]) -> None:
        for item in items:
            system.memorize(Memo(item, item))

    def ask(self, system: Design) -> list[str]:
        said = system.answer(Ask(TASKS["factconsolidation"], QUESTION, QUESTION)).text
        shown = system.look(QUESTION)
        return [said, *shown] if shown else []

    def used(self, system: Design) -> Used:
        system.look(QUESTION)
        return system.used()

    def reopen(self, system: Design, folder: Path) -> Design:
        system.save(folder / "design.json")
        return design("FIFO window", system.budget).load(folder / "design.json")
