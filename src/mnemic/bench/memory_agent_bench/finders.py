"""How a design finds: by BM25 (bm25.py), by vectors, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from mnemic.bench.memory_agent_bench.chunks import sentences
from mnemic.seams import Embedder, Vectors


class Finder(Protocol):
    """Made of the units as they are; asked as often as there are questions."""

    def top(self, query: str, k: int) -> list[int]: ...


MakeFinder = Callable[[Sequence[str]], Finder]


class Newest:
    """Finds nothing: everything is handed over, the newest first."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._n = len(texts)

    def top(self, query: str, k: int) -> list[int]:
        return list(range(self._n - 1, -1, -1))


class Remembered:
    """An embedder that never embeds a text twice: several designs and runs share most of their sentences."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.name, self.dimensions, self.window = embedder.name, embedder.dimensions, embedder.window
        self._vectors: dict[str, Vectors] = {}

    def embed(self, texts: Sequence[str]) -> Vectors:
        """[n texts] -> [n d]."""
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        self._vectors.update(zip(new, self._embedder.embed(new), strict=True))
        return np.array([self._vectors[text] for text in texts], np.float32).reshape(len(texts), self.dimensions)

    def windows(self, text: str) -> list[tuple[int, int]]:
        return self._embedder.windows(text)

    def count(self, text: str) -> int:
        return self._embedder.count(text)


class Vectored:
    """Cosine of the query with the nearest sentence of each unit."""

    def __init__(self, texts: Sequence[str], embedder: Embedder) -> None:
        self._embedder = embedder
        parts = [sentences(text) or [text] for text in texts]
        self._vectors = embedder.embed([part for some in parts for part in some])  # [s d]
        self._starts = np.cumsum([0, *(len(some) for some in parts)])[:-1]

    def top(self, query: str, k: int) -> list[int]:
        if not len(self._starts):
            return []
        near = self._vectors @ self._embedder.embed([query])[0]  # [s]
        best = np.maximum.reduceat(near, self._starts)  # [n]
        return [int(row) for row in np.argsort(-best, kind="stable")[:k]]
