"""Personalised PageRank: the push against the exact vector, the exact one against linear algebra and igraph."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.store.hipporag2.ppr import Mass, Walk, exact, push

Edges = list[tuple[int, int, float]]
NODES = 12


def walk_of(n: int, edges: Edges) -> Walk:
    a, b, weight = (np.array(column) for column in zip(*edges, strict=True)) if edges else (np.zeros(0),) * 3
    return Walk.of(n, a.astype(np.int64), b.astype(np.int64), weight.astype(np.float64))


def solved(n: int, edges: Edges, reset: Mass, damping: float) -> Mass:
    """The equation itself, dense: (I - a W D^-1) pi = (1 - a) r."""
    weights = np.zeros((n, n))
    for a, b, weight in edges:
        if a != b:
            weights[a, b] += weight
            weights[b, a] += weight
    degree = weights.sum(0)
    step = weights / np.where(degree > 0, degree, 1)  # a column without edges stays zero
    solution: Mass = np.linalg.solve(np.eye(n) - damping * step, (1 - damping) * reset)
    return solution


edges_of = st.lists(
    st.tuples(st.integers(0, NODES - 1), st.integers(0, NODES - 1), st.floats(0.1, 9)), max_size=30
)  # few edges leave nodes without any, repeated ones are parallel, a == b are loops
resets = st.lists(st.floats(-2, 2), min_size=NODES, max_size=NODES).map(np.array)
dampings = st.floats(0, 0.95)


def test_two_nodes_by_hand() -> None:
    # Half of the mass stays, half crosses: 1/2 + 1/8 + 1/32 + ... = 2/3 at the start, 1/3 at the other end.
    walk = walk_of(2, [(0, 1, 7.0)])
    assert exact(walk, np.array([1.0, 0.0]), 0.5) == pytest.approx([2 / 3, 1 / 3])
    assert push(walk, np.array([1.0, 0.0]), 0.5, 1e-9).scores == pytest.approx([2 / 3, 1 / 3])


def test_parallel_edges_add_up_and_loops_are_left_out() -> None:
    walk = walk_of(4, [(0, 1, 1.0), (1, 0, 2.0), (0, 2, 3.0), (2, 2, 50.0)])
    assert walk.degree.tolist() == [6.0, 3.0, 3.0, 0.0]
    assert walk.to.tolist() == [1, 2, 0, 0]
    assert walk.share.tolist() == [0.5, 0.5, 1.0, 1.0]
    assert walk.start.tolist() == [0, 2, 3, 4, 4]


def test_a_node_without_edges_keeps_what_it_was_given() -> None:
    walk, reset = walk_of(3, [(0, 1, 1.0)]), np.array([0.0, 0.0, 0.4])
    assert exact(walk, reset, 0.75).tolist() == [0.0, 0.0, 0.1]
    pushed = push(walk, reset, 0.75, 1e-6)
    assert (pushed.scores.tolist(), pushed.touched) == ([0.0, 0.0, 0.1], 0)


@pytest.mark.parametrize("damping", [0.0, 0.5])
def test_a_graph_of_nothing(damping: float) -> None:
    walk = walk_of(0, [])
    assert len(exact(walk, np.zeros(0), damping)) == len(push(walk, np.zeros(0), damping, 1e-5).scores) == 0


@given(edges_of, resets, dampings)
def test_the_power_iteration_solves_the_equation(edges: Edges, reset: Mass, damping: float) -> None:
    found = exact(walk_of(NODES, edges), reset, damping)
    assert found == pytest.approx(solved(NODES, edges, reset, damping), abs=1e-7)


@given(edges_of, resets, dampings, st.sampled_from([0.1, 1e-2, 1e-4]))
def test_the_push_is_within_epsilon_times_degree(edges: Edges, reset: Mass, damping: float, epsilon: float) -> None:
    walk = walk_of(NODES, edges)
    error = np.abs(push(walk, reset, damping, epsilon).scores - solved(NODES, edges, reset, damping))
    assert (error <= epsilon * walk.degree + 1e-9).all()


@given(edges_of, resets, dampings)
def test_mass_is_kept_where_every_node_has_an_edge(edges: Edges, reset: Mass, damping: float) -> None:
    ring = [(v, (v + 1) % NODES, 1.0) for v in range(NODES)]
    walk = walk_of(NODES, [*edges, *ring])
    lost = abs(push(walk, reset, damping, 1e-6).scores.sum() - reset.sum())
    assert lost <= 1e-6 * walk.degree.sum() + 1e-9  # what still waits at nodes, at most epsilon x degree each


def test_the_push_leaves_its_reset_alone() -> None:
    reset = np.array([1.0, 0.0])
    push(walk_of(2, [(0, 1, 1.0)]), reset, 0.5, 1e-6)
    assert reset.tolist() == [1.0, 0.0]


def wheel(spokes: int, far: int) -> Walk:
    """A hub with spokes and, one edge from it, a long path of `far` nodes."""
    near = [(0, v, 1.0) for v in range(1, spokes + 1)]
    path = [(v, v + 1, 1.0) for v in range(spokes, spokes + far)]
    return walk_of(spokes + far + 1, [*near, *path])


def test_the_cost_does_not_grow_with_what_lies_far_away() -> None:
    touched = {}
    for far in (100, 100_000):
        walk = wheel(20, far)
        reset = np.zeros(len(walk))
        reset[0] = 1.0
        touched[far] = push(walk, reset, 0.5, 1e-5).touched
    assert 0 < touched[100] == touched[100_000] < 2000


def test_a_finer_epsilon_touches_more() -> None:
    walk, reset = wheel(20, 100), np.zeros(121)
    reset[0] = 1.0
    counts = [push(walk, reset, 0.5, epsilon).touched for epsilon in (1e-2, 1e-4, 1e-6)]
    assert counts == sorted(set(counts))


@pytest.mark.parametrize("seed", range(5))
def test_igraphs_prpack_gives_the_same(seed: int) -> None:
    igraph = pytest.importorskip("igraph", reason="igraph is not installed: its prpack is compared with where it is")
    rng = np.random.default_rng(seed)
    n, m = 60, 90  # sparse enough to leave some nodes without edges
    a, b = rng.integers(0, n, m), rng.integers(0, n, m)
    a, b = a[a != b], b[a != b]
    weight, reset = rng.uniform(0.5, 3, len(a)), rng.uniform(0, 1, n) * (rng.uniform(size=n) < 0.3)
    graph = igraph.Graph(n, list(zip(a.tolist(), b.tolist(), strict=True)))
    theirs: npt.NDArray[np.float64] = np.array(
        graph.personalized_pagerank(damping=0.5, reset=reset.tolist(), weights=weight.tolist(), directed=False,
                                    implementation="prpack")  # parallel edges and nodes without any stay in
    )  # fmt: skip
    ours = exact(Walk.of(n, a, b, weight), reset, 0.5)
    assert ours / ours.sum() == pytest.approx(theirs, abs=1e-8)
