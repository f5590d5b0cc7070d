"""The retriever: reads triples out of records, keeps the graph up with the memory's log, answers questions."""

from __future__ import annotations

import hashlib
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Protocol

import numpy as np

from mnemic.db.caches import cache_file
from mnemic.filter import Filter
from mnemic.recall.corpus import Corpus, Scores
from mnemic.recall.packed import Codes, Floats
from mnemic.record import Edge, Hit, Operation, Outcome, Record
from mnemic.seams import Embedder, LanguageModel, View
from mnemic.store.hipporag2.filters import LLMFilter, TripleFilter, keep_lexical
from mnemic.store.hipporag2.graph import TripleGraph
from mnemic.store.hipporag2.openie import LLMOpenIE
from mnemic.store.hipporag2.parsed import ParsedOpenIE
from mnemic.store.hipporag2.ppr import Mass
from mnemic.store.hipporag2.ranking import Scored, Settings, candidates, minmax, walked, weigh
from mnemic.store.hipporag2.slots import K, Slot, Slots
from mnemic.store.hipporag2.triples import Extractor, Passage, Reading, Triple, spoken, whole
from mnemic.store.hipporag2.vectors import Encoder, read_kept, write_kept

_FOLLOWED = 2000  # operations that are patched into the graph; beyond, building it anew is quicker
_UNSAVED = 0.1  # share of vectors that may be missing in the cache before it is written again


class Home(View, Protocol):
    """What the retriever needs of a memory, besides a view of it."""

    path: str
    space: str
    embedder: Embedder

    @property
    def lm(self) -> LanguageModel | None: ...
    def log(self, *, after: int = 0) -> Iterator[Operation]: ...
    def propose(self, operations: Sequence[Operation], *, who: str, why: str) -> list[Outcome]: ...


class HippoRAG2:
    """Retriever "hipporag2"; parts: ppr (the score: share of the walk's mass), dense (scaled 0 to 1).

    extractor      reads triples; None: the memory's language model, else spaCy's parser
    triple_filter  keeps of the nearest facts those that help; None: the language model, else by shared words
    settings       the paper's numbers, and how exact the walk is

    When no fact is kept, passages come by similarity alone, and `dense` is the only part.
    """

    name = "hipporag2"

    def __init__(self, memory: Home, *, extractor: Extractor | None = None,
                 triple_filter: TripleFilter | None = None, settings: Settings | None = None) -> None:  # fmt: skip
        self._memory, self.settings = memory, settings or Settings()
        self._extractor, self._filter = extractor, triple_filter
        self._lock = threading.RLock()
        self._graph: TripleGraph | None = None
        self._encoder = Encoder(memory.embedder)
        self._position = self._saved = 0
        self._slot_of: tuple[tuple[int, int], Slot] | None = None

    # ---- remember

    def enrich(self, records: Sequence[Record]) -> list[Edge]:
        """The triples of records as edges whose source is the record; see seams.Enricher.

        Ready ones stand in the record's metadata: {"triples": [[subject, relation, object], ...]}.
        """
        to_read = [record for record in records if "triples" not in record.metadata]
        readings = self._read(to_read) if to_read else []
        found = {record.id: reading for record, reading in zip(to_read, readings, strict=True)}
        found |= {record.id: _given(record) for record in records if record.id not in found}
        for record in records:
            if found[record.id].failure:
                warnings.warn(f"record {record.id}: {found[record.id].failure}.", stacklevel=2)
        return [edge for record in records for edge in _edges(record.id, found[record.id].triples)]

    def _read(self, records: Sequence[Record]) -> list[Reading]:
        if self._extractor is None:
            lm = self._memory.lm
            self._extractor = ParsedOpenIE() if lm is None else LLMOpenIE(lm)
        return self._extractor.read([Passage(record.text, record.speaker) for record in records])

    def index(self, *, batch: int = 64) -> Iterator[tuple[int, int]]:
        """Read triples out of records that have none yet, then build the graph; yields (records done, of all).

        For a memory that was filled with another retriever. What was read is committed batch by batch.
        """
        read = {edge.source for edge in self._memory.edges() if edge.source is not None}
        missing = [record.id for record in self._memory.records() if record.id not in read]
        yield 0, len(missing)
        for at in range(0, len(missing), batch):
            ids = tuple(missing[at : at + batch])
            records = list(self._memory.records(Filter(ids=ids)))
            edges = {id: list(some) for id, some in groupby(self.enrich(records), key=lambda edge: edge.source)}
            operations = [
                Operation("update", id, after={"edges": [[e.head, e.relation, e.tail, e.weight] for e in some]})
                for id, some in edges.items()
                if id is not None
            ]
            if operations:
                self._memory.propose(operations, who="retriever:hipporag2", why="triples were read")
            yield at + len(ids), len(missing)
        with self._lock:
            self._synced()

    # ---- find

    @property
    def graph(self) -> TripleGraph:
        """The graph as of the memory's newest operation; to look at, not to change."""
        with self._lock:
            return self._synced()

    def search(self, query: str, k: int, where: Filter) -> list[Hit]:
        """The k passages with the most mass; only those that pass the filter, the walk sees all."""
        seeds = self.seeds(query)
        with self._lock:
            graph, corpus = self._synced(), self._memory.corpus
            slot_of = self._slots(graph, corpus)
            rows = np.flatnonzero(corpus.mask(where) & (slot_of >= 0)).astype(np.int32)
            if not len(rows):
                return []
            dense = self._dense(graph, corpus, query)
            slots = slot_of[rows]
            parts: dict[str, Scores] = {"dense": dense[slots].astype(np.float32)}
            if seeds:
                parts = {"ppr": self._walk(graph, seeds, dense)[slots].astype(np.float32), **parts}
        scores = next(iter(parts.values()))
        top = np.argsort(-scores, kind="stable")[:k]
        shown = {name: values[top] for name, values in parts.items()}
        return corpus.hits(rows[top].tolist(), scores[top], shown, query)

    def facts(self, query: str) -> list[Scored]:
        """The facts that a question is linked to and that the filter keeps, with their scaled similarity."""
        with self._lock:
            found = candidates(self._synced(), self._memory.corpus.embed(query), self.settings.linked)
        if not found:
            return []
        if self._filter is None:
            lm = self._memory.lm
            self._filter = keep_lexical if lm is None else LLMFilter(lm)
        return [found[place] for place in self._filter(query, [fact for fact, _ in found])]  # outside: models are slow

    def seeds(self, query: str) -> dict[str, float]:
        """The phrases that a question's walk starts from, with their reset mass; empty when no fact is kept."""
        kept = self.facts(query)
        with self._lock:
            return weigh(self._synced(), kept, self.settings.linked)

    def _dense(self, graph: TripleGraph, corpus: Corpus, query: str) -> Mass:
        """Similarity of every passage, scaled to 0..1 over all of them, [passage slots]."""
        slot_of, dense = self._slots(graph, corpus), np.zeros(len(graph.passages))
        rows = np.flatnonzero(slot_of >= 0)
        dense[slot_of[rows]] = minmax(corpus.dense(corpus.embed(query))[rows])
        return dense

    def _walk(self, graph: TripleGraph, seeds: Mapping[str, float], dense: Mass) -> Mass:
        """Share of the walk's mass at each passage, [passage slots]."""
        seeds = {phrase: mass for phrase, mass in seeds.items() if phrase in graph.phrases.of}
        mass, _ = walked(graph, seeds, dense, self.settings)
        total = sum(seeds.values()) + self.settings.passage_weight * float(dense.sum())
        return mass[len(graph.phrases) :] / max(total, 1e-30)

    def _slots(self, graph: TripleGraph, corpus: Corpus) -> Slot:
        """Passage slot of every row, [n rows]; -1 for the dead, and for what was written since the graph was synced."""
        state = self._position, self._memory.position
        if self._slot_of is None or self._slot_of[0] != state or len(self._slot_of[1]) != corpus.size:
            of, alive = graph.passages.of, corpus.alive.tolist()
            found = [of.get(id, -1) if live else -1 for id, live in zip(corpus.ids, alive, strict=True)]
            self._slot_of = state, np.array(found, np.int64)
        return self._slot_of[1]

    # ---- the graph follows the log

    def _synced(self) -> TripleGraph:
        """The graph as of the memory's newest operation; the lock must be held."""
        position = self._memory.position
        if self._graph is None:
            self._graph = self._built()
        elif position != self._position:
            changed = self._changed()
            self._graph = self._built() if changed is None else self._follow(self._graph, changed)
        else:
            return self._graph
        self._position = position
        self._save(self._graph)
        return self._graph

    def _changed(self) -> list[str] | None:
        """Ids of records that changed since, in order; None when the log no longer tells, or tells too much."""
        ids: dict[str, None] = {}
        for operation in self._memory.log(after=self._position):
            if not operation.target or len(ids) > _FOLLOWED:
                return None
            if operation.kind not in ("link", "unlink"):
                ids[operation.target] = None
        return list(ids)

    def _follow(self, graph: TripleGraph, ids: Sequence[str]) -> TripleGraph:
        graph.remove(ids)
        there = [record.id for record in self._memory.records(Filter(ids=tuple(ids)))] if ids else []
        graph.add({id: _triples(self._memory.edges(id)) for id in there}, self._encoder)
        return graph

    def _built(self) -> TripleGraph:
        """The graph of all records, with what the cache has of its vectors."""
        embedder, file = self._memory.embedder, self._cache
        kept = read_kept(file, embedder.name, embedder.dimensions) if file else None
        graph = TripleGraph(embedder.dimensions)
        stated: dict[str, list[Triple]] = {record.id: [] for record in self._memory.records()}
        for edge in self._memory.edges():
            if edge.source in stated:
                stated[edge.source].append((edge.head, edge.relation, edge.tail))
        encoder = Encoder(embedder, kept)
        graph.add(stated, encoder, kept)
        self._encoder = Encoder(embedder)  # what was kept is in the graph now
        self._encoder.embedded, self._saved = encoder.embedded, 0
        return graph

    @property
    def _cache(self) -> Path | None:
        space = hashlib.blake2b(self._memory.space.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
        return cache_file(self._memory.path, f"hipporag2-{space}")

    def _save(self, graph: TripleGraph) -> None:
        """Write the cache when more than a tenth of the vectors is not in it."""
        file, known = self._cache, len(graph.phrases.of) + len(graph.facts.of)
        if file is None or self._encoder.embedded - self._saved <= _UNSAVED * known:
            return
        row = np.full(len(graph.phrases), -1, np.int64)
        row[list(graph.phrases.of.values())] = np.arange(len(graph.phrases.of))
        pairs = graph.synonyms
        shelves = [_shelf(graph.phrases, str), _shelf(graph.facts, spoken)]
        try:
            write_kept(file, self._memory.embedder.name, shelves, (row[pairs.a], row[pairs.b], pairs.cosine))
        except OSError as error:  # a full disk or a read-only folder must not keep anybody from an answer
            warnings.warn(f"{file}: cannot be written ({error}): its vectors are made again next time.", stacklevel=2)
        self._saved = self._encoder.embedded


def _shelf(slots: Slots[K], text: Callable[[K], str]) -> tuple[list[str], Codes, Floats]:
    """Texts of the keys with their vectors, as write_kept takes them."""
    at = np.fromiter(slots.of.values(), np.int64, len(slots.of))
    return [text(key) for key in slots.of], slots.codes[at], slots.scale[at]


def _given(record: Record) -> Reading:
    """The ready triples of a record's metadata."""
    items = record.metadata["triples"]
    items = items if isinstance(items, list | tuple) else [items]
    triples = whole(items)
    lost = sum(not whole([item]) for item in items)
    return Reading(tuple(triples), f"{lost} of {len(items)} given triples are not three texts" if lost else "")


def _edges(id: str, triples: Iterable[Triple]) -> list[Edge]:
    return [Edge(s, p, o, 1.0, id) for s, p, o in triples]


def _triples(edges: Iterable[Edge]) -> list[Triple]:
    return [(edge.head, edge.relation, edge.tail) for edge in edges]
