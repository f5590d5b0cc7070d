"""Modules that gradients pass through without anything of a map being kept: frozen convolutions, fixed gates."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class _Through(torch.autograd.Function):
    """A convolution by a frozen weight. torch's own keeps its input although only the weight's gradient needs it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, conv: nn.Module) -> Tensor:
        ctx.conv, ctx.shape = conv, x.shape
        y: Tensor = conv(x)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (grad,) = grads
        with torch.enable_grad():  # the padding rules of a subclass are differentiated with it, whatever they are
            x = torch.zeros(ctx.shape, dtype=grad.dtype, device=grad.device, requires_grad=True)
            y = ctx.conv(x)  # linear in x: its derivative is the same at zero
        return torch.autograd.grad(y, x, grad)[0], None


class FrozenConv(nn.Module):
    """A convolution that is not trained, as it computes but keeping nothing (for shifts alone, and for comparison)."""

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv: Any = conv

    def forward(self, x: Tensor) -> Tensor:
        apply: Any = _Through.apply
        y: Tensor = apply(x, self.conv)
        return y

    def __getattr__(self, name: str) -> Any:
        """What the network's own padding asks a convolution: stride, kernel_size, dilation."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("conv"), name)


class _Scaled(torch.autograd.Function):
    """y = x * gate(x) with the gate held constant in backward; the gate is read off the result."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, se: nn.Module) -> Tensor:
        y: Tensor = se(x)
        wide = x.float()
        gate = (wide * y).sum((2, 3), keepdim=True) / (wide * wide).sum((2, 3), keepdim=True).clamp(min=1e-12)
        ctx.save_for_backward(gate.to(x.dtype))  # [b c 1 1]
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return grads[0] * ctx.saved_tensors[0], None


class FixedGate(nn.Module):
    """Squeeze-and-excitation that is not trained: the gates of a batch count as constants in backward.

    The map is then not kept for the product (a trained one keeps it), and the gradient through the gate is left out.
    """

    def __init__(self, se: nn.Module) -> None:
        super().__init__()
        self.se = se

    def forward(self, x: Tensor) -> Tensor:
        apply: Any = _Scaled.apply
        y: Tensor = apply(x, self.se)
        return y
