"""Personalised PageRank on a weighted undirected graph: the exact vector, and one by push that looks only where
the mass is.

Axes     n nodes, e directed edges (each undirected one twice)

The vector is pi = (1 - a) (I - a W D^-1)^-1 r with reset r and a = damping, the probability of following an
edge. r is taken as it is: pi grows with it, and for signed r too (pi is linear in r). A node without edges
keeps (1 - a) r, which after division by the sum is what igraph's prpack gives (its dangling nodes restart).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Mass = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

_EXACT = 1e-10  # share of the mass that may be left when the power iteration stops


@dataclass(frozen=True)
class Walk:
    """A random walk: which way, and how likely.

    start   edges of node v are start[v] <= e < start[v + 1], [n + 1]
    to      where an edge leads, [e]
    share   weight of an edge / degree of the node it leaves, [e]
    degree  sum of the weights at a node, [n]
    """

    start: Index
    to: npt.NDArray[np.int32]
    share: Mass
    degree: Mass

    @classmethod
    def of(cls, n: int, a: Index, b: Index, weight: Mass) -> Walk:
        """From undirected edges a - b; parallel edges add up, loops are left out."""
        real = a != b
        a, b, weight = a[real], b[real], weight[real]
        keys, place = np.unique(np.concatenate([a * n + b, b * n + a]), return_inverse=True)  # sorted by node
        weights = np.bincount(place, np.concatenate([weight, weight]), len(keys))  # [e]
        leaves = keys // max(n, 1)
        degree = np.bincount(leaves, weights, n).astype(np.float64)
        start = np.searchsorted(leaves, np.arange(n + 1)).astype(np.int64)
        return cls(start, (keys % max(n, 1)).astype(np.int32), weights / degree[leaves], degree)

    def __len__(self) -> int:
        return len(self.degree)

    def step(self, mass: Mass) -> Mass:
        """All mass follows one edge: W D^-1 mass, [n] -> [n]."""
        along = np.repeat(mass, np.diff(self.start)) * self.share  # [e]
        return np.bincount(self.to, along, len(self)).astype(np.float64)


@dataclass(frozen=True)
class Pushed:
    """The result of `push`.

    scores   [n]; |scores - exact| <= epsilon * degree at every node
    touched  edges that were looked at
    """

    scores: Mass
    touched: int


def exact(walk: Walk, reset: Mass, damping: float) -> Mass:
    """The vector by power iteration: mass that keeps walking is followed until 1e-10 of it is left.

    The slow version, in which one line is the equation: pi = (1 - a) sum_t a^t (W D^-1)^t r.
    """
    walking = (1 - damping) * reset
    total, goal = walking.copy(), _EXACT * np.abs(walking).sum()
    while np.abs(walking).sum() > goal:
        walking = damping * walk.step(walking)
        total += walking
    return total


def push(walk: Walk, reset: Mass, damping: float, epsilon: float) -> Pushed:
    """The vector within epsilon * degree at every node, in time that follows the mass (Andersen, Chung, Lang 2006).

    Residual mass waits at nodes. A node whose residual exceeds epsilon * degree keeps 1 - a of it and passes the
    rest on. All such nodes push at once, so that a sweep is a few array operations. What is left over at the end
    is off by sum_v residual_v pi_v(u) <= epsilon * degree_u, because degree_v pi_v(u) = degree_u pi_u(v).
    """
    scores, residual = np.zeros(len(walk)), reset.astype(np.float64)
    bar = np.where(walk.degree > 0, epsilon * walk.degree, np.inf)  # a node without edges has nowhere to push
    touched = 0
    while len(active := np.flatnonzero(np.abs(residual) > bar)):
        mass = residual[active]
        scores[active] += (1 - damping) * mass
        residual[active] = 0.0
        count = walk.start[active + 1] - walk.start[active]
        ends = np.cumsum(count)
        edges = np.repeat(walk.start[active] - ends + count, count) + np.arange(ends[-1])
        moved = damping * np.repeat(mass, count) * walk.share[edges]
        residual += np.bincount(walk.to[edges], moved, len(walk))
        touched += len(edges)
    return Pushed(scores + (1 - damping) * residual, touched)  # the rest stays where it waits: closer than nothing
