"""Maps of several sizes brought to the size of the last: inside each window, weights that the last map chooses.

guide  = ReLU(conv1x1(X_last))                          [b c h w], c channels of the earlier map
score  = <guide of the window, X_j at each place of it> [b h w q q]
weight = ReLU(score) / (sum over the window + eps) + 1 / q^2
target = sum over the window of weight x X_j            [b c h w]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from mnemic.errors import InputError
from mnemic.footprint.unipt.attention import EPS


class Alignment(nn.Module):
    """Frozen maps [b c_j h_j w_j] -> as many lists of tokens [b t c_j], t = h w of the last map, which stays itself."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.guides = nn.ModuleList(Guide(channels[-1], c) for c in channels[:-1])

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        last, aligned = maps[-1], []
        for guide, earlier in zip(self.guides, maps, strict=False):
            aligned.append(gathered(earlier, guide(last)).flatten(2).mT)  # [b t c]
        return [*aligned, last.flatten(2).mT]


class Guide(nn.Conv2d):
    """What to look for in the windows of an earlier map: ReLU of a 1x1 convolution, [b c_last h w] -> [b c h w]."""

    def __init__(self, last: int, earlier: int) -> None:
        super().__init__(last, earlier, 1)

    def forward(self, last: Tensor) -> Tensor:
        return functional.relu(super().forward(last.to(self.weight.dtype)))


def gathered(earlier: Tensor, guide: Tensor) -> Tensor:
    """One value for each window of an earlier map, [b c h_j w_j] and [b c h w] -> [b c h w].

    Gradients go to the guide; the map is frozen, and it is all that is kept besides the guide.
    """
    (tall, wide), (h, w) = earlier.shape[-2:], guide.shape[-2:]
    if tall % h or wide % w:
        raise InputError(
            f"a map of {tall} x {wide} has no whole windows for one of {h} x {w}: use images whose sides are "
            "multiples of what the network shrinks them by."
        )
    apply: Any = _Gathered.apply
    out: Tensor = apply(earlier, guide)
    return out


def _windows(earlier: Tensor, guide: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The map in windows [b c h q w q]; in each, weights without 1 / q^2 and ReLU scores [b h q w q], their sum."""
    b, c, h, w = guide.shape
    view = earlier.to(guide.dtype).reshape(b, c, h, earlier.shape[2] // h, w, earlier.shape[3] // w)
    positive = torch.einsum("bchiwj,bchw->bhiwj", view, guide).relu()
    sums = positive.sum((2, 4), keepdim=True) + EPS
    return view, positive / sums, positive, sums


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, earlier: Tensor, guide: Tensor) -> Tensor:
        ctx.save_for_backward(earlier, guide)
        with torch.autocast(guide.device.type, enabled=False):
            view, weights, *_ = _windows(earlier, guide.float() if guide.dtype.itemsize < 4 else guide)
            even = 1 / (view.shape[3] * view.shape[5])
            return torch.einsum("bchiwj,bhiwj->bchw", view, weights + even)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        earlier, guide = ctx.saved_tensors
        with torch.autocast(guide.device.type, enabled=False):
            view, weights, positive, sums = _windows(earlier, guide.to(grad.dtype))
            d_weights = torch.einsum("bchw,bchiwj->bhiwj", grad, view)
            d_weights = d_weights - (d_weights * weights).sum((2, 4), keepdim=True)
            d_scores = d_weights / sums * (positive > 0)
            return None, torch.einsum("bhiwj,bchiwj->bchw", d_scores, view).to(guide.dtype)
