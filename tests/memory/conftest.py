"""Memories for the tests of this folder: a real file, an embedder that needs no model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mnemic.lm.doubles import HashEmbedder
from mnemic.memory import Memory


@pytest.fixture
def open_memory(tmp_path: Path) -> Iterator[Callable[..., Memory]]:
    """Opens memories and closes them after the test."""
    opened: list[Memory] = []

    def open_one(name: str = "life.db", **options: Any) -> Memory:
        path = name if name == ":memory:" else tmp_path / name
        memory = Memory(path, **{"embedder": HashEmbedder(), "retriever": "dense", **options})
        opened.append(memory)
        return memory

    yield open_one
    for memory in opened:
        memory.close()


@pytest.fixture
def memory(open_memory: Callable[..., Memory]) -> Memory:
    return open_memory()
