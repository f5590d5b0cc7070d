"""engram-search: its hybrid pipeline (dense, BM25, names and quotes, fused by rank) over a FAISS store.

The cross-encoder of its "rerank" mode stays off, as it is in the package's EngramConfig: its weights are no package.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import protocol
from engram.backends.base import Document
from engram.backends.faiss_backend import FaissBackend
from engram.retrieval.embedder import Embedder
from engram.retrieval.pipeline import RetrievalPipeline


class Engram:
    def __init__(self, folder: Path, task: dict[str, Any]) -> None:
        self.embedder = Embedder(task["model"])
        self.embedder.encode_query("warm up")
        self.backend = FaissBackend(path=folder, dimension=384)
        self.pipeline = RetrievalPipeline(embedder=self.embedder, use_reranker=False)

    def add(self, items: list[dict[str, Any]]) -> None:
        vectors = self.embedder.encode_documents([item["text"] for item in items])
        self.documents = [
            Document(str(n), item["text"], vector.tolist(), {"session_id": item["episode"], "timestamp": item["time"]})
            for n, (item, vector) in enumerate(zip(items, vectors, strict=True))
        ]
        self.backend.add(self.documents)

    def search(self, query: str, k: int) -> list[int]:
        return [int(document.id) for document in self.pipeline.search(query, documents=self.documents, top_k=k)]

    def close(self) -> None:
        pass


if __name__ == "__main__":
    protocol.main(Engram, "engram-search", "sentence-transformers", "torch")
