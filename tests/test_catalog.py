"""The table of all systems: complete, in order, and helpful about what is not in it."""

from __future__ import annotations

import re

import pytest

from mnemic import catalog
from mnemic.catalog import System
from mnemic.errors import MissingExtra, NotFound


def test_catalog_has_all_systems_once() -> None:
    slugs, papers = {row.slug for row in catalog.SYSTEMS}, {row.paper for row in catalog.SYSTEMS}
    assert len(catalog.SYSTEMS) == len(slugs) == len(papers) == 51


@pytest.mark.parametrize("row", catalog.SYSTEMS, ids=lambda row: row.slug)
def test_row_is_complete(row: System) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", row.slug)
    year, month = re.fullmatch(r"arXiv:(\d\d)(\d\d)\.\d{5}", row.paper).groups()  # type: ignore[union-attr]
    assert row.year == 2000 + int(year)
    assert 1 <= int(month) <= 12
    assert row.title
    assert row.claim
    assert row.level in catalog.COUNTED
    in_the_prompt = row.level in ("context", "bench") or row.slug == "arigraph"  # whose budget is of what it shows
    assert (row.unit == "tokens") == in_the_prompt
    assert row.counted in catalog.COUNTED.values()


def test_levels_follow_each_other() -> None:
    order = list(catalog.COUNTED)
    levels = [order.index(row.level) for row in catalog.SYSTEMS]
    assert levels == sorted(levels)


def test_system_finds_a_slug_as_people_write_it() -> None:
    assert catalog.system("Dynamic-Cheatsheet") is catalog.system("dynamic_cheatsheet")


@pytest.mark.parametrize(("typed", "meant"), [("hiporag2", "hipporag2"), ("LTS", "lst"), ("mcunet", "mcunetv2")])
def test_system_suggests_what_is_near(typed: str, meant: str) -> None:
    with pytest.raises(NotFound, match=meant):
        catalog.system(typed)


def test_system_names_the_list_when_nothing_is_near() -> None:
    with pytest.raises(NotFound, match="`mnemic systems` lists them all"):
        catalog.system("zzzzzz")


def test_planned_systems_say_so() -> None:
    planned = next(row for row in catalog.SYSTEMS if row.state == "planned")
    with pytest.raises(NotFound, match="is planned, not built yet"):
        catalog.load(planned.slug)


def test_a_missing_library_names_its_extra() -> None:
    row = System("x", "arXiv:2401.00001", 2024, "footprint", "X", "c", extra="torch")
    with pytest.raises(MissingExtra, match=re.escape('pip install "mnemic[torch]"')):
        catalog.imported("no_such_library_at_all", row)
