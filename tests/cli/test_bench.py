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
from rich.console import Console

from mnemic.cli.bench import BENCHMARKS
from mnemic.errors import DataMissing

bench = import_module("mnemic.cli.bench")


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
        (("revision", "--budget", "9 MB"), 2, 'like "200 tokens"'),
        (("revision", "--methods", "append,,newest"), 2, "empty name"),
        (("revision", "--methods", ""), 2, "empty name"),
        (("attacks", "--seed", "1"), 2, "has no --seed"),
    ],
)
def test_wrong_input(call: Callable[..., Any], words: tuple[str, ...], code: int, says: str) -> None:
    result = call("bench", "run", *words)
    assert result.exit_code == code
    assert says in result.stderr


def test_a_folder_that_cannot_be_written_is_refused_before_anything_runs(
    call: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").touch()
    monkeypatch.setattr("mnemic.bench.revision.live", lambda *words, **options: pytest.fail("it ran"))
    result = call("bench", "run", "revision", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "give --out another folder" in result.stderr


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A benchmark whose methods have commas in their names and that cannot measure everything."""
    module: Any = ModuleType("mnemic.bench.locomo")
    module.METHODS = ("plain", "hybrid, facts", "hybrid, facts, twice")

    def run(*, limit: int | None = None, methods: Any = ()) -> list[dict[str, Any]]:
        wide = {f"quality of kind {n}": n / 10 for n in range(6)}
        return [{"method": name, **wide, "lost": float("nan"), "flaws": {"vague": 2}} for name in methods]

    module.run = run
    monkeypatch.setitem(sys.modules, "mnemic.bench.locomo", module)
    return module


def test_names_with_commas_are_names(call: Callable[..., Any], rows: Any) -> None:
    def chosen(words: str) -> list[str]:
        return [row["method"] for row in json.loads(call("bench", "locomo", "--methods", words, "--json").stdout)]

    assert chosen("hybrid, facts,plain") == ["hybrid, facts", "plain"]
    assert chosen("plain,hybrid,facts,twice, plain") == ["plain", "hybrid, facts, twice", "plain"]
    assert chosen("hybrid,plain") == ["hybrid", "plain"]
    assert json.loads(call("bench", "--json").stdout)[0]["methods"] == list(rows.METHODS)


def test_what_could_not_be_measured_is_null(call: Callable[..., Any], rows: Any) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    told = call("bench", "locomo", "--methods", "plain", "--json").stdout
    assert json.loads(told, parse_constant=refuse)[0]["lost"] is None


@pytest.mark.parametrize(("width", "tables"), [(200, 1), (60, 1), (40, 2)])
def test_a_table_fits_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, rows: Any, width: int, tables: int
) -> None:
    monkeypatch.setattr(bench, "console", lambda: Console(width=width))
    bench._print(rows.run(methods=["plain", "hybrid"]))
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= width
    assert told.count("method") == tables
    assert "0.500" in told
    assert "vague 2" in told
    assert "…" not in told


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
