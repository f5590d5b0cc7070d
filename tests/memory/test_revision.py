"""Belief revision: what was made from a record follows it, through any number of steps, and back again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic.errors import Conflict, InputError
from mnemic.lm.doubles import HashEmbedder
from mnemic.memory import Memory
from mnemic.record import Record
from mnemic.rules import Rule, conclude

WORKS_IN = Rule("works in", [("?who", "works at", "?firm"), ("?firm", "is in", "?town")],
                ("?who", "works in", "?town"), says="{who} works in {town}.")  # fmt: skip
CLOCK = Rule("clock", [("?who", "works in", "?town"), ("?town", "has the time of", "?zone")],
             ("?who", "has the clock of", "?zone"), says="{who} has the clock of {zone}.")  # fmt: skip


def fact(memory: Memory, subject: str, relation: str, object: str, time: str | None = "2020") -> Record:
    metadata = {"subject": subject, "relation": relation, "object": object}
    return memory.add(f"{subject} {relation} {object}.", kind="fact", time=time, metadata=metadata)


def says(memory: Memory, relation: str) -> list[tuple[str, str | None, bool]]:
    """(text, until, stale) of all facts of a relation, oldest first."""
    found = memory.records({"metadata": {"relation": relation}})
    return [(record.text, record.until, record.stale is not None) for record in found]


@pytest.fixture
def world(memory: Memory) -> dict[str, Record]:
    facts = {
        "job": fact(memory, "Ana", "works at", "Acme"),
        "seat": fact(memory, "Acme", "is in", "Lisbon"),
        "lisbon": fact(memory, "Lisbon", "has the time of", "London"),
        "porto": fact(memory, "Oslo", "has the time of", "Berlin"),
    }
    assert [outcome.state for outcome in conclude(memory, [WORKS_IN, CLOCK])] == ["added", "added"]
    return facts


def moved(memory: Memory, seat: Record, to: str, time: str = "2024") -> Record:
    metadata = {"subject": "Acme", "relation": "is in", "object": to}
    return memory.supersede(seat.id, f"Acme is in {to}.", time=time, metadata=metadata)


def test_a_successor_is_followed_through_every_step(memory: Memory, world: dict[str, Record]) -> None:
    moved(memory, world["seat"], "Oslo")
    assert says(memory, "works in") == [("Ana works in Lisbon.", "2024", False), ("Ana works in Oslo.", None, False)]
    clocks = says(memory, "has the clock of")
    assert clocks == [("Ana has the clock of London.", "2024", False)]  # no premise says what time Oslo ... ends there
    conclude(memory, [WORKS_IN, CLOCK])
    assert says(memory, "has the clock of")[1:] == [("Ana has the clock of Berlin.", None, False)]
    assert memory.check().ok


def test_an_end_without_a_successor_ends_what_rests_on_it(memory: Memory, world: dict[str, Record]) -> None:
    memory.update(world["job"].id, until="2025-03")
    assert says(memory, "works in") == [("Ana works in Lisbon.", "2025-03", False)]
    assert says(memory, "has the clock of") == [("Ana has the clock of London.", "2025-03", False)]


def test_a_successor_that_comes_later_is_taken_up(memory: Memory, world: dict[str, Record]) -> None:
    memory.update(world["seat"].id, until="2024")
    new = fact(memory, "Acme", "is in", "Oslo", time="2024")
    memory.link(new.id, "replaces", world["seat"].id)
    assert says(memory, "works in")[1:] == [("Ana works in Oslo.", None, False)]


def test_a_correction_is_derived_again_in_place(memory: Memory, world: dict[str, Record]) -> None:
    before = next(memory.records({"metadata": {"relation": "works in"}}))
    metadata = {"subject": "Acme", "relation": "is in", "object": "Faro"}
    memory.update(world["seat"].id, text="Acme is in Faro.", metadata=metadata)
    assert says(memory, "works in") == [("Ana works in Faro.", None, False)]
    assert next(memory.records({"metadata": {"relation": "works in"}})).id == before.id
    assert says(memory, "has the clock of") == [("Ana has the clock of London.", None, True)]  # does not follow


def test_a_note_that_changes_no_conclusion_stops_the_cascade(memory: Memory, world: dict[str, Record]) -> None:
    position = memory.position
    memory.update(world["seat"].id, text="Acme has its seat in Lisbon.")
    assert [op.target for op in memory.log(after=position)] == [world["seat"].id]


def test_a_forgotten_premise_makes_the_conclusion_stale(memory: Memory, world: dict[str, Record]) -> None:
    memory.forget(world["job"].id)
    assert says(memory, "works in") == [("Ana works in Lisbon.", None, True)]
    assert says(memory, "has the clock of") == [("Ana has the clock of London.", None, True)]


def test_undo_takes_the_whole_cascade_back(memory: Memory, world: dict[str, Record]) -> None:
    before = list(memory.records())
    position = memory.position
    moved(memory, world["seat"], "Oslo")
    (ended, inserted, linked) = list(memory.log(after=position))[:3]
    memory.undo(ended)
    memory.undo(linked)
    memory.undo(inserted)
    assert list(memory.records()) == before
    assert list(memory.edges()) == []
    assert memory.check().ok


def test_a_correction_taken_back_brings_the_conclusions_back(memory: Memory, world: dict[str, Record]) -> None:
    before = list(memory.records())
    memory.update(world["job"].id, until="2025")
    memory.update(world["job"].id, until=None)
    assert list(memory.records()) == before


def test_what_the_call_itself_says_of_a_derived_record_stands(memory: Memory, world: dict[str, Record]) -> None:
    from mnemic.record import Operation

    child = next(memory.records({"metadata": {"relation": "works in"}}))
    operations = [Operation("update", world["seat"].id, after={"until": "2024"}),
                  Operation("update", child.id, after={"text": "Ana works from home."})]  # fmt: skip
    memory.propose(operations, who="test", why="both")
    assert memory.get(child.id).text == "Ana works from home."
    assert memory.get(child.id).until is None


def test_a_deriver_of_ones_own_is_asked(open_memory: Callable[..., Memory]) -> None:
    def loud(record: Record, sources: Sequence[Record]) -> Mapping[str, Any] | None:
        return {"text": sources[0].text.upper()} if sources else None

    memory = open_memory(derivers={"loud": loud})
    source = memory.add("quiet")
    child = memory.add("QUIET", kind="fact", derived_from=[source.id], metadata={"deriver": "loud"})
    memory.update(source.id, text="quite")
    assert memory.get(child.id).text == "QUITE"
    assert [op.who for op in memory.log(record=child.id)] == ["person", "cascade"]
    memory.forget(source.id)
    assert memory.get(child.id).stale == f"source {source.id} was forgotten"


def test_a_deriver_that_makes_nonsense_is_named_and_nothing_is_written(open_memory: Callable[..., Memory]) -> None:
    memory = open_memory(derivers={"odd": lambda record, sources: {"colour": "red"}})
    source = memory.add("one")
    memory.add("two", derived_from=[source.id], metadata={"deriver": "odd"})
    with pytest.raises(InputError, match='the deriver "odd"'):
        memory.update(source.id, text="three")
    assert memory.get(source.id).text == "one"


def test_circles_of_sources_end(memory: Memory) -> None:
    one = memory.add("one")
    two = memory.add("two", derived_from=[one.id])
    memory.update(one.id, derived_from=[two.id])
    memory.update(one.id, text="uno")
    assert memory.get(two.id).stale


def test_a_cascade_that_was_worked_out_on_an_older_memory_is_worked_out_again(
    memory: Memory, world: dict[str, Record], open_memory: Callable[..., Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    other, committer = open_memory(), memory._committer
    real, calls = committer._prepared, []

    def slow(steps: Any) -> Any:
        if not calls:
            other.add("somebody else writes")
        calls.append(1)
        return real(steps)

    monkeypatch.setattr(committer, "_prepared", slow)
    moved(memory, world["seat"], "Oslo")
    assert len(calls) == 2
    assert says(memory, "works in")[1:] == [("Ana works in Oslo.", None, False)]


def test_a_memory_that_never_rests_is_a_conflict(
    memory: Memory, world: dict[str, Record], open_memory: Callable[..., Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    other, committer = open_memory(), memory._committer
    real = committer._prepared
    count = iter(range(100))

    def slow(steps: Any) -> Any:
        other.add(f"note {next(count)}")
        return real(steps)

    monkeypatch.setattr(committer, "_prepared", slow)
    with pytest.raises(Conflict):
        memory.update(world["seat"].id, until="2024")
    assert memory.get(world["seat"].id).until is None


# ---- what replaced what


def test_supersede_links_and_lineage_tells(memory: Memory) -> None:
    first = memory.add("Ana lives in Faro.", kind="fact", time="2018", speaker="Ana")
    second = memory.supersede(first.id, "Ana lives in Lisbon.", time="2020")
    third = memory.supersede(second.id, "Ana lives in Oslo.", time="2024")
    assert [record.text for record in memory.lineage(third.id)] == [third.text, second.text, first.text]
    assert (memory.get(first.id).until, third.speaker, third.kind) == ("2020", "Ana", "fact")
    with pytest.raises(InputError, match="lies before"):
        memory.supersede(third.id, "Ana lives nowhere.", time="2023")
    assert len(list(memory.records())) == 3


def test_recall_shows_what_holds_before_what_it_replaced(open_memory: Callable[..., Memory]) -> None:
    memory = open_memory(retriever="lexical")
    old = memory.add("Ana lives in the town of Lisbon by the river, Ana does.", kind="fact", time="2020")
    new = memory.supersede(old.id, "She moved to Oslo.", time="2024")
    stale = memory.add("Ana lives, Ana lives, Ana lives.", kind="fact")
    memory.update(stale.id, stale="its source was forgotten")
    memory.add("Ana has a cat.", kind="fact")
    hits = memory.recall("Where does Ana live?", k=4)
    assert [hit.record.id for hit in hits][:2] == [new.id, old.id]
    assert hits[0].parts == {"replaces": hits[1].score}
    assert hits[-1].record.id == stale.id
    assert [hit.record.id for hit in memory.recall("Where does Ana live?", k=1)] == [new.id]


def test_a_filter_that_asks_for_certain_records_gets_them_alone(open_memory: Callable[..., Memory]) -> None:
    memory = open_memory(retriever="lexical")
    old = memory.add("Ana lives in Lisbon.", kind="fact", time="2020", source="diary")
    memory.supersede(old.id, "Ana lives in Oslo.", time="2024", source="letter")
    assert [hit.record.text for hit in memory.recall("Ana lives", where={"source": "diary"})] == [old.text]
    assert [hit.record.text for hit in memory.recall("Ana lives", time="2021")] == [old.text]


# ---- any history


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=12))
def test_conclusions_always_are_what_the_facts_bear(changes: list[tuple[int, int]]) -> None:
    """After any changes, every conclusion that is current and not stale follows from facts that are."""
    towns = ["Lisbon", "Oslo", "Faro", "Rome", "Bern", "Graz"]
    with Memory(":memory:", embedder=HashEmbedder(), retriever="dense") as memory:
        fact(memory, "Ana", "works at", "Acme", time="2000")
        seat = fact(memory, "Acme", "is in", "Lisbon", time="2000")
        conclude(memory, [WORKS_IN])
        year = 2001
        for kind, town in changes:
            year += 1
            metadata = {"subject": "Acme", "relation": "is in", "object": towns[town]}
            if kind == 0 and memory.get(seat.id).until is None:
                seat = memory.supersede(seat.id, f"Acme is in {towns[town]}.", time=str(year), metadata=metadata)
            elif kind == 1:
                memory.update(seat.id, text=f"Acme is in {towns[town]}.", metadata=metadata)
            elif kind == 2:
                memory.update(seat.id, until=str(year))
            else:
                memory.update(seat.id, until=None)
        seat = memory.get(seat.id)
        current = memory.records({"metadata": {"relation": "works in"}, "current": True, "stale": False})
        wanted = [f"Ana works in {seat.metadata['object']}."] if seat.until is None else []
        assert [record.text for record in current] == wanted
        assert memory.check().ok


@pytest.mark.parametrize(
    ("change", "verb"),
    [({"stale": "it was a joke"}, "went stale"), ({"until": "2026"}, "was ended"), ({"text": "No."}, "was corrected")],
)
def test_what_goes_stale_says_what_became_of_its_source(memory: Memory, change: dict[str, str], verb: str) -> None:
    source = memory.add("Yes.", time="2020")
    made = memory.add("They agree.", derived_from=[source.id])
    memory.update(source.id, **change)
    assert memory.get(made.id).stale == f"source {source.id} {verb}"
