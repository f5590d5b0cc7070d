"""BM25 over texts in memory: stemmed words, case and punctuation left out (Robertson and Zaragoza 2009).

No stop words: "who" and "where" tell classes of questions apart, and a word that stands everywhere weighs nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from mnemic.recall.lexical import K1, B
from mnemic.recall.terms import terms

Floats = npt.NDArray[np.float64]

_terms = lru_cache(maxsize=100_000)(lambda text: tuple(terms(text)))


class BM25:
    """Scores of a query with every text; built once, never changed."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.size = len(texts)
        counts = [Counter(_terms(text)) for text in texts]
        lengths = np.array([sum(count.values()) for count in counts], np.float64)  # [n]
        self._penalty = K1 * (1 - B + B * lengths / max(lengths.mean(), 1.0)) if texts else lengths
        postings: dict[str, list[tuple[int, int]]] = {}
        for row, count in enumerate(counts):
            for term, times in count.items():
                postings.setdefault(term, []).append((row, times))
        self._postings = {term: self._weighted(found) for term, found in postings.items()}

    def _weighted(self, found: Sequence[tuple[int, int]]) -> tuple[npt.NDArray[np.int64], Floats]:
        """Rows of a term and what it adds to their scores."""
        rows = np.array([row for row, _ in found])
        times = np.array([times for _, times in found], np.float64)
        idf = np.log1p((self.size - len(found) + 0.5) / (len(found) + 0.5))
        return rows, idf * times * (K1 + 1) / (times + self._penalty[rows])

    def scores(self, query: str) -> Floats:
        """[n]; 0 for a text without any word of the query."""
        total = np.zeros(self.size)
        for term in dict.fromkeys(terms(query)):
            if term in self._postings:
                rows, worth = self._postings[term]
                total[rows] += worth
        return total

    def top(self, query: str, k: int) -> list[int]:
        """The k best texts that share a word with the query, best first; the earlier of equals first."""
        scores = self.scores(query)
        return [int(row) for row in np.argsort(-scores, kind="stable")[:k] if scores[row] > 0]
