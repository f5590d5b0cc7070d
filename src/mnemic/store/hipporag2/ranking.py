"""From a question to scores of passages: link to facts, weigh their phrases, let the mass walk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mnemic.errors import InputError
from mnemic.recall.packed import Floats, cosines
from mnemic.store.hipporag2.graph import TripleGraph
from mnemic.store.hipporag2.ppr import Mass, push
from mnemic.store.hipporag2.triples import Triple, spoken

Scored = tuple[Triple, float]


@dataclass(frozen=True)
class Settings:
    """The paper's numbers, and how exact the walk is.

    damping         probability of following an edge; 1 - damping is the restart
    passage_weight  reset mass of a passage: this times its normalised similarity
    linked          facts that a question is linked to, and phrases that get reset mass
    epsilon         a score may be off by epsilon x the node's degree, before normalising: about 0.1 % for a
                    passage among the first ten on MuSiQue
    """

    damping: float = 0.5
    passage_weight: float = 0.05
    linked: int = 5
    epsilon: float = 3e-5

    def __post_init__(self) -> None:
        if not 0 <= self.damping < 1:
            raise InputError(f"damping is {self.damping}: give a probability from 0 to below 1, the paper's is 0.5.")
        if self.passage_weight <= 0:
            raise InputError(f"passage_weight is {self.passage_weight}: give a number above 0, the paper's is 0.05.")
        if self.linked < 1 or self.epsilon <= 0:
            raise InputError("linked must be at least 1 and epsilon above 0: leave them out for 5 and 3e-5.")


def minmax(scores: npt.NDArray[np.floating]) -> Mass:
    """Scaled to 0..1; equal scores all become 1."""
    if not len(scores):
        return np.zeros(0)
    low, high = float(scores.min()), float(scores.max())
    return np.ones(len(scores)) if high == low else (scores.astype(np.float64) - low) / (high - low)


def candidates(graph: TripleGraph, vector: Floats, linked: int) -> list[Scored]:
    """The facts nearest to a question's vector [d], best first, scores scaled over all facts."""
    slots = np.flatnonzero(graph.facts.live)
    if not len(slots):
        return []
    scores = minmax(cosines(graph.facts.codes, graph.facts.scale, vector)[slots])  # [f]
    k = min(linked, len(slots))
    worst = np.partition(scores, -k)[-k]
    near = [(graph.facts.keys[slots[row]], float(scores[row])) for row in np.flatnonzero(scores >= worst)]
    named = [(fact, score) for fact, score in near if fact is not None]
    return sorted(named, key=lambda pair: (-pair[1], spoken(pair[0])))[:k]  # by name among equals


def weigh(graph: TripleGraph, kept: Sequence[Scored], linked: int) -> dict[str, float]:
    """Reset mass of phrases: the mean over kept facts of score / number of passages with the phrase.

    The `linked` heaviest stay. The division is node specificity: what stands everywhere says little.
    """
    shares: dict[str, list[float]] = {}
    for (subject, _, object), score in kept:
        for phrase in dict.fromkeys((subject, object)):
            if phrase in graph.phrases.of:  # it may have been deleted while a model was filtering
                spread = max(int(graph.spread_of[graph.phrases.of[phrase]]), 1)
                shares.setdefault(phrase, []).append(score / spread)
    weights = {phrase: sum(found) / len(found) for phrase, found in shares.items()}
    return dict(sorted(weights.items(), key=lambda item: (-item[1], item[0]))[:linked])


def reset_of(graph: TripleGraph, seeds: Mapping[str, float], dense: Mass, passage_weight: float) -> Mass:
    """The reset vector [nodes]: seed phrases, and every passage by its similarity (dense [passage slots])."""
    reset = np.concatenate([np.zeros(len(graph.phrases)), passage_weight * dense])
    for phrase, weight in seeds.items():
        reset[graph.phrases.of[phrase]] = weight
    return reset


def walked(graph: TripleGraph, seeds: Mapping[str, float], dense: Mass, settings: Settings) -> tuple[Mass, int]:
    """Scores of all nodes for a reset of seeds and passages, and how many edges were looked at.

    Every passage has reset mass, so a plain push would have to start everywhere. By linearity the middle of it
    is taken out: what a mass of `middle` at every passage does is the same for all questions and known
    exactly; only what differs from it is pushed, and most passages hardly differ.
    """
    live = graph.passages.live
    middle = settings.passage_weight * float(np.median(dense[live])) if live.any() else 0.0
    reset = reset_of(graph, seeds, dense, settings.passage_weight)
    reset[len(graph.phrases) :][live] -= middle
    pushed = push(graph.walk, reset, settings.damping, settings.epsilon)
    return pushed.scores + middle * graph.everywhere(settings.damping), pushed.touched
