"""MobileNetV3-style networks: Hard-Swish where maps are small, squeeze-and-excitation, any width.

Howard et al., Searching for MobileNetV3, ICCV 2019, arXiv:1905.02244, Table 2 ("small"). The classifier reads the
pooled map directly (paper: one more hidden layer between them).
"""

from __future__ import annotations

from functools import partial

from torch import nn

from mnemic.nets.inverted_residual import Act, InvertedResidualNet, Stage, initialise, round8

# kernel, hidden channels, output, squeeze-and-excitation, Hard-Swish, stride; one block each
_SMALL = (
    (3, 16, 16, True, False, 2), (3, 72, 24, False, False, 2), (3, 88, 24, False, False, 1), (5, 96, 40, True, True, 2),
    (5, 240, 40, True, True, 1), (5, 240, 40, True, True, 1), (5, 120, 48, True, True, 1), (5, 144, 48, True, True, 1),
    (5, 288, 96, True, True, 2), (5, 576, 96, True, True, 1), (5, 576, 96, True, True, 1),
)  # fmt: skip


def mobilenet_v3(
    classes: int | None = None, *, width: float = 1.0, se: bool = True, seed: int = 0
) -> InvertedResidualNet:
    """MobileNetV3-small's blocks, freshly initialised, in training mode.

    classes   None: pooled features
    width     factor on all channels, rounded to multiples of 8
    se        False: without squeeze-and-excitation
    """
    acts: dict[bool, Act] = {True: partial(nn.Hardswish, inplace=True), False: partial(nn.ReLU, inplace=True)}
    stages = [
        Stage(
            1, kernel, stride, round8(width * out), hidden=(round8(width * hidden),), se=se and has_se, act=acts[hard]
        )
        for kernel, hidden, out, has_se, hard, stride in _SMALL
    ]
    net = InvertedResidualNet(
        stages, stem=round8(width * 16), head=round8(width * 576), classes=classes, act=acts[True], eps=1e-3,
        momentum=0.01,
    )  # fmt: skip
    initialise(net, seed)
    return net
