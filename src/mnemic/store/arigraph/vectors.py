"""Vectors of texts, each made once: entities, facts, observations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mnemic.seams import Embedder, Vectors


class VectorCache:
    """Text -> vector, embedded at its first use."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder
        self._row: dict[str, int] = {}
        self._table = np.zeros((64, embedder.dimensions), np.float32)

    def __len__(self) -> int:
        return len(self._row)

    def rows(self, texts: Sequence[str]) -> Vectors:
        """[n texts] -> float32 [n d]."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._row]
        if missing:
            self._put(missing)
        return self._table[[self._row[text] for text in texts]]

    def scores(self, query: str, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Dot products of one text with many, [n]."""
        if not texts:
            return np.zeros(0, np.float32)
        scored: npt.NDArray[np.float32] = self.rows(texts) @ self.rows([query])[0]
        return scored

    def _put(self, texts: Sequence[str]) -> None:
        vectors, start = self.embedder.embed(texts), len(self._row)
        if start + len(texts) > len(self._table):
            grown = np.zeros((2 * (start + len(texts)), self._table.shape[1]), np.float32)
            grown[:start] = self._table[:start]
            self._table = grown
        self._table[start : start + len(texts)] = vectors
        self._row |= {text: start + n for n, text in enumerate(texts)}
