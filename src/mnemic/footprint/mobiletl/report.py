"""What tuning costs: bytes per block, predicted by the paper's count and measured; multiplications of a step."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mnemic.errors import BudgetError
from mnemic.footprint.mobiletl.blocks import Block, elementwise
from mnemic.footprint.mobiletl.frozen import FrozenConv
from mnemic.footprint.mobiletl.model import MobileTL
from mnemic.footprint.mobiletl.norms import ShiftNorm
from mnemic.footprint.mobiletl.signs import SignAct
from mnemic.meter import Budget, readable, saved_bytes


@dataclass(frozen=True)
class Row:
    """Bytes that a block saves for backward.

    predicted   by the count of what each module has to keep
    measured    storages that the graph held, each for the module that was the first to save it
    """

    name: str
    predicted: int
    measured: int


@dataclass(frozen=True)
class Report:
    """Bytes of the tuned blocks, and of everything else that a step saves (neck, classifier, loss)."""

    per_block: tuple[Row, ...]
    elsewhere: int

    @property
    def blocks(self) -> int:
        """Measured bytes of all tuned blocks."""
        return sum(row.measured for row in self.per_block)

    def __str__(self) -> str:
        rows = [f"{row.name:40} {row.predicted:12,} {row.measured:12,}" for row in self.per_block]
        return "\n".join(
            [f"{'block':40} {'predicted':>12} {'measured':>12}", *rows, f"{'elsewhere':53} {self.elsewhere:12,}"]
        )


def memory_report(model: MobileTL, batch: Mapping[str, Any]) -> Report:
    """Run one batch forward and compare, block by block, what was to be saved with what was."""
    shapes: dict[str, torch.Size] = {}

    def note(name: str, module: nn.Module, args: tuple[Any, ...], result: Any) -> None:
        shapes[name] = args[0].shape

    with _unmoved(model), _watched(model.backbone, note), saved_bytes(model) as saved:
        kept = model(**batch)
    del kept
    measured = {name.removeprefix("backbone."): size for name, size in saved.by_module.items()}
    rows = tuple(
        Row(block.name, _predicted(model, block, shapes),
            sum(size for name, size in measured.items() if block.holds(name)))
        for block in model.blocks
    )  # fmt: skip
    return Report(rows, saved.peak - sum(row.measured for row in rows))


def _predicted(model: MobileTL, block: Block, shapes: Mapping[str, torch.Size]) -> int:
    """Inputs of trained convolutions and of norms that need them, and what activations and gates keep, at 4 bytes.

    A copy that a network makes to pad a map more at one side than at the other is not foreseen.
    """
    options = model.options
    size = {name: 4 * shapes[name].numel() for name in (*block.convs, *block.norms, block.last) if name in shapes}
    kept = sum(size[name] for name in block.convs) if options["convs"] else 0
    kept += sum(size[name] for name in block.norms) if options["inner_norm"] != "shift" else 0
    kept += size[block.last] if options["last_norm"] == "full" else 0
    for norm, name in zip(block.norms, block.acts, strict=True):
        kept += _of_act(model.backbone, name, size[norm])
    if block.pooled and options["se"] == "train":
        kept += size[block.convs[-1]]  # the product's other factor is that large too
    return kept


def _of_act(backbone: nn.Module, name: str, size: int) -> int:
    act = _activation(backbone, name)
    if isinstance(act, SignAct):
        return -(-size // 32)
    return 0 if isinstance(act, nn.ReLU) else size  # ReLU keeps its output, the next input; all others their input


def _activation(backbone: nn.Module, name: str) -> nn.Module:
    """The activation of a name that may have moved into the norm that carried it."""
    try:
        return backbone.get_submodule(name)
    except AttributeError:
        norm = backbone.get_submodule(name.rpartition(".")[0])
        assert isinstance(norm, ShiftNorm)
        return next(child for child in norm.rest if isinstance(child, SignAct) or elementwise(child))


@dataclass(frozen=True)
class Macs:
    """Multiplications (with an addition each) of one training step.

    forward    convolutions and linear layers of the whole network
    backward   the same layers, for gradients of inputs and of weights, where they are needed
    norms      backward of the norms, per element: 4 with batch statistics, 2 with fixed ones, 1 with a shift alone
    """

    forward: int
    backward: int
    norms: int


def macs(model: nn.Module, batch: Mapping[str, Any]) -> Macs:
    """Count a step on a batch: each layer's gradients are counted when its input or its weight needs them."""
    totals = dict.fromkeys(("forward", "backward", "norms"), 0)
    inside = {id(module.conv) for module in model.modules() if isinstance(module, FrozenConv)}  # counted outside

    def note(name: str, module: nn.Module, args: tuple[Any, ...], result: Any) -> None:
        layer = module.conv if isinstance(module, FrozenConv) else module
        if isinstance(layer, nn.Conv2d | nn.Linear) and id(module) not in inside:
            count = result.numel() * layer.weight[0].numel()
            totals["forward"] += count
            totals["backward"] += count * (int(args[0].requires_grad) + int(layer.weight.requires_grad))
        elif isinstance(module, nn.BatchNorm2d | ShiftNorm) and result.requires_grad:
            totals["norms"] += result.numel() * _of_norm(module)

    with _unmoved(model), _watched(model, note):
        model(**batch)
    return Macs(**totals)


def _of_norm(norm: nn.Module) -> int:
    """Multiplications per element going back through a norm."""
    if isinstance(norm, ShiftNorm):
        return 1  # a * gradient
    return 4 if norm.training else 2  # x-hat, its product with the gradient, two terms of dx; or the first two alone


def fit_budget(backbone: nn.Module, batch: Mapping[str, Any], max_saved: Budget | str, **options: Any) -> int:
    """The most top blocks whose saved bytes stay within a budget; runs on the meta device, the backbone is not touched.

    max_saved   "24 MB", of what is saved for backward alone; MobileTL.within takes a budget for the whole step
    options     of MobileTL
    Raises BudgetError, with what the classifier alone takes, when nothing fits.
    """
    allowed = Budget.of(max_saved)
    if allowed.unit != "bytes":
        raise BudgetError(f"what is saved is measured in bytes, not in {allowed.unit}: give a budget like 24 MB.")
    ghost = {name: value.to("meta") if isinstance(value, Tensor) else value for name, value in batch.items()}
    least = 0
    for size in MobileTL.sizes(backbone):
        model = MobileTL(copy.deepcopy(backbone).to("meta"), **{**options, **size})
        with saved_bytes(model) as saved:
            kept = model(**ghost)
        del kept
        if saved.peak <= allowed.amount:
            return int(size["top_blocks"])
        least = saved.peak
    raise BudgetError(
        f"the classifier alone saves {readable(least, 'bytes')} on this batch: {max_saved} is not enough."
    )


# ---- looking at a run


@contextmanager
def _watched(model: nn.Module, note: Callable[[str, nn.Module, tuple[Any, ...], Any], None]) -> Iterator[None]:
    """Call `note` with the name, the module, its arguments and its result after each conv, norm and linear layer."""
    kinds = nn.Conv2d | nn.Linear | nn.BatchNorm2d | ShiftNorm | FrozenConv
    hooks = [
        module.register_forward_hook(lambda m, args, result, name=name: note(name, m, args, result))
        for name, module in model.named_modules()
        if isinstance(module, kinds)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _unmoved(model: nn.Module) -> Iterator[None]:
    """Running statistics are as they were after the block."""
    before = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, was in before:
                buffer.copy_(was)
