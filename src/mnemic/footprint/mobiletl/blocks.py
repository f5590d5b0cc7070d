"""Inverted residual blocks, found by the order in which modules run on one image.

A block is   1x1 conv - norm - act - depthwise conv - norm - act - [squeeze-and-excitation] - 1x1 conv - norm
with no activation behind it; the first of a network may lack the first three. Convolutions, norms and activations
must be modules, in whatever modules they lie (attributes, nn.Sequential, a norm that carries its activation).
An activation is a module without parameters that maps every element by itself, and is not the identity.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from mnemic.errors import InputError

_SIDE = 128  # pixels of the image that is looked at: maps stay above 1x1 behind a stride of 64
_SIDE_OF_MAPS = 16  # where the first convolution reads many channels, the network is the upper part of another
_PATTERN = re.compile(r"(?:PNA)?DNA[sL]*PN(?!A)")


@dataclass(frozen=True)
class Event:
    """One module that ran.

    kind   P 1x1 conv, D depthwise conv, C other conv, N norm, A activation, L linear, s on pooled maps
    """

    kind: str
    name: str
    module: nn.Module


@dataclass(frozen=True)
class Block:
    """Names of the modules of a block, in the order in which they run.

    name    the innermost module that holds them; "" when that is the network
    convs   [pw1], dw, pw2
    norms   [bn1], bn2
    acts    [act1], act2
    last    bn3
    se      the squeeze-and-excitation module; "" when there is none, or when it lies open in the block's own forward
    pooled  modules of the squeeze-and-excitation that have parameters
    """

    name: str
    convs: tuple[str, ...]
    norms: tuple[str, ...]
    acts: tuple[str, ...]
    last: str
    se: str
    pooled: tuple[str, ...]

    def holds(self, module: str) -> bool:
        """True for the name of a module that is a part of this block."""
        parts = (*self.convs, *self.norms, *self.acts, self.last, self.se, *self.pooled)
        return module == self.name or any(part and within(module, part) for part in parts)


@dataclass(frozen=True)
class Plan:
    """What a network consists of, from its top.

    blocks   the inverted residual blocks in the order in which they run, up to the first gap from the top
    neck     convs, norms, activations on maps behind the last block
    linear   names of the linear layers behind the last block: a classifier, if there is one
    width    of what the network returns, pooled
    """

    blocks: tuple[Block, ...]
    neck: tuple[Event, ...]
    linear: tuple[str, ...]
    width: int


def plan(model: nn.Module) -> Plan:
    """Look at one image through the network. Raises InputError when no inverted residual block is at its top."""
    events, result = traced(model)
    kinds = "".join(event.kind for event in events)
    found = [(match.start(), match.end()) for match in _PATTERN.finditer(kinds)]
    if not found:
        raise InputError(
            f"{type(model).__name__} has no inverted residual block (1x1 conv - norm - activation - depthwise conv - "
            "norm - activation - 1x1 conv - norm, each a module): give a network like MobileNetV2, V3 or EfficientNet."
        )
    while any(end != start for (_, end), (start, _) in pairwise(found)):
        found.pop(0)  # below a gap: gradients would have to pass what is no block
    after = events[found[-1][1] :]
    strange = next((event.name for event in after if event.kind == "D"), None)
    if strange is not None:
        raise InputError(
            f'the depthwise convolution "{strange}" runs behind the last inverted residual block, in none of them: '
            "give a network that ends in such blocks and was not converted yet."
        )
    return Plan(
        blocks=tuple(_block(events[start:end]) for start, end in found),
        neck=tuple(event for event in after if event.kind in "PDCNA"),
        linear=tuple(event.name for event in after if event.kind in "Ls" and list(event.module.parameters())),
        width=int(pooled(result).shape[-1]),
    )


def traced(model: nn.Module) -> tuple[list[Event], object]:
    """The convs, norms, activations and linear layers that run on one grey image, and what the model returns."""
    events: list[Event] = []
    hooks = []
    for name, module in model.named_modules():
        if _simple(module):
            hooks.append(module.register_forward_pre_hook(lambda m, args, name=name: _note(events, name, m, args)))
    modes, image = [(module, module.training) for module in model.modules()], grey(model)
    try:
        with torch.no_grad():
            return events, model.eval()(image)
    except (ValueError, RuntimeError, TypeError) as error:  # a vision transformer wants one size, a text model ids
        side = image.shape[-1]
        raise InputError(
            f"{type(model).__name__} cannot be run on one image of {side} x {side} ({str(error).splitlines()[0]}): "
            "MobileTL tunes convolutional networks, which take images of any size."
        ) from error
    finally:
        for module, training in modes:
            module.training = training
        for hook in hooks:
            hook.remove()


def grey(model: nn.Module) -> Tensor:
    """An image that fits the first convolution: [1 c h w] of zeros."""
    first = next((module for module in model.modules() if isinstance(module, nn.Conv2d)), None)
    if first is None:
        raise InputError(f"{type(model).__name__} has no convolution: MobileTL tunes convolutional networks.")
    side = _SIDE if first.in_channels <= 4 else _SIDE_OF_MAPS
    return torch.zeros(1, first.in_channels, side, side, dtype=first.weight.dtype, device=first.weight.device)


def pooled(result: object) -> Tensor:
    """[b n] of what a network returns: logits, pooled features, or the mean of a map."""
    if not isinstance(result, Tensor):
        named = dict(result) if hasattr(result, "keys") else {}  # type: ignore[call-overload]
        result = next((named[key] for key in ("logits", "pooler_output", "last_hidden_state") if key in named), None)
    if not isinstance(result, Tensor) or result.dim() not in (2, 4):
        raise InputError("the network returns neither logits [b n] nor a map [b c h w]: give one that does.")
    return result.mean((2, 3)) if result.dim() == 4 else result  # [b n]


def _simple(module: nn.Module) -> bool:
    """Convs, norms (they may carry an activation) and what has no modules inside."""
    return isinstance(module, nn.Conv2d | nn.BatchNorm2d) or not list(module.children())


def _note(events: list[Event], name: str, module: nn.Module, args: tuple[object, ...]) -> None:
    x = args[0] if args else None
    if isinstance(x, Tensor):
        kind = _kind(module, x)
        if kind:
            events.append(Event(kind, name, module))


def _kind(module: nn.Module, x: Tensor) -> str:
    on_map = x.dim() == 4 and x.shape[2:] != (1, 1)
    if isinstance(module, nn.Conv2d):
        if not on_map:
            return "s"
        if module.kernel_size == (1, 1) and module.groups == 1:
            return "P"
        return "D" if module.groups == module.in_channels == module.out_channels > 1 else "C"
    if isinstance(module, nn.BatchNorm2d):
        return "N" if module.running_mean is not None and module.weight is not None else "C"
    if list(module.parameters()):
        return "s" if x.dim() == 4 and not on_map else "L"
    if elementwise(module):
        return "A" if on_map else "s"
    return ""


def elementwise(module: nn.Module) -> bool:
    """True for a module that maps every element by itself and is not the identity: tried on some numbers."""
    x = torch.linspace(-6.6, 6.6, 80, device="cpu").view(1, 2, 5, 8)
    try:
        with torch.no_grad():
            y, part = module.forward(x.clone()), module.forward(x[:, :1, :3, :4].clone())
    except Exception:  # whatever it is, it is no activation
        return False
    if not isinstance(y, Tensor) or y.shape != x.shape or not isinstance(part, Tensor):
        return False
    return part.shape == (1, 1, 3, 4) and torch.allclose(y[:, :1, :3, :4], part) and not torch.allclose(y, x)


def _block(events: list[Event]) -> Block:
    def names(kinds: str) -> tuple[str, ...]:
        return tuple(event.name for event in events if event.kind in kinds)

    norms = names("N")
    weighted = tuple(event.name for event in events if event.kind in "sL" and list(event.module.parameters()))
    convs = names("PD")
    se = _common(weighted) if weighted else ""
    open_ = any(within(name, se) for name in convs) if se else True
    return Block(_common((*convs, *norms)), convs, norms[:-1], names("A"), norms[-1], "" if open_ else se, weighted)


def _common(names: tuple[str, ...]) -> str:
    """The innermost module that holds all of some modules."""
    paths = [name.split(".")[:-1] for name in names]
    return ".".join(_shared(paths))


def _shared(paths: list[list[str]]) -> Iterator[str]:
    for step in zip(*paths, strict=False):
        if len(set(step)) > 1:
            return
        yield step[0]


def within(name: str, module: str) -> bool:
    """True when a dotted name is a module or something in it."""
    return f"{name}.".startswith(f"{module}." if module else "")
