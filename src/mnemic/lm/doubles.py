"""Test doubles that are public: quick, deterministic, no model needed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from mnemic.recall.terms import terms
from mnemic.seams import Vectors


class HashEmbedder:
    """Texts that share words have near vectors: each stemmed word adds +1 or -1 at a place its hash picks.

    window  words that one vector covers, for tests of long texts
    """

    def __init__(self, dimensions: int = 64, seed: int = 0, window: int = 256) -> None:
        self.name = f"hash-{dimensions}"
        self.dimensions, self.seed, self.window = dimensions, seed, window

    def embed(self, texts: Sequence[str]) -> Vectors:
        """[n texts] -> float32 [n d], rows of length 1."""
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in enumerate(texts):
            for term in terms(text) or [""]:
                place, sign = self._place(term)
                vectors[row, place] += sign
            if not vectors[row].any():
                vectors[row, 0] = 1.0  # words that cancel out
        unit: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        return unit

    def _place(self, term: str) -> tuple[int, int]:
        value = int.from_bytes(hashlib.blake2b(f"{self.seed}:{term}".encode(), digest_size=8).digest(), "big")
        return value // 2 % self.dimensions, 1 if value % 2 else -1

    def windows(self, text: str) -> list[tuple[int, int]]:
        """Spans of `window` space-separated words each; they cover the text."""
        starts = [0]
        words = 0
        for i in range(1, len(text)):
            if text[i - 1].isspace() and not text[i].isspace():
                words += 1
                if words % self.window == 0:
                    starts.append(i)
        return list(zip(starts, [*starts[1:], len(text)], strict=True))

    def count(self, text: str) -> int:
        return len(text.split())
