"""Generated worlds: after facts have changed and ended, recall says what holds now, and nothing else."""

from __future__ import annotations

import random

import pytest

from mnemic.bench.revision import KINDS, RULES, Question, World, answer, run
from mnemic.errors import NotFound
from mnemic.lm.doubles import HashEmbedder
from mnemic.record import Hit, Record


@pytest.mark.parametrize("seed", range(3))
def test_what_follows_is_right_after_every_change(seed: int) -> None:
    (row,) = run(methods=["revision"], seed=seed, embedder=HashEmbedder(256))
    assert {kind: row[kind] for kind in KINDS if kind in row and row[kind] < 0.95} == {}


def test_without_derivers_what_followed_is_lost() -> None:
    (row,) = run(methods=["stale marks"], embedder=HashEmbedder(256))
    assert row["direct"] >= 0.95
    assert row["1 step"] == row["2 steps"] == 0


def test_appending_answers_with_the_past() -> None:
    (row,) = run(methods=["append"], embedder=HashEmbedder(256))
    assert row["absent"] == 0
    assert row["untouched"] >= 0.95


def test_the_truth_of_a_world_by_hand() -> None:
    world = World(
        [{"Ana": "Acme"}, {"Acme": "Lisbon"}, {"Lisbon": "South"}, {"South": "Portugal"}, {"Portugal": "euro"}]
    )
    assert [world.answer("Ana", depth) for depth in range(5)] == ["Acme", "Lisbon", "South", "Portugal", "euro"]
    assert world.touched(2, "Lisbon") == ["Ana"]
    del world.layers[1]["Acme"]
    assert [world.answer("Ana", depth) for depth in range(3)] == ["Acme", None, None]
    assert len(RULES) == 4


def test_names_differ_and_links_lead_somewhere() -> None:
    world = World.made(24, random.Random(0))
    for layer, below in zip(world.layers, world.layers[1:], strict=False):
        assert set(layer.values()) <= set(below)


def hit(text: str, **fields: str) -> Hit:
    return Hit(Record("1", "default", "fact", text, **fields), 1.0, {}, text)


def test_the_reader_by_hand() -> None:
    question = Question("Ana", "works at", "", None, "absent")
    past = hit("Ana works at Acme.", time="2020", until="2021")
    assert answer(question, [past, hit("Ana works at Bolt.", time="2019")]) is None
    assert answer(question, [past, hit("Ana works at Bolt.", time="2022")], newest=True) == "Bolt"
    assert answer(question, [hit("Ben works at Acme.")]) is None
    assert answer(question, [hit("Ana works at Acme.", stale="forgotten")]) is None


def test_unknown_methods_are_named() -> None:
    with pytest.raises(NotFound, match="append, newest"):
        run(methods=["guessing"])
