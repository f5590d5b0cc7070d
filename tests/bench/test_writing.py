"""The benchmark of writers: by hand on a small talk, and the junk bar on a real one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mnemic import data
from mnemic.bench import writing
from mnemic.errors import BudgetError, InputError, NotFound
from mnemic.lm.doubles import HashEmbedder
from mnemic.memory import Memory
from mnemic.meter import Budget
from mnemic.record import Record
from mnemic.writers.facts import FactWriter

TALK = {
    "sample_id": "conv-1",
    "conversation": {
        "session_1_date_time": "1:56 pm on 8 May, 2023",
        "session_1": [
            {"speaker": "Ana", "dia_id": "D1:1", "text": "Hey Ben! How are you?"},
            {"speaker": "Ana", "dia_id": "D1:2", "text": "I moved to Lisbon last week."},
            {"speaker": "Ben", "dia_id": "D1:3", "text": "I adopted a cat called Misha yesterday!"},
        ],
    },
    "qa": [
        {"question": "Where does Ana live?", "answer": "Lisbon", "evidence": ["D1:2"], "category": 4},
        {"question": "What is Ben's cat called?", "answer": "Misha", "evidence": ["D1:3"], "category": 4},
        {"question": "What is nowhere?", "answer": "", "evidence": [], "category": 5},
    ],
}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnemic.data.read", lambda name, part="": json.dumps([TALK]).encode())


def test_all_methods_on_a_small_talk(small: None) -> None:
    rows = {row["method"]: row for row in writing.run()}
    assert list(rows) == list(writing.METHODS)
    assert [row["questions"] for row in rows.values()] == [2, 2, 2, 2]
    assert rows["verbatim"]["recall"] == rows["facts"]["recall"] == rows["facts alone"]["recall"] == 1.0
    assert (rows["facts"]["facts"], rows["facts"]["sound"]) == (2, 1.0)
    assert rows["first sentence"]["flaws"] == {"talk": 1, "vague": 2}  # "Hey Ben!" and two that say "I"
    assert all(0 < row["tokens"] <= 500 and row["bytes"] > 0 for row in rows.values())
    assert rows["facts"]["calls per 100 chunks"] == 0


def test_a_small_budget_holds(small: None) -> None:
    (row,) = writing.run(methods=["verbatim"], budget=Budget(40, "tokens"))
    assert row["tokens"] <= 40


def test_wrong_input_says_what_to_give(small: None) -> None:
    with pytest.raises(NotFound, match="there are verbatim, facts"):
        writing.run(methods=["fact"])
    with pytest.raises(BudgetError, match="500 tokens"):
        writing.run(budget=Budget(1, "bytes"))
    with pytest.raises(InputError, match="at least 1"):
        writing.run(limit=0)


@pytest.mark.parametrize(
    ("text", "object", "flaw"),
    [
        ("Ana lives in Lisbon.", "Lisbon", ""),
        ("Ana lives in Madrid.", "Madrid", "unsupported"),
        ("Ana moved it last week.", "it last week", "vague"),
        ("Ana is.", "is", "talk"),
    ],
)
def test_flaws_by_hand(text: str, object: str, flaw: str) -> None:
    with Memory(":memory:", embedder=HashEmbedder()) as memory:
        source = memory.add("I moved it to Lisbon last week. That is.", speaker="Ana", time="2026-05-03")
        about = {"subject": "Ana", "object": object}
        fact = Record("f", "default", "fact", text, metadata=about, derived_from=(source.id,))
        assert writing.flaw_of(fact, memory, [text]) == flaw
        assert writing.flaw_of(fact, memory, [text, text]) == (flaw or "twice")


def test_of_100_facts_of_a_real_talk_few_are_junk(data_path: Callable[..., Path]) -> None:
    data_path("locomo")
    sample: Any = json.loads(data.read("locomo"))[1]
    done = writing.Measured("facts")
    with Memory(":memory:", embedder=HashEmbedder(), writer=FactWriter()) as memory:
        talk = sample["conversation"]
        for n in range(1, 40):
            turns = talk.get(f"session_{n}", [])
            memory.add_many(
                [{"text": turn["text"], "speaker": turn["speaker"], "time": "2023-05-08"} for turn in turns]
            )
        writing._judge_all(list(memory.records({"kind": "fact"})), memory, done, seed=0)
    assert done.judged >= 70
    assert done.flaws.get("unsupported", 0) == 0
    assert sum(done.flaws.values()) <= 0.1 * done.judged
