"""The methods side by side: each agent with a memory of its own, opened the same way and at the same budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from mnemic.bench._methods import chosen
from mnemic.environment import Environment
from mnemic.errors import InputError
from mnemic.memory import Memory
from mnemic.meter import Budget, Used
from mnemic.record import Outcome
from mnemic.seams import Embedder, LanguageModel, Vectors
from mnemic.store.evo_memory import (
    AWM,
    Agent,
    Attempt,
    Baseline,
    Brief,
    ExperienceMemory,
    ExpRAG,
    ExpRecent,
    Feedback,
    History,
    ReAct,
    ReMem,
)
from mnemic.store.evo_memory.attempts import Spent
from mnemic.store.evo_memory.pool import Store

LAST = 3  # episodes that History shows
BUDGET = Budget(4_000_000, "bytes")


@dataclass(frozen=True)
class Method:
    """A row of the table: how its agent is made, and what its memory keeps."""

    about: str
    make: Callable[..., Agent]
    store: Store = "success"


TABLE: Mapping[str, Method] = {
    "Baseline": Method("the task alone", Baseline),
    "ReAct": Method("thoughts and actions, nothing across tasks", ReAct),
    "History": Method(f"the last {LAST} tasks verbatim, failures too", History, "all"),
    "ExpRecent": Method("the last 4 successes, condensed", ExpRecent),
    "ExpRAG": Method("the 4 successes whose goals are nearest", ExpRAG),
    "ReMem": Method("ExpRAG whose agent prunes what was retrieved", ReMem),
    "ExpRAG, failures too": Method("ExpRAG over successes and failures", ExpRAG, "all"),
    "ReMem, failures too": Method("ReMem over successes and failures", ReMem, "all"),
    "AWM": Method("workflows that the model induces from successes", AWM),
}


def open_agent(name: str, lm: LanguageModel, embedder: Embedder, *, budget: Budget = BUDGET, **options: Any) -> Agent:
    """A method of TABLE with an empty memory; raises NotFound with the names there are.

    options   of the agent: max_inner, prompt_tokens, reply_tokens
    """
    method = TABLE[chosen([name], TABLE)[0]]
    memory = open_memory(embedder, method.store, budget=budget)
    last = {"last": LAST} if method.make is History else {}
    return method.make(lm, memory, **last, **options)


def open_memory(embedder: Embedder, store: Store, *, budget: Budget = BUDGET,
                drop_when: float | None = None) -> ExperienceMemory:  # fmt: skip
    """An empty experience memory in RAM, measured as a file is."""
    memory = Memory(":memory:", retriever="dense", embedder=embedder, budget=budget)
    return ExperienceMemory(memory, store=store, drop_when=drop_when)


class Embedded:
    """An embedder that makes each text's vector once, alone: all methods of a comparison see the same vectors."""

    def __init__(self, embedder: Embedder) -> None:
        self.inner, self.name = embedder, embedder.name
        self.dimensions, self.window = embedder.dimensions, embedder.window
        self._vectors: dict[str, Vectors] = {}

    def embed(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            return self.inner.embed([])
        for text in texts:
            if text not in self._vectors:
                self._vectors[text] = self.inner.embed([text])[0]
        return np.stack([self._vectors[text] for text in texts])

    def windows(self, text: str) -> list[tuple[int, int]]:
        return self.inner.windows(text)

    def count(self, text: str) -> int:
        return self.inner.count(text)


class Answering(Protocol):
    """What DynamicCheatsheet of mnemic.context gives, by the names it uses: another level, so it is passed in."""

    memory: str

    def answer(self, question: str) -> Any: ...


class Cheatsheet:
    """Dynamic Cheatsheet among the methods, one turn only: it writes its memory by itself and is told no judgement.

    sheet   a DynamicCheatsheet (variant "cumulative" or "retrieval_synthesis"), or anything that answers like it
    """

    def __init__(self, sheet: Answering, name: str = "DC-Cu") -> None:
        self.sheet, self.name = sheet, name

    def play(self, world: Environment, brief: Brief) -> Attempt:
        raise InputError(f"{self.name} answers questions: give it a stream without worlds.")

    def answer(self, question: str, brief: Brief) -> Attempt:
        done = self.sheet.answer(f"{brief.instructions}\n\n{question}")
        spent = Spent(done.spent.calls, done.spent.read, done.spent.written)
        return Attempt(question, answer=done.answer, spent=spent)

    def evolve(self, attempt: Attempt, feedback: Feedback) -> Outcome:
        return Outcome("unchanged", None, f"{self.name} has rewritten its memory before it was judged")

    def used(self) -> Used:
        """Bytes of the cheatsheet as UTF-8."""
        return Used(len(self.sheet.memory.encode()), "bytes")
