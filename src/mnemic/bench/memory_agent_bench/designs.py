"""Memory designs, small ones, that all hand what they found to the same readers.

A design is what it keeps (stores), how it finds (finders), in which order it hands over, and whether it looks again for
each fact of a longer question. Its budget is the tokens that one look may show.

design("BM25", "5000 tokens")     one of DESIGNS, made anew
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

from mnemic.bench.memory_agent_bench.bm25 import BM25
from mnemic.bench.memory_agent_bench.chunks import counted, shortened
from mnemic.bench.memory_agent_bench.examples import example, read_example
from mnemic.bench.memory_agent_bench.finders import MakeFinder, Newest, Remembered, Vectored
from mnemic.bench.memory_agent_bench.protocol import Answered, Ask, Memo
from mnemic.bench.memory_agent_bench.readers import read, stays, tally
from mnemic.bench.memory_agent_bench.relations import serial
from mnemic.bench.memory_agent_bench.stores import Everything, Extract, MakeStore, Slots, Window
from mnemic.bench.memory_agent_bench.templates import Kind
from mnemic.errors import BudgetError, InputError, MissingExtra, NotFound
from mnemic.meter import Budget, Used
from mnemic.seams import Embedder

Order = Literal["found", "newest", "oldest"]
TOP = 10  # units that a retriever hands over


class Design:
    """An agent whose memory is a store and a finder; reads without a language model.

    budget    tokens that one look into the memory may show
    keep      makes the store
    find      makes a finder of the store's units
    order     how what was found is handed over: as found, or lines by their serial number, "newest" first
    per_hop   look again for each fact of a longer question; else one look has to do
    k         units that a look hands over at most
    """

    kind: Kind = "rag"

    def __init__(self, budget: Budget | str, *, name: str = "BM25", keep: MakeStore = Everything,
                 find: MakeFinder = BM25, order: Order = "found", per_hop: bool = False,
                 k: int = TOP) -> None:  # fmt: skip
        self.budget = Budget.of(budget)
        if self.budget.unit != "tokens":
            raise BudgetError(
                f'a prompt is measured in tokens, not in {self.budget.unit}: write it like "5000 tokens".'
            )
        self.name, self.store, self._find = name, keep(self.budget), find
        self._order, self._per_hop, self._k = order, per_hop, k
        self._units: list[str] | None = None
        self._shown = 0

    @property
    def settings(self) -> str:
        """What else its answers depend on: runs are only taken up with the same."""
        return f"{self.budget}, {self._order}, per hop {self._per_hop}, k {self._k}"

    # ---- memorise

    def memorize(self, memo: Memo) -> None:
        self.store.add(memo.text)
        self._units = None

    def _ready(self) -> list[str]:
        """The units, and a finder made of them: once, when the first question comes."""
        if self._units is None:
            self._units = self.store.units()
            self._finder = self._find(self._units)
        return self._units

    # ---- ask

    def answer(self, ask: Ask) -> Answered:
        looks: list[list[str]] = []

        def recall(query: str) -> list[str]:
            if self._per_hop or not looks:
                looks.append(self.look(query))
            return looks[-1]

        said = read(ask.task, ask.query, recall)
        shown = [sum(counted(text) for text in look) for look in looks]
        return Answered(said, sum(shown) + counted(ask.prompt) * max(len(looks), 1), max(shown, default=0))

    def look(self, query: str) -> list[str]:
        """What the reader is shown for a query, most trusted first; never more than the budget."""
        found = self._fitting(self._found(query))
        self._shown = max(self._shown, sum(counted(text) for text in found))
        return found if self._order == "found" else _by_serial(found, newest=self._order == "newest")

    def _found(self, query: str) -> list[str]:
        units = self._ready()
        return [units[row] for row in self._finder.top(query, self._k)]

    def _fitting(self, texts: Sequence[str]) -> list[str]:
        """As many as fit; the first one that does not is cut."""
        kept: list[str] = []
        room = self.budget.amount
        for text in texts:
            if piece := shortened(text, room):
                kept.append(piece)
                room -= counted(piece)
            if piece != text:
                break
        return kept

    def used(self) -> Used:
        """Tokens of the largest look so far; parts: tokens and bytes of the text that is kept."""
        units = self.store.units()
        size = sum(len(unit.encode("utf-8", "replace")) for unit in units)
        return Used(self._shown, "tokens", {"kept": sum(counted(unit) for unit in units), "bytes": size})

    # ---- carry

    def save(self, file: Path) -> None:
        """Write what is kept as JSON; `load` of a design of the same name gives the same answers."""
        part = file.with_suffix(".part")
        part.write_text(json.dumps({"design": self.name, "units": self.store.units()}) + "\n", encoding="utf-8")
        os.replace(part, file)

    def load(self, file: Path) -> Self:
        """Take what `save` wrote; raises InputError for the file of another design."""
        row: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if row.get("design") != self.name:
            raise InputError(f'{file} was saved by the design "{row.get("design")}", not by "{self.name}".')
        self.store.restore(row["units"])
        self._units = None
        return self


def _by_serial(texts: Sequence[str], *, newest: bool) -> list[str]:
    """Lines with a serial number by that number, then all others as they were."""
    lines = [line for text in texts for line in text.splitlines()]
    numbered = [(n, line) for line in lines if (n := serial(line)) is not None]
    if not numbered:
        return list(texts)
    ordered = sorted(numbered, key=lambda pair: pair[0], reverse=newest)
    return [*(line for _, line in ordered), *(line for line in lines if serial(line) is None)]


class Learner(Design):
    """Learns from the whole history, and keeps single facts of none: a classifier of the labelled examples (TF-IDF of
    words and pairs, logistic regression), and a running tally of where people stayed.
    """

    def __init__(self, budget: Budget | str, *, name: str = "full-history learner") -> None:
        super().__init__(budget, name=name, keep=_Lessons, find=_Learned)

    def _found(self, query: str) -> list[str]:
        self._ready()
        assert isinstance(self._finder, _Learned)
        return self._finder.say(query)


class _Lessons(Everything):
    """Keeps what can be learned from: labelled examples, and the stays that a tally is made of."""

    def add(self, chunk: str) -> None:
        lines = [line for line in chunk.splitlines() if read_example(line)]
        seen = [f"On day {day} {who} lodged at {where}." for day, who, where in stays(chunk)]
        if lines or seen:
            super().add("\n".join([*lines, *seen]))


class _Learned:
    """A classifier and tallies, made of all lessons."""

    def __init__(self, texts: Sequence[str]) -> None:
        rows = [row for text in texts for line in text.splitlines() if (row := read_example(line))]
        self._classify = _classifier(rows) if len({label for _, label in rows}) > 1 else None
        where: dict[str, dict[int, str]] = defaultdict(dict)
        for text in texts:
            for day, who, place in stays(text):
                where[who][day] = place
        self._tallies = {who: tally(on, who) for who, on in where.items()}

    def top(self, query: str, k: int) -> list[int]:
        """Nothing of what was seen can be handed over: it was learned."""
        return []

    def say(self, query: str) -> list[str]:
        told = [line for who, line in self._tallies.items() if who in query]
        return [*told, example(query, self._classify(query))] if self._classify else told


def _classifier(rows: Sequence[tuple[str, str]]) -> Callable[[str], int]:
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped, import-not-found, unused-ignore]
    except ImportError:
        raise MissingExtra("the full-history learner", "bench") from None
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    seen = words.fit_transform(text for text, _ in rows)  # sparse [n v]
    with threadpool_limits(1):  # small vectors: more threads only wait for each other, and sum in another order
        model = LogisticRegression(C=10.0, max_iter=200).fit(seen, [int(label) for _, label in rows])
    return lambda text: int(model.predict(words.transform([text]))[0])


MakeDesign = Callable[[Budget], Design]


def vectored(embedder: Embedder) -> MakeDesign:
    """An embedding design with an embedder of one's own; give a `Remembered` one to share vectors between designs."""
    return partial(Design, name=NEAR, find=partial(Vectored, embedder=embedder))


def _minilm(budget: Budget) -> Design:
    from mnemic.lm.minilm import MiniLM

    return vectored(Remembered(MiniLM()))(budget)


WINDOW, BM, NEAR, EXTRACT, SLOTS = "FIFO window", "BM25 top-10", "embedding top-10", "extract", "key-value"
LEARNER, NEWEST, PER_HOP = "full-history learner", "BM25 + max serial", "BM25 per hop + max serial"

DESIGNS: Mapping[str, tuple[str, MakeDesign]] = {
    WINDOW: ("the newest tokens, whole", partial(Design, name=WINDOW, keep=Window, find=Newest, k=10**9)),
    BM: ("all chunks, the ten best by BM25", partial(Design, name=BM)),
    NEAR: ("all chunks, the ten with the nearest sentence (MiniLM)", _minilm),
    EXTRACT: ("one sentence of every 512 tokens, the ten best by BM25", partial(Design, name=EXTRACT, keep=Extract)),
    SLOTS: ("the newest value of each key of a fixed schema", partial(Design, name=SLOTS, keep=Slots)),
    LEARNER: ("a classifier and tallies of the whole history", partial(Learner, name=LEARNER)),
    NEWEST: ("BM25, facts handed over by serial number", partial(Design, name=NEWEST, order="newest")),
    PER_HOP: (
        "the same, with a look for each fact of a longer question",
        partial(Design, name=PER_HOP, order="newest", per_hop=True),
    ),
}  # fmt: skip


def design(name: str, budget: Budget | str) -> Design:
    """A new design by name; NotFound names those there are."""
    if name not in DESIGNS:
        raise NotFound(f'there is no design "{name}": there are {", ".join(DESIGNS)}.')
    return DESIGNS[name][1](Budget.of(budget))
