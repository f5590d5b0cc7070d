"""MobileTL: the top inverted residual blocks are tuned in at most 60 % of the bytes, at the accuracy of tuning them.

EfficientNet-Lite0 on sign digits: arms differ in what their top blocks keep. What lies below the tuned blocks is
frozen and images are not augmented, so its maps are computed once and used in all epochs; bytes are measured on the
whole network, in one training step on 8 images. Where ReLU6 is the activation nothing is approximated: gradients are
compared with autograd's. A second part asks what the bit costs where it is an approximation: a MobileNetV3-style
network with Hard-Swish is trained on half of the classes, and its top blocks are tuned to the other half.

The control passes gradients at random places instead of where the activation's derivative is.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mnemic.bench.transfer import Batch, Recipe, Task, correct, fit, image_task
from mnemic.claims import Check, Claim, Point, Scale, Verdict, better, measured, uses_at_most, within
from mnemic.footprint.mobiletl import MobileTL, SignAct, macs, memory_report
from mnemic.meter import Used
from mnemic.nets.efficientnet import efficientnet_lite0
from mnemic.nets.inverted_residual import InvertedResidualNet, Stage, initialise
from mnemic.nets.mobilenet import mobilenet_v3

SEEDS = (0, 1, 2)

_ORDINARY: Mapping[str, Any] = {"inner_norm": "full", "act_backward": "exact"}
_FIXED: Mapping[str, Any] = {"inner_norm": "fixed", "act_backward": "exact"}
_LAST, _SHIFTS = "last layer only", "shifts only"
_EXACT, _BIT, _RANDOM = "Hard-Swish: exact derivative", "Hard-Swish: one bit", "Hard-Swish: random bits"


@dataclass(frozen=True)
class Size:
    """How much of everything.

    pixels     side of the images
    blocks     numbers of tuned blocks; the claim's method is the first
    examples   per class: training, test
    close      how near to ordinary tuning the accuracy must come
    hard       epochs of the Hard-Swish network's own training; 0: without that part
    """

    pixels: int
    blocks: tuple[int, ...]
    examples: tuple[int, int]
    recipe: Recipe
    close: float
    hard: int


SIZES: Mapping[Scale, Size] = {
    "smoke": Size(16, (2,), (30, 30), Recipe(epochs=10, batch=20, lr=3e-3), close=0.05, hard=0),
    "laptop": Size(96, (3, 5), (40, 30), Recipe(epochs=12, batch=32, lr=3e-3), close=0.01, hard=16),
    "full": Size(224, (5, 3, 7), (1000, 200), Recipe(epochs=50, batch=8, lr=1e-3), close=0.01, hard=60),
}


@dataclass(frozen=True)
class Arm:
    """Options of MobileTL.

    faster   factor on the learning rate: few parameters need larger steps
    bits     puts another rule in the place of the activations' own
    """

    blocks: int
    options: Mapping[str, Any] = field(default_factory=dict)
    faster: float = 1.0
    bits: Callable[[Tensor], Tensor] | None = None


def run(scale: Scale, seed: int, *, sabotage: bool = False) -> Claim:
    """Tune the same network in every manner, on the same images, for the same steps."""
    size = SIZES[scale]
    net, task = _start(scale, size, seed)
    bits = random_bits if sabotage else None
    arms = {_LAST: Arm(0, faster=3.0), _SHIFTS: Arm(size.blocks[0], {"convs": False}, faster=3.0)}
    arms[f"fine-tune, {size.blocks[0]} blocks, fixed statistics"] = Arm(size.blocks[0], _FIXED)
    for k in size.blocks:
        arms[f"fine-tune, {k} blocks"] = Arm(k, _ORDINARY)
        arms[f"MobileTL, {k} blocks"] = Arm(k, bits=bits)
    points = _tuned(net, task, arms, size.recipe, seed)
    holds = _bars(size) + _frugal(net, task, size) + [_gradients(net, task, size, bits)]
    if size.hard:
        points += _hard_swish(size, seed, bits)
        holds.append(within(_BIT, of=_EXACT, by=0.02))
    return Claim(
        says="top blocks are tuned in at most 60 % of the bytes, at the accuracy of tuning them",
        points=points,
        holds=holds,
        quality="accuracy",
        baseline=f"fine-tune, {size.blocks[0]} blocks",
        method=f"MobileTL, {size.blocks[0]} blocks",
        setting="paper: ProxylessNAS, MobileNetV2 and V3 on eight public sets at 224 pixels, 50 epochs of batch 8; "
        "here EfficientNet-Lite0 on sign digits at 96 pixels, 12 epochs; maps below the tuned blocks are computed once",
    )


def _bars(size: Size) -> list[Check | Verdict]:
    """Bytes of the tuned blocks and accuracy, against ordinary tuning of the same blocks."""
    bars: list[Check | Verdict] = []
    for k in size.blocks:
        ours, ordinary = f"MobileTL, {k} blocks", f"fine-tune, {k} blocks"
        bars += [
            uses_at_most(ours, 0.60, of=ordinary, part="saved in blocks"),
            within(ours, of=ordinary, by=size.close),
        ]
    ours = f"MobileTL, {size.blocks[0]} blocks"
    return [*bars, better(ours, than=_LAST, by=0.05), better(ours, than=_SHIFTS)]


def random_bits(x: Tensor) -> Tensor:
    """A bit per element that has nothing to do with it."""
    return torch.rand_like(x) > 0.5


# ---- tuning


def _tuned(net: InvertedResidualNet, task: Task, arms: Mapping[str, Arm], recipe: Recipe, seed: int) -> list[Point]:
    """Every arm on the same maps, from the same classifier, for the same steps."""
    maps = cached(net, task, {max(arm.blocks, 1) for arm in arms.values()})
    batch = task.batch(*task.train, range(8))
    points = []
    for name, arm in arms.items():
        k = max(arm.blocks, 1)
        torch.manual_seed(seed)  # the same classifier for all
        model = _model(Upper(net, k), task.classes, arm).to(maps[k].device)
        fit(model, maps[k], recipe.with_lr(arm.faster * recipe.lr), seed)
        right = correct(model, maps[k])
        used, gmacs = _used(_model(copy.deepcopy(net), task.classes, arm), batch)
        points.append(Point(name, used, float(np.mean(right)), seed, {"backward_gmacs": gmacs}, right))
    return points


def _model(net: nn.Module, classes: int, arm: Arm) -> MobileTL:
    model = MobileTL(net, top_blocks=arm.blocks, classes=classes, **arm.options)
    if arm.bits is not None:
        for module in model.modules():
            if isinstance(module, SignAct):
                module.rule = arm.bits
    return model


def _used(model: MobileTL, batch: Batch) -> tuple[Used, float]:
    """Bytes of a step on the batch, with the tuned blocks apart; 10^9 multiplications going back."""
    step, blocks = model.used(batch), memory_report(model, batch).blocks
    parts = {part: step.parts[part] for part in ("weights", "gradients", "optimizer")}
    parts |= {"saved in blocks": blocks, "saved elsewhere": step.parts["saved"] - blocks}
    counted = macs(model, batch)
    return Used(step.amount, "bytes", parts), (counted.backward + counted.norms) / 1e9


class Upper(nn.Module):
    """The last blocks of a network and what follows: a network that reads the maps that the rest computed."""

    def __init__(self, net: InvertedResidualNet, blocks: int) -> None:
        super().__init__()
        self.blocks = copy.deepcopy(net.blocks[len(net.blocks) - blocks :])
        self.head = copy.deepcopy(net.head)

    def forward(self, pixel_values: Tensor) -> Tensor:
        x = pixel_values
        for block in self.blocks:
            x = block(x)
        pooled: Tensor = self.head(x).mean((2, 3))  # [b width]
        return pooled


@dataclass(frozen=True)
class Maps(Task):
    """A task whose inputs are maps [c h w] below the tuned blocks."""

    device: str = "cpu"

    def batch(self, inputs: Sequence[Any], classes: np.ndarray[Any, Any], rows: Sequence[int]) -> Batch:
        labels = torch.as_tensor(np.asarray(classes)[list(rows)], dtype=torch.long)
        maps = torch.stack([inputs[n] for n in rows])  # [b c h w]
        return {"pixel_values": maps.to(self.device), "labels": labels.to(self.device)}


def cached(net: InvertedResidualNet, task: Task, blocks: set[int]) -> dict[int, Maps]:
    """For each number of top blocks: the maps that they read, of all images."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    parts = [_below(net.eval().to(device), task, *part, blocks) for part in (task.train, task.test)]
    net.to("cpu")
    return {
        k: Maps(task.name, task.classes, (parts[0][k], task.train[1]), (parts[1][k], task.test[1]), device)
        for k in blocks
    }


@torch.no_grad()
def _below(
    net: InvertedResidualNet, task: Task, inputs: Sequence[Any], labels: np.ndarray[Any, Any], blocks: set[int]
) -> dict[int, list[Tensor]]:
    found: dict[int, list[Tensor]] = {k: [] for k in blocks}
    where = next(net.parameters()).device
    for start in range(0, len(labels), 100):
        rows = range(start, min(start + 100, len(labels)))
        x = net.stem(task.batch(inputs, labels, rows)["pixel_values"].to(where))
        for above, block in zip(range(len(net.blocks), 0, -1), net.blocks, strict=True):
            if above in blocks:
                found[above] += list(x.cpu())
            x = block(x)
    return found


# ---- two more looks at the same blocks


class _OwnOutput(torch.autograd.Function):
    """ReLU6 that keeps its output, which the next convolution keeps anyway; torch's own keeps its input as well."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = x.clamp(0, 6)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (y,) = ctx.saved_tensors
        return grads[0] * ((y > 0) & (y < 6))


class _FrugalReLU6(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        apply: Any = _OwnOutput.apply
        y: Tensor = apply(x)
        return y


def _frugal(net: InvertedResidualNet, task: Task, size: Size) -> list[Check | Verdict]:
    """The bytes against a harder baseline: ordinary tuning in which no ReLU6 keeps more than it must."""
    harder = copy.deepcopy(net)
    for parent in list(harder.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.ReLU6):
                setattr(parent, name, _FrugalReLU6())
    batch = task.batch(*task.train, range(8))
    verdicts: list[Check | Verdict] = []
    for k in size.blocks:
        ours, other = (
            memory_report(_model(copy.deepcopy(start), task.classes, Arm(k, options)), batch).blocks
            for start, options in ((net, {}), (harder, _ORDINARY))
        )
        says = f"{k} blocks: bytes as a share of fine-tuning whose ReLU6 keeps its output alone"
        verdicts.append(measured(says, ours / other, at_most=0.60))
    return verdicts


def _gradients(net: InvertedResidualNet, task: Task, size: Size, bits: Any) -> Verdict:
    """Largest difference to autograd's gradients through norms with fixed statistics, as a share of their length."""
    k, batch = size.blocks[0], task.batch(*task.train, range(8))
    grads = []
    for arm in (Arm(k, bits=bits), Arm(k, _FIXED)):
        torch.manual_seed(0)
        model = _model(copy.deepcopy(net), task.classes, arm)
        model(**batch)["loss"].backward()
        convs = [module.weight.grad for module in model.modules() if isinstance(module, nn.Conv2d)]
        grads.append([grad for grad in convs if grad is not None])
    worst = max(float((mine - true).norm() / true.norm()) for mine, true in zip(*grads, strict=True))
    return measured("ReLU6: largest relative difference to autograd's gradients", worst, at_most=1e-3)


# ---- where the networks come from


def _start(scale: Scale, size: Size, seed: int) -> tuple[InvertedResidualNet, Task]:
    """The network and the task; at smoke scale a tiny network that saw half of the packaged digits."""
    train, test = size.examples
    if scale == "smoke":
        return _tiny(), half(
            image_task("digits", size=size.pixels, train_per_class=train, test_per_class=test, seed=seed)
        )
    name = "cifar10" if scale == "full" else "sign_digits"
    task = image_task(name, size=size.pixels, train_per_class=train, test_per_class=test, seed=seed)
    return efficientnet_lite0(), task


def half(task: Task, *, first: bool = False) -> Task:
    """The classes 5 to 9 as a task of five classes, or 0 to 4."""
    parts = []
    for inputs, labels in (task.train, task.test):
        rows = np.flatnonzero(labels < 5 if first else labels >= 5).tolist()
        parts.append(([inputs[n] for n in rows], labels[rows] % 5))
    return replace(task, classes=5, train=parts[0], test=parts[1])


@cache
def _tiny() -> InvertedResidualNet:
    act = partial(nn.ReLU6, inplace=True)
    stages = [Stage(1, 3, 1, 8, 1, act=act), Stage(2, 3, 2, 12, 4, act=act), Stage(2, 3, 2, 16, 4, act=act)]
    net = InvertedResidualNet(stages, stem=8, head=48, classes=5, act=act, eps=1e-3, momentum=0.1)
    initialise(net, 0)
    return _taught(net, half(image_task("digits", size=16, train_per_class=100, seed=0), first=True), epochs=12)


@cache
def _swished(epochs: int, pixels: int) -> InvertedResidualNet:
    """A MobileNetV3-style network of width 0.35 that was trained on the sign digits 0 to 4."""
    task = half(image_task("sign_digits", size=pixels, train_per_class=170, seed=0), first=True)
    return _taught(mobilenet_v3(5, width=0.35), task, epochs)


def _taught(net: InvertedResidualNet, task: Task, epochs: int) -> InvertedResidualNet:
    """Trained from scratch, then without its classifier."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1  # few steps
    fit(Labelled(net), task, Recipe(epochs=epochs, batch=32, lr=3e-3), seed=0)
    net.classifier = None
    return net.eval()


class Labelled(nn.Module):
    """A network with its loss."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, pixel_values: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits = self.net(pixel_values)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def _hard_swish(size: Size, seed: int, bits: Any) -> list[Point]:
    """What the bit costs where it is no derivative."""
    net, k = _swished(size.hard, 64), 8
    task = half(image_task("sign_digits", size=64, train_per_class=40, test_per_class=100, seed=seed))
    arms = {
        "Hard-Swish: last layer only": Arm(0, faster=3.0),
        _EXACT: Arm(k, {"act_backward": "exact"}), _RANDOM: Arm(k, bits=random_bits), _BIT: Arm(k, bits=bits),
    }  # fmt: skip
    return _tuned(net, task, arms, replace(size.recipe, batch=20), seed)
