"""From facts to scores: each step by hand, then the walk against the exact vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from mnemic.errors import InputError
from mnemic.lm.doubles import HashEmbedder
from mnemic.recall.packed import Codes, Floats, quantise
from mnemic.store.hipporag2.graph import TripleGraph
from mnemic.store.hipporag2.ppr import exact
from mnemic.store.hipporag2.ranking import Settings, candidates, minmax, reset_of, walked, weigh
from mnemic.store.hipporag2.triples import Triple
from mnemic.store.hipporag2.vectors import Encoder


def one(direction: int) -> Floats:
    vector = np.zeros(8, np.float32)
    vector[direction] = 1
    return vector


def leaning(cosines: dict[str, float]) -> Any:
    """An encoder that gives facts with these relations a cosine with axis 0, all else none."""

    def encode(texts: Sequence[str]) -> tuple[Codes, Floats]:
        vectors = np.zeros((len(texts), 8), np.float32)
        for row, text in enumerate(texts):
            cosine = next((value for relation, value in cosines.items() if f"'{relation}'" in text), 0.0)
            vectors[row, 0], vectors[row, 1 + len(text) % 7] = cosine, np.sqrt(1 - cosine**2)
        return quantise(vectors)

    return encode


@pytest.mark.parametrize(
    ("scores", "scaled"), [([2, 4, 3], [0, 1, 0.5]), ([5, 5], [1, 1]), ([7], [1]), ([], []), ([-1, 0], [0, 1])]
)
def test_minmax_by_hand(scores: list[float], scaled: list[float]) -> None:
    assert minmax(np.array(scores, np.float64)).tolist() == scaled


# ---- candidates


@pytest.fixture
def facts() -> TripleGraph:
    graph = TripleGraph(8)
    cosines = {"near": 1.0, "half": 0.5, "far": 0.2}
    graph.add({"#1": [["d", "half", "e"], ["a", "near", "b"]], "#2": [["c", "far", "d"], ["a", "half", "z"]]},
              leaning(cosines))  # fmt: skip
    return graph


def test_candidates_come_best_first_and_by_name_among_equals(facts: TripleGraph) -> None:
    found = candidates(facts, one(0), 5)
    assert [fact for fact, _ in found] == [("a", "near", "b"), ("a", "half", "z"), ("d", "half", "e"),
                                           ("c", "far", "d")]  # fmt: skip
    assert [score for _, score in found] == pytest.approx([1, 0.375, 0.375, 0], abs=0.01)  # (0.5 - 0.2) / (1 - 0.2)


def test_candidates_are_scaled_over_all_facts_not_over_those_that_are_kept(facts: TripleGraph) -> None:
    (near, one_), (half, scaled) = candidates(facts, one(0), 2)
    assert (near, half) == (("a", "near", "b"), ("a", "half", "z"))  # the tie at the cut too goes by name
    assert (one_, scaled) == pytest.approx((1, 0.375), abs=0.01)


def test_candidates_are_scaled_over_the_facts_that_are_still_there(facts: TripleGraph) -> None:
    facts.remove(["#2"])
    assert candidates(facts, one(0), 5) == [(("a", "near", "b"), 1.0), (("d", "half", "e"), 0.0)]


def test_no_facts_no_candidates(facts: TripleGraph) -> None:
    assert candidates(TripleGraph(8), one(0), 5) == []
    facts.remove(["#1", "#2"])  # slots stay, nobody is in them
    assert candidates(facts, one(0), 5) == []


# ---- weights of phrases


@pytest.fixture
def shared() -> TripleGraph:
    """ana stands in 2 passages, boat in 3, the others in 1."""
    graph = TripleGraph(64)
    stated = {"#1": [["ana", "owns", "boat"]], "#2": [["ana", "sold", "ferry"], ["mill", "is", "mill"]],
              "#3": [["boat", "is", "red"]], "#4": [["boat", "is", "old"]]}  # fmt: skip
    graph.add(stated, Encoder(HashEmbedder()))
    return graph


OWNS: Triple = ("ana", "owns", "boat")
SOLD: Triple = ("ana", "sold", "ferry")


def test_a_phrase_weighs_the_mean_of_its_facts_over_its_passages(shared: TripleGraph) -> None:
    # ana: (0.9 / 2 + 0.4 / 2) / 2 = 0.325; boat: 0.9 / 3 = 0.3; ferry: 0.4 / 1
    weights = weigh(shared, [(OWNS, 0.9), (SOLD, 0.4)], 5)
    assert weights == pytest.approx({"ferry": 0.4, "ana": 0.325, "boat": 0.3})


def test_only_the_heaviest_phrases_stay(shared: TripleGraph) -> None:
    assert list(weigh(shared, [(OWNS, 0.9), (SOLD, 0.4)], 2)) == ["ferry", "ana"]
    assert list(weigh(shared, [(("boat", "is", "red"), 0.0), (("boat", "is", "old"), 0.0)], 2)) == ["boat", "old"]


def test_a_fact_about_itself_counts_once_and_what_is_gone_not_at_all(shared: TripleGraph) -> None:
    kept = [(("mill", "is", "mill"), 0.5), (("mill", "has", "boat"), 0.1), (("gone", "is", "boat"), 0.5)]
    assert weigh(shared, kept, 5) == pytest.approx({"mill": (0.5 + 0.1) / 2, "boat": (0.1 + 0.5) / 2 / 3})
    assert weigh(shared, [], 5) == {}


def test_the_reset_vector_by_hand(shared: TripleGraph) -> None:
    reset = reset_of(shared, {"ana": 0.3}, np.array([1.0, 0.5, 0.0, 0.2]), 0.05)
    expected = np.zeros(len(shared))
    expected[shared.phrases.of["ana"]] = 0.3
    expected[-4:] = [0.05, 0.025, 0.0, 0.01]
    assert reset == pytest.approx(expected)


# ---- the walk


def random_graph(rng: np.random.Generator, passages: int) -> TripleGraph:
    """Passages with two triples each over 40 phrases; some came and went."""
    names = [f"n{n} w{n}" for n in range(40)]
    stated = {f"#{n}": [[names[rng.integers(40)], "r", names[rng.integers(40)]] for _ in range(2)]
              for n in range(passages)}  # fmt: skip
    graph = TripleGraph(64)
    graph.add(stated, Encoder(HashEmbedder()))
    graph.remove([f"#{n}" for n in range(0, passages, 7)])
    return graph


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("settings", [Settings(), Settings(damping=0.85, epsilon=1e-3), Settings(passage_weight=1)])
def test_walked_is_the_exact_vector_of_the_whole_reset_within_the_bound(seed: int, settings: Settings) -> None:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, 60)
    dense = rng.uniform(0, 1, len(graph.passages)) * graph.passages.live
    seeds = {phrase: float(rng.uniform()) for phrase in list(graph.phrases.of)[:4]}
    scores, touched = walked(graph, seeds, dense, settings)
    whole = exact(graph.walk, reset_of(graph, seeds, dense, settings.passage_weight), settings.damping)
    assert (np.abs(scores - whole) <= settings.epsilon * graph.walk.degree + 1e-9).all()
    assert touched > 0


def scattered(texts: Sequence[str]) -> tuple[Codes, Floats]:
    """Random vectors: nobody is anybody's synonym."""
    vectors = np.random.default_rng(0).normal(size=(len(texts), 64)).astype(np.float32)
    return quantise(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def test_far_passages_do_not_cost_edges() -> None:
    """Each further passage is as similar as most and speaks of something else: none of its edges is looked at."""
    touched = {}
    for far in (100, 2000):
        graph = TripleGraph(64)
        near = {"#a": [["ana", "owns", "boat"]], "#b": [["boat", "is in", "harbour"]]}
        graph.add(near | {f"#{n}": [[f"w{n}", "r", f"v{n}"]] for n in range(far)}, scattered)
        dense = np.full(len(graph.passages), 0.3)
        touched[far] = walked(graph, {"ana": 1.0}, dense, Settings())[1]
    assert 0 < touched[100] == touched[2000] < 200


def test_a_passage_that_follows_from_the_seed_gets_more_than_one_that_does_not(shared: TripleGraph) -> None:
    scores, _ = walked(shared, {"ferry": 1.0}, np.zeros(4), Settings())
    of = {id: scores[len(shared.phrases) + slot] for id, slot in shared.passages.of.items()}
    assert of["#2"] > of["#1"] > of["#3"] > 0
    assert of["#3"] == pytest.approx(of["#4"], abs=1e-4)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"damping": 1.0}, "the paper's is 0.5"), ({"damping": -0.1}, "probability"), ({"passage_weight": 0}, "above 0"),
     ({"linked": 0}, "at least 1"), ({"epsilon": 0.0}, "epsilon above 0")],
)  # fmt: skip
def test_settings_say_what_fits(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        Settings(**wrong)
