"""How well an extractor reads: its facts on a walk through a maze, against what is true there."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from mnemic.bench.worlds.maze import Maze
from mnemic.store.arigraph import Extractor, RuleTriplets, Triplet


def extraction(extractor: Extractor, *, number: int = 30, seed: int = 0) -> dict[str, float]:
    """How well an extractor reads a walk through a maze: precision and recall of its facts, share of replies with any.

    What is true is what the rules read without misses: they know every phrasing of the mazes.
    """
    world, dice, truth = Maze(12, seed, max_steps=number + 1), random.Random(f"walk {seed}"), RuleTriplets()
    seen, right, said, there, parsed = world.reset(), 0, 0, 0, 0
    for _ in range(number):
        told = _places(extractor.read(seen.text, place=seen.place))
        real = _places(truth.read(seen.text, place=seen.place))
        right, said, there, parsed = right + len(told & real), said + len(told), there + len(real), parsed + bool(told)
        served = [action for action in world.valid_actions() if re.match("take|unlock|open", action)]
        seen = world.step(dice.choice(served or [each for each in world.valid_actions() if each.startswith("go")]))
    return {"precision": right / max(said, 1), "recall": right / max(there, 1), "parsed": parsed / number}


def _places(facts: Sequence[Triplet]) -> set[Triplet]:
    """Facts with "a, contains, b" as "b, is in, a", so that either way of saying it counts."""
    return {Triplet(each.object, "is in", each.subject) if each.relation == "contains" else each for each in facts}
