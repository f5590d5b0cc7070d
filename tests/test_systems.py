"""One contract for all systems: every built row of the catalog keeps the same promises.

A check is a function named after its promise; it gets a row. A row that cannot keep one says so in
`known_failures` (the name of the check, and why), and the check must then really fail.

Checks about a system at work need something to work on: a `Sample`. Systems that are a retriever of
Memory share one below; others bring their own in tests/<level>/sample_<slug>.py (see docs/contributing.md).
"""

from __future__ import annotations

import copy
import importlib.util
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import pytest

from mnemic import Memory, catalog, claims
from mnemic.catalog import System
from mnemic.errors import BudgetError, DataMissing, MissingExtra
from mnemic.lm.doubles import HashEmbedder
from mnemic.meter import Budget, Used

ROOT = Path(__file__).parents[1]
BUILT = [row for row in catalog.systems() if row.state == "built"]


def test_known_failures_name_checks() -> None:
    names = {check.__name__ for check in CHECKS}
    assert [row.slug for row in catalog.SYSTEMS if not set(row.known_failures) <= names] == []


# Something to work on.


class Sample(Protocol):
    """A small working instance of a system, for the checks below.

    smallest   the smallest budget that holds anything
    """

    smallest: Budget

    def items(self, n: int, seed: int) -> Sequence[Any]: ...
    def make(self, budget: Budget, seed: int, folder: Path) -> Any: ...
    def fill(self, system: Any, items: Sequence[Any]) -> None: ...
    def ask(self, system: Any) -> object: ...  # anything that follows from what is kept, comparable with ==
    def used(self, system: Any) -> Used: ...
    def reopen(self, system: Any, folder: Path) -> Any: ...  # saved, let go, loaded again


class RetrieverSample:
    """A retriever of Memory, with a memory of generated sentences and the hashing embedder."""

    smallest = Budget(1, "records")

    def __init__(self, row: System) -> None:
        self.row = row

    def items(self, n: int, seed: int) -> list[dict[str, str]]:
        rng = np.random.default_rng(seed)
        people, places = ["Ana", "Ben", "Caro", "Dan", "Eva"], ["Lisbon", "Oslo", "Kyoto", "Lima", "Bergen"]
        return [
            {
                "text": f"{people[rng.integers(5)]} moved to {places[rng.integers(5)]} in year {n}.",
                "source": f"note {n}",
            }
            for n in range(n)
        ]

    def make(self, budget: Budget, seed: int, folder: Path) -> Memory:
        folder.mkdir(exist_ok=True)
        return Memory(folder / "x.db", retriever=self.row.slug, budget=budget, embedder=HashEmbedder(seed=seed))

    def fill(self, system: Memory, items: Sequence[Any]) -> None:
        system.add_many(items)

    def ask(self, system: Memory) -> list[tuple[str, float]]:
        return [(hit.record.text, round(hit.score, 6)) for hit in system.recall("Where did Ana move?", k=5)]

    def used(self, system: Memory) -> Used:
        return system.used()

    def reopen(self, system: Memory, folder: Path) -> Memory:
        budget = system.budget
        assert budget is not None
        system.close()
        return self.make(budget, 0, folder)


def sample(row: System) -> Sample:
    """What a system is tried on: its own file, else the one of its seam."""
    file = ROOT / "tests" / row.level / f"sample_{row.slug}.py"
    if file.exists():
        own: Sample = loaded(file).Sample()
        return own
    if row.level == "footprint":  # these are used in one way, so they are tried in one
        shared: Sample = loaded(file.with_name("sample.py")).Sample(row)
        return shared
    assert row.seam == "retriever", f"{row.slug} needs something to be tried on: write {file.relative_to(ROOT)}"
    return RetrieverSample(row)


def loaded(file: Path) -> ModuleType:
    """A file beside the tests as a module."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# The promises.


def module_stands_in_its_level(row: System, tmp_path: Path) -> None:
    found = importlib.util.find_spec(row.module)
    assert found is not None, f"write src/{row.module.replace('.', '/')}.py"
    if row.part:
        assert hasattr(catalog.load(row.slug), "__name__")


def header_cites_the_paper(row: System, tmp_path: Path) -> None:
    header = catalog.imported(row.module, row).__doc__ or ""
    assert row.paper in header
    for word in ("Paper", "Budget", "Differs", "Axes"):
        assert re.search(rf"^{word} ", header, re.MULTILINE), f'the header of {row.module} has no line "{word} ..."'


def import_is_light(row: System, tmp_path: Path) -> None:
    """A fresh process: a system that needs no torch loads none, and no system loads a network library."""
    heavy = ["requests", "urllib3", "httpx", "openai"] + ([] if row.extra == "torch" else ["torch"])
    code = f"import sys, {row.module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr.splitlines()[-1]
    assert done.stdout.strip() == "[]"


def has_tests_of_its_own(row: System, tmp_path: Path) -> None:
    assert list((ROOT / "tests" / row.level).glob(f"**/test_{row.slug}*.py")) or list(
        (ROOT / "tests" / row.level / row.slug).glob("test_*.py")
    ), f"write tests/{row.level}/test_{row.slug}.py"


def docs_page_exists(row: System, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "systems" / f"{row.slug}.md").read_text(encoding="utf-8")
    assert row.paper.removeprefix("arXiv:") in page
    assert f"mnemic claims run {row.slug}" in page


def claim_has_the_signature(row: System, tmp_path: Path) -> None:
    names = inspect.signature(catalog.imported(row.claim_module, row).run).parameters
    assert list(names) == ["scale", "seed", "sabotage"]
    assert names["sabotage"].kind is inspect.Parameter.KEYWORD_ONLY
    assert names["sabotage"].default is False


def claim_holds_at_smoke_scale(row: System, tmp_path: Path) -> None:
    claim = smoke(row.slug, sabotage=False).claim
    assert claim.stands, [verdict for verdict in claim.verdicts() if not verdict.ok]


def claim_has_a_baseline_in_the_same_unit(row: System, tmp_path: Path) -> None:
    claim = smoke(row.slug, sabotage=False).claim
    assert len(claim.names) >= 2
    assert claim.base().name != claim.arm().name
    assert {point.used.unit for point in claim.points} == {row.unit}
    assert all(point.used.amount > 0 for point in claim.points), "what is used is measured; nothing uses nothing"


def claim_falls_without_its_idea(row: System, tmp_path: Path) -> None:
    assert not smoke(row.slug, sabotage=True).claim.stands


def claim_is_the_same_with_the_same_seed(row: System, tmp_path: Path) -> None:
    first, again = smoke(row.slug, sabotage=False), claims.run(row.slug, "smoke")
    assert [(p.name, p.quality) for p in again.claim.points] == [(p.name, p.quality) for p in first.claim.points]


def zero_budget_is_refused_in_a_sentence(row: System, tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match=r"\.$"):
        sample(row).make(Budget.of(f"0 {sample(row).smallest.unit}"), 0, tmp_path)


def smallest_budget_works(row: System, tmp_path: Path) -> None:
    trial = sample(row)
    system = trial.make(trial.smallest, 0, tmp_path)
    trial.fill(system, trial.items(1, 0))
    assert trial.ask(system)


def overfilling_stays_within_the_budget(row: System, tmp_path: Path) -> None:
    trial = sample(row)
    budget = Budget(trial.smallest.amount * 10, trial.smallest.unit)
    system = trial.make(budget, 0, tmp_path)
    for seed in range(3):
        trial.fill(system, trial.items(10, seed))
    used = trial.used(system)
    assert used.unit == budget.unit
    assert 0 < used.amount <= budget.amount


def same_seed_gives_the_same_answer(row: System, tmp_path: Path) -> None:
    answers = []
    for name in ("one", "two"):
        trial = sample(row)
        system = trial.make(Budget(trial.smallest.amount * 20, trial.smallest.unit), 7, tmp_path / name)
        trial.fill(system, trial.items(15, 7))
        answers.append(trial.ask(system))
    assert answers[0] == answers[1]


def saving_and_loading_changes_nothing(row: System, tmp_path: Path) -> None:
    trial = sample(row)
    system = trial.make(Budget(trial.smallest.amount * 20, trial.smallest.unit), 0, tmp_path)
    trial.fill(system, trial.items(15, 0))
    before = trial.ask(system)
    assert trial.ask(trial.reopen(system, tmp_path)) == before


def inputs_stay_unchanged(row: System, tmp_path: Path) -> None:
    trial = sample(row)
    system, items = trial.make(Budget(trial.smallest.amount * 20, trial.smallest.unit), 0, tmp_path), trial.items(15, 0)
    before = copy.deepcopy(items)
    trial.fill(system, items)
    assert all(same(item, was) for item, was in zip(items, before, strict=True))


CHECKS: tuple[Callable[[System, Path], None], ...] = (
    module_stands_in_its_level, header_cites_the_paper, import_is_light, has_tests_of_its_own, docs_page_exists,
    claim_has_the_signature, claim_holds_at_smoke_scale, claim_has_a_baseline_in_the_same_unit,
    claim_falls_without_its_idea, claim_is_the_same_with_the_same_seed, zero_budget_is_refused_in_a_sentence,
    smallest_budget_works, overfilling_stays_within_the_budget, same_seed_gives_the_same_answer,
    saving_and_loading_changes_nothing, inputs_stay_unchanged,
)  # fmt: skip


def promises() -> list[Any]:
    """Every check for every built row; a declared failure must fail."""
    return [
        pytest.param(
            check, row, id=f"{row.slug}-{check.__name__}",
            marks=[pytest.mark.xfail(strict=True, reason=row.known_failures[check.__name__])]
            if check.__name__ in row.known_failures else [],
        )
        for row in BUILT
        for check in CHECKS
    ]  # fmt: skip


@pytest.mark.parametrize(("check", "row"), promises())
def test_system_keeps_its_promise(check: Callable[[System, Path], None], row: System, tmp_path: Path) -> None:
    if row.extra == "torch":
        pytest.importorskip("torch", reason="torch is not installed: pip install torch")
    try:
        check(row, tmp_path)
    except (DataMissing, MissingExtra) as error:
        pytest.skip(str(error))


# The checks themselves: each must be able to fail.

BROKEN = System(
    "broken", "arXiv:2401.00001", 2024, "store", "Broken: for tests", "it holds whatever happens", state="built"
)


@pytest.mark.parametrize(
    ("check", "sentence"),
    [
        (module_stands_in_its_level, "write src/mnemic/store/broken.py"),
        (has_tests_of_its_own, "write tests/store/test_broken.py"),
        (docs_page_exists, "broken.md"),
        (import_is_light, "No module named"),
        (smallest_budget_works, "write tests/store/sample_broken.py"),
    ],
)
def test_what_is_not_there_is_asked_for(check: Callable[[System, Path], None], sentence: str, tmp_path: Path) -> None:
    with pytest.raises((AssertionError, OSError), match=re.escape(sentence)):
        check(BROKEN, tmp_path)


def test_a_claim_that_cannot_fall_is_caught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def run(scale: claims.Scale, seed: int, *, sabotage: bool = False) -> claims.Claim:
        points = [claims.Point(name, Used(1, "bytes"), 1.0) for name in ("plain", "idea")]
        return claims.Claim("true whatever happens", points, claims.measured("always", True))

    module: Any = ModuleType(BROKEN.claim_module)
    module.run = run
    monkeypatch.setitem(sys.modules, BROKEN.claim_module, module)
    monkeypatch.setattr(catalog, "SYSTEMS", (*catalog.SYSTEMS, BROKEN))
    claim_holds_at_smoke_scale(BROKEN, tmp_path)
    with pytest.raises(AssertionError):
        claim_falls_without_its_idea(BROKEN, tmp_path)


@cache
def smoke(slug: str, *, sabotage: bool) -> claims.Result:
    """One run of the smoke claim, for all checks that look at it."""
    return claims.run(slug, "smoke", sabotage=sabotage)


def same(mine: Any, other: Any) -> bool:
    """Deep equality of what systems are fed: mappings, sequences, arrays, tensors."""
    if isinstance(mine, dict):
        return mine.keys() == other.keys() and all(same(mine[key], other[key]) for key in mine)
    if isinstance(mine, list | tuple):
        return len(mine) == len(other) and all(map(same, mine, other))
    equal = mine == other
    return bool(equal.all() if hasattr(equal, "all") else equal)
