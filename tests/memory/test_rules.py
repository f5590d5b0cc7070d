"""Rules over facts: what follows is written once, with what it rests on."""

from __future__ import annotations

import pytest

from mnemic.errors import InputError
from mnemic.memory import Memory
from mnemic.record import Record
from mnemic.rules import Rule, conclude, derive

PART = Rule("part", [("?a", "part of", "?b"), ("?b", "part of", "?c")], ("?a", "part of", "?c"))


def fact(memory: Memory, subject: str, relation: str, object: str, **fields: str) -> Record:
    metadata = {"subject": subject, "relation": relation, "object": object}
    return memory.add(f"{subject} {relation} {object}.", kind="fact", metadata=metadata, **fields)


def test_a_chain_is_followed_to_its_end(memory: Memory) -> None:
    for a, b in zip("abcd", "bcde", strict=True):
        fact(memory, a, "part of", b)
    outcomes = conclude(memory, [PART])
    said = sorted(outcome.record.text for outcome in outcomes if outcome.record)
    assert said == ["a part of c.", "a part of d.", "a part of e.", "b part of d.", "b part of e.", "c part of e."]
    assert conclude(memory, [PART]) == []


def test_a_conclusion_knows_its_premises_and_their_times(memory: Memory) -> None:
    first = fact(memory, "a", "part of", "b", time="2019-05", until="2030")
    second = fact(memory, "b", "part of", "c", time="2020")
    fact(memory, "x", "part of", "y", time="2021")
    memory.update(first.id, until=None)
    (outcome,) = conclude(memory, [PART])
    assert outcome.record is not None
    assert outcome.record.derived_from == (first.id, second.id)
    assert outcome.record.time == "2020"
    assert outcome.record.metadata["rule"]["name"] == "part"


def test_what_has_ended_or_is_stale_bears_nothing(memory: Memory) -> None:
    fact(memory, "a", "part of", "b", until="2020")
    stale = fact(memory, "b", "part of", "c")
    fact(memory, "c", "part of", "d")
    memory.update(stale.id, stale="its source was erased")
    assert conclude(memory, [PART]) == []


def test_a_constant_in_a_premise_must_be_met(memory: Memory) -> None:
    rule = Rule("cold", [("?who", "lives in", "Oslo")], ("?who", "owns", "a coat"), says="{who} owns a coat.")
    fact(memory, "Ana", "lives in", "Oslo")
    fact(memory, "Ben", "lives in", "Faro")
    assert [outcome.record.text for outcome in conclude(memory, [rule]) if outcome.record] == ["Ana owns a coat."]


def test_one_name_stands_for_one_thing(memory: Memory) -> None:
    rule = Rule("likes itself", [("?x", "likes", "?x")], ("?x", "is", "vain"))
    fact(memory, "cat", "likes", "cat")
    fact(memory, "dog", "likes", "cat")
    assert [outcome.record.text for outcome in conclude(memory, [rule]) if outcome.record] == ["cat is vain."]


@pytest.mark.parametrize(
    ("premises", "conclusion", "says"),
    [
        ([("?a", "likes", "?b")], ("?c", "is", "liked"), "name it in a premise"),
        ([], ("a", "is", "b"), "name it in a premise"),
        ([("?a", "likes")], ("?a", "is", "x"), "a premise is"),
        (["a b c"], ("a", "is", "x"), "a premise is"),
    ],
)
def test_rules_that_mean_nothing_are_refused(premises: list, conclusion: tuple, says: str) -> None:
    with pytest.raises(InputError, match=says):
        Rule("wrong", premises, conclusion)


def test_a_record_whose_rule_is_broken_does_not_follow() -> None:
    record = Record("1", "default", "fact", "x", metadata={"deriver": "rules", "rule": {"name": "x"}})
    assert derive(record, []) is None
    assert derive(Record("1", "default", "fact", "x", metadata={"rule": "nonsense"}), []) is None


@pytest.mark.parametrize(("relation", "linked"), [("replaces", 1), ("mentions", 0)])
def test_only_what_took_the_place_of_a_premise_makes_a_successor(memory: Memory, relation: str, linked: int) -> None:
    rule = Rule("badge", [("?who", "works at", "?firm")], ("?who", "wears the badge of", "?firm"))
    old = fact(memory, "Ben", "works at", "Acme", time="2020")
    conclude(memory, [rule])
    memory.update(old.id, until="2024")
    new = fact(memory, "Ben", "works at", "Tascam", time="2024")
    memory.link(new.id, relation, old.id)
    conclude(memory, [rule])
    made = {edge.tail for edge in memory.edges() if edge.relation == "replaces"} - {old.id}
    assert len(made) == linked
