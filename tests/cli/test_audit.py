"""`mnemic audit`: report, repair, files, exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mnemic.memory import Memory


@pytest.fixture
def life(db: Path) -> Path:
    with Memory(db) as memory:
        source = memory.add("I moved to Lisbon.", speaker="Ana", time="2026-05-03")
        memory.add("Ana lives in Porto.", kind="fact", derived_from=[source.id])
        memory.add("The river was high.", source="a")
        memory.add("The river was high.", source="b")
    return db


def test_report(call: Callable[..., Any], life: Path) -> None:
    result = call("audit", life)
    assert result.exit_code == 1
    assert "4 records looked at, 50.0% without a finding." in result.stdout
    assert "fabricated: 1 (made from records of which none says it)" in result.stdout
    assert "no source says Porto" in result.stdout
    assert "--repair" in result.stdout


def test_repair_needs_consent_and_is_logged(call: Callable[..., Any], life: Path) -> None:
    assert call("audit", life, "--repair", input="n\n").exit_code == 1
    assert "4 records" in call("audit", "--db", life).stdout
    result = call("audit", life, "--repair", "--yes")
    assert (result.exit_code, "Did 2 operations" in result.stdout) == (0, True)
    assert "2 records looked at, 100.0%" in call("audit", life).stdout
    assert "no source says Porto" in call("log", "--db", life, "--last", 2).stdout


def test_json(call: Callable[..., Any], life: Path) -> None:
    told = json.loads(call("audit", life, "--json").stdout)
    assert told["counts"]["duplicate"] == 1
    assert [operation["kind"] for operation in told["repairs"]] == ["delete", "delete"]
    assert call("audit", life, "--json", "--repair").exit_code == 2
    assert json.loads(call("audit", life, "--json", "--repair", "--yes").stdout)["repaired"] == 2


def test_a_report_for_people(call: Callable[..., Any], life: Path, tmp_path: Path) -> None:
    call("audit", life, "--out", tmp_path / "audit.md", "--only", "duplicate")
    text = (tmp_path / "audit.md").read_text()
    assert text.startswith("# Audit of ")
    assert "| duplicate | 1 | said twice |" in text
    assert "## duplicate" in text


def test_wrong_input(call: Callable[..., Any], life: Path, tmp_path: Path) -> None:
    assert call("audit", tmp_path / "none.db").exit_code == 3
    result = call("audit", life, "--only", "boring")
    assert (result.exit_code, "there are fabricated" in result.stderr) == (2, True)
