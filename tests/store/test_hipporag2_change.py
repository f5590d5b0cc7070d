"""Passages come and go: after any sequence the graph is the one that would be built of what is left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.lm.doubles import HashEmbedder
from mnemic.store.hipporag2.graph import TripleGraph
from mnemic.store.hipporag2.vectors import Encoder

Stated = dict[str, list[Sequence[str]]]

# Some share their stems, so that they are synonyms; "x" is too short to look for any.
PHRASES = ["red boat", "red boats", "Red Boating", "Ana", "Ana Duarte", "x", "old red boat of Ana", "harbour", ""]
triples = st.tuples(st.sampled_from(PHRASES), st.sampled_from(["owns", "is"]), st.sampled_from(PHRASES))
ids = st.sampled_from("#1 #2 #3 #4 #5".split())
steps = st.lists(
    st.one_of(
        st.dictionaries(ids, st.lists(triples, max_size=4), min_size=1, max_size=3),  # add, or replace
        st.sets(ids, min_size=1),  # remove, unknown ids too
    ),
    max_size=8,
)


def built(stated: Stated, dimensions: int = 64) -> TripleGraph:
    graph = TripleGraph(dimensions)
    graph.add(stated, Encoder(HashEmbedder(dimensions)))
    return graph


def by_name(graph: TripleGraph) -> dict[str, Any]:
    """All that can be seen of a graph, without slots; numbers to nine digits."""
    walk, names = graph.walk, [*graph.phrases.keys, *graph.passages.keys]
    leaves = np.repeat(np.arange(len(walk)), np.diff(walk.start))
    edges = zip(leaves, walk.to, walk.share, strict=True)
    synonyms = list(zip(graph.synonyms.a, graph.synonyms.b, graph.synonyms.cosine, strict=True))
    return {
        "triples": {id: sorted(facts) for id, facts in graph.triples().items()},
        "spread": {name: int(graph.spread_of[slot]) for name, slot in graph.phrases.of.items()},
        "edges": {(names[v], names[to]): round(float(share), 9) for v, to, share in edges},
        "synonyms": {frozenset((names[a], names[b])): round(float(cosine), 9) for a, b, cosine in synonyms},
        "synonym pairs": len(synonyms),
        "everywhere": {name: round(float(mass), 9) for name, mass in zip(names, graph.everywhere(0.5), strict=True)
                       if name is not None},
    }  # fmt: skip


@given(steps)
def test_adding_and_removing_equals_a_rebuild(steps: Iterable[Stated | set[str]]) -> None:
    graph, stated, encode = TripleGraph(64), dict[str, Any](), Encoder(HashEmbedder())
    for step in steps:
        graph.remove(step)  # as an update does: what is added again goes first
        stated = {id: facts for id, facts in stated.items() if id not in step}
        if isinstance(step, dict):
            graph.add(step, encode)
            stated |= step
        _ = graph.walk, graph.spread_of, graph.everywhere(0.5)  # what was worked out lazily must not outlive a change
    assert by_name(graph) == by_name(built(stated))


@pytest.fixture
def graph() -> TripleGraph:
    return built({"#1": [["Ana", "owns", "red boat"], ["Ana", "is", "sailor"]],
                  "#2": [["Ana", "owns", "red boat"]],
                  "#3": [["Ben", "owns", "harbour"]]})  # fmt: skip


def test_what_another_passage_supports_survives(graph: TripleGraph) -> None:
    graph.remove(["#1"])
    assert graph.triples() == {"#2": [("ana", "owns", "red boat")], "#3": [("ben", "owns", "harbour")]}
    assert set(graph.phrases.of) == {"ana", "red boat", "ben", "harbour"}
    assert graph.spread_of[graph.phrases.of["ana"]] == 1


def test_what_nothing_supports_goes(graph: TripleGraph) -> None:
    graph.remove(["#1", "#2"])
    assert set(graph.phrases.of) == {"ben", "harbour"}
    assert set(graph.facts.of) == {("ben", "owns", "harbour")}


def test_freed_slots_are_given_away_again(graph: TripleGraph) -> None:
    sizes = len(graph.phrases), len(graph.facts), len(graph.passages)
    graph.remove(["#3"])
    graph.add({"#4": [["Caro", "sold", "ferry"]]}, Encoder(HashEmbedder()))
    assert (len(graph.phrases), len(graph.facts), len(graph.passages)) == sizes
    assert graph.triples()["#4"] == [("caro", "sold", "ferry")]


def test_vectors_of_what_went_are_overwritten_at_once(graph: TripleGraph) -> None:
    gone = [graph.phrases.of["ben"], graph.phrases.of["harbour"]]
    fact = graph.facts.of["ben", "owns", "harbour"]
    assert graph.phrases.codes[gone].any()
    graph.remove(["#3"])
    assert not graph.phrases.codes[gone].any()
    assert not graph.phrases.scale[gone].any()
    assert not graph.facts.codes[fact].any()
    assert [graph.phrases.keys[slot] for slot in gone] == [None, None]
    assert graph.facts.keys[fact] is None


def test_removing_what_is_not_here_changes_nothing(graph: TripleGraph) -> None:
    before = by_name(graph)
    graph.remove(["#7", "ana"])
    graph.remove([])
    assert by_name(graph) == before


def test_all_may_go_and_come_back(graph: TripleGraph) -> None:
    before, stated = by_name(graph), graph.triples()
    graph.remove(["#1", "#2", "#3", "#3"])
    assert (graph.triples(), len(graph.synonyms.a), graph.phrases.of) == ({}, 0, {})
    graph.add(stated, Encoder(HashEmbedder()))
    assert by_name(graph) == before
