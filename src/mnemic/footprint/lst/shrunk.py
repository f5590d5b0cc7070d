"""A side layer: a copy of a backbone layer, its linear maps and norms cut to the features that were kept."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mnemic.errors import InputError
from mnemic.footprint._stacks import Stack
from mnemic.footprint.lst.anatomy import HEAD_SIZE, HEADS, KEY_HEADS, TABLE, Attention, Step, call
from mnemic.footprint.lst.chain import Cut, Heads
from mnemic.footprint.lst.importance import dense


def shrunk(template: nn.Module, layer: nn.Module, cut: Cut, number: int, *, copied: bool, fused: bool) -> nn.Module:
    """A copy of a layer with fewer features, in float32 and trainable.

    template   its structure: the layer itself, or one of the same class that has what this one lacks
    number     under which it keeps its keys and values in a cache
    copied     False: random weights of the same shapes
    fused      the class can attend without attention maps that are kept
    """
    made = copy.deepcopy(template)
    for name, (rows, columns) in cut.maps.items():
        _put(made, name, _map(layer.get_submodule(name), rows, columns, copied=copied))
    for name, entries in cut.norms.items():
        cut_norm(made.get_submodule(name), entries, copied=copied)
    for name, (heads, members) in cut.heads.items():
        _set_heads(made.get_submodule(name), heads, members)
    module: Any
    for module in made.modules():
        module._forward_hooks.clear()  # whoever watches the backbone does not watch its copy
        module._forward_pre_hooks.clear()
        if hasattr(module, "layer_idx"):
            module.layer_idx = number
        config: Any = getattr(module, "config", None)
        if fused and getattr(config, "_attn_implementation", None) == "eager":
            config._attn_implementation = "sdpa"  # attention maps are not kept
    return made.float().requires_grad_(True)


def _map(source: nn.Module, rows: Tensor, columns: Tensor, *, copied: bool) -> nn.Linear:
    bias = getattr(source, "bias", None)
    device = next(source.parameters()).device
    made = nn.Linear(len(columns), len(rows), bias=bias is not None, device=device)
    if copied:
        with torch.no_grad():
            made.weight.copy_(dense(source)[rows.to(device)][:, columns.to(device)])
            if isinstance(bias, Tensor):
                made.bias.copy_(bias[rows.to(device)])
    return made


def cut_norm(norm: Any, entries: Tensor, *, copied: bool) -> None:
    """Cut the weights of a norm in place; where nothing is copied they are those of a new one, if it can be made."""
    fresh: dict[str, Tensor] = {}
    if not copied:
        kind: Any = type(norm)
        try:
            fresh = dict(kind(len(entries)).named_parameters())
        except (TypeError, AttributeError):  # it is made from a configuration: keep what the backbone has
            fresh = {}
    for name, weight in list(norm.named_parameters()):
        values = fresh[name] if name in fresh else weight.detach()[entries.to(weight.device)]
        _put(norm, name, nn.Parameter(values.detach().clone().to(weight.device)))
    if hasattr(norm, "normalized_shape"):
        norm.normalized_shape = (len(entries),)


def _set_heads(attention: Any, side: Heads, members: Tensor) -> None:
    size = next(int(getattr(attention, name)) for name in HEAD_SIZE if hasattr(attention, name))
    counts: Mapping[str, int] = {
        **dict.fromkeys(HEAD_SIZE, side.size), **dict.fromkeys(HEADS, side.heads),
        **dict.fromkeys(KEY_HEADS, side.heads // side.groups), "num_key_value_groups": side.groups,
        "all_head_size": side.heads * side.size, "inner_dim": side.heads * side.size,
    }  # fmt: skip
    for name, count in counts.items():
        if hasattr(attention, name):
            setattr(attention, name, count)
    scaling = getattr(attention, "scaling", None)
    if isinstance(scaling, float) and abs(scaling - size**-0.5) < 1e-9:  # T5 does not scale
        attention.scaling = side.size**-0.5
    for name, value in list(vars(attention).items()):
        if "dropout" in name and isinstance(value, float):
            setattr(attention, name, 0.0)  # with dropout no fused attention on a CPU: whole maps would be kept
    for name, child in attention.named_children():
        if "dropout" in name and isinstance(child, nn.Dropout):
            child.p = 0.0
    table = getattr(attention, TABLE, None)
    if isinstance(table, nn.Embedding):
        kept = table.weight.detach().float()[:, members.to(table.weight.device)]  # [buckets heads]
        _put(attention, TABLE, nn.Embedding(kept.shape[0], kept.shape[1], _weight=kept.clone()))


def _put(root: nn.Module, name: str, value: nn.Module | nn.Parameter) -> None:
    parent, _, last = name.rpartition(".")
    setattr(root.get_submodule(parent), last, value)


def template(stack: Stack, place: int, *, first: bool) -> nn.Module:
    """The first side layer has what only the first layer of the backbone has: T5's table of relative positions."""
    layer, lowest = stack.layers[place], stack.layers[0]
    names = {name for name, _ in layer.named_parameters()}
    return lowest if first and {name for name, _ in lowest.named_parameters()} - names else layer


def last_norm(stack: Stack, entries: Tensor, *, copied: bool) -> nn.Module:
    """The norm that the stack ends with, cut; a new one where it has none."""
    found: nn.Module | None = None
    passed = False
    for child in stack.host.children():
        passed |= child is stack.layers
        shapes = {tuple(weight.shape) for weight in child.parameters()}
        if passed and shapes == {(stack.width,)}:
            found = child
    if found is None:
        return nn.LayerNorm(len(entries))
    made = copy.deepcopy(found)
    made._forward_hooks.clear()
    cut_norm(made, entries, copied=copied)
    return made.float().requires_grad_(True)


def tried(layer: nn.Module, steps: Sequence[Step], side: int, where: str) -> None:
    """Raise InputError when a side layer does not run: its class counts on something that was not cut."""
    sizes = [module_size for module_size in (_size(layer, step) for step in steps) if module_size]
    like = next(layer.parameters())
    hidden = torch.zeros(1, 2, side, device=like.device)
    memory = hidden.clone() if any(isinstance(step, Attention) and step.across for step in steps) else None
    try:
        with torch.no_grad():
            shape = call(layer, hidden, sizes[0] if sizes else None, memory).shape
    except (RuntimeError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise InputError(f"{where} ({type(layer).__name__}) does not run with {side} features: {error}.") from error
    if tuple(shape) != (1, 2, side):
        raise InputError(f"{where} ({type(layer).__name__}) turns {side} features into {tuple(shape)[-1]}.")


def _size(layer: nn.Module, step: Step) -> int | None:
    if not isinstance(step, Attention):
        return None
    owner = layer.get_submodule(step.name)
    return next((int(getattr(owner, name)) for name in HEAD_SIZE if hasattr(owner, name)), None)
