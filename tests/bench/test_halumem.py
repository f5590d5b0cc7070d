"""HaluMem's records, the world that makes them, and what its sentences say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic.bench.halumem import SlotWorld, User, load_halumem, read_time, write_halumem
from mnemic.bench.halumem.attributes import EVENTS, OF_EVENTS, OF_PEOPLE, RELATION
from mnemic.bench.halumem.extractor import extracted
from mnemic.bench.halumem.language import Fact, facts, told
from mnemic.bench.halumem.profiles import as_users, load_changes, state_facts
from mnemic.bench.halumem.questions import BOUNDARY, TYPES
from mnemic.bench.halumem.records import user_of
from mnemic.errors import DataMissing, InputError

WORLD = SlotWorld(users=10)


@pytest.fixture(scope="module")
def users() -> list[User]:
    return WORLD.build()


def record(**changes: Any) -> dict[str, Any]:
    """A user as the published files write one, with their quirks."""
    point = {"index": 1, "memory_content": "M lives in Oslo", "memory_type": "Persona Memory",
             "memory_source": "secondary", "is_update": "False", "original_memories": [], "importance": 0.5,
             "timestamp": "Sep 04, 2025, 18:10:05"}  # fmt: skip
    update = {**point, "is_update": "True", "original_memories": ["M lives in Bergen"], "importance": "1.0"}
    session = {"start_time": "Sep 04, 2025, 18:10:05", "end_time": "Sep 04, 2025, 18:40:05",
               "dialogue": [{"role": "User", "content": "Hi.", "timestamp": "Sep 04, 2025, 18:10:05"}],
               "memory_points": [point, update], "dialogue_token_length": 2,
               "questions": [{"question": "Where?", "answer": "Oslo", "evidence": [point], "difficulty": "easy",
                              "question_type": "Basic Fact Recall"}]}  # fmt: skip
    return {"uuid": "u1", "persona_info": "M.", "sessions": [{**session, **changes}]}


# ---- records


def test_the_text_false_is_false(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text(json.dumps(record()) + "\n\n")
    (user,) = load_halumem(file)
    (session,) = user.sessions
    assert [point.is_update for point in session.points] == [False, True]
    assert [point.update for point in session.points] == [False, True]
    assert session.start == "2025-09-04T18:10:05"
    assert session.points[1].importance == 1.0
    assert session.dialogue[0].role == "user"
    assert not session.filler


def test_an_update_that_replaces_nothing_is_an_extraction() -> None:
    item = record()
    item["sessions"][0]["memory_points"][1]["original_memories"] = []
    point = user_of(item).sessions[0].points[1]
    assert point.is_update
    assert not point.update


@pytest.mark.parametrize(
    ("said", "read"),
    [("Sep 04, 2025, 18:10:05", "2025-09-04T18:10:05"), ("September 04, 2025", "2025-09-04T00:00:00"),
     ("2025-09-04 18:10", "2025-09-04T18:10:00"), ("2025-09-04", "2025-09-04T00:00:00"), ("", None), (None, None)],
)  # fmt: skip
def test_times_are_read_in_all_their_forms(said: str | None, read: str | None) -> None:
    assert read_time(said) == read


def test_what_is_no_user_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text(json.dumps(record()) + "\n{}\n")
    with pytest.raises(InputError, match=r"x.jsonl:2: no user"):
        load_halumem(file)
    file.write_text(json.dumps(record(start_time="")) + "\n")
    with pytest.raises(InputError, match=r"x.jsonl:1: a session has no start_time"):
        load_halumem(file)
    file.write_text(json.dumps(record(start_time="tomorrow")) + "\n")
    with pytest.raises(InputError, match=r'cannot read the time "tomorrow"'):
        load_halumem(file)
    file.write_text(json.dumps(record(is_generated_qa_session="perhaps")) + "\n")
    with pytest.raises(InputError, match="neither true nor false"):
        load_halumem(file)
    file.write_bytes(b"\xff\xfe\n")
    with pytest.raises(InputError, match=r"x.jsonl:1: no user"):
        load_halumem(file)
    with pytest.raises(DataMissing, match="SlotWorld"):
        load_halumem(tmp_path / "none.jsonl")


def test_a_world_is_the_same_after_writing_and_reading(users: list[User], tmp_path: Path) -> None:
    write_halumem(users[:2], tmp_path / "w.jsonl")
    assert load_halumem(tmp_path / "w.jsonl") == users[:2]
    assert load_halumem(tmp_path / "w.jsonl", limit=1) == users[:1]


# ---- the world


def test_the_world_has_the_size_of_the_sheet(users: list[User]) -> None:
    sessions = [session for user in users for session in user.sessions]
    points = [point for session in sessions for point in session.points]
    assert len(sessions) == 200
    assert {len(session.dialogue) for session in sessions} == {8}
    assert 1300 <= len(points) <= 1700
    assert 170 <= sum(point.update for point in points) <= 260
    assert 170 <= sum(point.interference for point in points) <= 260
    questions = [question for session in sessions for question in session.questions]
    assert 350 <= len(questions) <= 480
    assert {question.type for question in questions} == set(TYPES)
    assert all(len(question.answer.split()) <= 15 for question in questions)
    assert {point.source for point in points} == {"primary", "secondary", "system", "interference"}
    assert {point.importance for point in points} == {0.25, 0.5, 0.75, 1.0}


def test_all_that_is_gold_is_said_by_the_user_and_nothing_else_is(users: list[User]) -> None:
    for session in (session for user in users for session in user.sessions):
        said = told([turn.content for turn in session.dialogue if turn.role == "user"])
        gold = {fact for point in session.points if not point.interference for fact in facts(point.text)}
        assert {fact for fact in said if fact.mode != "maybe"} == gold


def test_interference_is_voiced_by_the_assistant_alone_and_never_true(users: list[User]) -> None:
    for user in users:
        true = {fact for session in user.sessions for point in session.points if not point.interference
                for fact in facts(point.text)}  # fmt: skip
        for session in user.sessions:
            assistant = told([turn.content for turn in session.dialogue if turn.role == "assistant"])
            own = told([turn.content for turn in session.dialogue if turn.role == "user"])
            for point in (point for point in session.points if point.interference):
                (claim,) = facts(point.text)
                assert claim in assistant
                assert claim not in own
                assert claim not in true
                assert point.original[0] in {each.text for each in session.points}


def test_an_update_replaces_what_was_said_in_an_earlier_session(users: list[User]) -> None:
    for user in users:
        before: set[str] = set()
        for session in user.sessions:
            assert all(point.original[0] in before for point in session.points if point.update)
            before |= {point.text for point in session.points}


def test_evidence_is_known_when_a_question_comes_and_a_boundary_has_none(users: list[User]) -> None:
    for user in users:
        known: set[str] = set()
        for session in user.sessions:
            known |= {point.text for point in session.points}
            for question in session.questions:
                assert {point.text for point in question.evidence} <= known
                assert (question.type == BOUNDARY) == (not question.evidence)


def test_filler_changes_no_gold_and_says_nothing_about_the_user(users: list[User]) -> None:
    (long,) = SlotWorld(users=1, filler=8.0).build()
    own = [session for session in long.sessions if not session.filler]
    assert [(session.points, session.questions) for session in own] == [
        (session.points, session.questions) for session in users[0].sessions
    ]
    turns = sum(len(session.dialogue) for session in long.sessions)
    assert turns == 9 * sum(len(session.dialogue) for session in users[0].sessions)
    for mixed, plain in zip(own, users[0].sessions, strict=True):
        assert len(mixed.dialogue) == 5 * len(plain.dialogue)  # half of the filler is inside
        added = [turn for turn in mixed.dialogue if turn not in plain.dialogue]
        assert [fact for turn in added for fact in facts(turn.content) if fact.mode != "maybe"] == []
    said = [turn.content for session in long.sessions if session.filler for turn in session.dialogue]
    assert [fact for text in said for fact in facts(text) if fact.mode != "maybe"] == []
    assert not any(session.points or session.questions for session in long.sessions if session.filler)


@settings(max_examples=8)
@given(st.integers(0, 10_000), st.sampled_from([3, 7, 12]), st.sampled_from([2, 6]))
def test_any_seed_gives_a_readable_world_and_the_same_one_again(seed: int, sessions: int, turns: int) -> None:
    world = SlotWorld(users=1, sessions=sessions, turns=turns, seed=seed)
    (user,) = world.build()
    assert world.build() == [user]
    for session in user.sessions:
        said = told([turn.content for turn in session.dialogue if turn.role == "user"])
        gold = {fact for point in session.points if not point.interference for fact in facts(point.text)}
        assert {fact for fact in said if fact.mode != "maybe"} == gold


def test_a_world_that_cannot_be_says_what_can() -> None:
    for wrong in (
        {"users": 0},
        {"sessions": 2},
        {"turns": 7},
        {"traps": 2.0},
        {"filler": -1.0},
        {"interference": (3, 1)},
    ):
        with pytest.raises(InputError, match=r"\.$"):
            SlotWorld(**wrong)  # type: ignore[arg-type]


def test_each_slot_has_five_paraphrases_and_two_that_are_held_out() -> None:
    for attribute in (*OF_PEOPLE, *OF_EVENTS, RELATION):
        assert len(attribute.train) >= 5
        assert len(attribute.held_out) >= 2
        assert not set(attribute.train) & set(attribute.held_out)
    values = [value.lower() for attribute in (*OF_PEOPLE, *OF_EVENTS, RELATION) for value in attribute.values]
    assert len(values) == len(set(values))


# ---- what sentences say


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("I live in Oslo.", [Fact("user", "home city", "Oslo")]),
        ("assistant: As you told me, you live in Oslo.", [Fact("user", "home city", "Oslo")]),
        ("Martin Mark's home city is Oslo.", [Fact("user", "home city", "Oslo")]),
        ("Nora plays the cello. She has a beagle.",
         [Fact("Nora", "instrument", "cello"), Fact("Nora", "pet", "beagle")]),
        ("She has a beagle.", [Fact(None, "pet", "beagle")]),
        ("I live in Lima now, no longer Oslo.",
         [Fact("user", "home city", "Lima"), Fact("user", "home city", "Oslo", "was")]),
        ("I live in Oslo, or so you say.", [Fact("user", "home city", "Oslo", "maybe")]),
        ("Do I live in Oslo?", [Fact("user", "home city", "Oslo", "maybe")]),
        ("Oslo is lovely in May.", []),
        ("I went to the book fair with Ben.", [Fact("the book fair", "companion", "Ben")]),
        ("I no longer have a beagle.", [Fact("user", "pet", "beagle", "was")]),
    ],
)  # fmt: skip
def test_a_text_is_read_as_a_person_reads_it(text: str, said: list[Fact]) -> None:
    assert list(facts(text)) == said


def test_she_is_whoever_was_named_last_in_an_earlier_turn() -> None:
    assert told(["Nora is my cousin.", "Ben lives in Lima. She has a beagle."])[-1] == Fact("Nora", "pet", "beagle")


def test_patterns_read_every_training_template_and_no_unseen_one() -> None:
    for held_out, recall in ((0.0, 1.0), (1.0, 0.0)):
        (user,) = SlotWorld(users=1, sessions=8, held_out=held_out).build()
        for session in user.sessions:
            texts = tuple(turn.content for turn in session.dialogue if turn.role == "user")
            gold = {(fact.subject, fact.attribute, fact.value.lower()) for fact in told(texts) if fact.mode == "is"}
            found = {(each.subject, each.attribute, each.value.lower()) for each in extracted(texts)}
            assert len(gold & found) == recall * len(gold)


def test_a_pattern_takes_an_echoed_claim_for_a_fact() -> None:
    assert [each.text for each in extracted(("I live in Oslo, or so you say.",))] == ["The user's home city is Oslo."]
    assert extracted(("Martha lives in Oslo.",)) == ()  # nobody that was introduced
    assert EVENTS[0] == "the ceramics workshop"


# ---- real states


def arcs(path: Path, before: dict[str, Any], after: dict[str, Any], keys: list[str]) -> Path:
    update = {"type_to_update": "career_status", "before_dynamic": before, "after_dynamic": after, "changed_keys": keys}
    event = {"stages": [{"time_point": "2026-05-03", "dynamic_updates": [update]}, {"time_point": "2026-06-01"}]}
    item = {"uuid": "u", "profile": {"fixed": {"basic_info": {"name": "Ana Duarte"}}},
            "narrative_arc": {"career_events": [event]}}  # fmt: skip
    path.write_text(json.dumps(item) + "\n")
    return path


def test_changed_keys_become_updates_with_both_texts(tmp_path: Path) -> None:
    file = arcs(tmp_path / "a.jsonl", {"job_title": "clerk", "income": 1}, {"job_title": 'head "of" ink', "income": 1},
                ["job_title", "income"])  # fmt: skip
    (change,) = load_changes(file)  # the income did not change, whatever the list says
    assert (change.key, change.before, change.after) == ("career status job title", "clerk", "head 'of' ink")
    (user,) = as_users([change])
    assert [len(session.points) for session in user.sessions] == [1, 1]
    point = user.sessions[1].points[0]
    assert point.update
    assert state_facts(f"user: {point.text}") == (Fact("Ana Duarte", "career status job title", "head 'of' ink"),)
    assert state_facts(point.original[0])[0].value == "clerk"


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text('{"uuid": 1}\n')
    with pytest.raises(InputError, match=r"b.jsonl:1: no narrative arc"):
        load_changes(tmp_path / "b.jsonl")
    with pytest.raises(DataMissing, match="stage3_1"):
        load_changes(tmp_path / "c.jsonl")


def test_the_real_states_hold_hundreds_of_updates(data_path: Callable[..., Path]) -> None:
    real = as_users(load_changes(data_path("halumem", "arc")))
    assert len(real) == 20
    assert sum(point.update for user in real for session in user.sessions for point in session.points) == 812
