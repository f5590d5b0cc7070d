"""The corpus of a memory in a database that finds near vectors itself: none of them lies in the process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from mnemic.recall.corpus import Rows, Scores
from mnemic.recall.packed import quantise
from mnemic.recall.store_corpus import StoreCorpus

if TYPE_CHECKING:
    from mnemic.db.postgres import PostgresStore


class DatabaseCorpus(StoreCorpus):
    """As StoreCorpus; `codes` and `scale` are empty, the database compares vectors and gives the same scores."""

    @property
    def _database(self) -> PostgresStore:
        return cast("PostgresStore", self._store)

    def _append_vectors(self, start: int, ns: list[int], embedder: int | None) -> None:
        self._room["count"][start : start + len(ns)] = 0

    def _alone(self) -> bool:
        return True  # it sees no other space

    def _forget(self) -> None:
        super()._forget()
        self._number: int | None = None

    def _embedder_number(self) -> int | None:
        if self._number is None:
            self._number = super()._embedder_number()
        return self._number

    @property
    def indexed(self) -> bool:
        return True  # whoever asks for all scores would fetch them all

    def dense(self, vector: Scores, rows: Rows | None = None) -> Scores:
        wanted = np.arange(self.size, dtype=np.int32) if rows is None else rows
        scores = np.zeros(len(wanted), np.float32)
        embedder = self._embedder_number()
        if embedder is None or not len(wanted):
            return scores
        codes, step = quantise(vector[None, :])
        ns, values = self._database.cosines(None if rows is None else self.n[rows], embedder, codes[0])
        if len(ns):
            at = np.minimum(np.searchsorted(ns, self.n[wanted]), len(ns) - 1)
            same = ns[at] == self.n[wanted]
            scores[same] = values[at][same] * step[0]
        return scores

    def nearest(self, vector: Scores, k: int, mask: npt.NDArray[np.bool_] | None = None) -> Rows:
        mask = self.alive if mask is None else mask
        passing = int(np.count_nonzero(mask))
        k, embedder = min(k, passing), self._embedder_number()
        if not k or embedder is None:
            return np.flatnonzero(mask).astype(np.int32)[:k]
        if passing == self.living:
            codes, _ = quantise(vector[None, :])
            found = self.rows_of(self._database.nearest(k, embedder, codes[0]))
            if len(found) >= k:
                return found[:k]
        rows = np.flatnonzero(mask).astype(np.int32)
        scores = self.dense(vector, rows)
        best: Rows = rows[np.lexsort((rows, -scores))[:k]]
        return best

    def prepare(self, terms: Sequence[str]) -> None:
        unknown = [term for term in dict.fromkeys(terms) if term not in self._postings]
        if unknown:
            for term, (ns, counts) in self._database.postings_of(unknown).items():
                self._keep(term, ns, counts)

    def index(self) -> Iterator[tuple[int, int]]:
        embedder = self._store.embedder()
        if embedder is not None:
            yield from self._database.build_index(embedder[0], embedder[2])
