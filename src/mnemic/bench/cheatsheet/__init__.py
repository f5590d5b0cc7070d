"""A stream of puzzles answered with and without a memory: the variants of Dynamic Cheatsheet at one budget.

Equations and Game of 24 in blocks by turns, generated; answers are computed to be right or wrong, never judged. The
model is the configured one (MNEMIC_LLM_MODEL); without one it is a scripted double, which shows the plumbing and
nothing about models. The column `model` says which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mnemic.bench._methods import chosen
from mnemic.bench.cheatsheet.comparing import Outcome, Remembering, compared
from mnemic.bench.cheatsheet.student import student
from mnemic.bench.cheatsheet.tasks import TASK, mixed
from mnemic.lm.models import open_model
from mnemic.meter import Budget
from mnemic.sandbox import SandboxRunner

METHODS: Mapping[str, str] = {
    "baseline": "The question alone, no memory and no code.",
    "empty": "The generator's prompt with a memory that stays empty.",
    "full_history": "The newest earlier questions with their answers.",
    "retrieval": "The three most similar earlier questions with their answers.",
    "cumulative": "A cheatsheet that the model rewrites after each answer.",
    "retrieval_synthesis": "A cheatsheet that the model rewrites before each answer, from the most similar ones.",
}

_BUDGET = Budget(1000, "tokens")
_QUESTIONS = 100


def run(
    *, limit: int | None = None, methods: Sequence[str] = (), budget: Budget | None = None, seed: int = 0
) -> list[dict[str, Any]]:
    """One row per method: accuracy, tokens per question (all calls), the longest memory part, bytes kept."""
    names = chosen(methods, METHODS)
    lm, items, code = open_model(None) or student(seed), mixed(limit or _QUESTIONS, seed), Remembering(SandboxRunner())
    arms = compared(names, items, lm, budget=budget or _BUDGET, code=code, task=TASK)
    return [row(arm, lm.name) for arm in arms]


def row(arm: Outcome, model: str) -> dict[str, Any]:
    """What a table shows of an arm."""
    return {
        "method": arm.name,
        "model": model,
        "accuracy": arm.accuracy,
        "tokens": round(arm.tokens_per_question),
        "memory_tokens": arm.used.parts["memory"],
        "bytes": arm.kept_bytes,
    }
