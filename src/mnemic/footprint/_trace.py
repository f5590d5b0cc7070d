"""What a frozen stack computes, layer by layer, and a way to put something else in the place of its last state.

Nothing is saved for backward inside the stack: its host runs without gradients, and what takes the place of
the last hidden state is computed with them again. The rest of the model (pooler, head, loss, generation) runs
as it always does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from mnemic.errors import InputError
from mnemic.footprint._stacks import Stack


@dataclass
class Trace:
    """One run of a frozen stack.

    states   H_0 ... H_N, each [b t d]: what the first layer was given, then what each layer returned
    calls    per layer, what it was called with besides the hidden states: (positional, named)
    result   what the host returned
    """

    states: list[Tensor] = field(default_factory=list)
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)
    result: Any = None


Ending = Callable[[Trace], Tensor]


class Frozen:
    """Keeps a stack without gradients and hands what it computed to `ending`, whose result is the new last state.

    Hooks are bound methods: copy.deepcopy of a model then copies this object with it, closures would be shared.

    ending    Trace -> [b t d], with gradients; the host's own last state stays when None
    """

    def __init__(self, stack: Stack, ending: Ending | None = None) -> None:
        self.stack, self.ending = stack, ending
        self.trace = Trace()
        self._with_gradients: list[bool] = []
        self._hooks = [
            stack.host.register_forward_pre_hook(self._enter, prepend=True),
            stack.host.register_forward_hook(self._leave, always_call=True),
        ]
        for layer in stack.layers:
            self._hooks += [
                layer.register_forward_pre_hook(self._before_layer, with_kwargs=True),
                layer.register_forward_hook(self._after_layer),
            ]

    def remove(self) -> None:
        """Take the hooks off again."""
        for hook in self._hooks:
            hook.remove()

    def _enter(self, host: nn.Module, args: Any) -> None:
        self._with_gradients.append(torch.is_grad_enabled())
        torch.set_grad_enabled(False)
        self.trace = Trace()

    def _leave(self, host: nn.Module, args: Any, result: Any) -> Any:
        """Also called when the host's forward raised: the gradients must come back."""
        torch.set_grad_enabled(self._with_gradients.pop())
        trace, self.trace = self.trace, Trace()  # let go of the states as soon as they are used
        trace.result = result
        if result is None or self.ending is None or not trace.states:
            return None
        return with_last_state(result, self.ending(trace))

    def _before_layer(self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        hidden, positional, named = split_call(args, kwargs)
        if not self.trace.states:
            self.trace.states.append(hidden)
        self.trace.calls.append((positional, named))

    def _after_layer(self, layer: nn.Module, args: Any, output: Any) -> None:
        self.trace.states.append(output if isinstance(output, Tensor) else output[0])


def split_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor, tuple[Any, ...], dict[str, Any]]:
    """The hidden states of a layer's call, and the rest of it: (hidden, positional, named)."""
    if args:
        return args[0], args[1:], dict(kwargs)
    named = dict(kwargs)
    return named.pop("hidden_states"), (), named


def with_last_state(result: Any, state: Tensor) -> Any:
    """What a host returned, with another last hidden state."""
    if isinstance(result, Tensor):
        return state
    if isinstance(result, tuple):
        return (state, *result[1:])
    if "last_hidden_state" in result:
        result["last_hidden_state"] = state
        return result
    raise InputError(f"cannot find the last hidden state in {type(result).__name__}: it has {', '.join(result)}.")
