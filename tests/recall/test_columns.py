"""Columns kept up with the log say what columns made anew say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic.lm.doubles import HashEmbedder
from mnemic.memory import Memory
from mnemic.recall import columns
from mnemic.recall.columns import Columns

WORDS = ("tea", "boat", "Lisbon", "a green cup?", "who came?")
change = st.tuples(
    st.sampled_from(["add", "add", "add", "update", "move", "forget", "undo", "erase", "refresh"]),
    st.integers(0, 30),
    st.sampled_from(WORDS),
    st.sampled_from([None, "one", "two"]),
    st.sampled_from([None, "Ana", "Ben"]),
)


def told(made: Columns) -> dict[int, Any]:
    """What the columns say of each live record, whatever its row."""
    ends = np.flatnonzero(made.alive)

    def name(row: int) -> int | None:
        return int(made.n[row]) if row >= 0 else None

    said = {}
    for row in ends:
        windows = slice(int(made.first[row]), int(made.first[row]) + int(made.count[row]))
        speaker = made.speakers[made.speaker[row]] if made.speaker[row] >= 0 else None
        mates = {int(made.n[other]) for other in ends if made.episode[other] == made.episode[row]}
        said[int(made.n[row])] = (
            name(int(made.before[row])), name(int(made.after[row])), speaker, float(made.length[row]),
            int(made.asks[row]), None if np.isnan(made.time[row]) else float(made.time[row]), frozenset(mates),
            made.codes[windows].tolist(), made.scale[windows].tolist(),
        )  # fmt: skip
    return said


def apply(memory: Memory, step: tuple[str, int, str, str | None, str | None], n: int) -> None:
    what, which, word, episode, speaker = step
    records = list(memory.records())
    chosen = records[which % len(records)] if records else None
    if what == "add":
        memory.add(f"{word} {n}", episode=episode, speaker=speaker, time=f"2026-05-{1 + n % 28:02}")
    elif what == "undo" and memory.position:
        newest = next(iter(memory.log(last=1)))
        if newest.kind in ("insert", "update", "delete"):
            memory.undo(newest)
    elif chosen is not None and what == "update":
        memory.update(chosen.id, text=f"{word} changed {n}")
    elif chosen is not None and what == "forget":
        memory.forget(chosen.id)
    elif chosen is not None and what == "erase":
        memory.erase(chosen.id)


@settings(max_examples=60)
@given(steps=st.lists(change, max_size=25))
def test_kept_up_equals_made_anew(steps: list[Any]) -> None:
    with Memory(":memory:", embedder=HashEmbedder(16), retriever="dense") as memory:
        kept = Columns(memory.store, memory.space, 16)
        for n, step in enumerate(steps):
            apply(memory, step, n)
            if step[0] == "refresh":
                kept.refresh()
        kept.refresh()
        anew = Columns(memory.store, memory.space, 16)
        anew.refresh()
        assert told(kept) == told(anew)
        ns = np.array(sorted(told(anew)), np.int64)
        assert kept.n[kept.rows_of(ns)].tolist() == ns.tolist()


def test_a_long_way_behind_it_loads_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_PATCH", 3)
    with Memory(":memory:", embedder=HashEmbedder(16), retriever="dense") as memory:
        first = memory.add("tea")
        kept = Columns(memory.store, memory.space, 16)
        kept.refresh()
        memory.add_many([f"boat {n}" for n in range(5)])
        memory.forget(first.id)
        assert kept.refresh()
        assert kept.size == 5  # no dead row: all was read anew
        assert not kept.refresh()


def test_neighbours_of_an_episode() -> None:
    with Memory(":memory:", embedder=HashEmbedder(16), retriever="dense") as memory:
        a, _, c = (memory.add(f"turn {n}", episode="talk") for n in range(3))
        memory.add("alone")
        corpus = memory.corpus
        assert corpus.before.tolist() == [-1, 0, 1, -1]
        assert corpus.after.tolist() == [1, 2, -1, -1]
        assert corpus.order.tolist() == [0, 1, 2, 0]
        memory.forget(next(r.id for r in memory.records() if r.text == "turn 1"))
        corpus = memory.corpus
        assert [corpus.ids[row] for row in (0, int(corpus.after[0]))] == [a.id, c.id]
