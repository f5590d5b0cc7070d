"""The protocol: chunks are memorised one after the other, then the memory is frozen and asked, question by question.

Every context meets a new agent. What happened is kept as one file per agent and context: while it runs as JSON lines,
a line per question, so that a run which was stopped goes on where it stopped; when it is done as one JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mnemic.bench.memory_agent_bench.chunks import counted, cut
from mnemic.bench.memory_agent_bench.contexts import Context, Question, Task
from mnemic.bench.memory_agent_bench.judges import JUDGES
from mnemic.bench.memory_agent_bench.scoring import scored
from mnemic.bench.memory_agent_bench.templates import Kind, asked, memorise, query
from mnemic.bench.memory_agent_bench.titles import recall
from mnemic.errors import InputError
from mnemic.meter import Used
from mnemic.seams import LanguageModel


@dataclass(frozen=True)
class Memo:
    """A chunk on its way into a memory: the text alone, and the message that hands it over."""

    text: str
    message: str
    when: str = ""


@dataclass(frozen=True)
class Ask:
    """One question: the prompt as the agent is given it, and what of it a retriever should search for."""

    task: Task
    prompt: str
    query: str


@dataclass(frozen=True)
class Answered:
    """What an agent said, the tokens of the prompts it took, and the most that one look into its memory showed."""

    text: str
    tokens: int
    shown: int = 0


class MemoryAgent(Protocol):
    """What is measured. `answer` must not change what was memorised.

    An agent may have `settings`, a text: a run that is kept in a folder is only taken up by an agent with the same.
    """

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> Kind:
        """Which wording of the questions it is given."""

    def memorize(self, memo: Memo) -> None: ...
    def answer(self, ask: Ask) -> Answered: ...
    def used(self) -> Used:
        """Tokens; parts: {"kept": tokens that the memory holds, "bytes": what it takes}."""


MakeAgent = Callable[[], MemoryAgent]
ChunkSizes = Mapping[str, int]  # by set, task or skill; "*" for all others; else the task's own


@dataclass(frozen=True)
class Record:
    """One question and what became of it.

    scores    further numbers of the metric: a judge's parts, the exact-title recall
    prompts   of a judge, as they were sent
    """

    id: str
    kind: str
    question: str
    answers: tuple[str, ...]
    said: str
    score: float
    tokens: int
    shown: int
    query_s: float
    scores: Mapping[str, float] = field(default_factory=dict)
    prompts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """One agent on one context.

    chunks, memorised   how many chunks, and the tokens of the context
    kept, bytes         tokens in the memory after the last chunk, and the bytes it takes
    frozen              False when questions changed what was kept
    """

    agent: str
    context: str
    set: str
    settings: str
    chunks: int
    memorised: int
    kept: int
    bytes: int
    frozen: bool
    build_s: float
    records: tuple[Record, ...]

    @property
    def score(self) -> float:
        return sum(record.score for record in self.records) / max(len(self.records), 1)

    @property
    def shown(self) -> float:
        """The largest share of the context that one look into the memory showed."""
        return max((record.shown for record in self.records), default=0) / max(self.memorised, 1)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_json(cls, row: Mapping[str, Any]) -> Outcome:
        return cls(**{**row, "records": tuple(_record(each) for each in row["records"])})


def _record(row: Mapping[str, Any]) -> Record:
    return Record(**{**row, "answers": tuple(row["answers"]), "prompts": tuple(row["prompts"])})


def meet(make: MakeAgent, context: Context, *, chunk_size: ChunkSizes | None = None, limit: int | None = None,
         judge: LanguageModel | None = None, folder: Path | None = None) -> Outcome:  # fmt: skip
    """Hand a context to a new agent, then ask it.

    chunk_size  tokens of a chunk, by set, task or skill, "*" for the rest
    limit       only the first questions
    judge       for the tasks that need one (longmemeval, infbench_sum); InputError without
    folder      where the run is kept and taken up again; nothing is written without
    """
    agent, size = make(), _size(context, chunk_size or {})
    settings = _settings(agent, context, size, limit, judge)
    ledger = Ledger(folder, agent.name, context.id, settings)
    if (done := ledger.finished()) is not None:
        return done
    start = time.perf_counter()
    chunks = cut(context.text, size, lines=context.task.lines)
    for chunk in chunks:
        agent.memorize(Memo(chunk, memorise(context.task, chunk, context.time), context.time))
    parts = agent.used().parts
    build_s = time.perf_counter() - start
    records = [*ledger.begun()]
    for question in context.questions[len(records) : limit]:
        records.append(_ask(agent, context, question, judge))
        ledger.note(records[-1])
    frozen = agent.used().parts.get("kept", 0) == parts.get("kept", 0)
    memorised = sum(counted(chunk) for chunk in chunks)
    outcome = Outcome(agent.name, context.id, context.name, settings, len(chunks), memorised, parts.get("kept", 0),
                      parts.get("bytes", 0), frozen, build_s, tuple(records))  # fmt: skip
    ledger.finish(outcome)
    return outcome


def _ask(agent: MemoryAgent, context: Context, question: Question, judge: LanguageModel | None) -> Record:
    prompt = query(context.task, agent.kind, question)
    start = time.perf_counter()
    answered = agent.answer(Ask(context.task, prompt, asked(prompt)))
    waited = time.perf_counter() - start
    score, scores, prompts = _score(context, question, answered.text, judge)
    return Record(question.id, question.kind, question.text, question.answers, answered.text, score, answered.tokens,
                  answered.shown, waited, scores, prompts)  # fmt: skip


def _score(
    context: Context, question: Question, said: str, judge: LanguageModel | None
) -> tuple[float, dict[str, float], tuple[str, ...]]:
    metric = context.task.metric
    if metric == "recall@5":
        found = recall(said, question.answers, context.titles, k=5)
        return found.nearest, {"exact_title_recall@5": found.exact}, ()
    if metric in JUDGES:
        if judge is None:
            raise InputError(f'"{context.name}" is scored by a language model: give judge=..., or leave it out.')
        ruling = JUDGES[metric](judge, question, said)
        return ruling.score, dict(ruling.parts), ruling.prompts
    return scored(metric, said, question), {}, ()


def _size(context: Context, sizes: ChunkSizes) -> int:
    """The most particular entry, else the task's own size."""
    for key in (context.name, context.task.name, context.task.skill, "*"):
        if key in sizes:
            return sizes[key]
    return context.task.chunk


def _settings(agent: MemoryAgent, context: Context, size: int, limit: int | None, judge: LanguageModel | None) -> str:
    """A digest of everything that a result depends on beside the agent's name."""
    own = [getattr(agent, "settings", ""), agent.kind]
    asks = [asdict(question) for question in context.questions]
    said = [own, context.text, context.time, size, limit, judge and judge.name, asks]
    return hashlib.sha256(json.dumps(said, ensure_ascii=False, default=str).encode("utf-8", "replace")).hexdigest()[:16]


class Ledger:
    """The file of one agent and one context: lines while it runs, one JSON when it is done."""

    def __init__(self, folder: Path | None, agent: str, context: str, settings: str) -> None:
        self._settings = settings
        self._done = folder / _safe(agent) / f"{_safe(context)}.json" if folder else None
        self._lines = self._done.with_suffix(".jsonl") if self._done else None

    def finished(self) -> Outcome | None:
        """The outcome, if a run with these settings came to its end; InputError for one with others."""
        if self._done is None or not self._done.exists():
            return None
        outcome = Outcome.of_json(json.loads(self._done.read_text(encoding="utf-8")))
        self._same(outcome.settings, self._done)
        return outcome

    def begun(self) -> list[Record]:
        """The questions that were answered before the run stopped; a torn last line is asked again."""
        if self._lines is None:
            return []
        if not self._lines.exists():
            self._lines.parent.mkdir(parents=True, exist_ok=True)
            self._lines.write_text(json.dumps({"settings": self._settings}) + "\n", encoding="utf-8")
            return []
        rows = list(_whole_lines(self._lines))
        self._same(rows[0]["settings"] if rows else self._settings, self._lines)
        kept = [{"settings": self._settings}, *rows[1:]]
        self._lines.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
        return [_record(row) for row in kept[1:]]

    def note(self, record: Record) -> None:
        """Append a question, on disk before the next one is asked."""
        if self._lines is not None:
            with self._lines.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(record)) + "\n")

    def finish(self, outcome: Outcome) -> None:
        if self._done is None or self._lines is None:
            return
        part = self._done.with_suffix(".part")  # a run that is killed while writing leaves the lines
        part.write_text(json.dumps(outcome.as_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(part, self._done)
        self._lines.unlink(missing_ok=True)

    def _same(self, settings: str, file: Path) -> None:
        if settings != self._settings:
            raise InputError(f"{file} is of a run with other material or settings: give another folder, or delete it.")


def _whole_lines(file: Path) -> Iterator[dict[str, Any]]:
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            return


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)
