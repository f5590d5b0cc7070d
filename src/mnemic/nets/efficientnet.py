"""EfficientNet-Lite0: 16 inverted residual blocks with ReLU6 and no squeeze-and-excitation, for phones.

EfficientNet: Tan, Le, ICML 2019, arXiv:1905.11946. The Lite variants: Google, 2020. 3.4 M parameters, and 1.3 M in
the ImageNet classifier.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from mnemic.nets.inverted_residual import InvertedResidualNet, Stage, initialise

_ACT = partial(nn.ReLU6, inplace=True)
_STAGES = tuple(
    Stage(repeat, kernel, stride, out, expand, act=_ACT)
    for repeat, kernel, stride, out, expand in (
        (1, 3, 1, 16, 1), (2, 3, 2, 24, 6), (2, 5, 2, 40, 6), (3, 3, 2, 80, 6),
        (3, 5, 1, 112, 6), (4, 5, 2, 192, 6), (1, 3, 1, 320, 6),
    )
)  # fmt: skip
_NAMES = {  # of the published weights -> ours
    "_conv_stem": "stem.0", "_bn0": "stem.1", "_conv_head": "head.0", "_bn1": "head.1", "_fc": "classifier",
}  # fmt: skip
_IN_BLOCK = {
    "_expand_conv": "pw1", "_bn0": "bn1", "_depthwise_conv": "dw", "_bn1": "bn2", "_project_conv": "pw2", "_bn2": "bn3",
}  # fmt: skip


def efficientnet_lite0(classes: int | None = None, *, trained: bool = True) -> InvertedResidualNet:
    """The network, with its ImageNet weights, in evaluation mode. Images: RGB, scaled to ImageNet's mean and deviation.

    classes   None: pooled features [b 1280]; 1000: ImageNet's own classifier; else a new one
    trained   False: random weights, no file needed
    Raises DataMissing when the weights are nowhere.
    """
    net = InvertedResidualNet(_STAGES, stem=32, head=1280, classes=classes, act=_ACT, eps=1e-3, momentum=0.01)
    initialise(net, 0)
    if trained:
        weights = published()
        if classes != 1000:
            weights = {name: tensor for name, tensor in weights.items() if not name.startswith("classifier")}
        missing = net.load_state_dict(weights, strict=False).missing_keys
        assert all(name.startswith("classifier") for name in missing), missing
    return net.eval()


def published() -> dict[str, Tensor]:
    """The published weights under our names."""
    from mnemic import data

    found = torch.load(data.path("efficientnet_lite0", "weights"), weights_only=True, map_location="cpu")
    return {_ours(name): tensor for name, tensor in found.items()}


def _ours(name: str) -> str:
    head, *rest = name.split(".")
    if head != "_blocks":
        return ".".join([_NAMES[head], *rest])
    block, part, *rest = rest
    return ".".join(["blocks", block, _IN_BLOCK[part], *rest])
