"""A matrix W [out in] as a product D [out r] E [r in]."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mnemic.errors import InputError

SOLVERS = ("random", "svd", "balanced", "nmf", "snmf")
_FULL = 4096  # up to this size all singular values are worked out: seconds on a CPU; above, a sketch
_DAMPING = 1e-6  # of the mean variance: inputs that never occur would make the covariance singular


def factors(
    weight: Tensor, rank: int, solver: str = "svd", *, num_iter: int = 10, seed: int = 0,
    covariance: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(D, E) in the type and on the device of W; worked out in float32.

    solver       random: as new layers start; svd: least squared error, all singular values in E; balanced: their
                 roots on both sides; nmf: D, E >= 0 for W >= 0; snmf: D >= 0
    num_iter     of nmf and snmf; power iterations of the sketch of a large matrix
    covariance   [in in] of the inputs: svd and balanced then have the least error of W x, not of W
    """
    if solver not in SOLVERS:
        raise InputError(f'"{solver}" is no solver: use {", ".join(SOLVERS)}.')
    if covariance is not None and solver not in ("svd", "balanced"):
        raise InputError(f"the solver {solver} cannot look at inputs: use svd or balanced with data.")
    wide = weight.detach().to(torch.float64 if weight.dtype == torch.float64 else torch.float32)
    with torch.no_grad():
        if solver in ("svd", "balanced"):
            decoder, encoder = _svd(wide, rank, solver == "balanced", num_iter, seed, covariance)
        elif solver == "random":
            decoder, encoder = _random(wide, rank, seed)
        else:
            decoder, encoder = _nmf(wide, rank, num_iter, seed, signed=solver == "snmf")
    return decoder.to(weight.dtype).contiguous(), encoder.to(weight.dtype).contiguous()


def _svd(
    weight: Tensor, rank: int, balanced: bool, num_iter: int, seed: int, covariance: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Eckart-Young. With inputs x of covariance C = L L^T: |(W - D E) x|^2 = |(W - D E) L|^2, so W L is cut."""
    root = None if covariance is None else triangular(covariance.to(weight))
    u, s, v = singular(weight if root is None else weight @ root, rank, num_iter, seed)  # [out r], [r], [in r]
    left, right = (s.sqrt(), s.sqrt()) if balanced else (torch.ones_like(s), s)
    encoder = right[:, None] * v.T
    if root is not None:
        encoder = torch.linalg.solve_triangular(root, encoder, upper=False, left=False)  # E L^-1
    return u * left, encoder


def singular(weight: Tensor, rank: int, num_iter: int = 10, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """The first `rank` of U, S, V."""
    if max(weight.shape) <= _FULL:
        u, s, vh = torch.linalg.svd(weight, full_matrices=False)
        return u[:, :rank], s[:rank], vh[:rank].T
    with torch.random.fork_rng():  # the sketch draws from the global generator
        torch.manual_seed(seed)
        wider = min(rank + 16, *weight.shape)  # a few more columns than asked for make the last ones good
        u, s, v = torch.svd_lowrank(weight, q=wider, niter=num_iter)
    return u[:, :rank], s[:rank], v[:, :rank]


def triangular(covariance: Tensor) -> Tensor:
    """L with C = L L^T, lower triangular."""
    mean = covariance.diagonal().mean().clamp(min=1e-12)
    root: Tensor = torch.linalg.cholesky(covariance + _DAMPING * mean * torch.eye(len(covariance)).to(covariance))
    return root


def _random(weight: Tensor, rank: int, seed: int) -> tuple[Tensor, Tensor]:
    """As torch starts a Linear: uniform within 1 / sqrt(inputs)."""
    own = torch.Generator().manual_seed(seed)
    encoder = torch.rand(rank, weight.shape[1], generator=own) * 2 - 1
    decoder = torch.rand(weight.shape[0], rank, generator=own) * 2 - 1
    return decoder.to(weight) / math.sqrt(rank), encoder.to(weight) / math.sqrt(weight.shape[1])


def _nmf(weight: Tensor, rank: int, num_iter: int, seed: int, *, signed: bool) -> tuple[Tensor, Tensor]:
    """Multiplicative updates: Lee and Seung; with signs in one factor, Ding, Li and Jordan's semi-NMF."""
    if not signed and bool((weight < 0).any()):
        raise InputError("nmf needs weights that are not negative: use snmf, which lets one factor have signs.")
    x, tiny = weight.T, 1e-9  # [in out] ~ A [in r] B [r out], B >= 0
    own = torch.Generator().manual_seed(seed)
    a, b = (torch.rand(size, generator=own).to(x) + 0.1 for size in ((x.shape[0], rank), (rank, x.shape[1])))
    for _ in range(num_iter):
        if signed:
            a = x @ torch.linalg.pinv(b)
            ax, aa = a.T @ x, a.T @ a
            up, down = ax.clamp(min=0) + (-aa).clamp(min=0) @ b, (-ax).clamp(min=0) + aa.clamp(min=0) @ b
            b = b * ((up + tiny) / (down + tiny)).sqrt()
        else:
            a = a * (x @ b.T) / (a @ b @ b.T + tiny)
            b = b * (a.T @ x) / (a.T @ a @ b + tiny)
    if signed:
        a = x @ torch.linalg.pinv(b)  # the best A for the last B
    return b.T, a.T
