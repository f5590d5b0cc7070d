"""Memories for the tests of this folder, in a file and in PostgreSQL, with an embedder that needs no model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mnemic.lm.doubles import HashEmbedder
from mnemic.memory import Memory


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What a memory promises holds wherever it is kept; what is about the file itself is marked `file`."""
    if "kept_in" in metafunc.fixturenames:
        about_files = metafunc.definition.get_closest_marker("file") is not None
        metafunc.parametrize("kept_in", ["file"] if about_files else ["file", "postgres"], indirect=True)


@pytest.fixture
def kept_in(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def open_memory(kept_in: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Memory]]:
    """Opens memories and closes them after the test."""
    opened: list[Memory] = []
    address = request.getfixturevalue("postgres") if kept_in == "postgres" else None

    def open_one(name: str = "life.db", **options: Any) -> Memory:
        path = name if name == ":memory:" else address(name) if address else tmp_path / name
        memory = Memory(path, **{"embedder": HashEmbedder(), "retriever": "dense", **options})
        opened.append(memory)
        return memory

    yield open_one
    for memory in opened:
        memory.close()


@pytest.fixture
def memory(open_memory: Callable[..., Memory]) -> Memory:
    return open_memory()
