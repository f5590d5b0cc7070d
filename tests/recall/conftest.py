"""Memories in RAM with an embedder that needs no model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mnemic.lm.doubles import HashEmbedder
from mnemic.memory import Memory


@pytest.fixture
def open_memory() -> Iterator[Callable[..., Memory]]:
    """Opens memories and closes them after the test."""
    opened: list[Memory] = []

    def open_one(retriever: str = "hybrid", **options: Any) -> Memory:
        opened.append(Memory(":memory:", embedder=HashEmbedder(), retriever=retriever, **options))
        return opened[-1]

    yield open_one
    for memory in opened:
        memory.close()
