"""A small AriGraph with rules instead of models, for the contract tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mnemic.lm.doubles import HashEmbedder
from mnemic.meter import Budget, Used
from mnemic.store.arigraph import AriGraph, FunctionalRefiner, RuleTriplets

ROOMS = ("attic", "pantry", "cellar", "library")


class Sample:
    smallest = Budget(20, "tokens")

    def items(self, n: int, seed: int) -> list[dict[str, str]]:
        rng = np.random.default_rng(seed)
        places = [ROOMS[rng.integers(4)] for _ in range(n)]
        return [
            {"observation": f"-= {place.title()} =-\nYou see a red locker.\nThere is a key {number} on the floor.",
             "action": "go west", "place": place}
            for number, place in enumerate(places)
        ]  # fmt: skip

    def make(self, budget: Budget, seed: int, folder: Path) -> AriGraph:
        return AriGraph(
            budget=budget, extractor=RuleTriplets(seed=seed), refiner=FunctionalRefiner(), embedder=HashEmbedder()
        )

    def fill(self, system: AriGraph, items: Sequence[Any]) -> None:
        for item in items:
            system.step(**item, plan="find the red locker", queries={"red locker": 2})

    def ask(self, system: AriGraph) -> object:
        found = system.retrieve({"red locker": 2}, question="Where is the red locker?")
        return found.text, found.triplets, system.unexplored_exits(), system.changes

    def used(self, system: AriGraph) -> Used:
        return system.used()

    def reopen(self, system: AriGraph, folder: Path) -> AriGraph:
        system.save(folder / "graph.json")
        again = self.make(system.budget, 0, folder)
        again.load(folder / "graph.json")
        return again
