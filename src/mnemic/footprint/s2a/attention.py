"""Attention as one operation: softmax(q k^T s + mask) v, kept as q, k, v and p in few bits.

Where a block runs with prompts in front of its tokens, their outputs are replaced in the next block: their queries
ask nothing, no gradient comes to their rows, and their keys and values are the same for the whole batch.

Axes   b batch, h heads, g heads of keys and values, n queries, m keys, e channels of a head
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

from mnemic.footprint.s2a.functions import Op
from mnemic.footprint.s2a.packing import Kept, in_codes, in_groups, in_rows, save, saved

_CHUNK = 1 << 24  # probabilities that lie unpacked at once: 64 MB of float32


@dataclass(frozen=True)
class Call:
    """What one attention is called with besides q, k, v.

    mask      bool (True: look) or added to the scores; [b|1 h|1 n m] without the columns of prompts; None: see all
    causal    no query sees a later key
    prompts   leading keys that everybody sees, and leading queries that ask nothing
    """

    mask: Tensor | None
    scale: float
    causal: bool = False
    prompts: int = 0
    dropout: float = 0.0

    def visible(self, n: int, m: int, device: Any) -> Tensor | None:
        """The mask with the columns of prompts; n and m count without them."""
        mask = self.mask
        if mask is None and self.causal:
            mask = torch.ones(n, m, dtype=torch.bool, device=device).tril(m - n)[None, None]
        if mask is None or not self.prompts:
            return mask
        return functional.pad(mask, (self.prompts, 0), value=1 if mask.dtype == torch.bool else 0.0)


class Attend(Function):
    """Forward exact; backward from packed q, k, v, p:

    dv = p^T do, dp = do v^T, ds = p (dp - sum(dp p)), dq = s ds k, dk = s ds^T q.
    q [b h n e], k v [b g m e] -> [b h n e]; the mask is not kept, p holds its zeros.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, call: Call, op: Op) -> Tensor:
        asking = q[:, :, call.prompts :]
        mask = call.visible(asking.shape[2], k.shape[2] - call.prompts, q.device)
        out, kept = torch.empty_like(asking, memory_format=torch.contiguous_format), []
        for rows in _chunks(asking, k):
            p = probabilities(asking[rows], k[rows], call.scale, _of(mask, rows))
            kept.append(in_rows(p, op.bits))
            if call.dropout:
                chosen = torch.rand_like(p) >= call.dropout
                kept.append(in_codes(chosen.to(torch.uint8), 1))
                p = p * chosen / (1 - call.dropout)
            out[rows] = p @ _repeated(v[rows], q.shape[1])
        op.note(sum(each.nbytes for each in kept))
        ctx.scale, ctx.dropout, ctx.prompts = call.scale, call.dropout, call.prompts
        save(ctx, *kept, _heads(q, call.prompts, op), *(_keys(each, call, op) for each in (k, v)))
        return functional.pad(out, (0, 0, call.prompts, 0))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        do = grads[0][:, :, ctx.prompts :]
        *kept, q, k, v = saved(ctx)
        full_q, full_k, full_v = (each.value().transpose(1, 2) for each in (q, k, v))
        dq, dk, dv = (torch.empty_like(each) for each in (full_q, full_k, full_v))
        parts = iter(kept)
        for rows in _chunks(full_q, full_k):
            p = next(parts).value()
            chosen = next(parts).value().to(p.dtype) / (1 - ctx.dropout) if ctx.dropout else None
            heads, groups = p.shape[1], full_k.shape[1]
            dv[rows] = _summed((p if chosen is None else p * chosen).mT @ do[rows], groups)
            dp = do[rows] @ _repeated(full_v[rows], heads).mT
            dp = dp if chosen is None else dp * chosen
            ds = p * (dp - (dp * p).sum(-1, keepdim=True)) * ctx.scale
            dq[rows] = ds @ _repeated(full_k[rows], heads)
            dk[rows] = _summed(ds.mT @ full_q[rows], groups)
        return functional.pad(dq, (0, 0, ctx.prompts, 0)), dk, dv, None, None


def probabilities(q: Tensor, k: Tensor, scale: float, mask: Tensor | None) -> Tensor:
    """[b h n m]; a query that sees nothing sees everything alike, and no NaN comes out."""
    scores = q @ _repeated(k, q.shape[1]).mT * scale
    if mask is not None and mask.dtype == torch.bool:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    elif mask is not None:
        scores = scores + mask.to(scores.dtype)
    wide = torch.promote_types(scores.dtype, torch.float32)
    return scores.softmax(-1, dtype=wide).to(q.dtype)


def _of(mask: Tensor | None, rows: slice) -> Tensor | None:
    return mask if mask is None or mask.shape[0] == 1 else mask[rows]


def _chunks(q: Tensor, k: Tensor) -> Iterator[slice]:
    """Parts of the batch whose probabilities fit."""
    size = max(1, _CHUNK // (q.shape[1] * q.shape[2] * k.shape[2]))
    for start in range(0, len(q), size):
        yield slice(start, start + size)


def _repeated(k: Tensor, heads: int) -> Tensor:
    """Keys or values for every head: [b g m e] -> [b h m e]."""
    return k if k.shape[1] == heads else k.repeat_interleave(heads // k.shape[1], 1)


def _summed(dk: Tensor, groups: int) -> Tensor:
    """[b h m e] -> [b g m e]: the gradients of heads that share their keys."""
    return dk if dk.shape[1] == groups else dk.view(len(dk), groups, -1, *dk.shape[2:]).sum(2)


def _heads(q: Tensor, skip: int, op: Op) -> Kept:
    """Packed as [b n h e], so that groups run along the channels of a token."""
    return op.keep(q, ("heads", skip), lambda: in_groups(q[:, :, skip:].transpose(1, 2), op.bits))


def _keys(k: Tensor, call: Call, op: Op) -> Kept:
    """Packed as [b m g e]; the rows of prompts once for the batch, unless dropout made them differ."""
    if not call.prompts or call.dropout:
        return _heads(k, 0, op)

    def parts() -> Kept:
        first, rest = (each.transpose(1, 2) for each in (k[:1, :, : call.prompts], k[:, :, call.prompts :]))
        kept = [in_groups(first, op.bits), in_groups(rest, op.bits)]
        restore = partial(_joined, count=len(kept[0].tensors), first=kept[0].restore, rest=kept[1].restore)
        return Kept((*kept[0].tensors, *kept[1].tensors), restore)

    return op.keep(k, ("keys", call.prompts), parts)


def _joined(*tensors: Tensor, count: int, first: Any, rest: Any) -> Tensor:
    others = rest(*tensors[count:])
    return torch.cat([first(*tensors[:count]).expand(len(others), -1, -1, -1), others], 1)
