"""A frozen layer that queries can be sent through, and a way to stop by at each while the backbone runs its tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from mnemic.errors import InputError
from mnemic.footprint._stacks import Stack
from mnemic.footprint._trace import split_call
from mnemic.footprint.vqt.attention import Answering, Attend, Attended, Listening


@dataclass(frozen=True)
class Layer:
    """A frozen layer whose tokens have just gone through.

    rest     what it was called with besides the hidden states, made fit for queries
    seen     its attentions, in the order in which it computes them
    heads    of the queries, for each attention
    batch    rows b
    hidden   type of its hidden states
    """

    module: nn.Module
    rest: tuple[tuple[Any, ...], dict[str, Any]]
    seen: list[Attended]
    heads: list[int]
    batch: int
    hidden: torch.dtype

    def read(self, queries: Tensor, attends: Sequence[Attend] = ()) -> Tensor:
        """Queries through the whole layer: [q d] -> [b q d]. In a pre-norm layer

            U = P + W_o Attn(W_q LN1(P), K, V),   R = U + MLP(LN2(U))

        and in any other what its own forward does, with the attention of the queries in the place of its own.

        attends   in the place of the attentions that were seen
        """
        rows = queries.to(self.hidden).expand(self.batch, *queries.shape)  # [b q d]
        positional, named = self.rest
        with Answering(attends or self.seen, self.heads):
            found = self.module.forward(rows, *positional, **named)  # not __call__: hooks are for tokens
        state: Tensor = found if isinstance(found, Tensor) else found[0]
        return state


@contextmanager
def watching(
    stack: Stack, places: Iterable[int], visit: Callable[[int, Layer], None], *, frozen: bool
) -> Iterator[None]:
    """While the block runs the backbone, `visit` some of its layers, each right after its tokens went through.

    frozen   the stack runs without gradients; `visit` and what follows the stack have them
    """
    gradients, mode = torch.is_grad_enabled(), Listening()
    calls: list[tuple[Tensor, tuple[Any, ...], dict[str, Any]]] = []

    def enter(host: nn.Module, args: Any) -> None:
        torch.set_grad_enabled(gradients and not frozen)

    def leave(host: nn.Module, args: Any, result: Any) -> None:  # also when the host raised
        torch.set_grad_enabled(gradients)

    def before(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        calls.append(split_call(args, kwargs))
        mode.seen = []

    def after(place: int, layer: nn.Module) -> None:
        (hidden, *call), seen, mode.seen = calls.pop(), mode.seen, None
        if not seen:
            raise InputError(
                f"{type(layer).__name__} computes its attention by itself, so that VQT cannot lend its keys to "
                'queries: load the model with attn_implementation="sdpa".'
            )
        positional, named = tree_map(_fit(seen[0], hidden.shape[1]), tuple(call), is_leaf=_is_rotary)
        with torch.set_grad_enabled(gradients):
            heads = [each.heads for each in seen]
            visit(place, Layer(layer, (positional, named), seen, heads, len(hidden), hidden.dtype))

    with ExitStack() as hooks:
        hooks.callback(stack.host.register_forward_pre_hook(enter).remove)
        hooks.callback(stack.host.register_forward_hook(leave, always_call=True).remove)
        for place in places:
            layer = stack.layers[place]
            hooks.callback(layer.register_forward_pre_hook(before, with_kwargs=True).remove)
            hooks.callback(layer.register_forward_hook(lambda layer, *_, place=place: after(place, layer)).remove)
        hooks.enter_context(mode)
        yield


def _fit(seen: Attended, tokens: int) -> Callable[[Any], Any]:
    """How an argument of a layer's call with so many tokens becomes one of a call with queries.

    Masks and caches are for tokens. With rotary positions a query stands where the last visible token stands; where
    a model turns only some tokens (patches, not the class token), a query is left as the class token is.
    """

    def at_last(value: Tensor) -> Tensor:
        """[b t k] -> [b 1 k]; without a batch, or without padding, the last of all."""
        if seen.visible is None or value.dim() == 2:
            return value.narrow(-2, tokens - 1, 1)
        last = last_visible(seen.visible[:, 0, 0])  # [b]
        return value.expand(len(last), -1, -1)[torch.arange(len(last), device=last.device), last].unsqueeze(1)

    def fit(value: Any) -> Any:
        if _is_rotary(value):
            return tuple(at_last(each) if each.shape[-2] == tokens else each.narrow(-2, 0, 0) for each in value)
        if hasattr(value, "get_seq_length"):  # a cache of keys: queries must not enter it
            return None
        if isinstance(value, Tensor) and value.dim() >= 2 and value.shape[-1] == tokens:
            is_mask = value.is_floating_point() or value.dtype == torch.bool
            return None if is_mask else at_last(value.unsqueeze(-1)).squeeze(-1)  # else places: [b t]
        return value

    return fit


def _is_rotary(value: Any) -> bool:
    """A pair (cos, sin) that turns queries and keys by their positions."""
    return isinstance(value, tuple) and len(value) == 2 and all(
        isinstance(each, Tensor) and each.is_floating_point() and each.dim() in (2, 3) for each in value
    )  # fmt: skip


def last_visible(visible: Tensor) -> Tensor:
    """[b t] -> [b], the place of the last token that is no padding."""
    places = torch.arange(visible.shape[1], device=visible.device)
    return (visible * places).argmax(1)
