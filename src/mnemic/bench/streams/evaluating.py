"""The stream protocol: search, synthesis, feedback, evolve, task by task; and the metrics of a run.

The judge speaks before the memory evolves, the order is the stream's, and nothing of a stream runs beside another
task of it: task t may use what tasks 1..t-1 left and nothing else.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from mnemic.bench.streams.judging import judged
from mnemic.bench.streams.tasks import Task, TaskStream
from mnemic.environment import Environment
from mnemic.errors import InputError
from mnemic.meter import Used
from mnemic.store.evo_memory import Attempt, Brief, Feedback


class Learner(Protocol):
    """An agent that works through a stream: those of mnemic.store.evo_memory, or your own."""

    name: str

    def play(self, world: Environment, brief: Brief) -> Attempt: ...
    def answer(self, question: str, brief: Brief) -> Attempt: ...
    def evolve(self, attempt: Attempt, feedback: Feedback) -> Any: ...
    def used(self) -> Used: ...


@dataclass(frozen=True)
class Result:
    """One task as it came out.

    steps       actions it took; the world's limit when it failed, 1 for a question
    retrieved   how many experiences were shown, `pruned` how many of them were taken out
    unread      replies that kept no format, of `calls`
    """

    family: str
    success: bool
    progress: float
    steps: int
    retrieved: int
    pruned: int
    calls: int
    unread: int
    prompt_tokens: int
    completion_tokens: int
    api: float | None = None
    arguments: float | None = None


@dataclass(frozen=True)
class Report:
    """A run of one method over one stream, in the stream's order."""

    method: str
    stream: str
    results: tuple[Result, ...]
    used: Used

    @property
    def success(self) -> float:
        """Success rate; for questions, accuracy by exact match."""
        return self._mean("success")

    @property
    def progress(self) -> float:
        return self._mean("progress")

    @property
    def steps(self) -> float:
        """Steps to completion; a failure counts the limit."""
        return self._mean("steps")

    @property
    def calls(self) -> int:
        return sum(result.calls for result in self.results)

    @property
    def tokens(self) -> int:
        """Tokens of all prompts."""
        return sum(result.prompt_tokens for result in self.results)

    @property
    def completion_tokens(self) -> int:
        return sum(result.completion_tokens for result in self.results)

    @property
    def prune_rate(self) -> float:
        """Pruned / retrieved; 0 when nothing was retrieved."""
        retrieved = sum(result.retrieved for result in self.results)
        return sum(result.pruned for result in self.results) / retrieved if retrieved else 0.0

    @property
    def read_rate(self) -> float:
        """Share of the model's replies that kept the format."""
        return 1 - sum(result.unread for result in self.results) / max(1, self.calls)

    @property
    def api(self) -> float | None:
        """Accuracy of the function's name, where calls were asked for."""
        return self._where("api")

    @property
    def arguments(self) -> float | None:
        return self._where("arguments")

    def curve(self) -> list[float]:
        """Cumulative success after each task."""
        won = np.cumsum([result.success for result in self.results])
        return [float(value) for value in won / np.arange(1, len(won) + 1)]

    def after(self, start: int) -> float:
        """Success without the first tasks, in which every memory is empty."""
        return statistics.fmean(result.success for result in self.results[start:])

    def _mean(self, name: str) -> float:
        return statistics.fmean(float(getattr(result, name)) for result in self.results)

    def _where(self, name: str) -> float | None:
        values = [value for result in self.results if (value := getattr(result, name)) is not None]
        return statistics.fmean(values) if values else None


def evaluate(agent: Learner, stream: TaskStream) -> Report:
    """Run one method over a stream; its memory is as it is given (empty, for a fair comparison)."""
    if not stream.tasks:
        raise InputError(f'the stream "{stream.name}" has no tasks: give at least one.')
    results = tuple(_one(agent, task) for task in stream.tasks)
    return Report(agent.name, stream.name, results, agent.used())


def _one(agent: Learner, task: Task) -> Result:
    """Search and act, judge, then evolve: in this order."""
    world = task.world() if task.world else None
    attempt = agent.play(world, task.brief) if world else agent.answer(task.goal, task.brief)
    judgement = judged(task, attempt)
    feedback = judgement.feedback
    agent.evolve(attempt, feedback)
    taken = len(attempt.episode.steps) if attempt.episode else 1
    steps = taken if feedback.success or world is None else world.max_steps
    spent = attempt.spent
    return Result(
        task.family, feedback.success, float(feedback.success) if feedback.progress is None else feedback.progress,
        steps, len(attempt.retrieved), len(attempt.pruned), spent.calls, spent.unread, spent.prompt_tokens,
        spent.completion_tokens, judgement.api, judgement.arguments,
    )  # fmt: skip


def robustness(by_order: Mapping[str, Report]) -> float:
    """How little the order of the same tasks matters: worst success over best (1 when no order has any success)."""
    rates = [report.success for report in by_order.values()]
    if not rates:
        raise InputError("robustness compares orders: give at least one report.")
    return min(rates) / max(rates) if max(rates) > 0 else 1.0


def pearson(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Correlation of two rows of numbers; 0 when one of them does not vary."""
    if len(xs) != len(ys) or len(xs) < 2:
        raise InputError(f"a correlation needs two rows of equal length, at least 2, got {len(xs)} and {len(ys)}.")
    x, y = np.asarray(xs, float) - np.mean(xs), np.asarray(ys, float) - np.mean(ys)
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale > 0 else 0.0


def gain_by_similarity(gains: Sequence[float], spreads: Sequence[float]) -> float:
    """Pearson's r between similarity (1 - mean distance to the centroid) and gain: positive when alike tasks gain."""
    return pearson([1 - spread for spread in spreads], gains)
