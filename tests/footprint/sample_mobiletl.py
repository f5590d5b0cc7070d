"""What MobileTL is tried on: three inverted residual blocks, and a budget that picks how many of them are tuned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mnemic.footprint.mobiletl import MobileTL
from mnemic.meter import Budget, Used
from mnemic.nets.inverted_residual import InvertedResidualNet, Stage, initialise


def tiny(classes: int | None = None, *, act: Any = nn.ReLU6, se: bool = False) -> InvertedResidualNet:
    """Images of 16 pixels, three blocks (the first expands nothing), random weights and statistics."""
    stages = [Stage(1, 3, 1, 8, 1, act=act, se=se), Stage(2, 3, 2, 12, 4, act=act, se=se)]
    net = InvertedResidualNet(stages, stem=8, head=16, classes=classes, act=act, eps=1e-3, momentum=0.01)
    initialise(net, 4)
    own = torch.Generator().manual_seed(5)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=own))
            for tensor in (module.bias.data, module.running_mean):
                tensor.copy_(torch.randn(tensor.shape, generator=own) / 4)
    return net.eval()


def batch(seed: int = 0, images: int = 4) -> dict[str, Any]:
    own = torch.Generator().manual_seed(seed)
    pixels = torch.randn(images, 3, 16, 16, generator=own)
    return {"pixel_values": pixels, "labels": torch.randint(0, 3, (images,), generator=own)}


class Sample:
    """Wrapped, trained for a few steps, asked for its logits."""

    def __init__(self) -> None:
        self.smallest = Budget(MobileTL(tiny(), classes=3, top_blocks=0).used(batch()).amount, "bytes")

    def items(self, n: int, seed: int) -> list[dict[str, Any]]:
        return [batch(1000 * seed + item) for item in range(n)]

    def make(self, budget: Budget, seed: int, folder: Path) -> MobileTL:
        torch.manual_seed(seed)
        return MobileTL.within(budget, tiny(), batch(), classes=3)

    def fill(self, system: MobileTL, items: Sequence[Any]) -> None:
        optimizer = torch.optim.SGD([p for p in system.parameters() if p.requires_grad], lr=0.05)
        system.train()
        for item in items:
            optimizer.zero_grad()
            system(**item)["loss"].backward()
            optimizer.step()

    def ask(self, system: MobileTL) -> list[float]:
        system.eval()
        with torch.no_grad():
            return [round(value, 4) for value in system(**batch())["logits"].flatten().tolist()]

    def used(self, system: MobileTL) -> Used:
        return system.used(batch())

    def reopen(self, system: MobileTL, folder: Path) -> MobileTL:
        system.save(folder / "part.safetensors")
        return MobileTL.load(folder / "part.safetensors", tiny())
