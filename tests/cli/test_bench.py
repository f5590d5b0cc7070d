"""`mnemic bench`: list and run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mnemic.cli.bench import BENCHMARKS
from mnemic.errors import DataMissing


@pytest.fixture
def locomo(monkeypatch: pytest.MonkeyPatch) -> Any:
    module: Any = ModuleType("mnemic.bench.locomo")
    module.run = lambda *, limit=None: [{"method": "BM25", "recall@10": 0.5, "questions": limit or 100}]
    monkeypatch.setitem(sys.modules, "mnemic.bench.locomo", module)
    return module


def test_list(call: Callable[..., Any]) -> None:
    assert "locomo" in call("bench").output
    assert [row["name"] for row in json.loads(call("bench", "--json").stdout)] == list(BENCHMARKS)
    assert call("bench", "list").output == call("bench").output


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_is_there(name: str) -> None:
    assert callable(import_module(f"mnemic.bench.{name}").run)


def test_run(call: Callable[..., Any], locomo: Any) -> None:
    assert json.loads(call("bench", "locomo", "--limit", 7, "--json").stdout) == [
        {"method": "BM25", "recall@10": 0.5, "questions": 7}
    ]
    assert "0.500" in call("bench", "locomo").stdout
    assert "0.500" in call("bench", "run", "locomo").stdout


def test_methods_at_a_budget_are_written_and_drawn(call: Callable[..., Any], tmp_path: Path) -> None:
    words = ("run", "revision", "--methods", "append,revision", "--limit", 6, "--seed", 1, "--budget", "150 tokens")
    result = call("bench", *words, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    rows = json.loads((tmp_path / "out" / "revision.json").read_text())
    assert [row["method"] for row in rows] == ["append", "revision"]
    assert all(0 < row["tokens"] <= 150 < row["bytes"] for row in rows)
    assert (tmp_path / "out" / "revision.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("locomo", "--budget", "100 tokens"), 2, "has no --budget"),
        (("locomo", "--methods", "BM25"), 2, "has no --methods"),
        (("revision", "--methods", "guessing"), 3, "there are append, newest"),
        (("revision", "--budget", "plenty"), 2, "cannot read the budget"),
    ],
)
def test_wrong_input(call: Callable[..., Any], words: tuple[str, ...], code: int, says: str) -> None:
    result = call("bench", "run", *words)
    assert result.exit_code == code
    assert says in result.stderr


def test_data_that_is_not_there(call: Callable[..., Any], locomo: Any) -> None:
    def run(*, limit: int | None = None) -> None:
        raise DataMissing('the data set "locomo" is not on this machine: set MNEMIC_DATA.')

    locomo.run = run
    result = call("bench", "locomo")
    assert (result.exit_code, result.stderr) == (
        6, 'mnemic: the data set "locomo" is not on this machine: set MNEMIC_DATA.\n',
    )  # fmt: skip


def test_an_unknown_name(call: Callable[..., Any]) -> None:
    result = call("bench", "lokomo")
    assert result.exit_code == 3
    assert 'Did you mean "locomo"?' in result.stderr


def test_one_that_is_not_built(call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mnemic.bench.multihop", None)
    assert call("bench", "multihop").exit_code == 3
