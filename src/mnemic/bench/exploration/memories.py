"""Memories to compare: each is told a moment and answers with a text within its budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mnemic.environment import Observation
from mnemic.lm.doubles import HashEmbedder
from mnemic.lm.exchange import estimate
from mnemic.meter import Budget
from mnemic.store.arigraph import AriGraph, FunctionalRefiner, RuleTriplets, Settings, Triplet
from mnemic.store.arigraph.navigation import edges
from mnemic.store.arigraph.vectors import VectorCache

BUDGET = Budget(200, "tokens")  # a map of 12 rooms with all in it takes about 400: more would test no memory
_NOTHING = "You remember nothing."
_DIMENSIONS = 256  # of the hashing embedder, RAG's and AriGraph's


@dataclass(frozen=True)
class Moment:
    """What a memory is told at a step.

    action, before   what was done, and where the player was then
    seen             what came of it
    plan, queries    what the player wants, in words and as entity -> depth
    """

    action: str
    before: str
    seen: Observation
    plan: str
    queries: Mapping[str, int]

    @property
    def text(self) -> str:
        """The moment as a record that says where one came from: told to every memory that keeps records."""
        return f"(from {self.before}: {self.action})\n{self.seen.text}" if self.action else self.seen.text


class Remembering(Protocol):
    """A memory module: told a moment, it answers with a text within its budget."""

    def recall(self, moment: Moment) -> str: ...
    def facts(self) -> Sequence[Triplet]: ...  # retrieved at the last step, for whoever judges
    def stored(self) -> int: ...  # bytes


class GraphMemory:
    """AriGraph, or a part of it."""

    def __init__(self, memory: AriGraph) -> None:
        self.memory = memory

    def recall(self, moment: Moment) -> str:
        return self.memory.step(
            moment.seen.text, action=moment.action, plan=moment.plan, place=moment.seen.place, queries=moment.queries
        ).text  # fmt: skip

    def facts(self) -> Sequence[Triplet]:
        return self.memory.subgraph

    def stored(self) -> int:
        return self.memory.stored().amount


class Records:
    """Memories that keep every record and choose: `pick` gives the records to show, best first."""

    def __init__(self, budget: Budget, pick: Callable[[Records, Moment], list[str]]) -> None:
        self.budget, self.pick = budget, pick
        self.kept: list[str] = []

    def recall(self, moment: Moment) -> str:
        chosen = self.pick(self, moment)
        self.kept.append(moment.text)
        shown: list[str] = []
        for text in chosen:
            if estimate("\n".join([*shown, text])) > self.budget.amount:
                break
            shown.append(text)
        order = {text: n for n, text in enumerate(self.kept)}
        return "\n".join(sorted(shown, key=lambda text: order.get(text, 0))) or _NOTHING

    def facts(self) -> Sequence[Triplet]:
        return ()

    def stored(self) -> int:
        return sum(len(text.encode()) for text in self.kept)


def newest(memory: Records, moment: Moment) -> list[str]:
    """Full history, newest first until the budget is full."""
    return memory.kept[::-1]


class Relevant:
    """RAG's choice: recency, importance (facts that the reader finds) and similarity, scaled to 0..1; best five."""

    def __init__(self, reader: RuleTriplets, k: int = 5) -> None:
        self.reader, self.k = reader, k
        self.vectors = VectorCache(HashEmbedder(_DIMENSIONS))
        self.importance: dict[str, int] = {}

    def __call__(self, memory: Records, moment: Moment) -> list[str]:
        for text in memory.kept[len(self.importance) :]:
            self.importance.setdefault(text, len(self.reader.read(text)))
        if not memory.kept:
            return []
        recency = _unit(np.arange(len(memory.kept), dtype=np.float64))
        importance = _unit(np.array([self.importance[text] for text in memory.kept], np.float64))
        near = _unit(self.vectors.scores(f"{moment.plan}\n{moment.seen.text}", memory.kept).astype(np.float64))
        return [memory.kept[n] for n in np.argsort(-(recency + importance + near), kind="stable")[: self.k]]


class Summary:
    """The last state of everything that was seen, one sentence each, what was seen last first, cut at the budget.

    The summary is all that is kept, as where a model rewrites it from itself and what is seen: what is cut is lost.
    """

    def __init__(self, budget: Budget, reader: RuleTriplets) -> None:
        self.budget, self.reader = budget, reader
        self.graph: dict[Triplet, None] = {}
        self.seen: dict[str, None] = {}  # entities, the newest last

    def recall(self, moment: Moment) -> str:
        text = self._cut()
        place = (moment.seen.place or "").lower()
        read = self.reader.read(moment.seen.text, place=place)
        named = {name: None for each in read for name in (each.subject, each.object)}
        known = [each for each in self.graph if each.subject in named or each.object in named]
        for replacement in FunctionalRefiner().replace(known, [each for each in read if each not in self.graph]):
            self.graph.pop(replacement.old, None)
        self.graph |= dict.fromkeys([*read, *edges(moment.action, moment.before, place)])
        for entity in named:
            self.seen.pop(entity, None)
            self.seen[entity] = None
        return text

    def _cut(self) -> str:
        """The text; what does not fit is forgotten."""
        shown: list[str] = []
        kept: list[str] = []
        for entity in reversed(self.seen):
            sentence = self._sentence(entity)
            if estimate("\n".join([*shown, sentence])) > self.budget.amount:
                break
            kept.append(entity)
            shown += [sentence] if sentence else []
        self.seen = dict.fromkeys(reversed(kept))
        self.graph = {each: None for each in self.graph if each.subject in self.seen or self._way(each)}
        return "\n".join(shown) or _NOTHING

    def _way(self, fact: Triplet) -> bool:
        """Whether a fact is told in the sentence of its object: where an exit leads."""
        return fact.relation.endswith(" of") and fact.object in self.seen

    def _sentence(self, entity: str) -> str:
        """An entity's state: a room's exits with where they lead, a thing's place and state, what a key is for."""
        mine = [each for each in self.graph if each.subject == entity]
        ways = [each.object for each in mine if each.relation == "has exit"]
        if ways:
            leads = {each.relation.split()[1]: each.subject for each in self.graph
                     if each.object == entity and each.relation.endswith(" of")}  # fmt: skip
            return f"The {entity} has exits {', '.join(f'{w} (to {leads[w]})' if w in leads else w for w in ways)}."
        told = [f"The {entity} {each.relation} the {each.object}." for each in mine if each.relation != "contains"]
        return " ".join(each.replace("state is the", "is") for each in told)

    def facts(self) -> Sequence[Triplet]:
        return ()

    def stored(self) -> int:
        return sum(len(str(each).encode()) for each in self.graph)


def _unit(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros_like(values)


Make = Callable[[Budget, RuleTriplets, int], Remembering]


def graph(budget: Budget, reader: RuleTriplets, *, refined: bool = True, episodes: int = 2) -> GraphMemory:
    """AriGraph with rules instead of models. The player sees no recent window, so none is left out."""
    return GraphMemory(
        AriGraph(
            budget=budget, extractor=reader, refiner=FunctionalRefiner() if refined else None,
            embedder=HashEmbedder(_DIMENSIONS), settings=Settings(episodes=episodes, window=0),
        )
    )  # fmt: skip


MEMORIES: Mapping[str, Make] = {
    "no memory": lambda budget, reader, seed: Records(budget, lambda memory, moment: []),
    "full history": lambda budget, reader, seed: Records(budget, newest),
    "summary": lambda budget, reader, seed: Summary(budget, reader),
    "RAG": lambda budget, reader, seed: Records(budget, Relevant(reader)),
    "AriGraph without episodic": lambda budget, reader, seed: graph(budget, reader, episodes=0),
    "AriGraph without refining": lambda budget, reader, seed: graph(budget, reader, refined=False),
    "AriGraph": lambda budget, reader, seed: graph(budget, reader),
}
