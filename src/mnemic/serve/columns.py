"""The columns of one space for many threads at once, weighed by nothing outside the space.

What a search looks at must not move under it, so each gets the columns as they stand, and shares them with others until
something is written. Postings are kept up with what is added: a busy memory would otherwise read them again for each
search.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from copy import copy

import numpy as np

from mnemic.recall.corpus import Rows, Scores
from mnemic.recall.store_corpus import StoreCorpus
from mnemic.recall.terms import terms

_FEW = 500  # added records whose words are put into the postings that are known; beyond, these are read again
_MANY = 20_000  # terms whose postings are known at once


class SpaceCorpus(StoreCorpus):
    """A StoreCorpus that hands out what stands still."""

    _still: SpaceCorpus | None = None

    def frozen(self) -> SpaceCorpus:
        """The columns as of now; what others write meanwhile does not change them."""
        with self.lock:
            changed = self.refresh()
            if changed or self._still is None:
                still = copy(self)
                for name in ("alive", "before", "after"):  # of older rows, what is appended later changes these
                    setattr(still, name, getattr(self, name).copy())
                still._moved = dict(self._moved)
                self._still = still
            return self._still

    def refresh(self) -> bool:
        with self.lock:
            size, living, rows = self.size, getattr(self, "living", 0), self._room
            postings, frequency = getattr(self, "_postings", {}), getattr(self, "_frequency", {})
            if not super().refresh():
                return False
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


def _longer(posting: tuple[Rows, Scores], rows: Sequence[tuple[int, int]]) -> tuple[Rows, Scores]:
    more = np.array(rows, np.int32)
    return np.concatenate([posting[0], more[:, 0]]), np.concatenate([posting[1], more[:, 1].astype(np.float32)])
