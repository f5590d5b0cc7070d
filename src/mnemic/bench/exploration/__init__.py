"""Exploration under a context budget: one scripted player, many memories, mazes with known truth.

The player reads the text that its memory gives it, what it sees, the goal and the valid actions; it keeps nothing from
step to step. It takes, reads, unlocks and opens what it can; else goes where the text says that the locker of its
newest key stands; else to the nearest exit that the text shows nobody took; else anywhere. All memories have one
budget of tokens. Every player may say "go to" a visited room and is walked there over edges that were walked before;
each move costs a step. Text is read with one reader of facts for all, AriGraph's extractor and the player's own
reading of raw observations; what it misses (`misses`, a share of all sentences) it misses for all.

Source   after Anokhin et al. 2024, arXiv:2407.04363: treasure hunts; full history, summary, RAG by recency, importance
         and similarity as the rivals. There the agent is GPT-4
Measure  keys and treasure reached / all there are (0..1); steps; share of retrieved facts about places that are false
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from mnemic.bench._methods import chosen
from mnemic.bench.exploration.extracting import extraction
from mnemic.bench.exploration.memories import (
    BUDGET,
    MEMORIES,
    GraphMemory,
    Make,
    Moment,
    Records,
    Relevant,
    Remembering,
    Summary,
    graph,
    newest,
)
from mnemic.bench.exploration.player import Player, read
from mnemic.bench.exploration.playing import Played, mazes, play
from mnemic.errors import BudgetError
from mnemic.meter import Budget

__all__ = [
    "BUDGET",
    "MEMORIES",
    "METHODS",
    "SIZES",
    "GraphMemory",
    "Make",
    "Moment",
    "Played",
    "Player",
    "Records",
    "Relevant",
    "Remembering",
    "Summary",
    "extraction",
    "graph",
    "mazes",
    "newest",
    "play",
    "read",
    "row",
    "run",
]

SIZES = (12, 24, 36)  # rooms
METHODS: Mapping[str, str] = {
    "no memory": "only what is seen now",
    "full history": "observations, newest first until the budget is full",
    "summary": "the last state of everything seen, newest first",
    "RAG": "five observations by recency, importance and similarity",
    "AriGraph without episodic": "graph and exits, no observations",
    "AriGraph without refining": "facts are never deleted",
    "AriGraph": "graph, exits, and the observations behind the facts",
}


def run(*, limit: int | None = None, methods: Sequence[str] = (), budget: Budget | None = None,
        seed: int = 0) -> list[dict[str, Any]]:  # fmt: skip
    """A row for each method: `limit` mazes (10 without it) of 12, 24 and 36 rooms each, under one budget of tokens."""
    names = chosen(methods, METHODS)
    given = budget or BUDGET
    if given.unit != "tokens":
        raise BudgetError(f'exploration is measured in tokens, not in {given.unit}: give it like "400 tokens".')
    rows = []
    for name in names:
        played = {rooms: mazes(name, rooms, number=limit or 10, seed=seed, budget=given) for rooms in SIZES}
        rows.append(row(name, played))
    return rows


def row(name: str, played: Mapping[int, Sequence[Played]]) -> dict[str, Any]:
    """The means of a method's games, by size and over all."""
    games = [game for some in played.values() for game in some]
    false, told = (sum(game.stale[n] for game in games) for n in (0, 1))
    return {
        "method": name,
        **{f"score, {rooms} rooms": statistics.fmean(game.score for game in some) for rooms, some in played.items()},
        "score": statistics.fmean(game.score for game in games),
        "stale": false / told if told else 0.0,
        "steps": round(statistics.fmean(game.steps for game in games)),
        "tokens": max(game.tokens for game in games),
        "bytes": round(statistics.fmean(game.stored for game in games)),
    }
