"""Where a frozen network hands its features over: layers of a stack one at a time, maps of a convolutional network."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from mnemic.errors import InputError
from mnemic.footprint._stacks import Stack, only_stack, stacks
from mnemic.footprint._trace import Frozen, split_call, with_last_state

_TRIAL = 128  # pixels a side of the image that shows where maps shrink: after five halvings a map still has 4 x 4


@dataclass
class Heard:
    """What a stack handed over in one run.

    last      what its host returned as the last state, [b t d]
    targets   what `shrink` made of the wanted states
    mask      [b t] padding mask that the host was given, where it was given one
    read      what the layers read across, where they do
    """

    last: Tensor
    targets: list[Any]
    mask: Tensor | None
    read: Tensor | None


class Listener(Frozen):
    """Hands the wanted states of a stack to `shrink` as they come and keeps only what that returns.

    wanted    numbers of states, in order: 0 is what the first layer reads, i what layer i returns
    shrink    (place in wanted, state) -> whatever is to be kept
    finish    its result takes the place of the last state, unless it is None
    """

    def __init__(
        self, stack: Stack, wanted: Sequence[int], shrink: Callable[[int, Tensor], Any],
        finish: Callable[[Heard], Tensor | None],
    ) -> None:  # fmt: skip
        self.wanted, self.shrink, self.finish = list(wanted), shrink, finish
        self._number, self._kept, self._named = 0, list[Any](), dict[str, Any]()
        super().__init__(stack)
        self._hooks.append(stack.host.register_forward_pre_hook(self._arguments, with_kwargs=True))

    def _arguments(self, host: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._named = dict(zip(inspect.signature(host.forward).parameters, args, strict=False)) | kwargs
        self._number, self._kept = 0, []

    def _before_layer(self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._number == 0:
            self._take(split_call(args, kwargs)[0])

    def _after_layer(self, layer: nn.Module, args: Any, output: Any) -> None:
        self._take(output if isinstance(output, Tensor) else output[0])

    def _take(self, state: Tensor) -> None:
        if self._number in self.wanted:
            with torch.set_grad_enabled(self._with_gradients[-1]):
                self._kept.append(self.shrink(len(self._kept), state))
        self._number += 1

    def _leave(self, host: nn.Module, args: Any, result: Any) -> Any:
        """Also called when the host's forward raised: the gradients must come back."""
        torch.set_grad_enabled(self._with_gradients.pop())
        kept, self._kept, named, self._named = self._kept, [], self._named, {}
        if result is None or self._number == 0:
            return None
        mask, read = named.get("attention_mask"), named.get("encoder_hidden_states")
        mask = mask if isinstance(mask, Tensor) and mask.dim() == 2 else None
        state = self.finish(Heard(last_state(result), kept, mask, read))
        return None if state is None else with_last_state(result, state)


def last_state(result: Any) -> Tensor:
    """The last state in what a host returned."""
    if isinstance(result, Tensor):
        return result
    state: Tensor = result[0] if isinstance(result, tuple) else result["last_hidden_state"]
    return state


# ---- convolutional networks


@dataclass(frozen=True)
class Place:
    """Where a map is taken: what a module reads, for the last one what it returns; and how many channels it has."""

    module: nn.Module
    channels: int


@dataclass
class _Call:
    """One call of a module in the trial run: what it read and returned, where these are maps."""

    module: nn.Module
    read: Tensor | None
    made: Tensor | None = None
    inner: list[_Call] = field(default_factory=list)


class Maps:
    """Takes the maps of a network as they come; the last one may be replaced.

    finish    gets all of them when the last is there; its result takes the place of the last, unless it is None
    """

    def __init__(self, places: Sequence[Place], finish: Callable[[list[Tensor]], Tensor | None]) -> None:
        self.finish, self.maps = finish, list[Tensor]()
        self._hooks = [
            place.module.register_forward_pre_hook(self._first if number == 0 else self._next)
            for number, place in enumerate(places[:-1])
        ]
        self._hooks.append(places[-1].module.register_forward_hook(self._last))

    def remove(self) -> None:
        """Take the hooks off again."""
        for hook in self._hooks:
            hook.remove()

    def _first(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        self.maps = [args[0]]

    def _next(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        self.maps.append(args[0])

    def _last(self, module: nn.Module, args: Any, result: Tensor) -> Tensor | None:
        maps, self.maps = [*self.maps, result], []
        return self.finish(maps)


def places(net: nn.Module) -> list[Place]:
    """The last map of each size, from large to small, found by a trial run on one grey image.

    A map is the last of its size where a module that halves it reads it; the last of all is what the last module
    returned that returned a map. Raises InputError for what is no convolutional network.
    """
    image = _grey(net)
    root = _trial(net, image)
    found = [Place(each.module, each.read.shape[1]) for each in _halving(root)
             if each.read is not None and each.read.shape[1:] != image.shape[1:]]  # fmt: skip
    last = _last_map(root)
    if not found or last is None or last.made is None:
        raise InputError(f"{type(net).__name__} makes maps of one size only: UniPT needs stages to fuse.")
    return [*found, Place(last.module, last.made.shape[1])]


def call(net: nn.Module, batch: Mapping[str, Any]) -> Any:
    """A network on a batch; one that does not know the name pixel_values gets the image as its first argument."""
    if "pixel_values" in batch and not takes(net, "pixel_values"):
        rest = {name: value for name, value in batch.items() if name != "pixel_values"}
        return net(batch["pixel_values"], **rest)
    return net(**batch)


def takes(net: nn.Module, name: str) -> bool:
    """Whether the forward of a network knows an argument of that name, or takes any."""
    known = inspect.signature(net.forward).parameters
    return name in known or any(each.kind is inspect.Parameter.VAR_KEYWORD for each in known.values())


def classifier(net: nn.Module) -> nn.Linear | None:
    """The linear map with which a convolutional network ends, where it does."""
    leaf = _trial(net, _grey(net))
    while leaf.inner:
        leaf = leaf.inner[-1]
    return leaf.module if isinstance(leaf.module, nn.Linear) else None


def _grey(net: nn.Module) -> Tensor:
    """A grey image as the first convolution reads it."""
    first = next((module for module in net.modules() if isinstance(module, nn.Conv2d)), None)
    if first is None:
        raise InputError(
            f"{type(net).__name__} is neither a transformer nor a convolutional network: give a model with a stack of "
            "layers or with Conv2d, or a callable that returns a list of (features, mask), with dims=[...]."
        )
    return torch.zeros(1, first.in_channels, _TRIAL, _TRIAL, device=first.weight.device, dtype=first.weight.dtype)


def _trial(net: nn.Module, image: Tensor) -> _Call:
    """The tree of calls that an image causes."""
    root = _Call(net, None)
    open_calls, hooks = [root], []

    def enter(module: nn.Module, args: tuple[Any, ...]) -> None:
        new = _Call(module, _map(args[0] if args else None))
        open_calls[-1].inner.append(new)
        open_calls.append(new)

    def leave(module: nn.Module, args: Any, result: Any) -> None:
        open_calls.pop().made = _map(result)

    for module in net.modules():
        if module is not net:
            hooks += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
    try:
        with torch.no_grad():
            call(net.eval(), {"pixel_values": image})
    finally:
        for hook in hooks:
            hook.remove()
    return root


def _map(value: Any) -> Tensor | None:
    """A value that is a map of more than one place (pooled features are not)."""
    return value if isinstance(value, Tensor) and value.dim() == 4 and value.shape[-1] * value.shape[-2] > 1 else None


def _halving(call: _Call) -> Iterator[_Call]:
    """The outermost calls that shrink a map to half a side; larger ones are looked into."""
    for inner in call.inner:
        if inner.read is None or inner.made is None:
            yield from _halving(inner)
            continue
        ratio = inner.read.shape[-1] / inner.made.shape[-1]
        if ratio > 2 and inner.inner:
            yield from _halving(inner)
        elif ratio > 1:
            yield inner


def _last_map(call: _Call) -> _Call | None:
    """The last call that returned a map, the outermost of those that returned the same."""
    for inner in reversed(call.inner):
        if inner.made is not None:
            return inner
        found = _last_map(inner)
        if found is not None:
            return found
    return None


def silence(net: nn.Module) -> None:
    """Take off what listens: a network serves one module at a time, two would both replace its last state."""
    for module in net.modules():
        for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values()):
            owner = getattr(hook, "__self__", None)
            if isinstance(owner, Listener | Maps):
                owner.remove()


# ---- everything before the first trainable weight


def states(backbone: nn.Module, **batch: Any) -> list[tuple[Tensor, Tensor | None]]:
    """All features of a frozen network with their padding masks: H_0 ... H_N [b t d], or maps [b c h w].

    They depend on the backbone alone: compute them once per sample, keep them, and train `UniPT(lookup, dims=...)`.
    """
    kept: list[Tensor] = []
    watching = _watching(backbone, kept)
    try:
        with torch.no_grad():
            call(backbone.eval(), batch)
    finally:
        watching.remove()
    mask = batch.get("attention_mask")
    return [(state, mask) for state in kept]


def _watching(backbone: nn.Module, kept: list[Tensor]) -> Listener | Maps:
    def keep(maps: list[Tensor]) -> None:
        kept.extend(maps)

    if not has_stack(backbone):
        return Maps(places(backbone), keep)
    stack = only_stack(backbone)
    return Listener(
        stack, range(len(stack.layers)), lambda n, state: state, lambda heard: keep([*heard.targets, heard.last])
    )


def has_stack(backbone: nn.Module) -> bool:
    """Whether there are transformer layers in it."""
    try:
        return bool(stacks(backbone))
    except InputError:
        return False
