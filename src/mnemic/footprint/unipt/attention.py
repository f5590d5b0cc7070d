"""The parallel interaction: attention without parameters, rows of ReLU scores that sum to one.

    S_i = A F_i^T, 0 in the columns of padding
    W_i = ReLU(S_i) / (row sums + eps), + I
    G   = sum_i w_i W_i F_i

Written plainly this keeps 2 n scores of t x t for backward, and n products. Here it keeps A, the F_i and w; scores
are computed again on the way back, some rows at a time. Nothing of size t x t outlives a block of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

EPS = 1e-8  # a row whose scores are all negative stays zero: then only the identity is left


@dataclass(frozen=True)
class Manner:
    """How queries look at targets.

    identity   + I: each query also gets the target at its own place (as many targets as queries)
    causal     no query sees a later target
    rows       queries at a time
    """

    identity: bool = True
    causal: bool = False
    rows: int = 256


def mixed(
    anchor: Tensor, targets: Sequence[Tensor], weights: Tensor, masks: Sequence[Tensor | None], manner: Manner
) -> Tensor:  # fmt: skip
    """G, the sum over targets of weight x what the anchor's rows find there, in float32 at least.

    anchor    A [b k m], the queries
    targets   n of F_i [b t m]
    weights   w [b 1 n], or one per query [b k n]
    masks     n of [b t], 0 is padding
    returns   [b k m]
    """
    apply: Any = _Mixed.apply
    out: Tensor = apply(manner, masks, anchor, weights, *targets)
    return out


def normalized(queries: Tensor, target: Tensor, mask: Tensor | None, first: int, causal: bool) -> tuple[Tensor, Tensor]:
    """Rows of ReLU scores over their sum, without I, and the sums: [b k t], [b k 1].

    first   place of the first query, for causal attention
    """
    scores = queries @ target.mT  # [b k t]
    if mask is not None:
        scores = scores * mask.to(scores.dtype).unsqueeze(1)
    if causal:
        scores = scores.tril(first)
    positive = scores.relu_()
    sums = positive.sum(-1, keepdim=True) + EPS  # [b k 1]
    return positive.div_(sums), sums


class _Mixed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, manner: Manner, masks: Sequence[Tensor | None], anchor: Tensor, weights: Tensor, *targets: Tensor
    ) -> Tensor:  # fmt: skip
        ctx.manner, ctx.masks = manner, masks
        ctx.save_for_backward(anchor, weights, *targets)
        queries, gates, features = _precise(anchor, weights, targets)
        out = torch.zeros_like(queries)
        with torch.autocast(anchor.device.type, enabled=False):
            for n, (target, mask) in enumerate(zip(features, masks, strict=True)):
                for block in _blocks(queries.shape[1], manner.rows):
                    found, _ = normalized(queries[:, block], target, mask, block.start, manner.causal)
                    read = found @ target  # [b k m]
                    if manner.identity:
                        read += target[:, block]
                    out[:, block] += _gate(gates, block, n) * read
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        with torch.autocast(grad.device.type, enabled=False):
            return _Mixed._backward(ctx, grad)

    @staticmethod
    def _backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        anchor, weights, *targets = ctx.saved_tensors
        queries, gates, features = _precise(anchor, weights, targets)
        d_anchor, d_gates = torch.zeros_like(queries), torch.zeros_like(gates)
        d_targets = []
        for n, (target, mask) in enumerate(zip(features, ctx.masks, strict=True)):
            d_target = torch.zeros_like(target)
            for block in _blocks(queries.shape[1], ctx.manner.rows):
                found, sums = normalized(queries[:, block], target, mask, block.start, ctx.manner.causal)
                read = found @ target
                d_read = _gate(gates, block, n) * grad[:, block]  # [b k m]
                if ctx.manner.identity:
                    read += target[:, block]
                    d_target[:, block] += d_read
                d_target += found.mT @ d_read
                d_found = d_read @ target.mT  # [b k t]
                d_found -= (d_found * found).sum(-1, keepdim=True)
                d_scores = d_found.div_(sums).mul_(found > 0)
                d_anchor[:, block] += d_scores @ target
                d_target += d_scores.mT @ queries[:, block]
                _add_gate(d_gates, block, n, (grad[:, block] * read).sum(-1))
            d_targets.append(d_target.to(targets[n].dtype))
        return None, None, d_anchor.to(anchor.dtype), d_gates.to(weights.dtype), *d_targets


def _precise(anchor: Tensor, weights: Tensor, targets: Sequence[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
    """All in float32 at least: sums of a row in 16 bits lose what they normalize."""
    dtype = torch.promote_types(anchor.dtype, torch.float32)
    return anchor.to(dtype), weights.to(dtype), [target.to(dtype) for target in targets]


def _blocks(queries: int, rows: int) -> list[slice]:
    return [slice(start, min(start + rows, queries)) for start in range(0, queries, rows)]


def _gate(gates: Tensor, block: slice, n: int) -> Tensor:
    """[b 1 1] or [b k 1]"""
    return gates[:, :, n : n + 1] if gates.shape[1] == 1 else gates[:, block, n : n + 1]


def _add_gate(d_gates: Tensor, block: slice, n: int, found: Tensor) -> None:
    """found [b k], to the one weight of a sample or to those of its queries."""
    if d_gates.shape[1] == 1:
        d_gates[:, 0, n] += found.sum(1)
    else:
        d_gates[:, block, n] += found
