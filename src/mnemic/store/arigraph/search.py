"""Search in the memory graph: facts by walking over similar ones, observations by the facts they stand behind."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from mnemic.store.arigraph.graph import Episode
from mnemic.store.arigraph.triplets import Triplet
from mnemic.store.arigraph.vectors import VectorCache


def semantic(queries: Mapping[str, int], triplets: Sequence[Triplet], vectors: VectorCache, *, top: int,
             tau: float) -> dict[Triplet, float]:  # fmt: skip
    """Facts near the queries and near what these name: breadth-first over similarity, not over equal names.

    queries   entity -> depth: 1 looks up the entity, 2 also the ends of what was found
    top, tau  how many facts a look-up finds, and how near they must be
    returns   fact -> its best similarity, best first
    """
    table = vectors.rows([str(each) for each in triplets])  # [n d]
    found: dict[Triplet, float] = {}
    for entity, depth in queries.items():
        queue, distance = deque([entity]), {entity: 0}
        while queue:
            name = queue.popleft()
            if distance[name] >= depth:
                continue
            scores = table @ vectors.rows([name])[0]  # [n]
            for row in np.argsort(-scores, kind="stable")[:top].tolist():
                if scores[row] < tau:
                    break
                triplet = triplets[row]
                for end in (triplet.subject, triplet.object):
                    if end not in distance:
                        distance[end] = distance[name] + 1
                        queue.append(end)
                found[triplet] = max(found.get(triplet, 0.0), float(scores[row]))
    return dict(sorted(found.items(), key=lambda each: -each[1]))


def match_term(facts: Sequence[Triplet], subgraph: Collection[Triplet]) -> float:
    """n/N * log N: the share of an observation's N facts that were retrieved; log so that short ones do not win."""
    number = max(len(facts), 1)
    return sum(each in subgraph for each in facts) / number * math.log(number)


def episodic(plan: str, subgraph: Collection[Triplet], episodes: Sequence[Episode],
             vectors: VectorCache) -> list[float]:  # fmt: skip
    """The score of every observation: match and similarity to the plan, each divided by its highest, added."""
    match = _scaled([match_term(each.triplets, subgraph) for each in episodes])
    like = _scaled(vectors.scores(plan, [each.text for each in episodes]).tolist() if plan else [0.0] * len(episodes))
    return [a + b for a, b in zip(match, like, strict=True)]


def _scaled(values: Sequence[float]) -> list[float]:
    """Divided by the highest; as they are when none is above zero."""
    highest = max(values, default=0.0)
    return [value / highest for value in values] if highest > 0 else [0.0] * len(values)
