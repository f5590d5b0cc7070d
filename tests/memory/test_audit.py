"""The audit finds what was put in wrong, says nothing of what is right, and its repairs put it right."""

from __future__ import annotations

from typing import Any

import pytest

from mnemic.audit import KINDS, audit
from mnemic.errors import InputError
from mnemic.gate import Trust
from mnemic.memory import Memory
from mnemic.record import Record
from mnemic.rules import Rule, conclude


def fact(memory: Memory, text: str, *, of: tuple[str, str, str] | None = None, **fields: Any) -> Record:
    metadata = dict(zip(("subject", "relation", "object"), of, strict=True)) if of else {}
    return memory.add(text, kind="fact", metadata=metadata, **fields)


def found(memory: Memory, kind: str) -> list[str]:
    """Texts of the records that a kind of finding names first."""
    return [memory.get(f.records[0]).text for f in audit(memory, only=[kind]).findings]  # type: ignore[list-item]


def test_a_sound_memory_has_no_findings(memory: Memory) -> None:
    episode = memory.add("I moved to Lisbon last week with my sister Eva.", speaker="Ana", time="2026-05-03")
    fact(memory, "Ana lives in Lisbon.", of=("Ana", "lives in", "Lisbon"), derived_from=[episode.id], time="2026-04")
    fact(memory, "Ana has a sister, Eva.", derived_from=[episode.id])
    memory.add("The river was high today.", time="2026-05-04")
    report = audit(memory)
    assert report.findings == ()
    assert report.sound == 1.0
    assert report.counts == dict.fromkeys(KINDS, 0)


def test_an_empty_memory_is_sound(memory: Memory) -> None:
    assert audit(memory).sound == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "Ana lives in Porto.",
        "She paid 900 euros to Ana.",
        "Every morning a heron stands beside the quiet harbour wall.",
    ],
)
def test_what_no_source_says_is_fabricated(memory: Memory, text: str) -> None:
    episode = memory.add("I moved to Lisbon last week.", speaker="Ana", time="2026-05-03")
    fact(memory, text, derived_from=[episode.id])
    assert found(memory, "fabricated") == [text]


def test_dates_worked_out_of_the_source_are_not_fabricated(memory: Memory) -> None:
    episode = memory.add("I went to Oslo yesterday.", speaker="Ana", time="2026-05-03")
    fact(memory, "Ana went to Oslo on 2026-05-02.", derived_from=[episode.id])
    assert found(memory, "fabricated") == []


def test_a_conclusion_that_still_follows_is_not_fabricated(memory: Memory) -> None:
    fact(memory, "Ana works at Acme.", of=("Ana", "works at", "Acme"))
    fact(memory, "Acme sits in Lisbon.", of=("Acme", "is in", "Lisbon"))
    rule = Rule("in", [("?a", "works at", "?b"), ("?b", "is in", "?c")], ("?a", "commutes to", "?c"))
    conclude(memory, [rule])
    assert found(memory, "fabricated") == []


def test_stale_records_are_derived_again_or_let_go(memory: Memory) -> None:
    source = memory.add("Ana moved to Lisbon")
    fact(memory, "Ana lives in Lisbon", derived_from=[source.id])
    memory.forget(source.id)
    assert found(memory, "stale") == ["Ana lives in Lisbon"]
    repaired(memory)
    assert list(memory.records()) == []


def test_of_two_facts_that_cannot_both_hold_the_older_ends(memory: Memory) -> None:
    old = fact(memory, "Ana lives in Faro.", of=("Ana", "lives in", "Faro"), time="2020")
    new = fact(memory, "Ana lives in Oslo.", of=("Ana", "lives in", "Oslo"), time="2024")
    fact(memory, "Ana likes tea.", of=("Ana", "likes", "tea"), time="2020")
    fact(memory, "Ana likes coffee.", of=("Ana", "likes", "coffee"), time="2024")
    assert found(memory, "contradictory") == [old.text]
    repaired(memory)
    assert memory.get(old.id).until == "2024"
    assert [record.id for record in memory.lineage(new.id)] == [new.id, old.id]


def test_a_contradiction_without_dates_is_for_a_person_to_decide(memory: Memory) -> None:
    fact(memory, "Ana lives in Faro.", of=("Ana", "lives in", "Faro"), time="2024")
    fact(memory, "Ana lives in Oslo.", of=("Ana", "lives in", "Oslo"), time="2024")
    report = audit(memory)
    assert report.repairs() == []
    assert [finding.kind for finding in report.undecided()] == ["contradictory"]


def test_what_is_said_twice_is_kept_once_with_all_that_rests_on_it(memory: Memory) -> None:
    first = memory.add("Ana moved to Lisbon.", source="a.txt")
    second = memory.add("ana moved to LISBON", source="b.txt")
    child = fact(memory, "Ana moved to Lisbon, I heard.", derived_from=[second.id])
    assert found(memory, "duplicate") == [second.text]
    repaired(memory)
    assert memory.get(child.id).derived_from == (first.id,)
    assert memory.get(child.id).stale is None


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("ok", {}),
        ("The memory holds nothing about this.", {}),
        ("Ana lives in Lisbon.", {"metadata": {"recalled": True}}),
        ("=== *** --- ///", {}),
        ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg", {}),
        ("Hello there!", {"kind": "fact"}),
        ("What is the weather like?", {"kind": "fact"}),
    ],
)
def test_junk_by_hand(memory: Memory, text: str, fields: dict[str, Any]) -> None:
    memory.add(text, **fields)
    memory.add("Ana moved to Lisbon.")
    assert found(memory, "junk") == [text]


def test_what_something_was_made_from_or_is_pinned_is_never_junk(memory: Memory) -> None:
    source = memory.add("ok")
    memory.add("Ana agreed.", derived_from=[source.id])
    memory.add("fine", pinned=True)
    assert found(memory, "junk") == []


def test_orphans_are_found_and_cut_loose(memory: Memory) -> None:
    gone, kept = memory.add("one"), memory.add("Ana has two cats")
    child = memory.add("Ana has cats", derived_from=[gone.id, kept.id])
    memory.link(gone.id, "knows", kept.id)
    memory.forget(gone.id)
    memory.update(child.id, stale=None)
    assert len(audit(memory, only=["orphaned"]).findings) == 2
    repaired(memory)
    assert memory.get(child.id).derived_from == (kept.id,)
    assert list(memory.edges()) == []


PAGE = "https://page.example"


def levels(memory: Memory) -> dict[str, str]:
    return {record.id: Trust().of(record, memory) for record in memory.records()}


def test_an_orphan_of_others_is_cut_loose_and_stays_untrusted(memory: Memory) -> None:
    page, kept = memory.add("Rome is old.", source=PAGE), memory.add("Ana has two cats.")
    child = memory.add("Ana has cats", derived_from=[page.id, kept.id], metadata={"topic": "cats"})
    memory.forget(page.id)
    memory.update(child.id, stale=None)
    repaired(memory)
    child = memory.get(child.id)
    assert child.derived_from == (kept.id,)
    assert child.metadata == {"topic": "cats", "trust": "untrusted"}
    assert Trust().of(child, memory) == "untrusted"


def test_what_others_wrote_stands_for_nothing_of_the_persons(memory: Memory) -> None:
    page, own = memory.add("Rome is old.", source=PAGE), memory.add("Rome is old.")
    memory.add("Rome: old.", kind="fact", derived_from=[page.id])
    memory.add("Old: Rome.", kind="fact", derived_from=[own.id])
    memory.add("Rome is old.", source=f"{PAGE}/copy")
    before = levels(memory)
    repaired(memory)
    after = levels(memory)
    assert len(after) == len(before) - 1  # the copy of the page
    assert after.items() <= before.items()


@pytest.mark.parametrize(("old", "new", "ends"), [(None, PAGE, False), (PAGE, None, True), (PAGE, PAGE, True),
                                                  (None, None, True)])  # fmt: skip
def test_what_others_say_ends_no_fact_of_the_persons(
    memory: Memory, old: str | None, new: str | None, ends: bool
) -> None:
    first = fact(memory, "Ana lives in Faro.", of=("Ana", "lives in", "Faro"), time="2020", source=old)
    fact(memory, "Ana lives in Oslo.", of=("Ana", "lives in", "Oslo"), time="2024", source=new)
    (finding,) = audit(memory, only=["contradictory"]).findings
    assert bool(finding.repair) is ends
    repaired(memory)
    assert memory.get(first.id).until == ("2024" if ends else None)


def test_whom_the_person_trusts_decides_over_repairs_too(memory: Memory) -> None:
    memory.add("Rome is old.", source="downloads/a.txt")
    memory.add("Rome is old.", source="notes.md")
    assert len(audit(memory, only=["duplicate"]).findings) == 1
    assert audit(memory, only=["duplicate"], trust=Trust(untrusted=("downloads/*",))).findings == ()


def test_links_that_lead_nowhere_make_no_record_unsound(memory: Memory) -> None:
    kept = memory.add("Ana has two cats")
    for n in range(3):
        gone = memory.add(f"Thing number {n} is gone")
        memory.link(gone.id, "knows", kept.id)
        memory.forget(gone.id)
    report = audit(memory)
    assert (report.counts["orphaned"], report.sound) == (3, 1.0)


def test_every_repair_can_be_undone(memory: Memory) -> None:
    wrong(memory)
    before, position = sorted(memory.records(), key=lambda r: r.id), memory.position
    repaired(memory)
    for operation in reversed(list(memory.log(after=position))):
        if operation.who == "audit":
            memory.undo(operation)
    assert sorted(memory.records(), key=lambda r: r.id) == before
    assert memory.check().ok


def test_after_the_repairs_a_second_audit_finds_nothing(memory: Memory) -> None:
    wrong(memory)
    repaired(memory)
    assert audit(memory).findings == ()


def test_unknown_kinds_are_named(memory: Memory) -> None:
    with pytest.raises(InputError, match="fabricated, stale"):
        audit(memory, only=["boring"])  # type: ignore[list-item]


def wrong(memory: Memory) -> None:
    """A memory with something of every kind."""
    episode = memory.add("I moved to Lisbon last week.", speaker="Ana", time="2026-05-03")
    fact(memory, "Ana lives in Porto.", derived_from=[episode.id])
    source = memory.add("Ben sold his car.")
    fact(memory, "Ben has no car.", derived_from=[source.id])
    memory.forget(source.id)
    fact(memory, "Ana lives in Faro.", of=("Ana", "lives in", "Faro"), time="2020")
    fact(memory, "Ana lives in Oslo.", of=("Ana", "lives in", "Oslo"), time="2024")
    memory.add("The river was high.", source="a")
    memory.add("The river was high.", source="b")
    memory.add("ok")


def repaired(memory: Memory) -> None:
    report = audit(memory)
    memory.propose(report.repairs(), who="audit", why="audit", read_at=report.position)
