"""Task streams: does a memory make task t + 1 better because of tasks 1 .. t?

Source   Wei et al. 2025, "Evo-Memory", arXiv:2511.20857: the stream protocol, with generated worlds in place of
         ALFWorld, BabyAI, PDDL and ScienceWorld
Measure  success rate, progress (share of sub-goals), steps (a failure counts the limit), over a household, a gripper
         and a blocks stream; "easy first" and "hard first" are the success rates of the same tasks in those orders,
         "robust" is the worst of the three orders over the best; "control" is the success rate on a stream whose tasks
         share no rules

The model is the scripted actor, a function of the prompt (mnemic.bench.streams.actor): it shows what a memory brings
into a prompt, not what a language model makes of it. `mnemic.bench.streams.intents` is for a model of yours.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from mnemic.bench._methods import chosen
from mnemic.bench.streams.actor import scripted
from mnemic.bench.streams.evaluating import Report, evaluate, robustness
from mnemic.bench.streams.methods import BUDGET, TABLE, Embedded, open_agent
from mnemic.bench.streams.tasks import DOMAINS, Order, TaskStream, stream
from mnemic.lm.minilm import MiniLM
from mnemic.meter import Budget

__all__ = ["DOMAINS", "METHODS", "SIMILAR", "Report", "TaskStream", "evaluate", "run", "stream"]

# AWM and ReAct need a model that can induce and think: the scripted actor does neither.
METHODS: Mapping[str, str] = {name: method.about for name, method in TABLE.items() if name not in ("AWM", "ReAct")}
SIMILAR = tuple(name for name in DOMAINS if name != "control")
SKILL = 0.9  # how often the scripted pruner is right
ORDERS: tuple[Order, ...] = ("as_drawn", "easy_to_hard", "hard_to_easy")  # as drawn is a random order
_TASKS = 40


def run(*, limit: int | None = None, methods: Sequence[str] = (), budget: Budget | None = None,
        seed: int = 0) -> list[dict[str, Any]]:  # fmt: skip
    """A row for each method, all at one budget for the memory; `limit` is the number of tasks of each stream."""
    names = chosen(methods, METHODS)
    streams = {domain: stream(domain, seed, limit or _TASKS) for domain in DOMAINS}
    embedder = Embedded(MiniLM())
    return [_row(name, streams, embedder, budget or BUDGET, seed) for name in names]


def _row(name: str, streams: Mapping[str, TaskStream], embedder: Embedded, budget: Budget, seed: int) -> dict[str, Any]:
    def played(domain: str, order: Order = "as_drawn") -> Report:
        agent = open_agent(name, scripted(SKILL, seed), embedder, budget=budget)
        return evaluate(agent, streams[domain].ordered(order))

    runs = {order: [played(domain, order) for domain in SIMILAR] for order in ORDERS}
    success = {order: statistics.fmean(report.success for report in reports) for order, reports in runs.items()}
    reports = runs["as_drawn"]
    return {
        "method": name,
        "success": success["as_drawn"],
        "progress": statistics.fmean(report.progress for report in reports),
        "steps": statistics.fmean(report.steps for report in reports),
        "easy first": success["easy_to_hard"],
        "hard first": success["hard_to_easy"],
        "robust": statistics.fmean(
            robustness(dict(zip(ORDERS, one, strict=True))) for one in zip(*runs.values(), strict=True)
        ),
        "control": played("control").success,
        "pruned": statistics.fmean(report.prune_rate for report in reports),
        "calls": sum(report.calls for report in reports),
        "tokens": sum(report.tokens for report in reports),
        "bytes": round(statistics.fmean(report.used.amount for report in reports)),
    }
