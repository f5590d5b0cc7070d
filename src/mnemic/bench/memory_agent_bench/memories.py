"""mnemic's own memories as designs: any retriever, any writer, the same readers, the same budget."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Self

from mnemic.bench.memory_agent_bench.chunks import counted
from mnemic.bench.memory_agent_bench.designs import Design, MakeDesign, Order
from mnemic.bench.memory_agent_bench.protocol import Memo
from mnemic.choose import RETRIEVERS, WRITERS, RetrieverChoice
from mnemic.memory import Memory
from mnemic.meter import Budget, Used
from mnemic.record import Chunk
from mnemic.seams import Embedder, LanguageModel, Writer

_OWN = [name for name in WRITERS if not name.endswith("_local")]  # "facts_local" is "facts" without a model
_DEEP = 50  # hits that are asked for; the budget decides how many are shown


class Remembering(Design):
    """A `Memory` as an agent: chunks go through its writer, questions through its retriever.

    A writer that reads the memory gets the chunks one by one, so that it sees what it wrote before.
    """

    def __init__(self, budget: Budget | str, *, name: str = "", retriever: RetrieverChoice = "hybrid",
                 writer: str | Writer = "verbatim", embedder: str | Embedder | None = None,
                 lm: str | LanguageModel | None = None, order: Order = "found",
                 per_hop: bool = False) -> None:  # fmt: skip
        super().__init__(budget, name=name or f"{retriever}, {writer}", order=order, per_hop=per_hop)
        self.memory = Memory(":memory:", retriever=retriever, writer=writer, embedder=embedder, lm=lm)
        self._waiting: list[Chunk] = []
        self._told = 0

    @property
    def settings(self) -> str:
        memory = self.memory
        return f"{super().settings}, {memory.retriever.name}, {memory.writer.name}, {memory.embedder.name}"

    def memorize(self, memo: Memo) -> None:
        self._told += 1
        self._waiting.append(Chunk(memo.text, time=memo.when or None, source="context", place=f"chunk {self._told}"))

    def _written(self) -> Memory:
        """The memory with everything in it that was handed over."""
        waiting, self._waiting = self._waiting, []
        if self.memory.writer.name == "verbatim":
            self.memory.add_many(waiting)
        else:
            for chunk in waiting:
                self.memory.add_many([chunk])
        return self.memory

    def _found(self, query: str) -> list[str]:
        return [hit.record.text for hit in self._written().recall(query, k=_DEEP)]

    def used(self) -> Used:
        """Tokens of the largest look so far; parts: tokens of all records, bytes of the file."""
        memory = self._written()
        kept = sum(counted(record.text) for record in memory.records())
        return Used(self._shown, "tokens", {"kept": kept, "bytes": memory.used("bytes").amount})

    def save(self, file: Path) -> None:
        """Write the memory as JSON lines."""
        self._written().export(file)

    def load(self, file: Path) -> Self:
        self.memory.load(file)
        return self


def memories(embedder: Embedder | None = None) -> Mapping[str, tuple[str, MakeDesign]]:
    """Every retriever with every writer of mnemic, by name; a `Remembered` embedder shares vectors between them."""
    every = {
        f"{retriever}, {writer}": (
            f'Memory(retriever="{retriever}", writer="{writer}")',
            partial(Remembering, retriever=retriever, writer=writer, embedder=embedder),
        )
        for writer in _OWN
        for retriever in RETRIEVERS
    }
    arbitrated = partial(Remembering, name=ARBITRATED, embedder=embedder, order="newest", per_hop=True)
    return {**every, ARBITRATED: ('Memory(retriever="hybrid"), newest fact first, a look for each hop', arbitrated)}


ARBITRATED = "hybrid, verbatim, per hop + max serial"
