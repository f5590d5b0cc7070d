"""What a training step keeps: weights, gradients, optimizer states and what is saved for backward.

torch is imported when something is measured, never before. Everything counts storages, not tensors: two views
of one storage cost once, and a storage costs in full even when a view shows a part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from mnemic.errors import InputError, MissingExtra, MnemicError
from mnemic.meter.budget import Used
from mnemic.meter.process import Measured

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

T = TypeVar("T")


@dataclass
class Saved:
    """What is saved for backward: filled while the block of `saved_bytes` runs.

    now         bytes that the graph holds at this moment; nothing once it is gone
    peak        the most it has held
    by_module   name of the innermost module that was running -> bytes it was the first to save; "" is outside of all
    """

    now: int = 0
    peak: int = 0
    by_module: dict[str, int] = field(default_factory=dict)
    _holders: dict[int, int] = field(default_factory=dict)  # storage -> tensors of the graph that need it


@contextmanager
def saved_bytes(model: Module) -> Iterator[Saved]:
    """Count what a block of code saves for backward; the model's parameters and buffers are no part of it.

    Storages are told apart by identity and counted for as long as the graph holds them, so that what
    checkpointing drops and what in-place operations share is not counted. Works on the meta device too.
    """
    torch = _torch()
    saved, running = Saved(), [""]
    own = {_key(tensor) for tensor in (*model.parameters(), *model.buffers())}

    def pack(tensor: Tensor) -> _Kept:
        return _Kept(tensor, saved, running[-1], counted=_has_storage(tensor) and _key(tensor) not in own)

    def unpack(kept: _Kept) -> Tensor:
        return kept.tensor

    hooks = _follow(model, running)
    try:
        with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
            yield saved
    finally:
        for hook in hooks:
            hook.remove()


class _Kept:
    """A tensor that the graph saved; when the graph lets go of it, its bytes are taken off again."""

    def __init__(self, tensor: Tensor, saved: Saved, module: str, *, counted: bool) -> None:
        self.tensor = tensor.detach()  # the storage without the graph: holding the tensor itself makes a cycle
        self.saved, self.key = saved, _key(tensor) if counted else None
        if self.key is None:
            return
        holders = saved._holders.get(self.key, 0)
        saved._holders[self.key] = holders + 1
        if not holders:
            size = _size(tensor)
            saved.now += size
            saved.peak = max(saved.peak, saved.now)
            saved.by_module[module] = saved.by_module.get(module, 0) + size

    def __del__(self) -> None:
        if self.key is None:
            return
        self.saved._holders[self.key] -= 1
        if not self.saved._holders[self.key]:
            del self.saved._holders[self.key]  # the key may now come again with another storage
            self.saved.now -= _size(self.tensor)


@dataclass(frozen=True)
class TrainingUsed(Used):
    """What a training step keeps, in all and module by module.

    modules   name of a module -> {"weights", "gradients", "optimizer", "saved"}: what is its own, without its
              children; what is shared counts for the first that has it; modules that keep nothing are left out.
              "saved" adds up to more than the peak where a module lets go before another saves
    """

    modules: dict[str, dict[str, int]] = field(default_factory=dict)

    def under(self, prefix: str) -> dict[str, int]:
        """The sums over a module and everything in it; all zero for a name that is none."""
        own = [kept for name, kept in self.modules.items() if f"{name}.".startswith(f"{prefix}." if prefix else "")]
        return {kind: sum(kept[kind] for kept in own) for kind in _KINDS}


_KINDS = ("weights", "gradients", "optimizer", "saved")


def training_bytes(
    model: Module,
    batch: Any,
    *,
    loss: Callable[[Module, Any], Tensor] | None = None,
    optimizer: Callable[[Iterable[Tensor]], Any] | None = None,
) -> TrainingUsed:
    """One training step, measured: forward, backward, one step of the optimizer. The model stays as it was.

    batch       a mapping for model(**batch), a tuple for model(*batch), or one input
    loss        (model, batch) -> scalar; the output's .loss or the mean of its first tensor when None
    optimizer   parameters -> optimizer; AdamW when None. It steps once, on zeros of the parameters' shapes
    returns     the sum of what a step keeps at once. Parts: weights (parameters and buffers), gradients,
                optimizer, saved (peak of what is saved for backward); equal bytes on whatever device
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise InputError("no parameter of the model needs a gradient, so there is nothing to train: unfreeze some.")
    with _as_it_was(model):
        with saved_bytes(model) as saved:
            value: Any = (loss or _loss)(model, batch)
        peak = saved.peak
        value.backward()
        gradients = {id(parameter): parameter.grad for parameter in trained if parameter.grad is not None}
    states = _states(trained, optimizer)
    modules: dict[str, dict[str, int]] = {}

    def add(name: str, kind: str, size: int) -> None:
        if size:
            modules.setdefault(name, dict.fromkeys(_KINDS, 0))[kind] += size

    for name, size in saved.by_module.items():
        add(name, "saved", size)
    for name, tensor in _own_tensors(model):
        add(name, "weights", _size(tensor))
        if id(tensor) in gradients:
            add(name, "gradients", _bytes([gradients[id(tensor)]]))
            add(name, "optimizer", states[id(tensor)])
    totals = {kind: sum(kept[kind] for kept in modules.values()) for kind in _KINDS} | {"saved": peak}
    return TrainingUsed(sum(totals.values()), "bytes", totals, modules)


def _own_tensors(model: Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers with the name of the module that has them, each storage once."""
    seen: set[int] = set()
    for name, module in model.named_modules():
        for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
            if _has_storage(tensor) and _key(tensor) not in seen:
                seen.add(_key(tensor))
                yield name, tensor


def _states(trained: Sequence[Tensor], optimizer: Callable[[Iterable[Tensor]], Any] | None) -> dict[int, int]:
    """Bytes that an optimizer keeps for each parameter (by id) after its first step.

    Stand-ins take the step, so that no weight can move.
    """
    torch = _torch()
    zeros = [torch.zeros_like(parameter, requires_grad=True) for parameter in trained]
    for zero in zeros:
        zero.grad = torch.zeros_like(zero)
    stepper = (optimizer or torch.optim.AdamW)(zeros)
    stepper.step()
    return {
        id(parameter): _bytes(each for each in stepper.state.get(zero, {}).values() if torch.is_tensor(each))
        for parameter, zero in zip(trained, zeros, strict=True)
    }


def device_bytes(call: Callable[[], T]) -> Measured[T]:
    """Make a call and measure the peak of what tensors take on the accelerator while it runs.

    parts   start: what was allocated before the call
    """
    torch = _torch()
    if not torch.cuda.is_available():
        raise MnemicError("there is no accelerator to measure: run on a machine with a CUDA device.")
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    start = int(torch.cuda.memory_allocated())
    result = call()
    torch.cuda.synchronize()  # kernels still under way may allocate
    return Measured(result, Used(int(torch.cuda.max_memory_allocated()), "bytes", {"start": start}))


def _torch() -> Any:
    try:
        import torch
    except ModuleNotFoundError:
        raise MissingExtra("measuring training", "torch") from None
    return torch


def _key(tensor: Tensor) -> int:
    """Identity of the storage behind a tensor; holds for as long as the storage lives."""
    return int(tensor.untyped_storage()._cdata)


def _size(tensor: Tensor) -> int:
    return int(tensor.untyped_storage().nbytes())


def _has_storage(tensor: Tensor) -> bool:
    try:
        tensor.untyped_storage()
    except (NotImplementedError, RuntimeError):  # sparse tensors have several and show none
        return False
    return True


def _bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of the distinct storages behind some tensors."""
    return sum({_key(tensor): _size(tensor) for tensor in tensors if _has_storage(tensor)}.values())


def _follow(model: Module, running: list[str]) -> list[Any]:
    """Keep the names of the modules that are running on a stack, innermost last; returns the hooks to remove."""

    def leave(*_: Any) -> None:  # returns None: anything else would take the place of the module's output
        running.pop()

    hooks: list[Any] = []
    for name, module in model.named_modules():
        hooks.append(module.register_forward_pre_hook(lambda *_, name=name: running.append(name)))
        hooks.append(module.register_forward_hook(leave, always_call=True))  # also when its forward raises
    return hooks


@contextmanager
def _as_it_was(model: Module) -> Iterator[None]:
    """Give gradients, buffers (running means) and the random numbers back as they were before the block."""
    torch = _torch()
    gradients = [(parameter, parameter.grad) for parameter in model.parameters()]
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    for parameter, _ in gradients:
        parameter.grad = None
    with torch.random.fork_rng():
        try:
            yield
        finally:
            for parameter, gradient in gradients:
                parameter.grad = gradient
            with torch.no_grad():
                for buffer, before in buffers:
                    buffer.copy_(before)


def _loss(model: Module, batch: Any) -> Tensor:
    """A scalar to go back from: what the model calls its loss, else the mean of its first output."""
    if isinstance(batch, Mapping):
        output = model(**batch)
    else:
        output = model(*batch) if isinstance(batch, tuple | list) else model(batch)
    if getattr(output, "loss", None) is not None:
        found: Tensor = output.loss
        return found
    if isinstance(output, Mapping):
        output = list(output.values())
    first = output[0] if isinstance(output, tuple | list) else output
    mean: Tensor = first.float().mean()
    return mean
