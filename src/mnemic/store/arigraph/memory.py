"""AriGraph itself: one step writes what was seen into the graph and reads what matters now."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mnemic.errors import BudgetError, EmbedderMismatch, NotAMemory
from mnemic.lm.exchange import estimate
from mnemic.meter import Budget, Used
from mnemic.seams import Embedder
from mnemic.store.arigraph import navigation
from mnemic.store.arigraph.context import Context, composed
from mnemic.store.arigraph.extraction import Entities, Extractor, LLMTriplets
from mnemic.store.arigraph.graph import NEAR, Change, Episode, Graph
from mnemic.store.arigraph.navigation import Map
from mnemic.store.arigraph.refining import Refiner
from mnemic.store.arigraph.search import episodic, semantic
from mnemic.store.arigraph.triplets import Replacement, Triplet
from mnemic.store.arigraph.vectors import VectorCache

_FORMAT = "mnemic-arigraph-1"


@dataclass(frozen=True)
class Settings:
    """The numbers of the method; the defaults are the paper's but for tau.

    k          facts that one look-up finds
    tau        how near they must be: for cosines. The paper's 0.75 is for dot products of vectors of any length
    episodes   observations that a step gives back; 0 leaves episodic memory out
    window     last observations that the planner sees anyway, so that they are not given twice
    near       how alike a replacement's left side and a fact must be (1: the same text)
    """

    k: int = 6
    tau: float = 0.4
    episodes: int = 2
    window: int = 5
    near: float = NEAR


class AriGraph:
    """A world model that grows while an agent explores.

    budget      tokens of the context that a step gives to the planner
    extractor   reads facts: LLMTriplets, RuleTriplets, your own
    refiner     says which facts are out of date: LLMRefiner, FunctionalRefiner; None keeps everything
    entities    names what to look up, for steps that are not told
    embedder    makes vectors; None for the one that ships inside
    count       tokens of a text, as the planner's model counts them
    """

    def __init__(self, *, budget: Budget | str, extractor: Extractor, refiner: Refiner | None = None,
                 entities: Entities | None = None, embedder: Embedder | None = None,
                 settings: Settings = Settings(), count: Callable[[str], int] = estimate) -> None:  # fmt: skip
        self.budget = Budget.of(budget)
        if self.budget.unit != "tokens":
            raise BudgetError(f'a context is measured in tokens, not in {self.budget.unit}: write "400 tokens".')
        self.extractor, self.refiner, self.entities, self.settings = extractor, refiner, entities, settings
        self.count = count
        self.vectors = VectorCache(embedder or _embedder())
        self.graph = Graph()
        self.changes: list[Change] = []
        self.place: str | None = None
        self.subgraph: tuple[Triplet, ...] = ()  # what the step before retrieved
        self._peak = Used(0, "tokens")

    def step(self, observation: str, *, action: str = "", plan: str = "", place: str | None = None,
             queries: Mapping[str, int] | None = None, explore: bool = True) -> Context:  # fmt: skip
        """Write an observation and retrieve for the next decision.

        action    what the agent did before it, a move by compass leaves edges behind
        plan      what it wants: ranks observations, and is where entities are named from
        place     where it is now; None keeps the place of the step before
        queries   entity -> depth; None asks `entities`
        explore   list the exits nobody took

        Models are asked before anything is written: a ModelError leaves the memory as it was.
        """
        before, here = self.place, place.lower() if place else self.place
        read = self.extractor.read(observation, known=self.subgraph, place=here)
        proposed = self._refined(read)
        looked = self._queries(observation, plan, queries)
        self.place = here
        if here is not None:
            self.graph.places[here] = None
        self.changes += self.graph.replace(proposed, near=self.settings.near)
        self.graph.add([*read, *navigation.edges(action, before, here)])
        context = self._retrieved(looked, plan, self.subgraph, frozenset(read), self._recent(), explore)
        self.graph.episodes.append(Episode(observation, tuple(dict.fromkeys(read)), here))
        self.subgraph = context.triplets
        return context

    def retrieve(self, queries: Mapping[str, int] | None = None, *, question: str = "") -> Context:
        """Read without writing, as for questions: observations are ranked by what is retrieved now."""
        looked = self._queries(question, question, queries)
        return self._retrieved(looked, question, None, frozenset(), frozenset(), False)

    def learn(self, texts: Sequence[str], triplets: Sequence[Sequence[tuple[str, str, str]]] | None = None) -> None:
        """Write documents, which replace nothing: their facts are given, or read in one batch of calls."""
        read: Sequence[Sequence[tuple[str, str, str]]]
        if triplets is not None:
            read = triplets
        elif isinstance(self.extractor, LLMTriplets):
            read = self.extractor.read_many(texts)
        else:
            read = [self.extractor.read(text) for text in texts]
        for text, some in zip(texts, read, strict=True):
            facts = Graph()
            facts.add(some)
            self.graph.add(some)
            self.graph.episodes.append(Episode(text, tuple(facts.triplets)))

    def path(self, start: str, goal: str) -> list[str]:
        """Moves from place to place over what is known. Raises NotFound for a place or way that is not."""
        return self._map().path(start.lower(), goal.lower())

    def unexplored_exits(self) -> dict[str, list[str]]:
        """Visited place -> directions nobody took; from where the agent is, nearest first."""
        near = [place for place, _ in self._map().reach(self.place)] if self.place is not None else []
        told: dict[str, list[Triplet]] = {place: [] for place in [*near, *self.graph.places]}
        for triplet in self.graph.triplets:
            for place in {triplet.subject, triplet.object} & told.keys():
                told[place].append(triplet)
        found = {place: navigation.unexplored(place, facts) for place, facts in told.items()}
        return {place: ways for place, ways in found.items() if ways}

    def used(self) -> Used:
        """Tokens of the largest context given so far, by part."""
        return self._peak

    def stored(self) -> Used:
        """Bytes on disk that the memory takes when it is saved, by part."""
        parts = {name: len(json.dumps(part, ensure_ascii=False).encode()) for name, part in self._data().items()}
        return Used(len(self._encoded()), "bytes", parts)

    def save(self, file: str | Path) -> None:
        """Write the memory as JSON: all of the file or nothing. Vectors are a cache and made again."""
        path = Path(file)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            part.write_bytes(self._encoded())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)

    def load(self, file: str | Path) -> None:
        """Take over what was saved with the same embedder."""
        try:
            data = json.loads(Path(file).read_bytes())
            written, embedder = data["format"], data["embedder"]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise NotAMemory(f"{file} is no saved AriGraph ({error}): give a file that `save` wrote.") from None
        if written != _FORMAT:
            raise NotAMemory(f'{file} has the format "{written}": this version reads {_FORMAT}.')
        if embedder != self.vectors.embedder.name:
            raise EmbedderMismatch(f"{file} was made with {embedder}, not {self.vectors.embedder.name}: use that one.")
        self._take(data)

    def _queries(self, observation: str, plan: str, queries: Mapping[str, int] | None) -> Mapping[str, int]:
        if queries is None:
            queries = self.entities.name(f"{observation}\n{plan}") if self.entities else {}
        return {entity.lower(): depth for entity, depth in queries.items()}

    def _refined(self, read: Sequence[Triplet]) -> list[Replacement]:
        if self.refiner is None:
            return []
        new = [each for each in read if each not in self.graph.triplets]
        return self.refiner.replace(self.graph.refinable(read), new)

    def _retrieved(self, queries: Mapping[str, int], plan: str, ranked_by: Sequence[Triplet] | None,
                   fresh: frozenset[Triplet], recent: frozenset[str], explore: bool) -> Context:  # fmt: skip
        """ranked_by: facts that rank observations: those of the step before in games, None for those found now."""
        facts = [each for each in self._found(queries) if each not in fresh]
        basis = frozenset(facts if ranked_by is None else ranked_by)
        scores = episodic(plan, basis, self.graph.episodes, self.vectors)
        best = sorted(range(len(scores)), key=lambda n: -scores[n])[: self.settings.episodes]
        texts = [self.graph.episodes[n].text for n in best]
        seen = [text for text in dict.fromkeys(texts) if text not in recent]
        exits = self.unexplored_exits() if explore else None
        context = composed(facts, seen, exits, self.budget, self.count)
        self._peak = max(self._peak, context.used, key=lambda used: used.amount)
        return context

    def _found(self, queries: Mapping[str, int]) -> dict[Triplet, float]:
        """Facts for the queries, with how near they are."""
        return semantic(queries, list(self.graph.triplets), self.vectors, top=self.settings.k, tau=self.settings.tau)

    def _recent(self) -> frozenset[str]:
        window = self.settings.window
        return frozenset(each.text for each in self.graph.episodes[-window:]) if window else frozenset()

    def _map(self) -> Map:
        return Map(self.graph.triplets, self.graph.places)

    def _data(self) -> dict[str, Any]:
        return {
            "triplets": list(self.graph.triplets),
            "episodes": [asdict(each) for each in self.graph.episodes],
            "places": list(self.graph.places),
            "changes": [[*each.proposed, each.found, each.how] for each in self.changes],
            "state": {"place": self.place, "subgraph": self.subgraph, "peak": asdict(self._peak)},
        }

    def _encoded(self) -> bytes:
        head = {"format": _FORMAT, "embedder": self.vectors.embedder.name}
        return json.dumps(head | self._data(), ensure_ascii=False, indent=1).encode()

    def _take(self, data: Mapping[str, Any]) -> None:
        episodes = [Episode(e["text"], tuple(Triplet(*t) for t in e["triplets"]), e["place"]) for e in data["episodes"]]
        triplets = {Triplet(*each): None for each in data["triplets"]}
        self.graph = Graph(triplets, episodes, dict.fromkeys(data["places"]))
        self.changes = [
            Change(Replacement(Triplet(*old), Triplet(*new)), Triplet(*found) if found else None, how)
            for old, new, found, how in data["changes"]
        ]
        self.place = data["state"]["place"]
        self.subgraph = tuple(Triplet(*each) for each in data["state"]["subgraph"])
        self._peak = Used(**data["state"]["peak"])


def _embedder() -> Embedder:
    from mnemic.lm.minilm import MiniLM

    return MiniLM()
