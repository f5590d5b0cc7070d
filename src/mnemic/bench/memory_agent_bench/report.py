"""From outcomes to the benchmark's table: sets, families, skills, overall, with intervals."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mnemic.bench.memory_agent_bench.contexts import SKILLS, Skill, family, task_of
from mnemic.bench.memory_agent_bench.protocol import Outcome
from mnemic.errors import InputError

_RESAMPLES = 2000


@dataclass(frozen=True)
class Cell:
    """One agent on one family of sets.

    low, high   95 % interval of the mean, by a bootstrap over the questions
    tokens      of the prompts of a question, mean
    build_s     of all contexts; query_s of a question, mean
    """

    agent: str
    family: str
    skill: Skill
    score: float
    low: float
    high: float
    questions: int
    tokens: float
    kept: int
    build_s: float
    query_s: float


@dataclass(frozen=True)
class Report:
    """All cells of a run; families are averaged into skills, the four skills into one number."""

    outcomes: Sequence[Outcome]

    @property
    def agents(self) -> list[str]:
        return list(dict.fromkeys(outcome.agent for outcome in self.outcomes))

    @cached_property
    def cells(self) -> list[Cell]:
        """Agent by agent, family by family. Five classifiers are one family, so are the sizes of one pool."""
        by: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
        for outcome in self.outcomes:
            by[outcome.agent, family(outcome.set)].append(outcome)
        return [_cell(agent, name, some) for (agent, name), some in by.items()]

    def skills(self, agent: str) -> dict[Skill, float]:
        """Mean of the families of each skill; a skill without a set is left out."""
        scores: dict[Skill, list[float]] = defaultdict(list)
        for cell in self.cells:
            if cell.agent == agent:
                scores[cell.skill].append(cell.score)
        return {skill: statistics.fmean(scores[skill]) for skill in SKILLS if skill in scores}

    def overall(self, agent: str) -> float:
        """Mean of the four skills; InputError when one of them was not measured."""
        found = self.skills(agent)
        if missing := [skill for skill in SKILLS if skill not in found]:
            raise InputError(f'"{agent}" has no score for {", ".join(missing)}: overall is the mean of all four.')
        return statistics.fmean(found.values())

    def best(self, skill: Skill) -> str:
        """The agent that leads in a skill; the first of equals."""
        return max(self.agents, key=lambda agent: self.skills(agent).get(skill, 0.0))

    def table(self) -> str:
        """Markdown: a row per agent, a column per family with half the width of its interval."""
        cells = {(cell.agent, cell.family): cell for cell in self.cells}
        families = list(dict.fromkeys(name for _, name in cells))
        head = ["agent", *families, *SKILLS, "overall", "tokens", "build s", "query ms"]
        rows = [head, ["---"] * len(head), *(self._row(agent, families, cells) for agent in self.agents)]
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)

    def _row(self, agent: str, families: Sequence[str], cells: Mapping[tuple[str, str], Cell]) -> list[str]:
        mine = [cells.get((agent, name)) for name in families]
        there = [cell for cell in mine if cell]
        skills = self.skills(agent)
        n = sum(cell.questions for cell in there)
        return [
            agent,
            *(f"{cell.score:.2f} ± {(cell.high - cell.low) / 2:.2f}" if cell else "" for cell in mine),
            *(f"{skills[skill]:.2f}" if skill in skills else "" for skill in SKILLS),
            f"{self.overall(agent):.2f}" if len(skills) == len(SKILLS) else "",
            f"{sum(cell.tokens * cell.questions for cell in there) / n:,.0f}",
            f"{sum(cell.build_s for cell in there):.1f}",
            f"{1000 * sum(cell.query_s * cell.questions for cell in there) / n:.1f}",
        ]


def _cell(agent: str, name: str, outcomes: Sequence[Outcome]) -> Cell:
    """The sets of a family count equally, however many questions each has."""
    sets: dict[str, list[float]] = defaultdict(list)
    for outcome in outcomes:
        sets[outcome.set] += [record.score for record in outcome.records]
    records = [record for outcome in outcomes for record in outcome.records]
    low, high = interval(list(sets.values()))
    return Cell(
        agent, name, task_of(outcomes[0].set).skill, statistics.fmean(statistics.fmean(s) for s in sets.values()),
        low, high, len(records), statistics.fmean(record.tokens for record in records),
        sum(outcome.kept for outcome in outcomes), sum(outcome.build_s for outcome in outcomes),
        statistics.fmean(record.query_s for record in records),
    )  # fmt: skip


def interval(sets: Sequence[Sequence[float]], *, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean of the sets' means: questions are drawn anew within each set."""
    rng = np.random.default_rng(seed)
    draws = [np.asarray(scores)[rng.integers(0, len(scores), (_RESAMPLES, len(scores)))].mean(1) for scores in sets]
    low, high = np.percentile(np.mean(draws, axis=0), [2.5, 97.5])
    return float(low), float(high)
