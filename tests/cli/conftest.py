"""The command line for tests: a fresh memory file, an embedder that needs no model."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mnemic import choose
from mnemic.cli import main
from mnemic.errors import InputError
from mnemic.lm.doubles import HashEmbedder
from mnemic.memory import Memory

Call = Callable[..., Result]

# What a process of its own runs: `mnemic`, with the quick embedder.
MNEMIC = (
    "from mnemic import choose\n"
    "from mnemic.lm.doubles import HashEmbedder\n"
    "choose.embedder = lambda spec=None: HashEmbedder() if spec is None or isinstance(spec, str) else spec\n"
    "choose.RETRIEVERS['hybrid'] = choose.RETRIEVERS['dense']\n"
    "from mnemic.cli import main\n"
    "main()\n"
)


def quick_embedder(spec: Any = None) -> Any:
    """hash-N by name, hash-64 by default, an object as it is."""
    if spec is None:
        return HashEmbedder()
    if not isinstance(spec, str):
        return spec
    if not re.fullmatch("hash-[1-9][0-9]{0,3}", spec):
        raise InputError(f'no embedder is called "{spec}".')
    return HashEmbedder(int(spec.removeprefix("hash-")))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No model, and nobody's own memory."""
    monkeypatch.setattr(choose, "embedder", quick_embedder)
    monkeypatch.setitem(choose.RETRIEVERS, "hybrid", choose.RETRIEVERS["dense"])
    for name in ("MNEMIC_BUDGET", "MNEMIC_DEBUG", "MNEMIC_SPACE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "life.db"


@pytest.fixture
def call() -> Call:
    """Runs `mnemic WORDS...` in this process."""

    def run(*words: object, input: str | bytes | None = None) -> Result:
        result = CliRunner().invoke(main, [str(word) for word in words], input=input)
        assert "Traceback" not in result.output
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run


@pytest.fixture
def life(db: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A memory of three messages, and MNEMIC_DB set to it."""
    with Memory(db) as memory:
        memory.add("Ana moved to Lisbon.", time="2026-05-03", speaker="Ana", source="chat/1.txt", metadata={"n": 3})
        memory.add("Ben drinks green tea.", time="2026-06", speaker="Ben", source="chat/2.txt")
        memory.add("The boat is called Heron.", kind="fact")
    monkeypatch.setenv("MNEMIC_DB", str(db))
    return db


@pytest.fixture
def ids(life: Path) -> list[str]:
    """Ids of the records of `life`, in their order."""
    with Memory(life) as memory:
        return [record.id for record in memory.records()]


@pytest.fixture
def process() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `mnemic WORDS...` as a process of its own."""

    def run(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
        told = {"capture_output": True, "text": True, "check": False, "timeout": 60, **options}
        return subprocess.run([sys.executable, "-c", MNEMIC, *map(str, words)], **told)

    return run


@pytest.fixture
def program() -> list[str]:
    """The words that start `mnemic` as a process of its own."""
    return [sys.executable, "-c", MNEMIC]
