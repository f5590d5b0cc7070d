"""The graph of three hand-made passages: which edges there are and what they weigh."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from mnemic.recall.packed import Codes, Floats, quantise
from mnemic.store.hipporag2 import synonyms
from mnemic.store.hipporag2.graph import TripleGraph
from mnemic.store.hipporag2.triples import normalise
from mnemic.store.hipporag2.vectors import Encode

WIDE = 32
SIMILAR = {"boat": ("boats", 0.9), "pi": ("pies", 0.85), "raft": ("boats", 0.7)}


def table(similar: dict[str, tuple[str, float]]) -> Encode:
    """An encoder by hand: each text has an axis of its own, some lean towards another text's by a cosine."""
    axis: dict[str, int] = {}

    def encode(texts: Sequence[str]) -> tuple[Codes, Floats]:
        vectors = np.zeros((len(texts), WIDE), np.float32)
        for row, text in enumerate(texts):
            near, cosine = similar.get(text, (text, 0.0))
            for name in (text, near):
                axis.setdefault(name, len(axis))
            vectors[row, axis[near]] = cosine
            vectors[row, axis[text]] = np.sqrt(1 - cosine**2)
        return quantise(vectors)

    return encode


@pytest.fixture
def graph() -> TripleGraph:
    made = TripleGraph(WIDE)
    made.add(
        {
            "#1": [["Ana", "founded", "Mar Alto"], ["Mar Alto", "builds", "boats"]],
            "#2": [["ANA", "founded", "Mar  Alto!"], ["boats", "are bigger than a", "boat"]],
            "#3": [["pies", "end in", "pi"], ["raft", "is no", "boat"], ["Ana", "left", "Mar Alto"]],
        },
        table(SIMILAR),
    )
    return made


def weights(graph: TripleGraph) -> dict[frozenset[str | None], float]:
    """Weight of every edge, by the names of its ends."""
    walk, names = graph.walk, [*graph.phrases.keys, *graph.passages.keys]
    leaves = np.repeat(np.arange(len(walk)), np.diff(walk.start))
    weight = walk.share * walk.degree[leaves]
    return {frozenset((names[v], names[to])): float(w) for v, to, w in zip(leaves, walk.to, weight, strict=True)}


def between(*names: str) -> frozenset[str | None]:
    return frozenset(names)


def test_a_phrase_hangs_on_its_passage_with_weight_one(graph: TripleGraph) -> None:
    context = {pair: weight for pair, weight in weights(graph).items() if any(n and n[0] == "#" for n in pair)}
    expected = {"#1": "ana, mar alto, boats", "#2": "ana, mar alto, boats, boat",
                "#3": "pies, pi, raft, boat, ana, mar alto"}  # fmt: skip
    assert context == {between(id, name): 1.0 for id, names in expected.items() for name in names.split(", ")}


def test_a_relation_counts_twice_for_each_passage_that_states_it(graph: TripleGraph) -> None:
    assert weights(graph)[between("ana", "mar alto")] == 6  # founded in #1 and #2, left in #3; from both ends
    assert weights(graph)[between("mar alto", "boats")] == 2
    assert weights(graph)[between("raft", "boat")] == 2


def test_a_synonym_takes_the_place_of_the_relation_from_each_end_that_looks(graph: TripleGraph) -> None:
    assert weights(graph)[between("boats", "boat")] == pytest.approx(0.9 + 0.9, abs=0.01)
    # "pi" is too short to look for synonyms: from its end the relation stays.
    assert weights(graph)[between("pies", "pi")] == pytest.approx(0.85 + 1, abs=0.01)


def test_below_the_threshold_there_is_no_synonym(graph: TripleGraph) -> None:
    assert between("raft", "boats") not in weights(graph)


def test_only_these_edges_are_there(graph: TripleGraph) -> None:
    phrases = {pair for pair in weights(graph) if not any(n and n[0] == "#" for n in pair)}
    assert phrases == {between("ana", "mar alto"), between("mar alto", "boats"), between("boats", "boat"),
                       between("pies", "pi"), between("raft", "boat")}  # fmt: skip


def test_spread_counts_passages_not_triples(graph: TripleGraph) -> None:
    spread = {name: int(graph.spread_of[slot]) for name, slot in graph.phrases.of.items()}
    assert spread == {"ana": 3, "mar alto": 3, "boats": 2, "boat": 2, "pies": 1, "pi": 1, "raft": 1}


def test_facts_are_distinct_and_normalised(graph: TripleGraph) -> None:
    assert len(graph.facts.of) == 6
    assert graph.triples()["#2"] == [("ana", "founded", "mar alto"), ("boats", "are bigger than a", "boat")]


@pytest.mark.parametrize(
    ("phrase", "plain"),
    [("The  Mar-Alto, Ltd.", "the mar alto ltd"), ("SETÚBAL", "setúbal"), ("東京 タワー", "東京 タワー"),
     ("snake_case", "snake case"), ("...", ""), ("3.5 km", "3 5 km")],
)  # fmt: skip
def test_normalised_by_hand(phrase: str, plain: str) -> None:
    assert normalise(phrase) == plain


def test_a_triple_without_an_end_is_no_fact() -> None:
    graph = TripleGraph(WIDE)
    graph.add({"#1": [["", "is", "boat"], ["boat", "is", "?!"], ["boat", "", "raft"]]}, table({}))
    assert graph.triples() == {"#1": [("boat", "", "raft")]}


def test_a_triple_about_itself_makes_no_loop() -> None:
    graph = TripleGraph(WIDE)
    graph.add({"#1": [["Ana", "is", "ana"]]}, table({}))
    assert weights(graph) == {between("#1", "ana"): 1.0}
    assert graph.spread_of.tolist() == [1]


def test_a_passage_without_triples_is_a_node_without_edges() -> None:
    graph = TripleGraph(WIDE)
    graph.add({"#1": []}, table({}))
    assert (len(graph), weights(graph), graph.everywhere(0.5).tolist()) == (1, {}, [0.5])


def test_a_phrase_keeps_its_nearest_synonyms_by_name_among_equals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synonyms, "NEIGHBOURS", 2)
    cosines = {"name1": 0.9, "name2": 0.999, "name3": 0.999, "name4": 0.999}
    graph = TripleGraph(WIDE)
    graph.add({"#1": [["name0", "r", "name4"], ["name3", "r", "name1"], ["name2", "r", "name0"]]},
              table({name: ("name0", cosine) for name, cosine in cosines.items()}))  # fmt: skip
    source, target, _ = graph.synonyms.edges(graph.phrases)
    found = {(graph.phrases.keys[a], graph.phrases.keys[b]) for a, b in zip(source, target, strict=True)}
    assert {b for a, b in found if a == "name0"} == {"name2", "name3"}
    assert len(found) == 5 * 2


def test_blocks_do_not_change_what_is_found(graph: TripleGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synonyms, "_BLOCK", (2, 3))
    again = TripleGraph(WIDE)
    again.add(graph.triples(), table(SIMILAR))
    assert weights(again) == pytest.approx(weights(graph))


def test_an_encoder_that_fails_leaves_the_graph_as_it_was(graph: TripleGraph) -> None:
    def broken(texts: Sequence[str]) -> tuple[Codes, Floats]:
        raise RuntimeError("the embedder is gone")

    before = (graph.triples(), weights(graph), dict(graph.phrases.of))
    with pytest.raises(RuntimeError):
        graph.add({"#9": [["new", "phrase", "here"]]}, broken)
    assert (graph.triples(), weights(graph), graph.phrases.of) == before


def test_the_encoder_is_asked_once_and_only_for_what_is_new(graph: TripleGraph) -> None:
    asked: list[Sequence[str]] = []
    encode: Callable[[Sequence[str]], tuple[Codes, Floats]] = table({})
    graph.add({"#4": [["Ana", "founded", "Mar Alto"], ["Ana", "met", "Ben"]]},
              lambda texts: (asked.append(texts), encode(texts))[1])  # type: ignore[func-returns-value]  # fmt: skip
    assert asked == [["ben", "('ana', 'met', 'ben')"]]
