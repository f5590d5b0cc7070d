"""BM25 against values worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.memory import Memory
from mnemic.recall import lexical
from mnemic.recall.lexical import affordable, bm25, idf, saturated

Open = Callable[..., Memory]


def test_idf_by_hand() -> None:
    assert idf(1, 3) == pytest.approx(log(1 + 2.5 / 1.5))
    assert idf(3, 3) == pytest.approx(log(1 + 0.5 / 3.5))  # in all of them, and still above 0
    assert idf(9, 3) == idf(3, 3)  # a count over all spaces


def test_saturation_by_hand() -> None:
    one = np.ones(2, np.float32)
    assert saturated(np.array([1, 2], np.float32), one).tolist() == pytest.approx([1.0, 2 * 2.2 / 3.2])
    assert saturated(one, np.array([0.0, 2.0], np.float32)).tolist() == pytest.approx([2.2 / 1.3, 2.2 / 3.1])


@given(count=st.integers(1, 500), length=st.floats(0.01, 50))
def test_more_is_worth_more_and_never_more_than_k1_and_one(count: int, length: float) -> None:
    worth = saturated(np.array([count, count + 1], np.float32), np.full(2, length, np.float32))
    assert 0 < worth[0] <= worth[1] <= lexical.K1 + 1 + 1e-5


def test_scores_of_a_small_memory(open_memory: Open) -> None:
    memory = open_memory("lexical")
    for text in ("green tea", "green green cups stand here", "nothing of it"):
        memory.add(text)
    mean = (2 + 5 + 3) / 3
    rows, scores = bm25(memory.corpus, ["green", "tea"])
    worth = [tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * length / mean)) for tf, length in ((1, 2), (2, 5))]
    rare, common = log(1 + 2.5 / 1.5), log(1 + 1.5 / 2.5)
    assert rows.tolist() == [0, 1]
    assert scores.tolist() == pytest.approx([common * worth[0] + rare * worth[0], common * worth[1]], rel=1e-5)
    hits = memory.recall("green tea")
    assert [hit.record.text for hit in hits] == ["green tea", "green green cups stand here"]
    assert hits[0].score == pytest.approx(float(scores[0]))


def test_a_word_that_nothing_holds_finds_nothing(open_memory: Open) -> None:
    memory = open_memory("lexical")
    memory.add("green tea")
    assert memory.recall("submarine") == []


def test_frequent_words_are_left_out_when_reading_them_takes_long(
    open_memory: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = open_memory("lexical")
    memory.add_many([f"tea number {n}" for n in range(20)])
    assert affordable(memory.corpus, ["tea", "7", "ghost"]) == ["7", "tea"]
    monkeypatch.setattr(lexical, "READ", 10)
    assert affordable(memory.corpus, ["tea", "7", "ghost"]) == ["7"]
    assert affordable(memory.corpus, ["tea"]) == ["tea"]  # one is always read
