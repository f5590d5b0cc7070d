"""mnemic through its public API, with the embedder that ships inside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import protocol

from mnemic import Memory
from mnemic.record import Chunk


class Mnemic:
    def __init__(self, folder: Path, task: dict[str, Any]) -> None:
        self.memory = Memory(folder / "life.db", retriever=task["options"]["retriever"])
        self.memory.embedder.embed(["warm up"])

    def add(self, items: list[dict[str, Any]]) -> None:
        outcomes = self.memory.add_many(
            Chunk(
                item["text"],
                time=item["time"] or None,
                source="peers",
                place=item["place"],
                episode=item["episode"],
                speaker=item["speaker"] or None,
                metadata={"triples": item["triples"]} if "triples" in item else {},
            )
            for item in items
        )
        self.row = {outcome.record.id: n for n, outcome in enumerate(outcomes) if outcome.record is not None}

    def search(self, query: str, k: int) -> list[int]:
        return [self.row[hit.record.id] for hit in self.memory.recall(query, k=k)]

    def close(self) -> None:
        self.memory.close()


if __name__ == "__main__":
    protocol.main(Mnemic, "mnemic", "onnxruntime")
