"""Activations whose backward keeps one bit per element, packed eight to a byte."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Rule = Callable[[Tensor], Tensor]  # what went into the activation -> bool of the same shape: where the gradient passes


def pack(bits: Tensor) -> Tensor:
    """bool of any shape -> uint8 [ceil(n / 8)], the first element in the lowest bit; the end is padded with zeros."""
    flat = bits.reshape(-1)
    if flat.numel() % 8:
        flat = torch.cat([flat, flat.new_zeros(8 - flat.numel() % 8)])
    eights = flat.view(torch.uint8).view(-1, 8)  # a bool is a byte that is 0 or 1
    packed = eights[:, 0].clone()
    for place in range(1, 8):
        packed |= eights[:, place] << place
    return packed


def unpack(packed: Tensor, shape: torch.Size) -> Tensor:
    """The bool tensor that was packed."""
    places = torch.arange(8, dtype=torch.uint8, device=packed.device)
    bits = (packed.unsqueeze(1) >> places) & 1  # [n/8 8]
    return bits.view(torch.bool).view(-1)[: math.prod(shape)].view(shape)


class _Sign(torch.autograd.Function):
    """y = act(x);  dL/dx = dL/dy * bit (the signed function of the paper's backward)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, act: nn.Module, rule: Rule) -> Tensor:
        ctx.save_for_backward(pack(rule(x)))
        y: Tensor = act(x)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (grad,), (packed,) = grads, ctx.saved_tensors
        return grad * unpack(packed, grad.shape), None, None


class SignAct(nn.Module):
    """An activation with its forward as it was and one bit per element kept for backward.

    ReLU and ReLU6 (any Hardtanh) lose nothing: their derivative is that bit, 1[lo < x < hi]. For every other
    activation the bit is 1[x > threshold], where the paper has Hard-Swish in mind.

    act         the activation; `export` puts it back
    threshold   of the bit, for activations that are no gates
    """

    def __init__(self, act: nn.Module, threshold: float = 0.0) -> None:
        super().__init__()
        self.plain = act
        self.act = _out_of_place(act)
        self.lo, self.hi = gate(act) or (threshold, math.inf)
        self.rule: Rule = self._passes

    def forward(self, x: Tensor) -> Tensor:
        apply: Any = _Sign.apply
        y: Tensor = apply(x, self.act, self.rule) if torch.is_grad_enabled() and x.requires_grad else self.act(x)
        return y

    def _passes(self, x: Tensor) -> Tensor:
        return x > self.lo if math.isinf(self.hi) else (x > self.lo) & (x < self.hi)


def _out_of_place(act: Any) -> Any:
    """A copy that leaves its input as it is: what is changed in place inside a Function would have to be marked."""
    own = copy.deepcopy(act)
    if getattr(own, "inplace", False):
        own.inplace = False
    return own


def gate(act: nn.Module) -> tuple[float, float] | None:
    """(lo, hi) of an activation whose derivative is 1 between them and 0 elsewhere; None for any other."""
    if isinstance(act, nn.Hardtanh):  # ReLU6 is one
        return float(act.min_val), float(act.max_val)
    return (0.0, math.inf) if isinstance(act, nn.ReLU) else None
