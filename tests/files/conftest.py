"""Small files, made where they are read."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from mnemic.files import Bad, read
from mnemic.record import Chunk


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes a file into an empty folder that is the current one: sources are short then."""
    monkeypatch.chdir(tmp_path)

    def write_one(name: str, content: str | bytes, encoding: str = "utf-8") -> Path:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write_one


@pytest.fixture
def chunks() -> Callable[[Path], list[Chunk]]:
    """The chunks of a file in which all is well."""

    def read_all(path: Path) -> list[Chunk]:
        items = list(read(path))
        assert [str(item) for item in items if isinstance(item, Bad)] == []
        return [item for item in items if isinstance(item, Chunk)]

    return read_all


@pytest.fixture
def reasons() -> Callable[[Path], list[str]]:
    """What is told of a file's troubles."""
    return lambda path: [str(item) for item in read(path) if isinstance(item, Bad)]


@pytest.fixture(scope="session")
def made() -> ModuleType:
    """documents.py beside this file: tests are no package."""
    spec = importlib.util.spec_from_file_location("documents", Path(__file__).with_name("documents.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
