"""Attention with low-rank projections (LRMHA), and attention over a projected length (Linformer)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mnemic.errors import InputError
from mnemic.footprint.greenformers.units import LED


class LowRankAttention(nn.Module):
    """nn.MultiheadAttention whose four projections are LED units; called in the same way."""

    in_proj_bias = None  # tells nn.TransformerEncoderLayer that its fused path does not apply
    in_proj_weight = None
    _qkv_same_embed_dim = True

    def __init__(self, projections: Sequence[LED], heads: int, dropout: float, batch_first: bool) -> None:
        super().__init__()
        self.q, self.k, self.v, self.out_proj = projections
        self.embed_dim, self.num_heads = self.q.in_features, heads
        self.dropout, self.batch_first = dropout, batch_first

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None,
        need_weights: bool = True, attn_mask: Tensor | None = None, average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        if query.dim() == 2:
            raise InputError("factorised attention takes batches [b n d]: add a dimension with unsqueeze.")
        if not self.batch_first:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        q, k, v = (split(project(x), self.num_heads)
                   for project, x in ((self.q, query), (self.k, key), (self.v, value)))  # [b h n d/h]  # fmt: skip
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + self._mask(q, attn_mask, key_padding_mask)
        weights = scores.softmax(-1)  # [b h n m]
        mixed = functional.dropout(weights, self.dropout, self.training) @ v  # [b h n d/h]
        result = self.out_proj(mixed.transpose(1, 2).flatten(2))  # [b n d]
        result = result if self.batch_first else result.transpose(0, 1)
        return result, (weights.mean(1) if average_attn_weights else weights) if need_weights else None

    def _mask(self, q: Tensor, attn_mask: Tensor | None, padding: Tensor | None) -> Tensor:
        """What is added to the scores, from torch's two masks: True, or minus infinity, is left out."""
        total = q.new_zeros(())
        if attn_mask is not None:
            attn_mask = attn_mask.reshape(q.shape[0], -1, *attn_mask.shape[1:]) if attn_mask.dim() == 3 else attn_mask
            total = total + _added(attn_mask, q)
        if padding is not None:
            total = total + _added(padding[:, None, None], q)
        return total


def _added(mask: Tensor, like: Tensor) -> Tensor:
    if mask.dtype != torch.bool:
        return mask.to(like.dtype)
    return torch.zeros_like(mask, dtype=like.dtype).masked_fill(mask, float("-inf"))


def split(x: Tensor, heads: int) -> Tensor:
    """[b n d] -> [b h n d/h]"""
    return x.reshape(*x.shape[:-1], heads, x.shape[-1] // heads).transpose(1, 2)


class LinformerAttention(nn.Module):
    """softmax(Q (P_K K)^T / sqrt(d/h)) P_V V: the length n of keys and values becomes k (Wang et al., 2020).

    max_length    n at most: the projection has a column for each place
    k             projected length; per_head: an own projection for each head
    share         P_K = P_V
    materialise   keep the scores as a matrix instead of torch's fused attention
    """

    def __init__(
        self, width: int, heads: int, max_length: int, k: int, *, per_head: bool = False, share: bool = False,
        materialise: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        if not 0 < k <= max_length:
            raise InputError(f"k is {k}: choose between 1 and max_length = {max_length}.")
        self.heads, self.max_length, self.materialise = heads, max_length, materialise
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))
        shape = (heads if per_head else 1, k, max_length)
        self.project_k = nn.Parameter(torch.randn(shape) / math.sqrt(max_length))
        self.project_v = self.project_k if share else nn.Parameter(torch.randn(shape) / math.sqrt(max_length))

    def forward(self, x: Tensor, mask: Tensor | None = None, *, is_causal: bool = False) -> Tensor:
        """x [b n d] -> [b n d]; mask [b n], 0 for padding."""
        n = x.shape[1]
        if is_causal:
            raise InputError("Linformer mixes all places before it attends, so it cannot be causal: use dense or LRT.")
        if n > self.max_length:
            raise InputError(f"{n} tokens are more than max_length = {self.max_length}: build it for longer inputs.")
        q, k, v = (split(project(x), self.heads) for project in (self.q, self.k, self.v))  # [b h n d/h]
        if mask is not None:
            k, v = (each * mask[:, None, :, None].to(each.dtype) for each in (k, v))  # padding must not be mixed in
        k, v = self.project_k[..., :n] @ k, self.project_v[..., :n] @ v  # [b h k d/h]
        mixed = attend(q, k, v, materialise=self.materialise)  # [b h n d/h]
        result: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return result


def attend(q: Tensor, k: Tensor, v: Tensor, *, materialise: bool, mask: Any = None) -> Tensor:
    """Scaled dot products; the matrix of scores exists only when it is materialised."""
    if not materialise:
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    return (scores if mask is None else scores + mask).softmax(-1) @ v
