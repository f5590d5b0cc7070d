"""The corpus of a memory file: scores over its columns, words from its index, records from its rows.

What a search looks at must not move under it, so each gets the columns as they stand (`frozen`), and shares them with
others until something is written. Postings are kept up with what is added: a busy memory would otherwise read them
again for each search. Nothing outside the space weighs: a word is as rare as it is here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from copy import copy
from functools import lru_cache
from typing import Self

import numpy as np
import numpy.typing as npt

from mnemic.db.store import Store
from mnemic.filter import Filter
from mnemic.recall.approximate import SCATTERED, Approximate
from mnemic.recall.columns import Columns
from mnemic.recall.corpus import Rows, Scores
from mnemic.recall.packed import Floats, cosines, unpack
from mnemic.recall.terms import query_terms, terms
from mnemic.record import Hit, Record
from mnemic.seams import Embedder

_SAMPLE = 2000  # rows that means and spreads are read from
_FEW = 500  # added records whose words are put into the postings that are known; beyond, these are read again
_MANY = 20_000  # terms whose postings are known at once


class StoreCorpus(Columns):
    """Implements mnemic.recall.corpus.Corpus; see there for the promises of each method."""

    _postings: dict[str, tuple[Rows, Scores]]
    _frequency: dict[str, int]

    def __init__(self, store: Store, space: str, embedder: Embedder) -> None:
        super().__init__(store, space, embedder.dimensions)
        self._still: Self | None = None
        self._embed = lru_cache(maxsize=16)(lambda query: embedder.embed([query])[0])
        self._forget()

    def frozen(self) -> Self:
        """The columns as of now; what others write meanwhile does not change them."""
        with self.lock:
            changed = self.refresh()
            if changed or self._still is None:
                still = copy(self)
                for name in ("alive", "before", "after"):  # of older rows, what is appended later changes these
                    setattr(still, name, getattr(self, name).copy())
                still._moved, still._still = dict(self._moved), None  # it would keep all those before it
                self._still = still
            return self._still

    def refresh(self) -> bool:
        with self.lock:
            size, living, rows = self.size, self.living, self._room
            postings, frequency = self._postings, self._frequency
            if not super().refresh():
                return False
            self._forget()
            added = self.size - size
            appended = self._room is rows and 0 <= added <= _FEW and self.living == living + added
            if appended and len(postings) < _MANY:
                self._postings, self._frequency = dict(postings), dict(frequency)
                self._extend(size)
            return True

    def _extend(self, start: int) -> None:
        """Put the words of the rows from `start` on into the postings and counts that are known."""
        texts = self._store.fetch([int(n) for n in self.n[start:]])
        found: dict[str, list[tuple[int, int]]] = {}
        for row in range(start, self.size):
            record = texts.get(int(self.n[row]))
            for term, count in Counter(terms(record.text) if record else ()).items():
                found.setdefault(term, []).append((row, count))
        for term, rows in found.items():
            if term in self._frequency:
                self._frequency[term] += len(rows)
            if term in self._postings:
                self._postings[term] = _longer(self._postings[term], rows)

    def _clear(self) -> None:
        super()._clear()
        self._approximate = Approximate(self._store, self._space, self)  # what it knows of rows goes with them

    def _forget(self) -> None:
        """What was worked out from the columns as they were."""
        self.living = int(self.alive.sum())
        words = self.length * self.alive  # [n]
        self.mean_length = max(float(words.sum()) / max(self.living, 1), 1.0)
        self.episode_words = np.bincount(self.episode, words).astype(np.float32)
        self.episodes = int((np.bincount(self.episode, self.alive) > 0).sum())
        self._postings, self._frequency = {}, {}
        self._sampled: Rows | None = None
        self._ids: list[str] | None = None

    @property
    def ids(self) -> Sequence[str]:
        if self._ids is None:
            known = dict(self._store.read("SELECT n, id FROM record WHERE space = ?", (self._space,)))
            self._ids = [known.get(n, "") for n in self.n.tolist()]
        return self._ids

    def embed(self, query: str) -> Scores:
        vector: Scores = self._embed(query)
        return vector

    def dense(self, vector: Scores, rows: Rows | None = None) -> Scores:
        if rows is None:
            scores = cosines(self.codes, self.scale, vector)  # [w]
            return _best(scores, self.first, self.count)
        first, count = self.first[rows], self.count[rows]
        start = np.cumsum(count) - count  # [rows]
        windows: slice | npt.NDArray[np.int64] = np.repeat(first - start, count) + np.arange(count.sum())
        if len(rows) and rows[-1] - rows[0] + 1 == len(rows) and bool((np.diff(rows) == 1).all()):
            windows = slice(int(first[0]), int(first[0] + count.sum()))  # side by side: nothing has to be copied
        return _best(cosines(self.codes[windows], self.scale[windows], vector), start, count)

    @property
    def indexed(self) -> bool:
        return self._approximate.placed is not None

    def nearest(self, vector: Scores, k: int, mask: npt.NDArray[np.bool_] | None = None) -> Rows:
        mask = self.alive if mask is None else mask
        k = min(k, int(np.count_nonzero(mask)))
        if not k:
            return np.zeros(0, np.int32)
        placed = self._approximate.placed
        parts = placed.near(vector, k, mask) if placed else None
        if parts is None:
            rows, scores = self._compared(vector, mask)
        else:
            rows, scores = np.concatenate(parts), np.concatenate([self.dense(vector, part) for part in parts])
        if len(rows) > k:
            top = np.argpartition(-scores, k - 1)[:k]
            rows, scores = rows[top], scores[top]
        best: Rows = rows[np.lexsort((rows, -scores))]
        return best

    def _compared(self, vector: Scores, mask: npt.NDArray[np.bool_]) -> tuple[Rows, Scores]:
        """All rows of a mask with their scores."""
        rows = np.flatnonzero(mask).astype(np.int32)
        if SCATTERED * len(rows) < len(mask):  # else scoring all is quicker than picking them out
            return rows, self.dense(vector, rows)
        return rows, self.dense(vector)[rows]

    def index(self) -> Iterator[tuple[int, int]]:
        return self._approximate.build()

    def sample(self) -> Rows:
        if self._sampled is None:
            rows = np.flatnonzero(self.alive).astype(np.int32)
            if len(rows) > _SAMPLE:
                rows = np.sort(np.random.default_rng(0).choice(rows, _SAMPLE, replace=False))
            self._sampled = rows
        return self._sampled

    def postings(self, term: str) -> tuple[Rows, Scores]:
        if term not in self._postings:
            self._keep(term, *self._store.postings(term))
        return self._postings[term]

    def _keep(self, term: str, ns: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> None:
        rows = self.rows_of(ns)
        if len(rows) != len(ns):
            counts = counts[np.isin(ns, self.n[rows])]
        order = np.argsort(rows, kind="stable") if self._moved else slice(None)
        self._postings[term] = rows[order], counts[order].astype(np.float32)

    def prepare(self, terms: Sequence[str]) -> None:
        """Nothing: a file is read where it is."""

    def frequencies(self, terms: Sequence[str]) -> dict[str, int]:
        unknown = [term for term in terms if term not in self._frequency]
        if unknown:
            counted = self._store.frequencies(unknown)  # of all spaces: 0 there is 0 here
            if not self._alone():
                counted = {term: len(self.postings(term)[0]) if counted[term] else 0 for term in unknown}
            if self._store.position() != self.position:  # they may count what these columns do not have yet
                return {**counted, **{term: self._frequency[term] for term in terms if term not in counted}}
            self._frequency.update(counted)
        return {term: self._frequency[term] for term in terms}

    def _alone(self) -> bool:
        """Is this the only space of the file? Then its counts are those of the file."""
        sql = "SELECT (SELECT min(space) FROM record), (SELECT max(space) FROM record)"
        return all(space in (None, self._space) for space in self._store.read(sql)[0])

    def text(self, row: int) -> str:
        found = self._store.read("SELECT text FROM record WHERE n = ?", (int(self.n[row]),))
        return found[0][0] if found else ""

    def mask(self, where: Filter) -> npt.NDArray[np.bool_]:
        if where.open:
            return self.alive.copy()
        passing = np.zeros(self.size, np.bool_)
        passing[self.rows_of(self._store.numbers(where, self._space))] = True
        return passing

    def hits(self, rows: Sequence[int], scores: Scores, parts: dict[str, Scores], query: str) -> list[Hit]:
        ns = [int(self.n[row]) for row in rows]
        records, windows = self._store.fetch(ns), self._windows(ns)
        found = []
        for i, n in enumerate(ns):
            if n in records:  # it may have been deleted since it was scored
                start, end = self._passage(records[n], windows.get(n), query)
                named = {name: float(values[i]) for name, values in parts.items()}
                found.append(Hit(records[n], float(scores[i]), named, records[n].text[start:end], (start, end)))
        return found

    def _windows(self, ns: list[int]) -> dict[int, npt.NDArray[np.void]]:
        embedder = self._embedder_number()
        packed = {} if embedder is None else self._store.windows(ns, embedder)
        return {n: unpack(data, self._dimensions) for n, data in packed.items()}

    def _embedder_number(self) -> int | None:
        embedder = self._store.embedder()
        return embedder[0] if embedder else None

    def _passage(self, record: Record, windows: npt.NDArray[np.void] | None, query: str) -> tuple[int, int]:
        """The window that fits the query best: by words it shares, then by cosine."""
        if windows is None or len(windows) < 2:
            return 0, len(record.text)
        wanted = set(query_terms(query))
        texts = [record.text[start:end] for start, end in zip(windows["start"], windows["end"], strict=True)]
        shared = [len(wanted.intersection(terms(text))) for text in texts]
        fit: Floats = cosines(windows["codes"], windows["scale"], self.embed(query))
        best = int(np.argmax(fit + np.array(shared) / max(1, len(wanted))))
        return int(windows["start"][best]), int(windows["end"][best])


def _best(scores: Scores, first: npt.NDArray[np.int64], count: npt.NDArray[np.int32]) -> Scores:
    """Best window of each row: scores [w] -> [rows]; 0 for a row without vectors."""
    if len(scores) == len(count) and bool((count == 1).all()):
        return scores
    best = np.zeros(len(count), np.float32)
    filled = np.flatnonzero(count)
    if len(filled):
        best[filled] = np.maximum.reduceat(scores, first[filled])
    return best


def _longer(posting: tuple[Rows, Scores], rows: Sequence[tuple[int, int]]) -> tuple[Rows, Scores]:
    more = np.array(rows, np.int32)
    return np.concatenate([posting[0], more[:, 0]]), np.concatenate([posting[1], more[:, 1].astype(np.float32)])
