"""Levels of a derivative: what an activation function keeps of its input is in which of 2^bits intervals it lies.

For borders b_1 < b_2 < ... and levels l_0, l_1, ... the squared error is  sum_k int_k w(x) (f'(x) - l_k)^2 dx.
On an interval the best level is the mean of f' there, (f(b_{k+1}) - f(b_k)) / (b_{k+1} - b_k) when w = 1, and
the best borders on a grid follow by dynamic programming (Few-bit backward, Novikov et al., arXiv:2202.00441).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from mnemic.errors import InputError

REACH = 8.0  # beyond it the activations in use are straight lines
CELLS = 1200  # of the grid between -REACH and REACH
_FLAT = 0.05  # the most that f' may still change over the last unit before REACH

Function = Callable[[Tensor], Tensor]
_found: dict[tuple[bytes, int], Table] = {}  # tables by the values of f: constants, once they are worked out


@dataclass(frozen=True)
class Table:
    """borders [2^bits - 1] between the intervals, levels [2^bits], and the squared error over [-8, 8]."""

    borders: Tensor
    levels: Tensor
    error: float


def derivative_table(f: Function, bits: int, *, weight: np.ndarray | None = None) -> Table:
    """The best borders and levels for a function that maps every element by itself.

    bits     1 to 8
    weight   [1200] how often inputs fall into each cell of the grid (`histogram`); all alike when None
    """
    if not 1 <= bits <= 8:
        raise InputError(f"a derivative is kept in 1 to 8 bits, got {bits}.")
    places = torch.arange(CELLS + 1, dtype=torch.float64) - CELLS // 2
    grid = places * REACH / (CELLS // 2)  # 0 and 6, where slopes jump, lie on it exactly
    values = f(grid).detach().numpy()
    key = (values.tobytes() + (b"" if weight is None else weight.tobytes()), bits)
    if key not in _found:
        _found[key] = _solved(f, grid.numpy(), values, 2**bits, np.ones(CELLS) if weight is None else weight)
    return _found[key]


def histogram(x: Tensor) -> np.ndarray:
    """How many of some inputs lie in each cell of the grid: [1200], at least a little everywhere."""
    counts = np.histogram(x.detach().float().cpu().numpy(), CELLS, (-REACH, REACH))[0].astype(np.float64)
    weights: np.ndarray = counts / max(counts.sum(), 1) * CELLS + 1e-3
    return weights


def derivative(f: Function, x: Tensor) -> Tensor:
    """f'(x), element by element."""
    with torch.enable_grad():
        own = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(f(own).sum(), own)
    return slope


def _solved(f: Function, grid: np.ndarray, values: np.ndarray, count: int, weight: np.ndarray) -> Table:
    """Dynamic programming over the grid: best[k][j], the least error of [0, j] in k + 1 intervals."""
    squares, slopes, weights = _integrals(f, grid, values, weight)
    cost = _costs(squares, slopes, weights)
    best, cuts = cost[0], []
    for _ in range(count - 1):
        total = best[:, None] + cost  # [i j]: the last interval starts at i
        cuts.append(total.argmin(0))
        best = total.min(0)
    ends = [CELLS]
    for cut in reversed(cuts):
        ends.append(int(cut[ends[-1]]))
    edges = [0, *reversed(ends)]
    levels = [_level(slopes, weights, a, b) for a, b in pairwise(edges)]
    return Table(torch.tensor(grid[edges[1:-1]]), torch.tensor(levels, dtype=torch.float64), float(best[CELLS]))


def _integrals(f: Function, grid: np.ndarray, values: np.ndarray, weight: np.ndarray) -> list[np.ndarray]:
    """Integrals from the left end to every point of the grid: w f'^2, w f', w.

    f'^2 at two places inside of every cell (Gauss): f' may jump at a point of the grid, as Hard-Swish's does.
    """
    middle, step = (grid[1:] + grid[:-1]) / 2, 2 * REACH / CELLS
    inside = [derivative(f, torch.tensor(middle + side * step / 12**0.5)).numpy() for side in (-1, 1)]
    cell, ends = step * (inside[0] ** 2 + inside[1] ** 2) / 2, inside[0]
    if abs(ends[-1] - ends[-75]) > _FLAT or abs(ends[0] - ends[74]) > _FLAT:
        raise InputError("the derivative still changes at 8 or -8, so no table holds beyond: use bits=32 for this one.")
    return [np.concatenate([[0.0], np.cumsum(weight * each)]) for each in (cell, np.diff(values), np.full(CELLS, step))]


def _costs(squares: np.ndarray, slopes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[i j] error of one interval from i to j; infinite where it is not to the right."""
    square, slope, weight = (each[None, :] - each[:, None] for each in (squares, slopes, weights))
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = np.where(weight > 0, square - slope**2 / weight, 0.0)
    found: np.ndarray = np.where(np.tri(CELLS + 1, k=-1, dtype=bool), np.inf, np.maximum(cost, 0.0))
    return found


def _level(slopes: np.ndarray, weights: np.ndarray, a: int, b: int) -> float:
    return float((slopes[b] - slopes[a]) / (weights[b] - weights[a])) if b > a else 0.0
