"""A linear map and a layer norm as one operation that keeps its input alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional


class Shrink(nn.Module):
    """LN(Linear(x)), [... d] -> [... m], in the precision of its weights whatever x comes in.

    Kept for backward: x as it came (in 16 bits, if it did) and two numbers per row.
    """

    def __init__(self, wide: int, narrow: int) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(wide, narrow), nn.LayerNorm(narrow)

    def forward(self, x: Tensor) -> Tensor:
        apply: Any = _Shrunk.apply
        shrunk: Tensor = apply(x, self.linear.weight, self.linear.bias, self.norm.weight, self.norm.bias, self.norm.eps)
        return shrunk


class BatchShrink(nn.Module):
    """BatchNorm(Linear(x)) over all positions: [b t d] -> [b t m]. On a map: a 1x1 convolution and BatchNorm2d."""

    def __init__(self, wide: int, narrow: int) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(wide, narrow), nn.BatchNorm1d(narrow)

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x.to(self.linear.weight.dtype))  # [b t m]
        normed: Tensor = self.norm(y.flatten(0, 1)).view_as(y)
        return normed


class ReluShrink(nn.Module):
    """Linear(ReLU(x)): [... d] -> [... m]."""

    def __init__(self, wide: int, narrow: int) -> None:
        super().__init__()
        self.linear = nn.Linear(wide, narrow)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(functional.relu(x.to(self.linear.weight.dtype)))
        return y


SHRINKS = {"norm": Shrink, "batch": BatchShrink, "relu": ReluShrink}


class _Shrunk(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, scale: Tensor, shift: Tensor, eps: float
    ) -> Tensor:  # fmt: skip
        with torch.autocast(x.device.type, enabled=False):
            y = functional.linear(x.to(weight.dtype), weight, bias)  # [... m]
            out, mean, rstd = torch.native_layer_norm(y, y.shape[-1:], scale, shift, eps)
        ctx.save_for_backward(x, weight, bias, scale, shift, mean, rstd)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, scale, shift, mean, rstd = ctx.saved_tensors
        with torch.autocast(x.device.type, enabled=False):
            wide = x.to(weight.dtype)
            y = functional.linear(wide, weight, bias)
            dy, dscale, dshift = torch.ops.aten.native_layer_norm_backward(
                grad.to(y.dtype).contiguous(), y, y.shape[-1:], mean, rstd, scale, shift, [True, True, True]
            )
            flat = dy.flatten(0, -2)
            dx = (dy @ weight).to(x.dtype) if ctx.needs_input_grad[0] else None
            return dx, flat.T @ wide.flatten(0, -2), flat.sum(0), dscale, dshift, None
