"""Inverted residual blocks (MobileNetV2, arXiv:1801.04381) and networks that are a stack of them.

Axes   b images, c channels, h w height and width of a map, e expansion
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

Act = Callable[[], nn.Module]


@dataclass(frozen=True)
class Stage:
    """Some blocks of one width; the first of them changes width and resolution.

    hidden   channels inside a block, per block; None: expand x the block's input
    """

    repeat: int
    kernel: int
    stride: int
    out: int
    expand: float = 6
    hidden: Sequence[int] | None = None
    se: bool = False
    act: Act = nn.ReLU6


class SameConv2d(nn.Conv2d):
    """A convolution whose output is ceil(size / stride) long, padded as TensorFlow does: more at the end.

    Even padding is left to the convolution: nothing is copied then.
    """

    def forward(self, x: Tensor) -> Tensor:
        pads = [_pad(x.shape[dim - 2], self.kernel_size[dim], self.stride[dim]) for dim in (0, 1)]
        even = [pad // 2 for pad in pads]
        if any(pad % 2 for pad in pads):
            x = functional.pad(x, [even[1], pads[1] - even[1], even[0], pads[0] - even[0]])
            even = [0, 0]
        y: Tensor = functional.conv2d(x, self.weight, self.bias, self.stride, even, self.dilation, self.groups)
        return y


def _pad(size: int, kernel: int, stride: int) -> int:
    return max((-(-size // stride) - 1) * stride + kernel - size, 0)


class SqueezeExcite(nn.Module):
    """Each channel times a number between 0 and 1 that follows from the means of all (arXiv:1709.01507)."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.reduce, self.act = nn.Conv2d(channels, squeezed, 1), nn.ReLU(inplace=True)
        self.expand, self.gate = nn.Conv2d(squeezed, channels, 1), nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean((2, 3), keepdim=True)  # [b c 1 1]
        gate: Tensor = self.gate(self.expand(self.act(self.reduce(means))))
        return x * gate


class InvertedResidual(nn.Module):
    """pw1 - bn1 - act1 - dw - bn2 - act2 - se - pw2 - bn3, and the input added where shapes allow: [b c h w].

    A block that does not expand has no pw1, bn1, act1; without squeeze-and-excitation there is no se.
    """

    def __init__(
        self, c: int, hidden: int, out: int, *, kernel: int, stride: int, act: Act, norm: Callable[[int], nn.Module],
        se: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.skips = stride == 1 and c == out
        self.expands = hidden != c
        if self.expands:
            self.pw1, self.bn1, self.act1 = nn.Conv2d(c, hidden, 1, bias=False), norm(hidden), act()
        self.dw = SameConv2d(hidden, hidden, kernel, stride, groups=hidden, bias=False)
        self.bn2, self.act2 = norm(hidden), act()
        self.se = SqueezeExcite(hidden, round8(hidden / 4)) if se else None
        self.pw2, self.bn3 = nn.Conv2d(hidden, out, 1, bias=False), norm(out)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.act1(self.bn1(self.pw1(x))) if self.expands else x  # [b ec h w]
        inner = self.act2(self.bn2(self.dw(inner)))  # [b ec h' w']
        if self.se is not None:
            inner = self.se(inner)
        out: Tensor = self.bn3(self.pw2(inner))  # [b c' h' w']
        return x + out if self.skips else out


class InvertedResidualNet(nn.Module):
    """A stem that halves the image, blocks, a last 1x1 convolution, the mean, and a linear classifier.

    classes   None: no classifier, forward returns the mean of the last map
    """

    def __init__(
        self, stages: Sequence[Stage], *, stem: int, head: int, classes: int | None, act: Act, eps: float,
        momentum: float, channels: int = 3, dropout: float = 0.2,
    ) -> None:  # fmt: skip
        super().__init__()

        def norm(width: int) -> nn.Module:
            return nn.BatchNorm2d(width, eps=eps, momentum=momentum)

        self.stem = nn.Sequential(SameConv2d(channels, stem, 3, 2, bias=False), norm(stem), act())
        self.blocks, self.ends = nn.ModuleList(), []
        c = stem
        for stage in stages:
            for n in range(stage.repeat):
                hidden = stage.hidden[n] if stage.hidden else round(stage.expand * c)
                self.blocks.append(
                    InvertedResidual(c, hidden, stage.out, kernel=stage.kernel, stride=stage.stride if n == 0 else 1,
                                     act=stage.act, norm=norm, se=stage.se)
                )  # fmt: skip
                c = stage.out
            self.ends.append(len(self.blocks) - 1)
        self.head = nn.Sequential(nn.Conv2d(c, head, 1, bias=False), norm(head), act())
        self.width = head
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(head, classes) if classes is not None else None

    def forward(self, pixel_values: Tensor) -> Tensor:
        """[b 3 h w] -> logits [b classes], or the pooled features [b width] of a net without classifier."""
        pooled: Tensor = self.head(self.features(pixel_values)[-1]).mean((2, 3))  # [b width]
        if self.classifier is not None:
            pooled = self.classifier(self.dropout(pooled))  # [b classes]
        return pooled

    def features(self, pixel_values: Tensor) -> list[Tensor]:
        """The map at the end of each stage, [b c h w] each, the last one before the head."""
        x, maps = self.stem(pixel_values), []
        for n, block in enumerate(self.blocks):
            x = block(x)
            if n in self.ends:
                maps.append(x)
        return maps


def initialise(net: nn.Module, seed: int) -> None:
    """He initialisation by the outputs of a convolution (as both papers' codes do); the same seed, the same net."""
    own = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            fan = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
            nn.init.normal_(module.weight, 0.0, (2.0 / fan) ** 0.5, generator=own)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.01, generator=own)
            nn.init.zeros_(module.bias)


def round8(width: float) -> int:
    """The nearest multiple of 8, at least 8, and never less than nine tenths of what was asked for."""
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded
