"""`mnemic systems` and `mnemic claims`: parse, one call, print."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mnemic import catalog
from mnemic.catalog import System
from mnemic.claims import Claim, Point, Scale, better
from mnemic.cli.claims import claims
from mnemic.cli.systems import systems
from mnemic.errors import NotFound
from mnemic.meter import Used

TRIED: list[tuple[Scale, int]] = []


def experiment(scale: Scale, seed: int, *, sabotage: bool = False) -> Claim:
    TRIED.append((scale, seed))
    points = [
        Point("plain", Used(20, "bytes"), 0.5, seed),
        Point("idea", Used(10, "bytes"), 0.4 if sabotage else 0.6, seed),
    ]
    return Claim("the idea helps", points, better("idea"), quality="accuracy")


@pytest.fixture(autouse=True)
def built(monkeypatch: pytest.MonkeyPatch) -> None:
    row = System(
        "made_up", "arXiv:2401.00001", 2024, "footprint", "Made up: for tests", "the idea helps", state="built"
    )
    module: Any = ModuleType(row.claim_module)
    module.run = experiment
    monkeypatch.setitem(sys.modules, row.claim_module, module)
    monkeypatch.setattr(catalog, "SYSTEMS", (row, *catalog.SYSTEMS))
    monkeypatch.setenv("COLUMNS", "200")
    TRIED.clear()


def call(command: Any, *words: object) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])


def test_systems_lists_all() -> None:
    output = call(systems).output
    assert all(row.slug in output for row in catalog.SYSTEMS)
    built = len(catalog.ready())
    assert f"{built} built, {len(catalog.SYSTEMS) - built} planned." in output


def test_systems_filters() -> None:
    assert {row["slug"] for row in json.loads(call(systems, "--level", "silicon", "--json").output)} == {
        "archgym", "marl_dse", "malloc_muzero", "resistive_lsm",
    }  # fmt: skip
    assert "made_up" in call(systems, "--built").output
    assert "mem1" not in call(systems, "--built").output


def test_systems_shows_one() -> None:
    result = call(systems, "made_up", "--json")
    assert result.exit_code == 0
    assert json.loads(result.output)["module"] == "mnemic.footprint.made_up"


def test_systems_says_what_is_planned() -> None:
    planned = next(row for row in catalog.SYSTEMS if row.state == "planned")
    result = call(systems, planned.slug)
    assert isinstance(result.exception, NotFound)  # main prints it and exits with 3
    assert result.exception.exit_code == 3
    assert planned.paper in result.output


def test_claims_run_writes_and_prints(tmp_path: Path) -> None:
    result = call(claims, "run", "made_up", "--scale", "smoke", "--seed", 3, "--seed", 4, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert TRIED == [("smoke", 3), ("smoke", 4)]
    assert "the claim holds" in result.output
    assert "1.20 x" in result.output
    assert {file.name for file in tmp_path.iterdir()} == {"made_up.smoke.json", "made_up.smoke.png"}


def test_claims_run_prints_json(tmp_path: Path) -> None:
    result = call(claims, "run", "made_up", "--json", "--out", tmp_path)
    assert json.loads(result.output) == json.loads((tmp_path / "made_up.laptop.json").read_text())


def test_claims_run_sabotaged(tmp_path: Path) -> None:
    result = call(claims, "run", "made_up", "--sabotage", "--out", tmp_path)
    assert result.exit_code == 0
    assert "falls, as it should" in result.output
    assert (tmp_path / "made_up.laptop.control.json").exists()


def test_claims_run_exits_with_1_when_it_does_not_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    falling = lambda scale, seed, *, sabotage: experiment(scale, seed, sabotage=True)  # noqa: E731
    monkeypatch.setattr(sys.modules["mnemic.claims.made_up"], "run", falling)
    result = call(claims, "run", "made_up", "--out", tmp_path)
    assert result.exit_code == 1
    assert "DOES NOT HOLD" in result.output


def test_claims_run_without_matplotlib_keeps_the_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = call(claims, "run", "made_up", "--out", tmp_path)
    assert result.exit_code == 0
    assert 'pip install "mnemic[plot]"' in result.output
    assert (tmp_path / "made_up.laptop.json").exists()


def test_claims_list_knows_the_last_run(tmp_path: Path) -> None:
    call(claims, "run", "made_up", "--scale", "smoke", "--out", tmp_path)
    listed = json.loads(call(claims, "list", "--results", tmp_path, "--json").output)
    assert listed[0]["measured"].startswith("holds (smoke, 2")
    assert {row["measured"] for row in listed[1:]} == {"planned", "not run"}
    assert "holds (smoke" in call(claims, "list", "--results", tmp_path).output


def test_claims_report(tmp_path: Path) -> None:
    call(claims, "run", "made_up", "--out", tmp_path / "r")
    result = call(claims, "report", "--results", tmp_path / "r", "--out", tmp_path / "CLAIMS.md")
    assert result.output == f"wrote {tmp_path / 'CLAIMS.md'}\n"
    assert "![quality against memory](r/made_up.laptop.png)" in (tmp_path / "CLAIMS.md").read_text()
