"""What the default recall weighs, part by part."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mnemic.memory import Memory
from mnemic.recall import hybrid
from mnemic.recall.hybrid import WEIGHTS, Question, Standard, features
from mnemic.recall.related import related

Open = Callable[..., Memory]


def rows(memory: Memory) -> np.ndarray:
    return np.arange(memory.corpus.size, dtype=np.int32)


def parts(memory: Memory, question: str) -> dict[str, list[float]]:
    found = features(Question(question, memory.corpus), rows(memory))
    return {name: np.asarray(values).tolist() for name, values in found.items()}


def test_standard_scores_by_hand() -> None:
    scores = np.array([1.0, 3.0, 100.0], np.float32)
    made = Standard(scores, np.array([0, 1], np.int32))  # mean 2, spread 1; the third is outside the pool
    assert made.of(np.array([0, 1, 2, -1], np.int32)).tolist() == [-1.0, 1.0, 98.0, 0.0]
    same = Standard(np.ones(3, np.float32), np.array([0, 1, 2], np.int32))
    assert same.of(np.array([0, 2], np.int32)).tolist() == [0.0, 0.0]


def test_parts_add_up_to_the_score(open_memory: Open) -> None:
    memory = open_memory()
    for n, text in enumerate(("Where is the tea?", "In the left cupboard.", "Fine.", "We go to Porto in May.")):
        memory.add(text, speaker=("Ana", "Ben")[n % 2], episode="talk", time=f"2026-0{n + 3}-01")
    for hit in memory.recall("Where did Ben put the tea in April 2026?", k=4):
        assert set(hit.parts) <= set(WEIGHTS)
        assert hit.score == pytest.approx(sum(hit.parts.values()), rel=1e-4, abs=1e-5)


def test_the_speaker_that_the_question_names(open_memory: Open) -> None:
    memory = open_memory()
    memory.add("I moved.", speaker="Ana Lopes")
    memory.add("I moved too.", speaker="Ben")
    assert parts(memory, "When did Ana move?")["speaker"] == [1.0, 0.0]
    assert parts(memory, "When did anybody move?")["speaker"] == [0.0, 0.0]


def test_the_time_that_the_question_names(open_memory: Open) -> None:
    memory = open_memory()
    for month in ("2026-04", "2026-05", None):
        memory.add(f"A trip in {month}", time=month)
    assert parts(memory, "Which trip was in May 2026?")["date"] == [0.0, 1.0, 0.0]


def test_an_answer_follows_a_question_of_somebody_else(open_memory: Open) -> None:
    memory = open_memory()
    for speaker, text in (("Ana", "Where is it?"), ("Ben", "Here."), ("Ben", "Is it?"), ("Ben", "It is.")):
        memory.add(text, speaker=speaker, episode="talk")
    found = parts(memory, "Where is the cup?")
    assert found["answer"] == [0.0, 1.0, 0.0, 0.0]
    assert found["question"] == [1.0, 0.0, 1.0, 0.0]


def test_neighbours_carry_what_a_short_turn_leaves_out(open_memory: Open) -> None:
    memory = open_memory()
    talk = ["Hello.", "Shall we talk about the lighthouse?", "Sure.", "Bye.", "Nothing.", "Nothing more."]
    for text in talk:
        memory.add(text, episode="talk")
    memory.add("Sure thing.", episode="other")
    found = parts(memory, "lighthouse")
    own = np.add(found["dense"], found["lexical"])
    for i, text in enumerate(talk):
        around = sum(weight * own[j] for weight, far in ((1, 1), (0.5, 2)) for j in (i - far, i + far) if 0 <= j <= 5)
        assert found["context"][i] == pytest.approx(around * 30 / (30 + len(text.split())), rel=1e-4)
    assert found["context"][6] == 0.0  # alone in its episode


def test_longer_texts_say_more(open_memory: Open) -> None:
    memory = open_memory()
    memory.add("one two three four five six seven eight nine ten eleven twelve")
    memory.add("one")
    assert parts(memory, "one")["form"] == pytest.approx([0.5, 1 / 13])


def test_a_record_that_is_its_own_episode_counts_its_words_once(open_memory: Open) -> None:
    memory = open_memory()
    for text in ("green tea", "black coffee", "a boat"):
        memory.add(text)
    found = parts(memory, "green tea")
    assert found["session"] == pytest.approx(
        [(d + w) / 2 for d, w in zip(found["dense"], found["lexical"], strict=True)]
    )


def test_related_words_match_for_less(open_memory: Open) -> None:
    stem, weight = next((stem, weight) for stem, weight in related("judo") if weight > 0.3)
    memory = open_memory()
    for text in ("judo", stem, "harbour"):
        memory.add(text)
    same, near, other = Question("judo", memory.corpus).lexical
    assert same > near > other == 0
    assert near == pytest.approx(weight * same, rel=1e-4)


def test_the_pool_of_a_large_memory_holds_the_best_of_all(open_memory: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = open_memory()
    chance = np.random.default_rng(0)
    words = "tea boat Lisbon cup harbour rain king letter train music".split()
    memory.add_many([" ".join(chance.choice(words, 4)) + f" {n}" for n in range(300)])
    question = "Which tea came by boat to Lisbon?"
    whole = [hit.record.id for hit in memory.recall(question, k=3)]
    monkeypatch.setattr(hybrid, "_POOL", 100)
    pool = hybrid._pool(Question(question, memory.corpus), np.ones(300, bool), 100)
    assert 100 <= len(pool) < 300
    assert len(set(whole) & {hit.record.id for hit in memory.recall(question, k=3)}) >= 2


def test_a_filter_holds_whatever_the_score(open_memory: Open) -> None:
    memory = open_memory()
    memory.add("green tea", kind="fact")
    memory.add("green tea again")
    assert [hit.record.text for hit in memory.recall("green tea", where={"kind": "episode"})] == ["green tea again"]
    assert memory.recall("green tea", where={"kind": "skill"}) == []
