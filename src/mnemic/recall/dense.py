"""Dense recall: cosine between the embedding of the query and the best window of each record."""

from __future__ import annotations

from collections.abc import Iterator

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
        if not mask.any():
            return []
        vector = corpus.embed(query)
        rows = corpus.nearest(vector, k, mask)
        scores = corpus.dense(vector, rows)
        return corpus.hits(rows.tolist(), scores, {"dense": scores}, query)

    def index(self) -> Iterator[tuple[int, int]]:
        """Build the approximate index of a large memory; yields (vectors done, of all)."""
        return self._view.corpus.index()
