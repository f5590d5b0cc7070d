"""A network whose top blocks are tuned in few bytes: conversion, training, saving, export."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from mnemic.errors import InputError
from mnemic.footprint._head import Output, output
from mnemic.footprint._tuned import Loss, Tuned
from mnemic.footprint.mobiletl.blocks import Block, plan, pooled
from mnemic.footprint.mobiletl.frozen import FixedGate, FrozenConv
from mnemic.footprint.mobiletl.norms import ShiftNorm
from mnemic.footprint.mobiletl.signs import SignAct
from mnemic.meter import Budget

_CHOICES = {
    "act_backward": ("sign", "exact"), "inner_norm": ("shift", "fixed", "full"), "last_norm": ("full", "shift"),
    "se": ("train", "frozen"),
}  # fmt: skip


class MobileTL(Tuned):
    """A convolutional network of inverted residual blocks, its top blocks and classifier trained.

    backbone      any network that takes images [b c h w] first; changed in place
    top_blocks    how many blocks from the top are tuned; 0: the classifier alone
    classes       adds a linear classifier to a network that returns features; None: the network's own is trained
    act_backward  "sign": one bit per element; "exact": torch's own derivative
    threshold     of that bit, for activations other than ReLU and ReLU6
    inner_norm    "shift": scale and statistics fixed, nothing kept; "fixed": statistics fixed, scale and shift trained
                  by torch's batch_norm; "full": an ordinary batch norm in training
    last_norm     of each block: "full", or "shift"
    convs         False: convolutions stay as they are and keep nothing (shifts alone; for comparison)
    se            squeeze-and-excitation: "train", or "frozen": gates are constants in backward
    momentum      of the running statistics of norms in training
    """

    method = "mobiletl"

    def __init__(
        self,
        backbone: nn.Module,
        *,
        top_blocks: int = 3,
        classes: int | None = None,
        act_backward: Literal["sign", "exact"] = "sign",
        threshold: float = 0.0,
        inner_norm: Literal["shift", "fixed", "full"] = "shift",
        last_norm: Literal["full", "shift"] = "full",
        convs: bool = True,
        se: Literal["train", "frozen"] = "train",
        momentum: float = 0.1,
    ) -> None:
        options: dict[str, Any] = {
            "top_blocks": top_blocks, "classes": classes, "act_backward": act_backward, "threshold": threshold,
            "inner_norm": inner_norm, "last_norm": last_norm, "convs": convs, "se": se, "momentum": momentum,
        }  # fmt: skip
        _check(options)
        super().__init__(backbone, options)
        self.plan = plan(backbone)
        self._check_fit(top_blocks, classes)
        self.blocks: tuple[Block, ...] = self.plan.blocks[len(self.plan.blocks) - top_blocks :]
        self._normal: tuple[str, ...] = ()  # names of batch norms whose statistics move
        trained = list(self._opened(backbone)) if self.blocks else []
        self._train_modules([*trained, *(backbone.get_submodule(name) for name in self.plan.linear)])
        where = next(backbone.parameters()).device
        self.head = nn.Linear(self.plan.width, classes, device=where) if classes is not None else None
        self.train()

    def _check_fit(self, top_blocks: int, classes: int | None) -> None:
        name, most = type(self.backbone).__name__, len(self.plan.blocks)
        if top_blocks > most:
            raise InputError(f"{name} has {most} inverted residual blocks at its top: set top_blocks from 0 to {most}.")
        if classes is not None and self.plan.linear:
            raise InputError(
                f"{name} brings a classifier ({self.plan.linear[-1]}): leave classes out to train it, or put a Linear "
                "of the size that you need in its place first."
            )
        if classes is None and not self.plan.linear:
            raise InputError(f"{name} has no classifier: say how many classes there are, classes=10.")

    def _opened(self, backbone: nn.Module) -> Iterator[nn.Module]:
        """Convert what lies above the input of the lowest tuned block; yields the modules that are trained."""
        blocks, neck, options = self.blocks, self.plan.neck, self.options
        named = {kind: [event.name for event in neck if event.kind in kinds] for kind, kinds in _NECK.items()}
        acts = [name for block in blocks for name in block.acts] + named["act"]
        inner = [name for block in blocks for name in block.norms] + named["norm"]
        last = [block.last for block in blocks]
        if options["act_backward"] == "sign":
            for act in _distinct(backbone, acts):  # before the norms: some carry their activation
                _replace(backbone, act, SignAct(act, options["threshold"]))
        for conv in _distinct(backbone, [name for block in blocks for name in block.convs] + named["conv"]):
            if options["convs"]:
                yield conv
            else:
                _replace(backbone, conv, FrozenConv(conv))
        yield from self._gates(backbone)
        yield from self._norms(backbone, inner, options["inner_norm"])
        yield from self._norms(backbone, last, options["last_norm"])

    def _norms(self, backbone: nn.Module, names: list[str], how: str) -> Iterator[nn.Module]:
        for name in names:
            norm = backbone.get_submodule(name)
            assert isinstance(norm, nn.BatchNorm2d)
            if how == "shift":
                shift = ShiftNorm(norm)
                _replace(backbone, norm, shift)
                yield shift
                continue
            if how == "full":
                self._normal += (name,)
                norm.momentum = self.options["momentum"]
            yield norm

    def _gates(self, backbone: nn.Module) -> Iterator[nn.Module]:
        for block in self.blocks:
            if self.options["se"] == "train":
                yield from _distinct(backbone, block.pooled)
            elif block.se:
                se = backbone.get_submodule(block.se)
                _replace(backbone, se, FixedGate(se))
            elif block.pooled:
                raise InputError(
                    f'the squeeze-and-excitation of "{block.name}" is no module of its own ({block.pooled[0]} lies in '
                    'the block itself), so its gates cannot be held fixed: leave se="train".'
                )

    def _train_modules(self, modules: Iterable[nn.Module]) -> None:
        """Wake the parameters of some modules, in float32; what comes to them in less is widened."""
        wanted: set[int] = set()
        for module in modules:
            low = {tensor.dtype for tensor in module.parameters()} & {torch.bfloat16, torch.float16}
            if low:
                module.float()
            if low and not isinstance(module, nn.BatchNorm2d | ShiftNorm):
                module.register_forward_pre_hook(_widen)
            wanted |= {id(parameter) for parameter in module.parameters()}
        self.wake(name for name, parameter in self.backbone.named_parameters() if id(parameter) in wanted)

    def train(self, mode: bool = True) -> Self:
        """The statistics of the trained norms move with the batches; everything else of the backbone stands still."""
        super().train(mode)
        return self._move_statistics(mode)

    def _move_statistics(self, mode: bool) -> Self:
        for name in self._normal:
            self.backbone.get_submodule(name).training = mode
        return self

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None) -> Output:
        """[b c h w] -> logits [b classes], and the loss when there are labels."""
        if self.training:
            self.check_frozen()
            self._move_statistics(len(pixel_values) > 1)  # the statistics of one image are none
        result = self.backbone(pixel_values.to(next(self.backbone.parameters()).dtype))
        logits = pooled(result)  # [b classes], or features [b n]
        if self.head is not None:
            logits = self.head(logits.to(self.head.weight.dtype))  # [b classes]
        return output(logits, labels)

    def small_part(self) -> dict[str, Tensor]:
        """Weights of the tuned blocks, shifts, last norms with their running statistics, classifier."""
        statistics = {f"backbone.{name}.{which}" for name in self._normal for which in _STATISTICS}
        kept = {name: tensor for name, tensor in self.state_dict().items() if name in statistics}
        return {**super().small_part(), **kept}

    @classmethod
    def sizes(cls, backbone: nn.Module) -> Iterator[dict[str, Any]]:
        """From all blocks down to the classifier alone."""
        yield from ({"top_blocks": k} for k in range(len(plan(backbone).blocks), -1, -1))

    @classmethod
    def within(
        cls, budget: Budget | str, backbone: nn.Module, batch: Any, *, loss: Loss | None = None, **options: Any
    ) -> Self:
        """The most blocks whose training step stays within a budget; measured on the meta device.

        What does not fit is never computed, so a size that is too large for this machine cannot end the process.
        """
        ghost = {name: value.to("meta") if isinstance(value, Tensor) else value for name, value in batch.items()}
        chosen = super().within(budget, copy.deepcopy(backbone).to("meta"), ghost, loss=loss, **options).options
        return cls(backbone, **chosen)

    def export(self) -> nn.Module:
        """A copy as a plain network again, with the same numerics: batch norms, activations, convolutions as before.

        A classifier that was added comes along: the copy then returns logits [b classes].
        """
        plain = copy.deepcopy(self.backbone)
        for module in list(plain.modules()):
            if isinstance(module, ShiftNorm):
                _replace(plain, module, module.exported())
        for module in list(plain.modules()):
            original = _original(module)
            if original is not None:
                _replace(plain, module, original)
        return plain if self.head is None else Classified(plain, copy.deepcopy(self.head)).eval()


class Classified(nn.Module):
    """A network that returns features, and a linear classifier on them: [b c h w] -> [b classes]."""

    def __init__(self, backbone: nn.Module, classifier: nn.Linear) -> None:
        super().__init__()
        self.backbone, self.classifier = backbone, classifier

    def forward(self, pixel_values: Tensor) -> Tensor:
        logits: Tensor = self.classifier(pooled(self.backbone(pixel_values)).to(self.classifier.weight.dtype))
        return logits


_NECK = {"conv": "PDC", "norm": "N", "act": "A"}
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def _check(options: dict[str, Any]) -> None:
    for name, allowed in _CHOICES.items():
        if options[name] not in allowed:
            raise InputError(f'{name} is "{options[name]}": use {" or ".join(allowed)}.')
    if options["top_blocks"] < 0:
        raise InputError(f"top_blocks is {options['top_blocks']}: give 0 (the classifier alone) or more.")


def _distinct(backbone: nn.Module, names: Iterable[str]) -> list[nn.Module]:
    """The modules of some names, each once: a block may run one activation twice."""
    found = [backbone.get_submodule(name) for name in names]
    return list({id(module): module for module in found}.values())


def _replace(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put a module in the place of another wherever that is referred to."""
    for parent in list(model.modules()):
        if parent is new or isinstance(parent, SignAct | FrozenConv | FixedGate):
            continue
        for name, child in parent._modules.items():
            if child is old:
                parent._modules[name] = new


def _original(module: nn.Module) -> nn.Module | None:
    """What a module of ours stands for; None for any other."""
    of = {SignAct: "plain", FrozenConv: "conv", FixedGate: "se"}
    return module.get_submodule(of[type(module)]) if type(module) in of else None


def _widen(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    return (args[0].float(), *args[1:])
