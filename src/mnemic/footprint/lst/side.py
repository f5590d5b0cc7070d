"""The side network of one stack: layers of the backbone's own class with fewer features, ladders, gates."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mnemic.footprint._stacks import Stack, linear_shape
from mnemic.footprint._trace import Trace
from mnemic.footprint.lst.anatomy import TABLE, Attention, anatomy
from mnemic.footprint.lst.cache import rooms
from mnemic.footprint.lst.chain import Importance, cut, heads_of
from mnemic.footprint.lst.shrunk import last_norm, shrunk, template, tried

_BIASES = ("position_bias", "encoder_decoder_position_bias")  # what T5's layers hand on to the next one


class SideStack(nn.Module):
    """Runs beside a frozen stack, on what that computed.

        s = W_0 H_0
        s = mu_i s + (1 - mu_i) W_i H_i;  s = g_i(s)        for every kept layer i, mu_i = sigmoid(alpha_i / T)
        returns dropout(norm(s))                            [b t s]

    first, ladders   W_0 and W_i: d -> s
    alpha            one per kept layer; 0 at the start, so that both halves count the same
    layers           g_i, for the kept layers
    """

    def __init__(
        self, stack: Stack, kept: Sequence[int], side: int, layers: Sequence[nn.Module], norm: nn.Module, *,
        temperature: float, after: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kept, self.depth, self.after, self.temperature = list(kept), len(stack.layers), after, temperature
        self.positions = any(name.endswith(TABLE) for name, _ in stack.layers[0].named_modules())
        self.first = Rung(stack.width, side)
        self.ladders = nn.ModuleList(Rung(stack.width, side) for _ in kept)
        self.alpha = nn.Parameter(torch.zeros(len(kept)))
        self.layers = nn.ModuleList(layers)
        self.norm = norm
        rates = [module.p for module in stack.layers[0].modules() if isinstance(module, nn.Dropout)]
        self.dropout = nn.Dropout(max(rates, default=0.0))

    def forward(self, trace: Trace, memory: Tensor | None = None) -> Tensor:
        """What the side network makes of a run of the backbone: [b t s].

        memory   last state of the side network that is read across, [b t' s]
        """
        side: Tensor = self.first(trace.states[0])  # [b t s]
        for value in arguments(self.layers[0], trace.calls[self.kept[0]]).values():
            rooms(value, self.kept, self.depth, side.shape[1])  # where keys and values are cached
        biases: dict[str, Tensor | None] = {}
        for n, place in enumerate(self.kept):
            state, gate = trace.states[place + 1], torch.sigmoid(self.alpha[n] / self.temperature)
            if not self.after:
                side = gate * side + (1 - gate) * self.ladders[n](state)
            named = self._call(n, trace.calls[place], side, memory, biases)
            result = self.layers[n](side, **named)
            side = result if isinstance(result, Tensor) else result[0]
            if self.positions and not isinstance(result, Tensor):
                biases = dict(zip(_BIASES, result[1:3], strict=False))
            if self.after:
                side = gate * side + (1 - gate) * self.ladders[n](state)
        final: Tensor = self.dropout(self.norm(side))
        return final

    def _call(
        self, n: int, given: tuple[tuple[Any, ...], dict[str, Any]], side: Tensor, memory: Tensor | None,
        biases: Mapping[str, Tensor | None],
    ) -> dict[str, Any]:  # fmt: skip
        """What side layer n is called with besides its hidden states: the backbone layer's arguments, in its terms."""
        named = arguments(self.layers[n], given)
        if self.positions:  # the side network's own, in as many heads as it has: the first layer makes them
            named |= {name: biases.get(name) for name in _BIASES if name in named}
        if memory is not None and named.get("encoder_hidden_states") is not None:
            named["encoder_hidden_states"] = memory
        return {name: _like(value, side) for name, value in named.items()}


class Rung(nn.Linear):
    """d -> s. What is saved for backward is the frozen state itself, in the backbone's precision."""

    def forward(self, state: Tensor) -> Tensor:
        state = state.to(self.weight.device)  # layers of a large backbone may lie on several
        if state.dtype == self.weight.dtype or torch.is_autocast_enabled(state.device.type):
            return super().forward(state)
        cast: Any = _Cast
        result: Tensor = cast.apply(state, self.weight, self.bias)
        return result


class _Cast(torch.autograd.Function):
    """Linear map of a state in another precision than the weights, without keeping a copy in theirs."""

    @staticmethod
    def forward(ctx: Any, state: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(state)
        ctx.dtype = weight.dtype
        return functional.linear(state.to(weight.dtype), weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, Tensor]:
        (state,) = ctx.saved_tensors
        rows = gradient.flatten(0, -2)  # [n s]
        return None, rows.t() @ state.flatten(0, -2).to(ctx.dtype), rows.sum(0)


def arguments(layer: nn.Module, given: tuple[tuple[Any, ...], dict[str, Any]]) -> dict[str, Any]:
    """What a layer was called with besides its hidden states, by name."""
    names = [name for name in inspect.signature(type(layer).forward).parameters if name != "self"][1:]
    return dict(zip(names, given[0], strict=False)) | given[1]


def _like(value: Any, side: Tensor) -> Any:
    """Masks and angles in the precision of the side network."""
    if isinstance(value, Tensor):
        return value.to(side.dtype) if value.is_floating_point() else value
    if isinstance(value, tuple) and all(isinstance(each, Tensor) for each in value):
        return tuple(_like(each, side) for each in value)
    return value


# ---- making it


def build(
    stack: Stack, stream: Tensor, across: Tensor, kept: Sequence[int], reduction: int, heads: int | None,
    importance: Importance | None, *, temperature: float, after: bool, fused: bool,
) -> tuple[SideStack, Tensor]:  # fmt: skip
    """The side network of a stack, and which places of the backbone's last state its features come from.

    stream       kept places of the embeddings, [s]
    across       kept places of the last state that is read across, [s]
    importance   chooses which weights of the backbone are copied; None: random weights
    fused        the layers' class can attend without keeping attention maps
    """
    side, where = len(stream), f"{stack.name}.0"
    steps = anatomy(stack.layers[0], stack.width, where)
    plan = {step.name: heads_of(step, reduction, heads, where) for step in steps if isinstance(step, Attention)}
    layers: list[nn.Module] = []
    for place, layer in enumerate(stack.layers):
        chosen, stream = cut(layer, steps, stream, across, reduction, plan, importance or _no_values)
        if place in kept:  # dropped layers took part in the chain
            like = template(stack, place, first=not layers)
            number = len(stack.layers) + len(layers)
            layers.append(shrunk(like, layer, chosen, number, copied=importance is not None, fused=fused))
            tried(layers[-1], steps, side, f"{stack.name}.{place}")
    norm = last_norm(stack, stream, copied=importance is not None)
    made = SideStack(stack, kept, side, layers, norm, temperature=temperature, after=after)
    return made.to(next(stack.layers.parameters()).device), stream


def _no_values(module: nn.Module) -> Tensor:
    """Importance of random weights: a shape, so that the first rows and columns are taken and nothing is copied."""
    return torch.empty(linear_shape(module) or (0, 0), device="meta")
