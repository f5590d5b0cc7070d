"""BM25 over texts that come, change and go: what the systems of this benchmark search with.

The same words and numbers as mnemic's lexical retriever (recall/terms.py, recall/lexical.py), on a dictionary.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import lru_cache

from mnemic.recall.lexical import K1, B, idf
from mnemic.recall.terms import query_terms, terms


@lru_cache(maxsize=200_000)
def _counted(text: str) -> tuple[tuple[tuple[str, int], ...], int]:
    found = terms(text)
    return tuple(Counter(found).items()), len(found)


@lru_cache(maxsize=20_000)
def _asked(query: str) -> tuple[str, ...]:
    return tuple(query_terms(query))


class Index:
    """Texts by a key of their own; a key that is set again replaces its text."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._holds: dict[str, dict[str, int]] = defaultdict(dict)  # term -> key -> occurrences
        self._length: dict[str, int] = {}
        self._total = 0

    def __len__(self) -> int:
        return len(self.texts)

    def set(self, key: str, text: str) -> None:
        self.drop(key)
        counts, length = _counted(text)
        self.texts[key], self._length[key] = text, length
        self._total += length
        for term, count in counts:
            self._holds[term][key] = count

    def drop(self, key: str) -> None:
        text = self.texts.pop(key, None)
        if text is None:
            return
        self._total -= self._length.pop(key)
        for term, _ in _counted(text)[0]:
            del self._holds[term][key]

    def search(self, query: str, k: int) -> list[str]:
        """Keys of the k best texts, best first; a text without a word of the query is not found."""
        if not self.texts:
            return []
        mean = self._total / len(self.texts) or 1.0
        scores: dict[str, float] = defaultdict(float)
        for term in _asked(query):
            holds = self._holds.get(term)
            if holds:
                weight = idf(len(holds), len(self.texts))
                for key, count in holds.items():
                    length = self._length[key] / mean
                    scores[key] += weight * count * (K1 + 1) / (count + K1 * (1 - B + B * length))
        order = {key: n for n, key in enumerate(self.texts)} if scores else {}
        return sorted(scores, key=lambda key: (-scores[key], order[key]))[:k]
