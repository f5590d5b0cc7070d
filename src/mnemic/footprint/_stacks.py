"""Where a model keeps its repeated layers: found by structure, whatever the classes are called.

A stack is a ModuleList (in timm's models a Sequential) of layers of one class that turn hidden states [b t d] into
hidden states of the same width; its host is the module that runs it and returns the last of them. BERT, ViT and
Llama have one stack, T5 two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from mnemic.errors import InputError


@dataclass(frozen=True)
class Stack:
    """The repeated layers of a transformer.

    name     dotted path of the ModuleList in the model: "encoder.layer", "model.layers", "decoder.block"
    host     the module whose forward runs the layers
    layers   the layers, in the order in which they run
    width    d, the width of the hidden states
    """

    name: str
    host: nn.Module
    layers: nn.ModuleList | nn.Sequential
    width: int


def stacks(model: nn.Module) -> list[Stack]:
    """All stacks of a model, in the order of definition. Raises InputError when there is none."""
    found = list(_found(model, ""))
    if not found:
        raise InputError(
            f"{type(model).__name__} has no stack of transformer layers (a ModuleList of blocks of one class that "
            "keep the width of the hidden states): give an encoder, a decoder or an encoder-decoder model."
        )
    return found


def only_stack(model: nn.Module) -> Stack:
    """The one stack of an encoder or a decoder. Raises InputError for a model that has several, naming them."""
    found = stacks(model)
    if len(found) > 1:
        names = ", ".join(stack.name for stack in found)
        raise InputError(f"{type(model).__name__} has several stacks of layers ({names}): give one of its halves.")
    return found[0]


def linear_shape(module: nn.Module) -> tuple[int, int] | None:
    """(out, in) of a module that multiplies by a matrix, in float or in 8 or 4 bits; None for any other.

    transformers' Conv1D keeps [in, out] and calls its output nf.
    """
    layer: Any = module
    if hasattr(layer, "in_features") and hasattr(layer, "out_features"):
        return int(layer.out_features), int(layer.in_features)
    weight = getattr(layer, "weight", None)
    if hasattr(layer, "nf") and weight is not None and weight.dim() == 2:
        return int(layer.nf), int(weight.shape[0])
    return None


def _found(module: nn.Module, path: str) -> Iterator[Stack]:
    """Outermost lists first: T5 has a list inside each block that is no stack."""
    for name, child in module.named_children():
        here = f"{path}.{name}" if path else name
        width = _width(child)
        if isinstance(child, nn.ModuleList | nn.Sequential) and width is not None:
            yield Stack(here, module, child, width)
        else:
            yield from _found(child, here)


def _width(layers: nn.Module) -> int | None:
    """Width of the hidden states of some layers; None when they are no stack.

    A transformer layer reads the hidden states with several matrices (queries, keys, values, the first of the
    feed-forward) and gives them back with at least two (attention output, the last of the feed-forward).
    """
    if not isinstance(layers, nn.ModuleList | nn.Sequential) or len({type(layer) for layer in layers}) != 1:
        return None
    if isinstance(layers, nn.Sequential) and len(layers) == 1:  # as likely a wrapper around a whole model
        return None
    shapes = [shape for shape in map(linear_shape, layers[0].modules()) if shape is not None]
    for width in dict.fromkeys(read for _, read in shapes):
        reads = sum(read == width for _, read in shapes)
        writes = sum(written == width for written, _ in shapes)
        if reads >= 2 and writes >= 2 and len(shapes) >= 4:
            return width
    return None
