"""Two streams through a frozen stack: tokens, which nothing is saved of, and queries, which read them layer by layer.

The queries of a layer depend on nothing but its own tokens, and these on nothing that is trained. So K and V are
constants, and what is kept of them for the way back is a matter of bytes against time, never of the gradient:

graph       everything that autograd keeps by itself: K and V, and the queries' way through the layer
keys        K and V alone, 2 x [b t d] a layer; the queries' way is computed again
jacobians   d attention / d query, [b q d] x width of a head: no tokens in it; K and V are let go
nothing     the frozen backbone runs again when gradients are asked for, and each layer is read again
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils._pytree import tree_flatten, tree_unflatten
from torch.utils.checkpoint import checkpoint, get_device_states, set_device_states

from mnemic.footprint._stacks import Stack
from mnemic.footprint.vqt.attention import Attended, Sloped, jacobian
from mnemic.footprint.vqt.layers import Layer, watching

Batch = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass
class Reading:
    """What came of one pass.

    result    what the backbone returned
    states    place of a layer -> R_l [b q d]
    visible   [b t] tokens that are no padding; None for all
    """

    result: Any
    states: dict[int, Tensor]
    visible: Tensor | None = None


def read(
    backbone: nn.Module, stack: Stack, queries: Mapping[int, Tensor], batch: Batch, *, keep: str, half: bool = False
) -> Reading:
    """Run the backbone on a batch, and each layer's queries through it.

    queries   place of a layer -> P_l [q d]
    half      what is kept is kept in 16 bits
    """
    reading = Reading(None, {})

    def visit(place: int, layer: Layer) -> None:
        reading.states[place] = KEEP[keep](layer, queries[place], half)
        visible = layer.seen[0].visible
        reading.visible = None if visible is None else visible[:, 0, 0]

    with watching(stack, queries, visit, frozen=keep != "graph"):
        reading.result = backbone(*batch[0], **batch[1])
    if keep == "nothing" and torch.is_grad_enabled() and any(each.requires_grad for each in queries.values()):
        again = _Again(backbone, stack, tuple(queries), batch)
        apply: Any = _Recomputed.apply
        states = apply(again, *queries.values(), *reading.states.values(), *again.tensors)
        reading.states = dict(zip(queries, states, strict=True))
    return reading


def _graph(layer: Layer, queries: Tensor, half: bool) -> Tensor:
    return layer.read(queries)


def _keys(layer: Layer, queries: Tensor, half: bool) -> Tensor:
    def way(queries: Tensor, *kept: Tensor | None) -> Tensor:
        """kept   K, V and mask of each attention in turn"""
        seen = [
            replace(each, key=key.to(layer.hidden), value=value.to(layer.hidden), visible=visible)
            for each, key, value, visible in zip(shapes, kept[::3], kept[1::3], kept[2::3], strict=True)
            if key is not None and value is not None
        ]
        return replace(outline, seen=seen).read(queries)

    kept = [tensor for each in layer.seen
            for tensor in (_small(each.key, half), _small(each.value, half), each.visible)]  # fmt: skip
    nowhere = torch.empty(0)
    shapes = [replace(each, key=nowhere, value=nowhere, visible=None) for each in layer.seen]
    outline = replace(layer, seen=[])  # the closure must not hold what checkpoint is given to keep
    return _checkpointed(way, queries, *kept)


def _jacobians(layer: Layer, queries: Tensor, half: bool) -> Tensor:
    found: list[Tensor] = []

    def attend(attended: Attended, query: Tensor) -> Tensor:
        out, slope = jacobian(attended, query)
        found.extend((out, _small(slope, half)))
        return out

    def way(queries: Tensor, *found: Tensor) -> Tensor:
        """found   result and Jacobian of each attention in turn"""
        known = zip(found[::2], found[1::2], strict=True)
        return outline.read(queries, [partial(_as_known, out, slope) for out, slope in known])

    with torch.no_grad():  # once to learn what the queries find and how it would change, once along that
        layer.read(queries, [partial(attend, each) for each in layer.seen])
    outline = replace(layer, seen=[])
    return _checkpointed(way, queries, *found)


def _as_known(out: Tensor, slope: Tensor, query: Tensor) -> Tensor:
    apply: Any = Sloped.apply
    known: Tensor = apply(query, out, slope)
    return known


def _nothing(layer: Layer, queries: Tensor, half: bool) -> Tensor:
    with torch.no_grad():
        return layer.read(queries)


KEEP: dict[str, Callable[[Layer, Tensor, bool], Tensor]] = {
    "graph": _graph, "keys": _keys, "jacobians": _jacobians, "nothing": _nothing,
}  # fmt: skip


def _checkpointed(way: Callable[..., Tensor], *tensors: Any) -> Tensor:
    if not torch.is_grad_enabled():
        return way(*tensors)
    found: Tensor = checkpoint(way, *tensors, use_reentrant=False, preserve_rng_state=False)
    return found


def _small(tensor: Tensor, half: bool) -> Tensor:
    """In 16 bits where asked for, and in a storage of its own: a view would keep the queries beside the keys too."""
    if half and tensor.element_size() > 2:
        return tensor.to(torch.float16)
    own = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    return tensor if own else tensor.clone()


# ---- the backbone runs again


class _Again:
    """One more pass over the same batch, with the same random numbers and under the same autocast."""

    def __init__(self, backbone: nn.Module, stack: Stack, places: tuple[int, ...], batch: Batch) -> None:
        self.backbone, self.stack, self.places = backbone, stack, places
        leaves, self._spec = tree_flatten(batch)
        self._plain = [None if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        self._is_tensor = [isinstance(leaf, Tensor) for leaf in leaves]
        self.tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        self._random = torch.get_rng_state(), *get_device_states(*self.tensors)
        self.device = next(backbone.parameters()).device.type
        self._autocast = torch.is_autocast_enabled(self.device), torch.get_autocast_dtype(self.device)

    def gradients(self, queries: dict[int, Tensor], tensors: list[Tensor], of: dict[int, Tensor]) -> dict[int, Tensor]:
        """d loss / d P_l of every layer, from d loss / d R_l; each layer lets go before the next one is read."""
        found: dict[int, Tensor] = {}

        def visit(place: int, layer: Layer) -> None:
            leaf = queries[place].detach().requires_grad_(True)
            with torch.enable_grad():
                state = layer.read(leaf)
            (found[place],) = torch.autograd.grad(state, leaf, of[place])

        left = iter(tensors)
        leaves = [next(left) if is_tensor else plain
                  for plain, is_tensor in zip(self._plain, self._is_tensor, strict=True)]  # fmt: skip
        positional, named = tree_unflatten(leaves, self._spec)
        with torch.no_grad(), self._as_it_was(), watching(self.stack, self.places, visit, frozen=True):
            self.backbone(*positional, **named)
        return found

    @contextmanager
    def _as_it_was(self) -> Iterator[None]:
        state, devices, states = self._random
        with torch.random.fork_rng(devices), torch.autocast(self.device, self._autocast[1], enabled=self._autocast[0]):
            torch.set_rng_state(state)
            set_device_states(devices, states)
            yield


class _Recomputed(torch.autograd.Function):
    """States that were read without gradients, and the gradients of the queries that they were read with."""

    @staticmethod
    def forward(ctx: Any, again: _Again, *tensors: Tensor) -> tuple[Tensor, ...]:
        count = len(again.places)
        queries, states, batch = tensors[:count], tensors[count : 2 * count], tensors[2 * count :]
        ctx.again, again.tensors = again, []  # saved below, where it is counted and checked for changes in place
        ctx.save_for_backward(*queries, *batch)
        return tuple(state.view_as(state) for state in states)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        places, saved = ctx.again.places, ctx.saved_tensors
        queries = dict(zip(places, saved[: len(places)], strict=True))
        found = ctx.again.gradients(queries, list(saved[len(places) :]), dict(zip(places, gradients, strict=True)))
        return None, *(found[place] for place in places), *[None] * len(saved)  # states and batch get none
