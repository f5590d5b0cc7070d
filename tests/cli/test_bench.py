"""`mnemic bench`: list and run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from mnemic.errors import DataMissing


@pytest.fixture
def locomo(monkeypatch: pytest.MonkeyPatch) -> Any:
    module: Any = ModuleType("mnemic.bench.locomo")
    module.run = lambda *, limit=None: [{"method": "BM25", "recall@10": 0.5, "questions": limit or 100}]
    monkeypatch.setitem(sys.modules, "mnemic.bench.locomo", module)
    return module


def test_list(call: Callable[..., Any]) -> None:
    assert "locomo" in call("bench").output
    assert [row["name"] for row in json.loads(call("bench", "--json").stdout)] == ["locomo", "documents", "multihop"]


def test_run(call: Callable[..., Any], locomo: Any) -> None:
    assert json.loads(call("bench", "locomo", "--limit", 7, "--json").stdout) == [
        {"method": "BM25", "recall@10": 0.5, "questions": 7}
    ]
    assert "0.500" in call("bench", "locomo").stdout


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
