"""Dense recall: cosine between the embedding of the query and the best window of each record."""

from __future__ import annotations

import numpy as np

from mnemic.filter import Filter
from mnemic.record import Hit
from mnemic.seams import View


class Dense:
    """Retriever "dense"; parts: dense (the cosine)."""

    name = "dense"

    def __init__(self, view: View) -> None:
        self._view = view

    def search(self, query: str, k: int, where: Filter) -> list[Hit]:
        corpus = self._view.corpus
        mask = corpus.mask(where)
        rows = np.flatnonzero(mask).astype(np.int32)
        if not len(rows):
            return []
        scores = corpus.dense(corpus.embed(query), rows if len(rows) < corpus.size else None)
        k = min(k, len(rows))
        top = np.argpartition(-scores, k - 1)[:k]
        top = top[np.argsort(-scores[top], kind="stable")]
        return corpus.hits(rows[top].tolist(), scores[top], {"dense": scores[top]}, query)
