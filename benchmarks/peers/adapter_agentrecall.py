"""agentrecall-db: one SQLite file, FTS5 keywords (its core install) or keywords and vectors fused by rank."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from typing import Any

import protocol

if not hasattr(sqlite3.Connection, "enable_load_extension"):  # a Python built without it cannot load sqlite-vec
    import pysqlite3

    sys.modules["sqlite3"] = pysqlite3

from agentrecall import Memory


class AgentRecall:
    def __init__(self, folder: Path, task: dict[str, Any]) -> None:
        path = folder / "agent.db"
        if task["options"]["semantic"]:
            from minilm import MiniLM

            self.memory = Memory(path, embeddings=True, embedder=MiniLM(Path(task["weights"])))
        else:
            self.memory = Memory(path, embeddings=False)
        self.row: dict[int, int] = {}

    def add(self, items: list[dict[str, Any]]) -> None:
        fields = ("speaker", "episode", "place", "time")
        records = self.memory.add_many(
            [{"content": item["text"], "metadata": {key: item[key] for key in fields}} for item in items]
        )
        self.row = {record.id: n for n, record in enumerate(records)}

    def search(self, query: str, k: int) -> list[int]:
        return [self.row[hit.id] for hit in self.memory.search(query, k=k)]

    def close(self) -> None:
        self.memory.close()


if __name__ == "__main__":
    protocol.main(AgentRecall, "agentrecall-db")
