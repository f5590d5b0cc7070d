"""Finding facts by walking over similar ones, and observations by their facts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.lm.doubles import HashEmbedder
from mnemic.seams import Vectors
from mnemic.store.arigraph import Episode, Triplet
from mnemic.store.arigraph.search import episodic, match_term, semantic
from mnemic.store.arigraph.vectors import VectorCache

T = Triplet
OPENS, STANDS, CAT = T("key", "unlocks", "red locker"), T("red locker", "is in", "attic"), T("cat", "is in", "hall")


class Table:
    """An embedder that is a table, so that every similarity is known."""

    name, dimensions, window = "table", 3, 100

    def __init__(self, table: dict[str, Sequence[float]]) -> None:
        self.table, self.asked = table, list[str]()

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked += texts
        return np.array([self.table.get(text, (0, 0, 0)) for text in texts], np.float32).reshape(-1, 3)

    def windows(self, text: str) -> list[tuple[int, int]]:
        return [(0, len(text))]

    def count(self, text: str) -> int:
        return 1


TABLE = {
    "key": (1, 0, 0), str(OPENS): (0.8, 0.5, 0), "red locker": (0, 1, 0), str(STANDS): (0.1, 0.6, 0),
    str(CAT): (0, 0, 1), "plan": (0, 0, 1),
}  # fmt: skip


def looked(queries: dict[str, int], *, top: int = 6, tau: float = 0.4) -> dict[Triplet, float]:
    return semantic(queries, [OPENS, STANDS, CAT], VectorCache(Table(TABLE)), top=top, tau=tau)


def test_depth_two_follows_what_was_found() -> None:
    assert looked({"key": 1}) == pytest.approx({OPENS: 0.8})
    # at depth 2 "red locker" is looked up too: its facts are near it by 0.5 and 0.6
    assert looked({"key": 2}) == pytest.approx({OPENS: 0.8, STANDS: 0.6})
    assert list(looked({"key": 2, "red locker": 1})) == [OPENS, STANDS]  # best first


def test_a_look_up_finds_at_most_so_many_and_only_near_ones() -> None:
    assert list(looked({"red locker": 1}, top=1)) == [STANDS]
    assert looked({"red locker": 1}, tau=0.61) == {}
    assert looked({"red locker": 1}, tau=0.55) == pytest.approx({STANDS: 0.6})
    assert looked({}) == looked({"key": 0}) == {}
    assert semantic({"key": 2}, [], VectorCache(Table(TABLE)), top=6, tau=0.4) == {}


def slow(
    queries: dict[str, int], triplets: Sequence[Triplet], vectors: VectorCache, top: int, tau: float
) -> set[Triplet]:
    """The method as it is written down, a set and a queue."""
    result = set()
    for entity, depth in queries.items():
        queue, dist = [entity], {entity: 0}
        while queue:
            x = queue.pop(0)
            if dist[x] >= depth:
                continue
            scored = [(float(vectors.scores(x, [str(each)])[0]), each) for each in triplets]
            for s, triplet in sorted(scored, key=lambda pair: -pair[0])[:top]:
                if s < tau:
                    continue
                for v in (triplet[0], triplet[2]):
                    if v not in dist:
                        dist[v] = dist[x] + 1
                        queue.append(v)
                result.add(triplet)
    return result


names = st.sampled_from(["key", "box", "hall", "red locker", "cat"])


@given(st.lists(st.builds(T, names, st.sampled_from(["is in", "likes"]), names), max_size=12, unique=True),
       st.dictionaries(names, st.integers(0, 3), max_size=3))  # fmt: skip
def test_the_search_is_the_one_that_is_written_down(triplets: list[Triplet], queries: dict[str, int]) -> None:
    vectors = VectorCache(HashEmbedder(dimensions=32))
    found = semantic(queries, triplets, vectors, top=len(triplets) or 1, tau=0.41)
    assert set(found) == slow(queries, triplets, vectors, len(triplets) or 1, 0.41)


def test_the_match_term_by_hand() -> None:
    four = [OPENS, STANDS, CAT, T("a", "b", "c")]
    assert match_term(four, {OPENS, CAT}) == pytest.approx(2 / 4 * math.log(4))
    assert match_term([OPENS], {OPENS}) == 0  # a short observation cannot win
    assert match_term([], {OPENS}) == 0


def test_the_two_terms_are_scaled_and_added() -> None:
    episodes = [Episode("seen a", (OPENS, STANDS)), Episode("seen b", (OPENS, STANDS, CAT)), Episode("plan", (CAT,))]
    vectors = VectorCache(Table(TABLE | {"seen a": (0, 0, 0.5)}))
    # match: 1/2 log 2 = .347, 1/3 log 3 = .366, 0 -> .946, 1, 0; plan: .5, 0, 1
    scores = episodic("plan", {OPENS}, episodes, vectors)
    assert scores == pytest.approx([0.5 * math.log(2) / (math.log(3) / 3) + 0.5, 1.0, 1.0])
    assert episodic("plan", set(), episodes, vectors) == pytest.approx([0.5, 0, 1])  # only the plan ranks
    assert episodic("", set(), episodes, vectors) == [0, 0, 0]
    assert episodic("plan", {OPENS}, [], vectors) == []


def test_a_text_is_embedded_once() -> None:
    table = Table(TABLE)
    vectors = VectorCache(table)
    texts = [f"text {n}" for n in range(200)]  # more than the table starts with
    first = vectors.rows(texts)
    assert (vectors.rows(texts[::-1])[::-1] == first).all()
    vectors.scores("key", [*texts, "key"])
    assert len(table.asked) == len(set(table.asked)) == 201 == len(vectors)
