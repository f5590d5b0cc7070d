"""The attention of a frozen layer, seen from outside: written down when tokens run, given to queries afterwards.

A layer's own forward runs in both cases, so that its norms, projections, residuals and feed-forward are used without
knowing their names or order. Only torch's scaled_dot_product_attention is listened to, in this thread alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from mnemic.errors import InputError


@dataclass(frozen=True)
class Attended:
    """What the tokens of a layer can be asked for by further rows.

    key, value   [b h t k], [b h t v]; h may be fewer heads than the queries have (grouped queries)
    visible      keys that are no padding: [b 1 1 t], True or False; None for all of them
    heads        of the queries
    """

    key: Tensor
    value: Tensor
    visible: Tensor | None
    heads: int
    scale: float | None

    def __call__(self, query: Tensor) -> Tensor:
        """[b a q k] -> [b a q v]: rows that see every key and are seen by none."""
        return functional.scaled_dot_product_attention(
            query, self.key, self.value, attn_mask=self.visible, scale=self.scale,
            enable_gqa=self.key.shape[1] != self.heads,
        )  # fmt: skip


Attend = Callable[[Tensor], Tensor]


class Listening(TorchFunctionMode):
    """While it is on, attention is written down in `seen`, unless that is None."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Attended] | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is functional.scaled_dot_product_attention and self.seen is not None:
            self.seen.append(attended(*args, **(kwargs or {})))
        return func(*args, **(kwargs or {}))


class Answering(TorchFunctionMode):
    """While it is on, the n-th attention that a layer computes is the n-th of `attends`: its own keys are not asked."""

    def __init__(self, attends: Sequence[Attend], heads: Sequence[int]) -> None:
        super().__init__()
        self.left = list(zip(attends, heads, strict=True))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not functional.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        attend, heads = self.left.pop(0)
        query: Tensor = args[0] if args else kwargs["query"]
        rows = query.reshape(len(query), heads, -1, query.shape[-1])  # [b a q k], also where heads came packed
        found = attend(rows)
        return found.reshape(*query.shape[:-1], found.shape[-1])


def attended(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Attended:  # fmt: skip
    """The arguments of an attention of tokens, as queries need them.

    A causal mask is left out on purpose: a query reads the whole prefix.
    """
    return Attended(key, value, _visible(attn_mask), query.shape[1], scale)


def _visible(mask: Tensor | None) -> Tensor | None:
    """A key is visible when some token sees it: [b 1 t t], boolean or additive -> [b 1 1 t]."""
    if mask is None:
        return None
    if mask.dtype != torch.bool:
        mask = _as_seen(mask)
    if mask.dim() != 4 or mask.shape[1] != 1:
        raise InputError(
            f"an attention mask of shape {list(mask.shape)} differs from head to head, and a query has no place among "
            "the tokens that would say what it sees: use a model whose mask is one for all heads."
        )
    return mask.any(-2, keepdim=True)


def _as_seen(mask: Tensor) -> Tensor:
    """An additive mask as True and False; anything between 0 and minus infinity is a bias that queries cannot have."""
    seen = mask == 0
    if not bool((seen | (mask <= torch.finfo(mask.dtype).min / 2)).all()):
        raise InputError(
            "the attention adds a bias to pairs of positions (relative positions, ALiBi), and a query has no position: "
            "use a model with absolute or rotary positions."
        )
    return seen


def jacobian(attended: Attended, query: Tensor) -> tuple[Tensor, Tensor]:
    """What rows attend to, and how it changes with them: (out [b a q v], d out / d query [b a q v k]).

    With p = softmax(s q K^T): out = p V and d out / d q = s (V^T diag(p) K - out (p K)^T), the covariance of values
    and keys under p. Its size does not depend on the number of tokens.
    """
    scale = attended.scale if attended.scale is not None else query.shape[-1] ** -0.5
    groups = attended.heads // attended.key.shape[1]
    wide = torch.promote_types(query.dtype, torch.float32)
    key, value = (each.to(wide).repeat_interleave(groups, 1) for each in (attended.key, attended.value))
    scores = scale * query.to(wide) @ key.transpose(-1, -2)  # [b a q t]
    if attended.visible is not None:
        scores = scores.masked_fill(~attended.visible, float("-inf"))
    share = scores.softmax(-1)
    out, centre = share @ value, share @ key  # [b a q v], [b a q k]
    weighed = share.unsqueeze(-1) * value.unsqueeze(2)  # [b a q t v]
    slope = weighed.transpose(-1, -2) @ key.unsqueeze(2)  # [b a q v k]
    slope = scale * (slope - out.unsqueeze(-1) * centre.unsqueeze(-2))
    return out.to(query.dtype), slope.to(query.dtype)


class Sloped(torch.autograd.Function):
    """An attention whose result and Jacobian are known already: (query, out, slope) -> out."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, out: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(slope)
        return out.view_as(out)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (slope,) = ctx.saved_tensors
        rows = gradient.to(slope.dtype).unsqueeze(-2) @ slope  # [b a q 1 v] [b a q v k]
        return rows.squeeze(-2).to(gradient.dtype), None, None
