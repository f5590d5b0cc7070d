"""Playing a world with a memory: the loop that is the same for all of them, and its judge."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mnemic.bench.exploration.memories import BUDGET, MEMORIES, Make, Moment, Remembering
from mnemic.bench.exploration.player import Player
from mnemic.bench.worlds.maze import Maze
from mnemic.environment import Environment
from mnemic.errors import BudgetError
from mnemic.lm.exchange import estimate
from mnemic.meter import Budget
from mnemic.store.arigraph import RuleTriplets, Triplet
from mnemic.store.arigraph.navigation import Map, edges

MISSES = 0.03  # share of sentences that nobody's reader understands
_PLACED = ("is in", "is on", "contains")


@dataclass(frozen=True)
class Played:
    """One episode.

    stale    of the facts about places that were retrieved, how many were false then, and how many there were
    tokens   of the largest text that the memory gave
    mean     of its texts on average
    stored   bytes of the memory at the end
    """

    score: float
    steps: int
    stale: tuple[int, int]
    tokens: int
    mean: float
    stored: int


def play(world: Environment, memory: Remembering, player: Player, budget: Budget = BUDGET) -> Played:
    """Let a player with a memory play a world to its end. Raises BudgetError when a memory breaks its budget."""
    seen, action, before = world.reset(), "", ""
    visited, walked, tokens, stale, steps = dict[str, None](), dict[Triplet, None](), list[int](), [0, 0], 0
    while not seen.done:
        here = (seen.place or "").lower()
        visited[here] = None
        plan, queries = player.wants(seen, world.goal)
        text = memory.recall(Moment(action, before, seen, plan, queries))
        tokens.append(estimate(text))
        if tokens[-1] > budget.amount:
            raise BudgetError(f"a memory gave {tokens[-1]} tokens of {budget}: it must cut its text.")
        _judge(world, memory.facts(), stale)
        ways = [f"go to {place}" for place in visited if place != here]
        action, before = player.choose(text, seen, world.goal, [*world.valid_actions(), *ways]), here
        for move in _moves(action, here, walked, visited):
            seen, last, steps = world.step(move), seen, steps + 1
            walked |= dict.fromkeys(edges(move, (last.place or "").lower(), (seen.place or "").lower()))
            if seen.done:
                break
    return Played(seen.score, steps, (stale[0], stale[1]), max(tokens), statistics.fmean(tokens), memory.stored())


def _moves(action: str, here: str, walked: Mapping[Triplet, None], visited: Mapping[str, None]) -> list[str]:
    """A "go to" as its moves over walked edges; any other action as it is."""
    place = action.lower().removeprefix("go to ")
    return Map(walked, visited).path(here, place) if action.lower().startswith("go to ") else [action]


def _judge(world: Environment, facts: Sequence[Triplet], stale: list[int]) -> None:
    """Count retrieved facts about places, and the false ones, where the world tells the truth."""
    truth: Callable[[], Mapping[str, str]] | None = getattr(world, "whereabouts", None)
    if truth is None:
        return
    where = truth()
    for subject, relation, object in facts:
        thing, place = (object, subject) if relation == "contains" else (subject, object)
        if relation in _PLACED and thing in where:
            stale[0] += where[thing] != place
            stale[1] += 1


def mazes(
    name: str, rooms: int, *, number: int, seed: int, budget: Budget = BUDGET, make: Make | None = None,
    misses: float = 0.0,
) -> list[Played]:  # fmt: skip
    """One method on so many mazes; maze, misread sentences and dice depend on the seed, not on the method.

    misses    share of sentences that nobody's reader understands, the player's neither
    """
    made, games = make or MEMORIES[name], []
    for n in range(number):
        at = 1000 * seed + n
        reader = RuleTriplets(misses=misses, seed=at)
        games.append(
            play(Maze(rooms, at), made(budget, reader, at), Player(reader, random.Random(f"dice {at}")), budget)
        )
    return games
