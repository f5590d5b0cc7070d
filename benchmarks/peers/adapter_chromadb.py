"""chromadb: a persistent client, one collection, cosine distance, its HNSW index with the package's defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import chromadb
import protocol
from chromadb.config import Settings
from minilm import MiniLM


class Embed(chromadb.EmbeddingFunction):
    def __init__(self, weights: Path) -> None:
        self.model = MiniLM(weights)

    def __call__(self, input: list[str]) -> list[Any]:
        return list(self.model.embed(input))


class Chroma:
    def __init__(self, folder: Path, task: dict[str, Any]) -> None:
        self.client = chromadb.PersistentClient(str(folder), Settings(anonymized_telemetry=False))
        self.collection = self.client.create_collection(
            "turns", embedding_function=Embed(Path(task["weights"])), configuration={"hnsw": {"space": "cosine"}}
        )

    def add(self, items: list[dict[str, Any]]) -> None:
        step = min(1000, self.client.get_max_batch_size())
        for start in range(0, len(items), step):
            batch = items[start : start + step]
            self.collection.add(
                ids=[str(start + n) for n in range(len(batch))],
                documents=[item["text"] for item in batch],
                metadatas=[{key: item[key] for key in ("speaker", "episode", "place", "time")} for item in batch],
            )

    def search(self, query: str, k: int) -> list[int]:
        return [int(id) for id in self.collection.query(query_texts=[query], n_results=k)["ids"][0]]

    def close(self) -> None:
        self.client._system.stop()  # the client has no public way to let go of its files
        self.client.clear_system_cache()


if __name__ == "__main__":
    protocol.main(Chroma, "chromadb", "onnxruntime")
