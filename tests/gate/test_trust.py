"""How far a record is trusted, by who wrote it and what it was made from; a view that notes what it shows."""

from __future__ import annotations

from typing import Any

import pytest
from planted import MARK, PAGE

from mnemic import Memory
from mnemic.gate import (
    Trust,
    Watched,
)
from mnemic.record import Chunk


@pytest.mark.parametrize(
    ("fields", "trust", "level"),
    [
        ({}, Trust(), "person"),
        ({"source": "notes/a.md"}, Trust(), "person"),
        ({"source": "C:\\notes\\a.md"}, Trust(), "person"),
        ({"source": "file:///home/nia/a.md"}, Trust(), "person"),
        ({"source": "chat: Ana"}, Trust(), "person"),
        ({"metadata": MARK}, Trust(), "untrusted"),
        ({"metadata": {"trust": "Person"}}, Trust(), "untrusted"),
        ({"metadata": {"trust": None}}, Trust(), "untrusted"),
        ({"metadata": {"trust": "person"}, "source": PAGE}, Trust(), "untrusted"),
        ({"source": PAGE}, Trust(), "untrusted"),
        ({"source": " HTTPS://evil.example"}, Trust(), "untrusted"),
        ({"source": "www.evil.example/page"}, Trust(), "untrusted"),
        ({"source": "mailto:mallory@evil.example"}, Trust(), "untrusted"),
        ({"source": "\u200bhttps://evil.example"}, Trust(), "untrusted"),
        ({"source": "ｈｔｔｐｓ://evil.example"}, Trust(), "untrusted"),
        ({"source": "https:evil.example"}, Trust(), "untrusted"),
        ({"source": "saved from <https://evil.example/a>"}, Trust(), "untrusted"),
        ({"source": "view-source:http://evil.example"}, Trust(), "untrusted"),
        ({"source": "https://a.mine.example/x"}, Trust(vouched=("https://*.mine.example/*",)), "person"),
        (
            {"source": "https://evil.example/a.mine.example/x"},
            Trust(vouched=("https://*.mine.example/*",)),
            "untrusted",
        ),
        ({"source": "https://evil.example?.mine.example/x"}, Trust(vouched=("https://*.mine.example/*",)), "untrusted"),
        ({"source": "https://evil.example\\.mine.example/x"}, Trust(vouched=("*.mine.example/*",)), "untrusted"),
        ({"source": "https://wiki.example/a"}, Trust(vouched=("https://wiki.example*",)), "person"),
        ({"source": "https://wiki.example/a"}, Trust(vouched=("https://wiki.example/*",)), "person"),
        ({"source": "https://wiki.example.evil/a"}, Trust(vouched=("https://wiki.example/*",)), "untrusted"),
        ({"source": "downloads/a.pdf"}, Trust(untrusted=("downloads/*",)), "untrusted"),
        ({"source": "downloads[1]/a.pdf"}, Trust(untrusted=("downloads[1]/*",)), "untrusted"),
        ({"source": "downloads/a", "metadata": {"trust": "person"}}, Trust(untrusted=("downloads/*",)), "untrusted"),
        ({"speaker": "Mallory"}, Trust(), "person"),
        ({"speaker": "Mallory"}, Trust(speakers=("Nia",)), "untrusted"),
        ({"speaker": "nia"}, Trust(speakers=("Nia",)), "person"),
    ],
)
def test_trust_goes_by_who_wrote_it(memory: Memory, fields: dict[str, Any], trust: Trust, level: str) -> None:
    record = memory.add("Trams run daily.", **fields)
    assert trust.of(record, memory) == level
    assert trust.of(Chunk("Trams run daily.", **fields), memory) == level


def test_what_is_derived_is_trusted_as_its_least_trusted_source(memory: Memory) -> None:
    own, page = memory.add("Ana lives in Lisbon."), memory.add("Ana lives in Rome.", source=PAGE)
    fact = memory.add("Ana lives somewhere.", kind="fact", derived_from=[own.id])
    mixed = memory.add("Ana lives in two places.", kind="fact", derived_from=[own.id, page.id])
    digest = memory.add("About Ana.", kind="core", derived_from=[fact.id, mixed.id], metadata={"trust": "person"})
    trust = Trust()
    assert [trust.of(each, memory) for each in (fact, mixed, digest)] == ["person", "untrusted", "untrusted"]
    assert trust.lowest([own, fact], memory) == "person"
    assert trust.lowest([own, digest], memory) == "untrusted"


def test_what_was_made_from_something_that_is_gone_is_not_trusted(memory: Memory) -> None:
    page = memory.add("Ana lives in Rome.", source=PAGE)
    summary = memory.add("She lives in Rome.", derived_from=[page.id])
    memory.forget(page.id)
    assert Trust().of(memory.get(summary.id), memory) == "untrusted"


def test_records_that_are_made_from_each_other_end(memory: Memory) -> None:
    one = memory.add("One.")
    other = memory.add("Other.", derived_from=[one.id])
    memory.update(one.id, derived_from=[other.id])
    assert Trust().of(memory.get(one.id), memory) == "person"


# ---- a view that notes what it shows


def look(view: Any) -> list[Any]:
    page = next(iter(view.records({"source": PAGE})))
    return [page, view.recall("Rome", k=2), view.get(page.id), list(view.edges(page.id))]


def test_whatever_shows_something_untrusted_is_noted(memory: Memory) -> None:
    own, page = memory.add("Ana lives in Lisbon."), memory.add("Ana lives in Rome.", source=PAGE)

    def level(read: Any) -> str:
        watched = Watched(memory)
        read(watched)
        return watched.level

    assert level(lambda view: view.get(own.id)) == "person"
    assert level(lambda view: (view.position, view.used(), view.access(), list(view.edges(own.id)))) == "person"
    assert level(lambda view: list(view.records({"kind": "fact"}))) == "person"
    for read in (lambda view: view.get(page.id), lambda view: list(view.records()), lambda view: view.recall("Rome"),
                 lambda view: view.corpus, lambda view: list(view.edges()), lambda view: view.edges(page.id),
                 lambda view: view.store):  # fmt: skip
        assert level(read) == "untrusted"


def test_a_watched_view_shows_what_the_memory_shows(memory: Memory) -> None:
    memory.add("Ana lives in Rome.", source=PAGE)
    assert look(Watched(memory)) == look(memory)
    assert Watched(memory).read == []
