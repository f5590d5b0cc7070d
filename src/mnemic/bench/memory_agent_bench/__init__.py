"""MemoryAgentBench: long material is memorised chunk by chunk, then questions try four competencies of a memory.

Paper    Hu, Wang, McAuley, ICLR 2026, arXiv:2507.05257
Budget   tokens: what one look into a memory may put into a prompt
Differs  readers without a language model beside models; generated contexts beside the published ones; answers are
         capped before a substring counts, labels are read as the last number, temperature 0, nothing is dropped
         silently when a context is long
Axes     c chunks, q questions, k units of a look
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from mnemic.bench._methods import chosen
from mnemic.bench.memory_agent_bench.contexts import SKILLS, Context, Question, Task
from mnemic.bench.memory_agent_bench.designs import DESIGNS, NEAR, Design, design, vectored
from mnemic.bench.memory_agent_bench.finders import Remembered
from mnemic.bench.memory_agent_bench.memories import Remembering, memories
from mnemic.bench.memory_agent_bench.models import LLMAgent
from mnemic.bench.memory_agent_bench.protocol import (
    Answered,
    Ask,
    ChunkSizes,
    MakeAgent,
    Memo,
    MemoryAgent,
    Outcome,
    meet,
)
from mnemic.bench.memory_agent_bench.published import published
from mnemic.bench.memory_agent_bench.report import Cell, Report
from mnemic.bench.memory_agent_bench.suites import SUITES, Suite, suite
from mnemic.errors import BudgetError, InputError
from mnemic.meter import Budget
from mnemic.seams import LanguageModel

__all__ = [
    "DESIGNS",
    "METHODS",
    "SKILLS",
    "SUITES",
    "Answered",
    "Ask",
    "Cell",
    "Context",
    "Design",
    "LLMAgent",
    "Memo",
    "MemoryAgent",
    "MemoryBench",
    "Outcome",
    "Question",
    "Remembering",
    "Report",
    "Suite",
    "Task",
    "design",
    "meet",
    "memories",
    "published",
    "run",
    "suite",
]

METHODS: Mapping[str, str] = {name: says for name, (says, _) in {**DESIGNS, **memories()}.items()}
_BUDGET = Budget(1500, "tokens")  # less than a fifth of every context of the suite "mini"


@dataclass(frozen=True)
class MemoryBench:
    """Contexts to try memories with.

    MemoryBench.from_suite("mini", seed=0)            generated and real streams, all four skills
    MemoryBench.from_published("rows.jsonl", ...)     the published sets, by path
    MemoryBench.from_suite("mini").run(make_agent).table()
    """

    contexts: Sequence[Context]
    chunk_size: ChunkSizes

    @classmethod
    def from_suite(cls, name: str = "mini", *, seed: int = 0) -> Self:
        """One of SUITES; raises DataMissing when the real streams of it are not here."""
        made = suite(name, seed)
        return cls(made.contexts, made.chunk_size)

    @classmethod
    def from_published(cls, *paths: str | Path, sets: Sequence[str] = (), movies: str | Path | None = None) -> Self:
        """See published.published; chunks of 512 tokens for retrieval and conflicts, of 4,096 elsewhere."""
        return cls(published(*paths, sets=sets, movies=movies), {})

    def run(self, *makers: MakeAgent, chunk_size: ChunkSizes | None = None, limit: int | None = None,
            judge: LanguageModel | None = None, folder: str | Path | None = None) -> Report:  # fmt: skip
        """Every agent meets every context, a new one each time.

        chunk_size  tokens by set, task or skill ("AR": 512), "*" for all others; laid over the suite's own
        limit       only the first questions of each context
        judge       for the sets that need one
        folder      kept there, a file per agent and context; a run that was stopped goes on from them
        """
        if not self.contexts or not makers:
            raise InputError("there is nothing to run: give at least one context and one agent.")
        sizes = {**self.chunk_size, **(chunk_size or {})}
        kept = Path(folder) if folder is not None else None
        return Report([
            meet(make, context, chunk_size=sizes, limit=limit, judge=judge, folder=kept)
            for make in makers
            for context in self.contexts
        ])  # fmt: skip


def run(*, limit: int | None = None, methods: Sequence[str] = (), budget: Budget | None = None,
        seed: int = 0) -> list[dict[str, Any]]:  # fmt: skip
    """A row per method on the suite "mini", each look of at most `budget` tokens.

    limit   only the first questions of each context
    """
    from mnemic.lm.minilm import MiniLM

    budget = budget or _BUDGET
    if budget.unit != "tokens":
        raise BudgetError(f'this benchmark counts tokens of a prompt, not {budget.unit}: write "2000 tokens".')
    names = chosen(methods, METHODS)
    shared = Remembered(MiniLM())
    known = {name: make for name, (_, make) in {**DESIGNS, **memories(shared)}.items()}
    known[NEAR] = vectored(shared)
    bench = MemoryBench.from_suite("mini", seed=seed)
    return [_row(name, bench.run(partial(known[name], budget), limit=limit)) for name in names]


def _row(name: str, report: Report) -> dict[str, Any]:
    """What the command line prints of a method: quality by skill, then what it took."""
    records = [record for outcome in report.outcomes for record in outcome.records]
    cells = {cell.family: cell.score for cell in report.cells}
    skills = report.skills(report.agents[0])
    return {
        "method": name,
        **{skill: skills[skill] for skill in SKILLS},
        "CR single hop": cells["factconsolidation_sh"],
        "CR multi hop": cells["factconsolidation_mh"],
        "overall": report.overall(report.agents[0]),
        "tokens": round(sum(record.tokens for record in records) / len(records)),
        "bytes": sum(outcome.bytes for outcome in report.outcomes),
        "build s": sum(outcome.build_s for outcome in report.outcomes),
    }
