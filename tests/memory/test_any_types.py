"""Whatever a program passes in: an error of ours and the memory as it was, or success."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mnemic.errors import InputError, MnemicError, NotFound
from mnemic.memory import Memory
from mnemic.record import Chunk, Operation

Open = Callable[..., Memory]

FIELDS = [field.name for field in fields(Chunk)]

plain = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=4)
    | st.datetimes(timezones=st.none() | st.timezones()) | st.dates() | st.times() | st.decimals()
    | st.complex_numbers()
    | st.sampled_from(["2026-05", "tea", "\ud800", "\0", "", " ", 2**70, 10**400, -1, "2026-13", "9" * 30, object(),
                       float("nan"), ..., Exception, dt.timedelta(days=1)])
)  # fmt: skip
keys = st.text(max_size=5) | st.integers() | st.none() | st.sampled_from(["text", "time", "kind", "\ud800"])
anything = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(keys, inner, max_size=3)
    | st.sets(st.integers() | st.text(max_size=3), max_size=3),
    max_leaves=5,
)  # fmt: skip
deep: Any = []
for _ in range(100):
    deep = [deep]
circle: dict[str, Any] = {}
circle["circle"] = circle

mappings = st.dictionaries(st.sampled_from(FIELDS) | keys, anything, max_size=4)
full = st.fixed_dictionaries({"text": st.just("tea")}, optional=dict.fromkeys(FIELDS[1:], anything))
chunks = st.builds(lambda given: Chunk(**given), full)
items = anything | mappings | full | chunks
words = ("id", "ids", "kind", "source", "speaker", "episode", "time", "written", "stale", "current", "metadata", "x")
wheres = anything | st.dictionaries(st.sampled_from(words), anything, max_size=3)

often = settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])


def tried(call: Callable[[], Any]) -> bool:
    """True when it went well; any error but ours fails the test."""
    refused = None
    try:
        call()
    except MnemicError as error:
        refused = str(error)
    assert refused is None or refused.encode()  # it can be printed and logged
    return refused is None


@often
@given(given=st.lists(items, max_size=4))
@example(given=[{"text": "tea", "metadata": {"x": deep}}])
@example(given=[{"text": "tea", "metadata": circle}])
@example(given=[{"text": "tea", "metadata": {"x": "\ud800", "y": 2**70}}])
@example(given=[{"text": "tea", "kind": "\ud800"}])
@example(given=[{"text": "tea", "derived_from": "abc"}])
@example(given=[{"text": "tea", "importance": 10**400}])
def test_items_of_any_type(memory: Memory, given: list[Any]) -> None:
    """Each is kept or refused for itself, and what is kept comes back as it was returned."""
    before = list(memory.records())
    outcomes = memory.add_many(given)
    assert len(outcomes) == len(given)
    assert all(outcome.reason for outcome in outcomes if outcome.state == "refused")
    new = {outcome.record.id: outcome.record for outcome in outcomes if outcome.record and outcome.state == "added"}
    assert {id: memory.get(id) for id in new} == new
    assert len(list(memory.records())) == len(before) + len(new)
    assert memory.check().ok


@often
@given(given=anything)
def test_items_that_are_no_list(memory: Memory, given: Any) -> None:
    before = memory.position
    if not tried(lambda: memory.add_many(given)):
        assert memory.position == before


@often
@given(given=full, why=anything)
def test_add_update_and_propose(memory: Memory, given: dict[str, Any], why: Any) -> None:
    record = memory.add("here before")
    text = given.pop("text")
    before = memory.position
    if not tried(lambda: memory.add(text, **given)):
        assert memory.position == before
    calls = (
        lambda: memory.update(record.id, why=why, **given),
        lambda: memory.propose([Operation("insert", "", after={**given, "text": text})], who="x", why=why),
        lambda: memory.propose([Operation("update", record.id, after={"edges": why})], who="x", why="x"),
        lambda: memory.propose([Operation("link", record.id, after={"edge": why})], who="x", why="x"),
        lambda: memory.propose([Operation(why, record.id, after=given)], who="x", why="x"),
    )
    for call in calls:
        before = memory.position
        if not tried(call):
            assert memory.position == before
    assert memory.check().ok


@often
@given(query=anything, k=anything | st.integers(1, 5), where=wheres, time=anything)
@example(query="tea", k=2**70, where=None, time=None)
@example(query="tea \udcff", k=5, where=None, time=None)
@example(query="tea", k=5, where={"metadata": {"x": deep}}, time=None)
@example(query="tea", k=5, where={"metadata": circle}, time=None)
@example(query="tea", k=5, where={"kind": "\ud800"}, time=None)
@example(query="tea", k=5, where=None, time=("2026", 10**4000))
def test_questions_of_any_type(memory: Memory, query: Any, k: Any, where: Any, time: Any) -> None:
    memory.add("tea", time="2026-05")
    before = memory.position
    tried(lambda: memory.recall(query, k=k, where=where, time=time))
    tried(lambda: memory.recall("tea", where=where))
    tried(lambda: memory.recall("tea", time=time))
    tried(lambda: memory.recall("tea", k=k))
    tried(lambda: memory.ask(query, k=k, where=where, budget=time))
    tried(lambda: list(memory.records(where)))
    tried(lambda: list(memory.log(where=where, during=time)))
    tried(lambda: list(memory.log(last=k)))
    assert memory.position == before


@often
@given(id=anything)
def test_ids_of_any_type(memory: Memory, id: Any) -> None:
    record = memory.add("tea")
    before = memory.position
    for call in (memory.get, memory.forget, memory.erase, memory.update, memory.undo):
        if not tried(lambda call=call: call(id)):  # type: ignore[misc]
            assert memory.position == before
    tried(lambda: memory.link(record.id, id, record.id))
    tried(lambda: memory.as_of(id))
    tried(lambda: list(memory.log(record=id)))
    assert memory.check().ok


@pytest.mark.parametrize("id", ["nobody", "\ud800", 3, None])
def test_an_id_that_nothing_has(memory: Memory, id: Any) -> None:
    for call in (memory.get, memory.erase):
        with pytest.raises(NotFound):
            call(id)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"derived_from": "abc"}, "list of ids"),
        ({"pinned": "yes"}, "true or false"),
        ({"importance": float("inf")}, "number above 0"),
        ({"metadata": {"n": float("nan")}}, "JSON can hold"),
        ({"metadata": [1]}, "mapping"),
        ({"metadata": {"\ud800": 1}}, "lone surrogate"),
        ({"time": True}, "cannot read the time True"),
    ],
)
def test_the_refusal_names_the_field(memory: Memory, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        memory.add("tea", **fields)
    assert memory.position == 0


def test_a_year_may_be_a_number(memory: Memory) -> None:
    assert memory.add("tea", time=2026).time == "2026"  # type: ignore[arg-type]
    assert len(list(memory.records({"time": 2026}))) == 1


def test_metadata_comes_back_as_it_was_returned(memory: Memory) -> None:
    record = memory.add("tea", metadata={"1": ("a", 2), "x": {"y": None}})
    assert record.metadata == {"1": ["a", 2], "x": {"y": None}}
    assert memory.get(record.id) == record
