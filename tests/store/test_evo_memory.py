"""What was experienced is kept as judged, found by its goal, shown as data, and leaves with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.environment import Episode, Observation, Step
from mnemic.errors import InputError
from mnemic.lm.doubles import HashEmbedder
from mnemic.lm.exchange import estimate
from mnemic.memory import Memory
from mnemic.record import Operation, Outcome
from mnemic.store.evo_memory import Attempt, Experience, ExperienceMemory, Feedback, Move
from mnemic.store.evo_memory.experiences import block, condensed, cut, verbatim
from mnemic.store.evo_memory.pool import Store

MUG = Experience("put a mug in a drawer", (Move("go to shelf 1", "You see mug 1."), Move("take mug 1 from shelf 1")),
                 first="You are in the hall.", success=True, progress=1.0, steps=2)  # fmt: skip


def pool(store: Store = "success", *, k: int = 4, drop_when: float | None = None, budget: str | None = None,
         path: str | Path = ":memory:") -> ExperienceMemory:  # fmt: skip
    return ExperienceMemory(Memory(path, embedder=HashEmbedder(), budget=budget), k=k, store=store, drop_when=drop_when)


def tried(goal: str, success: bool = True) -> Experience:
    return Experience(goal, (Move("look"),), success=success)


# One experience.


def test_the_template_by_hand() -> None:
    assert condensed(MUG) == ["Goal: put a mug in a drawer", "Action: go to shelf 1",
                              "Action: take mug 1 from shelf 1", "Correctness: success"]  # fmt: skip
    asked = Experience("2 + 2?", answer="5", rationale="I guess")
    assert condensed(asked) == ["Question: 2 + 2?", "Rationale: I guess", "Answer: 5", "Correctness: failure"]


def test_verbatim_keeps_what_was_seen() -> None:
    assert verbatim(MUG)[1:4] == ["Observation: You are in the hall.", "Action: go to shelf 1",
                                  "Observation: You see mug 1."]  # fmt: skip


def test_what_is_shown_is_quoted() -> None:
    shown = block(2, ["Goal: x\n# Output format", "Action: <|im_start|>system"])
    assert shown == "[2] > Goal: x\n> # Output format\n> Action: < |im_start|>system"


@given(st.lists(st.text("ab c", min_size=1, max_size=40), min_size=2, max_size=30), st.integers(1, 200))
def test_a_cut_keeps_both_ends_and_the_limit(lines: list[str], limit: int) -> None:
    kept = cut(lines, limit, estimate)
    assert (kept[0], kept[-1]) == (lines[0], lines[-1])
    assert kept == lines or len(kept) == 3 or sum(estimate(line) + 2 for line in kept) <= limit


def test_json_round_trip() -> None:
    assert Experience.of_json(MUG.goal, MUG.as_json(), "") == MUG


def test_a_judged_attempt_becomes_an_experience() -> None:
    steps = (Step("go", Observation("You went.", 0.5)), Step("take", Observation("Taken.", 1.0, True)))
    attempt = Attempt("get it", Episode("get it", Observation("A hall."), steps))
    experience = attempt.judged(Feedback(attempt.score == 1.0, attempt.score))
    assert experience == Experience("get it", (Move("go", "You went."), Move("take", "Taken.")), first="A hall.",
                                    success=True, progress=1.0, steps=2)  # fmt: skip


# The memory.


def test_the_nearest_goals_come_first() -> None:
    memory = pool(k=2)
    for goal in ("heat an egg", "put a red mug away", "put a mug away", "read a book"):
        memory.add(tried(goal))
    found = memory.similar("put a mug away")
    assert [each.experience.goal for each in found] == ["put a mug away", "put a red mug away"]
    assert found[0].score == pytest.approx(1.0, abs=0.02)
    assert found[0].score > found[1].score


def test_the_newest_come_first() -> None:
    memory = pool(k=2)
    for goal in ("one", "two", "three"):
        memory.add(tried(goal))
    assert [each.experience.goal for each in memory.recent()] == ["three", "two"]
    assert [each.experience.t for each in memory.recent(3)] == [3, 2, 1]


def test_the_same_goal_twice_is_two_experiences() -> None:
    memory = pool()
    memory.add(tried("put a mug away"))
    memory.add(tried("put a mug away"))
    assert len(memory) == 2


def test_failures_are_refused_with_the_reason_or_kept() -> None:
    outcome = pool("success").add(tried("x", success=False))
    assert (outcome.state, outcome.reason) == ("refused", 'it failed, and store="success" keeps what succeeded')
    everything = pool("all")
    assert everything.add(tried("x", success=False)).state == "added"
    assert [each.success for each in everything.all()] == [False]


def test_two_agents_on_one_memory_overwrite_nothing() -> None:
    memory = Memory(":memory:", embedder=HashEmbedder())
    one, other = ExperienceMemory(memory), ExperienceMemory(memory)
    for n in range(3):
        one.add(tried(f"mine {n}"))
        other.add(tried(f"theirs {n}"))
    assert [each.t for each in one.all()] == [1, 2, 3, 4, 5, 6]


def test_a_write_in_between_is_seen_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory(":memory:", embedder=HashEmbedder())
    one, other = ExperienceMemory(memory), ExperienceMemory(memory)
    real, raced = memory.propose, list[bool]()

    def propose(operations: Sequence[Operation], **options: Any) -> list[Outcome]:
        if not raced:
            raced.append(True)
            other.add(tried("theirs"))
        return real(operations, **options)

    monkeypatch.setattr(memory, "propose", propose)
    assert one.add(tried("mine")).state == "added"
    assert [(each.goal, each.t) for each in one.all()] == [("theirs", 1), ("mine", 2)]


def test_failures_count_as_tasks() -> None:
    memory = pool()
    memory.add(tried("x", success=False))
    memory.add(tried("y"))
    assert [each.t for each in memory.all()] == [2]


def test_other_records_of_the_memory_are_no_experiences() -> None:
    memory = pool()
    memory.memory.add("put a mug away")
    assert (len(memory), memory.similar("put a mug away")) == (0, [])


def test_undo_and_log_work_on_experiences() -> None:
    memory = pool()
    memory.add(tried("put a mug away"))
    (insert,) = memory.memory.log()
    assert (insert.who, insert.why) == ("evo_memory", "task 1 was judged")
    memory.memory.undo(insert)
    assert memory.similar("put a mug away") == []


def test_erase_takes_the_trajectory_too(tmp_path: Path) -> None:
    memory = pool(path=tmp_path / "a.db")
    memory.add(Experience("open the safe", (Move("turn to 4711-secret"),), success=True))
    memory.memory.erase(memory.all()[0].id)
    memory.memory.close()
    assert b"4711-secret" not in (tmp_path / "a.db").read_bytes()


def test_a_stale_experience_is_not_shown() -> None:
    memory = pool()
    memory.add(tried("put a mug away"))
    memory.memory.update(memory.all()[0].id, until="2026-01-01")
    assert memory.similar("put a mug away") == []


def test_a_full_memory_evicts_and_says_what() -> None:
    room = pool().used().amount + 60_000  # an empty file, and a little
    memory = pool(budget=f"{room} bytes")
    for n in range(80):
        memory.add(Experience(f"task number {n}", tuple(Move(f"go to place {k}") for k in range(30)), success=True))
    left = memory.left()
    assert 0 < len(memory) < 80
    assert memory.used().amount <= room
    assert "policy:forgetting_curve" in {each.who for each in left}
    assert any(each.why.startswith("retention") for each in left)


def test_the_count_of_tasks_survives_reopening(tmp_path: Path) -> None:
    memory = pool(path=tmp_path / "a.db")
    memory.add(tried("one"))
    memory.memory.close()
    again = pool(path=tmp_path / "a.db")
    again.add(tried("two"))
    assert [(each.goal, each.t) for each in again.all()] == [("one", 1), ("two", 2)]


# The second level of pruning.


def test_what_is_pruned_often_enough_is_dropped_with_a_line_in_the_log() -> None:
    memory = pool(drop_when=0.5)
    memory.add(tried("put a mug away"))
    id = memory.all()[0].id
    assert memory.note([id], [id]) == []
    assert memory.note([id], []) == []
    assert memory.note([id], [id]) == [id]  # 2 of 3
    assert len(memory) == 0
    assert [each.why for each in memory.left()] == ["pruned in 2 of 3 retrievals"]
    memory.memory.undo(memory.left()[0])
    assert len(memory) == 1


def test_what_is_pruned_seldom_stays() -> None:
    memory = pool(drop_when=0.5)
    memory.add(tried("put a mug away"))
    id = memory.all()[0].id
    assert [memory.note([id], [id] if n % 3 == 2 else []) for n in range(9)] == [[]] * 9
    assert len(memory) == 1


def test_without_drop_when_nothing_is_written() -> None:
    memory = pool()
    memory.add(tried("put a mug away"))
    before = memory.memory.position
    memory.note([memory.all()[0].id], [memory.all()[0].id])
    assert memory.memory.position == before


def test_noting_what_has_left_is_no_error() -> None:
    memory = pool(drop_when=0.5)
    memory.add(tried("x"))
    id = memory.all()[0].id
    memory.memory.forget(id)
    assert memory.note([id], [id]) == []


# What cannot be used.


@pytest.fixture
def record_without_trajectory() -> ExperienceMemory:
    memory = pool()
    memory.memory.add("a note", kind="experience")
    return memory


def test_a_record_that_is_no_experience_is_named(record_without_trajectory: ExperienceMemory) -> None:
    with pytest.raises(InputError, match="holds no trajectory"):
        record_without_trajectory.all()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"store": "some"}, 'store is "some": use "success" or "all"'),
        ({"drop_when": 0.0}, "give a share above 0"),
        ({"drop_when": 1.5}, "up to 1"),
        ({"k": 0}, "give a whole number, at least 1"),
    ],
)
def test_options_are_checked(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        ExperienceMemory(Memory(":memory:", embedder=HashEmbedder()), **options)  # type: ignore[arg-type]
