"""Claims follow from their points: means, gains, shares, verdicts, tables, pictures, the report."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mnemic import catalog, claims
from mnemic.catalog import System
from mnemic.claims import Claim, Point, Scale, at_least, at_most, better, measured, uses_at_most, within
from mnemic.claims._checks import gain_interval
from mnemic.claims._claim import pooled
from mnemic.claims._table import columns, number, rows, verdict
from mnemic.errors import InputError, NotFound
from mnemic.meter import TrainingUsed, Used

PLAIN = Point("plain", Used(100, "bytes", {"weights": 80}), 0.5, extra={"ms": 2.0}, each=(0.0, 1.0, 0.0, 1.0))
IDEA = Point("idea", Used(50, "bytes", {"weights": 20}), 0.75, extra={"ms": 4.0}, each=(1.0, 1.0, 0.0, 1.0))


def claim(*points: Point, holds: Any = (), **options: Any) -> Claim:
    return Claim("the idea beats the plain way", points or (PLAIN, IDEA), holds, **options)


def verdict_of(check: Any, *points: Point, **options: Any) -> tuple[float, bool]:
    (one,) = claim(*points, holds=check, **options).verdicts()
    return one.value, one.ok


@pytest.mark.parametrize(
    ("check", "value", "ok"),
    [
        (better("idea", than="plain", by=0.25), 0.25, True),
        (better("idea", than="plain", by=0.26), 0.25, False),
        (better("idea"), 0.25, True),
        (better("plain"), -0.25, False),
        (within("plain", of="idea", by=0.25), -0.25, True),
        (within("plain", of="idea", by=0.2), -0.25, False),
        (at_least("idea", 0.75), 0.75, True),
        (at_least("idea", 0.76), 0.75, False),
        (at_most("idea", 4, of="ms"), 4.0, True),
        (at_most("idea", 3.9, of="ms"), 4.0, False),
        (uses_at_most("idea", 0.5, of="plain"), 0.5, True),
        (uses_at_most("idea", 0.2, of="plain", part="weights"), 0.25, False),
        (uses_at_most("idea", "50 bytes"), 50, True),
        (uses_at_most("plain", "0.05 kB"), 100, False),
        (measured("a rebuild is equal", True), 1.0, True),
        (measured("a rebuild is equal", False), 0.0, False),
        (measured("it is quick", 61, at_most=60), 61, False),
        (measured("it is between", 5, at_least=5, at_most=6), 5, True),
    ],
)
def test_checks_by_hand(check: Any, value: float, ok: bool) -> None:
    assert verdict_of(check) == (pytest.approx(value), ok)


def test_equal_is_not_better() -> None:
    twin = Point("twin", IDEA.used, IDEA.quality)
    assert verdict_of(better("idea", than="twin"), twin, IDEA) == (0.0, False)


def test_less_is_better_where_the_claim_says_so() -> None:
    assert verdict_of(better("plain", by=0.2), lower=True) == (0.25, True)
    assert verdict_of(within("idea", of="plain", by=0.1), lower=True) == (-0.25, False)


def test_better_compares_with_the_best_rival() -> None:
    third = Point("third", IDEA.used, 0.7)
    assert verdict_of(better("idea"), PLAIN, third, IDEA) == (pytest.approx(0.05), True)


def test_gain_interval_of_one_constant_gain() -> None:
    assert gain_interval([0.5] * 9, [0.25] * 9) == (0.25, 0.25)
    assert gain_interval([0.5] * 9, [0.25] * 9, lower=True) == (-0.25, -0.25)
    assert gain_interval([0.5] * 9, []) is None


def test_gain_interval_agrees_with_the_normal_one() -> None:
    # 400 gains, half 0 and half 1: mean .5, standard error .025, so about .5 -+ .049
    low, high = gain_interval([0.0, 1.0] * 200, [0.0] * 400) or (0, 0)
    assert (low, high) == (pytest.approx(0.451, abs=0.006), pytest.approx(0.549, abs=0.006))


def test_surely_better_needs_an_interval_above_zero() -> None:
    many = Point("idea", IDEA.used, 0.75, each=(1.0, 1.0, 0.0, 1.0) * 50)
    base = Point("plain", PLAIN.used, 0.5, each=(0.0, 1.0, 0.0, 1.0) * 50)
    assert verdict_of(better("idea", surely=True), base, many)[1]
    assert not verdict_of(better("idea", surely=True))[1]  # four questions prove nothing
    with pytest.raises(InputError, match=r"Point\.each"):
        verdict_of(better("idea", surely=True), Point("plain", PLAIN.used, 0.1), IDEA)


def test_seeds_are_pooled() -> None:
    both = pooled(
        [
            claim(PLAIN, IDEA, holds=[better("idea", by=0.2), measured("held", True)]),
            claim(
                PLAIN, Point("idea", Used(70, "bytes"), 0.65, seed=1), holds=[better("idea"), measured("held", False)]
            ),
        ]
    )
    arm = both.arm()
    assert (arm.quality, arm.used.amount, arm.seeds) == (pytest.approx(0.70), 60, (0, 1))
    assert arm.spread == pytest.approx(0.0707, abs=1e-4)
    assert [(each.value, each.ok) for each in both.verdicts()] == [(pytest.approx(0.2), True), (0.0, False)]


def test_a_claim_without_checks_does_not_stand() -> None:
    assert not claim().stands
    assert claim(holds=better("idea")).stands


def test_names_are_checked() -> None:
    with pytest.raises(NotFound, match=r'"idee" is no arm .* the arms are plain, idea'):
        claim(holds=better("idee")).verdicts()
    with pytest.raises(NotFound, match="the arms are plain, idea"):
        claim(paper={"dense": 1.0})
    with pytest.raises(NotFound, match='no number "mss": it has ms'):
        verdict_of(at_most("idea", 1, of="mss"))
    with pytest.raises(NotFound, match='no part "x": its parts are weights'):
        verdict_of(uses_at_most("idea", 1.0, of="plain", part="x"))


@pytest.mark.parametrize("check", [uses_at_most("idea", 0.5), uses_at_most("idea", "5 kB", of="plain")])
def test_memory_is_held_against_one_thing(check: Any) -> None:
    with pytest.raises(InputError, match="give a share and of=ARM, or a budget alone"):
        verdict_of(check)


def test_arms_share_a_unit() -> None:
    with pytest.raises(InputError, match="in one unit"):
        claim(PLAIN, Point("idea", Used(5, "tokens"), 0.5))


def test_a_quality_is_a_number() -> None:
    with pytest.raises(InputError, match="reached nan"):
        Point("idea", IDEA.used, float("nan"))


def test_rows_by_hand() -> None:
    shown = claim(quality="recall@5", paper={"idea": 0.8})
    assert columns(shown) == ["arm", "paper", "recall@5", "ratio", "memory", "ratio", "ms"]
    assert rows(shown) == [
        ["plain", "", "0.500", "1.00 x", "100 bytes", "1.00 x", "2.000"],
        ["idea", "0.800", "0.750", "1.50 x", "50 bytes", "0.50 x", "4.000"],
    ]


@pytest.mark.parametrize(("value", "text"), [(0.69749, "0.697"), (12.34, "12.3"), (1234.5, "1,234"), (-0.05, "-0.050")])
def test_numbers_have_the_digits_a_reader_needs(value: float, text: str) -> None:
    assert number(value) == text


# Running: a built row whose experiment is a module of this test.


def experiment(scale: Scale, seed: int, *, sabotage: bool = False) -> Claim:
    gain = 0.0 if sabotage else 0.2 + seed / 100
    return Claim(
        says="the idea helps",
        points=[
            Point("plain", Used(2_000_000, "bytes"), 0.5, seed, each=(0.5, 0.5)),
            Point("idea", Used(1_000_000, "bytes", {"weights": 7}), 0.5 + gain, seed, {"ms": 3.0}, (0.7, 0.7)),
        ],
        holds=[better("idea", than="plain", by=0.1), measured(f"{scale} was asked for", True)],
        quality="accuracy",
        paper={"idea": 0.9},
        setting="Smaller than the paper's.",
    )


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> str:
    """The slug of a system that is built, with `experiment` as its claim."""
    row = System(
        "made_up", "arXiv:2401.00001", 2024, "footprint", "Made up: for tests", "the idea helps", state="built"
    )
    module: Any = ModuleType(row.claim_module)
    module.run, module.SEEDS = experiment, (0, 1, 2)
    monkeypatch.setitem(sys.modules, row.claim_module, module)
    monkeypatch.setattr(catalog, "SYSTEMS", (row, *catalog.SYSTEMS))
    return row.slug


def test_run_takes_the_claims_own_seeds(built: str) -> None:
    assert claims.run(built).seeds == (0, 1, 2)
    assert claims.run(built, "smoke").seeds == (0,)
    assert claims.run(built, seeds=[5]).seeds == (5,)


def test_run_tells_what_runs(built: str) -> None:
    told: list[str] = []
    claims.run(built, watch=told.append)
    assert told == [f"made_up, laptop, seed {n} ({n + 1} of 3)" for n in range(3)]


def test_run_of_a_planned_system_says_so() -> None:
    with pytest.raises(NotFound, match="is planned, not built yet"):
        claims.run("zero_infinity")


def test_run_names_the_scales(built: str) -> None:
    with pytest.raises(InputError, match="use smoke, laptop, full"):
        claims.run(built, "huge")  # type: ignore[arg-type]


def test_result_round_trip(built: str, tmp_path: Path) -> None:
    result = claims.run(built)
    file = result.write(tmp_path)
    assert file.name == "made_up.laptop.json"
    back = claims.Result.read(file)
    assert back.as_json() == result.as_json() == json.loads(file.read_text())
    assert rows(back.claim) == rows(result.claim)
    assert back.claim.verdicts()[0].interval == result.claim.verdicts()[0].interval is not None


def test_result_says_on_what_it_was_measured(built: str) -> None:
    result = claims.run(built, "smoke")
    assert {"processor", "cores", "system", "python"} <= set(result.machine)
    assert {"mnemic", "numpy"} <= set(result.versions)


def test_a_broken_result_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(InputError, match=r"x\.json: not the result of a claim"):
        claims.Result.read(tmp_path / "x.json")


def test_the_control_falls(built: str) -> None:
    assert verdict(claims.run(built)) == "the claim holds"
    assert verdict(claims.run(built, sabotage=True)) == "control: the claim falls, as it should"


@pytest.mark.parametrize("lower", [False, True])
def test_picture(built: str, tmp_path: Path, lower: bool) -> None:
    from dataclasses import replace

    result = claims.run(built)
    drawn = claims.picture(replace(result, claim=replace(result.claim, lower=lower)), tmp_path / "x.png")
    assert drawn.read_bytes().startswith(b"\x89PNG")


def test_report(built: str, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    claims.run(built).write(folder)
    claims.run(built, sabotage=True).write(folder)
    claims.run(built, "smoke").write(folder)
    page = claims.report(folder, tmp_path / "CLAIMS.md").read_text()
    assert (
        "| [made_up](#made_up-laptop) | laptop | accuracy | 0.900 | 0.500 ± 0.000 (plain) | 0.710 ± 0.010 | 1.42 x "
        "| 1.0 MB | 0.50 x | yes | falls |"
    ) in page
    assert "made_up smoke" not in page
    assert "**the idea helps: holds.** Smaller than the paper's." in page
    assert "from the results in `results`; never edited by hand" in page


def test_report_shows_what_does_not_hold(built: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def falls(scale: Scale, seed: int, *, sabotage: bool = False) -> Claim:
        return experiment(scale, seed, sabotage=True)

    monkeypatch.setattr(sys.modules["mnemic.claims.made_up"], "run", falls)
    claims.run(built).write(tmp_path / "r")
    page = claims.report(tmp_path / "r", tmp_path / "CLAIMS.md").read_text()
    assert "| **NO** | not run |" in page
    assert "**the idea helps: DOES NOT HOLD.**" in page


def test_report_of_nothing_says_what_is_missing(built: str, tmp_path: Path) -> None:
    page = claims.report(tmp_path, tmp_path / "CLAIMS.md").read_text()
    assert f"Built, not measured yet: {', '.join(catalog.ready())}." in page


def test_a_result_keeps_no_modules(built: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measured_by_module(scale: Scale, seed: int, *, sabotage: bool = False) -> Claim:
        used = TrainingUsed(7, "bytes", {"saved": 7}, {"encoder.layer.0": {"saved": 7}})
        return Claim("c", [Point("plain", used, 0.5), Point("idea", used, 0.9)], better("idea", than="plain"))

    monkeypatch.setattr(sys.modules["mnemic.claims.made_up"], "run", measured_by_module)
    file = claims.run(built).write(tmp_path)
    assert claims.Result.read(file).claim.points[0].used == Used(7, "bytes", {"saved": 7})
    assert "encoder" not in file.read_text()
