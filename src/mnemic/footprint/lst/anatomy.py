"""What a transformer layer is made of, found by running it once on two tokens.

A layer is a sequence of norms, attentions and feed-forwards. Which linear map reads and which writes follows from
who was given the same tensor; which ones are an attention follows from the module that knows the size of a head.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mnemic.errors import InputError
from mnemic.footprint._stacks import linear_shape

# attributes of attention modules, as transformers' classes call them
HEAD_SIZE = ("head_dim", "attention_head_size", "key_value_proj_dim")
HEADS = ("num_heads", "n_heads", "num_attention_heads")
KEY_HEADS = ("num_key_value_heads", "num_kv_heads")
TABLE = "relative_attention_bias"  # of T5: [buckets heads], in the first layer of a stack only


@dataclass(frozen=True)
class Norm:
    """A weight per feature of the hidden states."""

    name: str


@dataclass(frozen=True)
class Attention:
    """Queries, keys, values and what writes them back.

    name      the module that knows the heads
    readers   names of the maps to queries, keys, values
    writer    name of the map back to the hidden states
    heads     query heads
    groups    query heads that share one head of keys and values
    size      features of one head
    rotary    positions are turned into the heads, so a head has to keep its size
    across    keys and values are read from another stack
    """

    name: str
    readers: tuple[str, ...]
    writer: str
    heads: int
    groups: int
    size: int
    rotary: bool
    across: bool


@dataclass(frozen=True)
class FeedForward:
    """Maps to the inner width (one, or two where one gates the other), and the map back."""

    readers: tuple[str, ...]
    writer: str


Step = Norm | Attention | FeedForward


@dataclass
class _Run:
    """Leaves of a layer in the order in which they ran, each with the tensor that it was given."""

    names: list[str]
    given: list[Tensor]


def anatomy(layer: nn.Module, width: int, where: str) -> list[Step]:
    """The steps of a layer in the order in which they run.

    width   d, of the hidden states
    where   name of the layer in its model, for what is said when it cannot be read
    """
    run = _run(layer, width, where)
    rotary, leaves = _rotary(layer), dict(layer.named_modules())
    steps: list[Step] = []
    linears = [n for n, name in enumerate(run.names) if linear_shape(leaves[name]) is not None]
    while linears:
        step, used = _attention(layer, run, linears, rotary, where) or _feed_forward(run, linears, where)
        _check(leaves, step, width, where)
        first, linears = linears[0], linears[used:]
        steps += [*_norms(leaves, run.names[: first + 1], steps, width), step]
    return steps + _norms(leaves, run.names, steps, width)


def call(layer: nn.Module, hidden: Tensor, size: int | None = None, memory: Tensor | None = None) -> Tensor:
    """Run a layer on hidden states alone: [1 t d] -> [1 t d].

    size     features of a head, for layers that are given the angles of their positions
    memory   hidden states of the stack that is read across
    """
    wanted = inspect.signature(type(layer).forward).parameters
    required = [
        name for name, each in wanted.items() if each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD
    ]
    named: dict[str, Any] = dict.fromkeys(required[2:])  # after self and the hidden states: a mask, mostly
    if "position_embeddings" in wanted and size is not None:
        angles = hidden.new_ones(1, hidden.shape[1], size)  # [1 t size]
        named["position_embeddings"] = (angles, 1 - angles)  # cosine, sine
    if "encoder_hidden_states" in wanted and memory is not None:
        named["encoder_hidden_states"] = memory
    result = layer(hidden, **named)
    return result if isinstance(result, Tensor) else result[0]


def head_size(module: nn.Module) -> int | None:
    """Features of one head, of a module that knows them."""
    return next((int(getattr(module, name)) for name in HEAD_SIZE if hasattr(module, name)), None)


def _run(layer: nn.Module, width: int, where: str) -> _Run:
    """Without what is read across first: some layers refuse it; with it where that left maps unused."""
    like = next(p for p in layer.parameters() if p.dim() == 1 or p.is_floating_point())
    hidden = torch.zeros(1, 2, width, dtype=like.dtype, device=like.device)
    size = next((found for found in map(head_size, layer.modules()) if found is not None), None)
    linears = {name for name, module in layer.named_modules() if linear_shape(module) is not None}
    run = _Run([], [])
    for memory in (None, hidden.clone()):
        run = _watched(layer, partial(call, layer, hidden, size, memory), where)
        if linears <= set(run.names):
            return run
    missing = ", ".join(sorted(linears - set(run.names)))
    raise InputError(f"{where} has linear maps that a plain run does not use ({missing}): LST cannot shrink it.")


def _watched(layer: nn.Module, forward: Callable[[], Tensor], where: str) -> _Run:
    run = _Run([], [])

    def note(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            run.names.append(name)
            run.given.append(next(each for each in (*args, *kwargs.values()) if isinstance(each, Tensor)))

        return hook

    hooks = [
        module.register_forward_pre_hook(note(name), with_kwargs=True)
        for name, module in layer.named_modules()
        if not list(module.children()) and next(module.parameters(), None) is not None and not name.endswith(TABLE)
    ]
    try:
        with torch.no_grad():
            forward()
    except (RuntimeError, TypeError, ValueError, AttributeError, KeyError, IndexError) as error:
        raise InputError(f"{where} ({type(layer).__name__}) cannot be run on hidden states alone: {error}.") from error
    finally:
        for hook in hooks:
            hook.remove()
    return run


def _rotary(layer: nn.Module) -> bool:
    return "position_embeddings" in inspect.signature(type(layer).forward).parameters or any(
        "rotary" in name for name, _ in layer.named_modules()
    )


def _attention(
    layer: nn.Module, run: _Run, linears: list[int], rotary: bool, where: str
) -> tuple[Attention, int] | None:
    """The attention that begins with the first of some linear maps, and how many of them it has."""
    owner = _owner(layer, run.names[linears[0]])
    if owner is None:
        return None
    own = [n for n in linears if run.names[n].startswith(f"{owner}." if owner else "")]
    if not 3 <= len(own) <= 4 or own != linears[: len(own)] or len(linears) < 4:
        raise InputError(
            f"{where}.{owner} does not map to queries, keys and values one by one ({len(own)} linear maps), so LST "
            "cannot choose among its heads: use a model class that keeps them apart."
        )
    names = [run.names[n] for n in linears[:4]]
    module = layer.get_submodule(owner)
    size = head_size(module) or 0
    shapes = [linear_shape(layer.get_submodule(name)) or (0, 0) for name in names]
    heads, key_heads = max(out for out, _ in shapes[:3]) // size, min(out for out, _ in shapes[:3]) // size
    order = sorted(names[:3], key=lambda name: shapes[names.index(name)][0], reverse=True)  # queries have most rows
    across = len({id(run.given[n]) for n in linears[:3]}) > 1
    if across:  # queries are the one that was given something else
        given = [id(run.given[n]) for n in linears[:3]]
        order = sorted(names[:3], key=lambda name: given.count(given[names.index(name)]))
    return Attention(owner, tuple(order), names[3], heads, heads // key_heads, size, rotary, across), 4


def _owner(layer: nn.Module, name: str) -> str | None:
    """Innermost module around a leaf that knows the size of a head."""
    while "." in name:
        name = name.rpartition(".")[0]
        if head_size(layer.get_submodule(name)) is not None:
            return name
    return None


def _feed_forward(run: _Run, linears: list[int], where: str) -> tuple[FeedForward, int]:
    """Maps that were given the same tensor read; the next one writes."""
    count = 1
    while count < len(linears) and run.given[linears[count]] is run.given[linears[0]]:
        count += 1
    if count == len(linears):
        raise InputError(f"{where}.{run.names[linears[-1]]} is read by no other linear map: LST cannot shrink it.")
    names = [run.names[n] for n in linears[: count + 1]]
    return FeedForward(tuple(names[:-1]), names[-1]), count + 1


def _check(leaves: dict[str, nn.Module], step: Attention | FeedForward, width: int, where: str) -> None:
    shapes = {name: linear_shape(leaves[name]) or (0, 0) for name in (*step.readers, step.writer)}
    inner = shapes[step.readers[0]][0]
    for name, (out, read) in shapes.items():
        if (read, out) != (inner, width) if name == step.writer else read != width:
            raise InputError(f"{where}.{name} maps {read} to {out} features where LST expects {width} in or out.")


def _norms(leaves: dict[str, nn.Module], names: list[str], steps: list[Step], width: int) -> list[Step]:
    """Norms of the hidden states that ran and are no step yet; norms inside a head keep its size."""
    known = {step.name for step in steps if isinstance(step, Norm)}
    return [
        Norm(name)
        for name in dict.fromkeys(names)
        if name not in known and linear_shape(leaves[name]) is None
        and all(tuple(p.shape) == (width,) for p in leaves[name].parameters())
    ]  # fmt: skip
