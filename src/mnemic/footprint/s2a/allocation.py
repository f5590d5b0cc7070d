"""Bits per operation: measured on one batch, given to where a byte takes most error out of the gradient."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mnemic.errors import BudgetError, InputError
from mnemic.footprint.s2a.model import S2A
from mnemic.footprint.s2a.packing import EXACT
from mnemic.meter import Budget, readable

WIDTHS = (2, 4, 8)


def allocate_bits(model: S2A, batch: Mapping[str, Any], budget: Budget | str, *, seed: int = 0) -> dict[str, int]:
    """Bits for every operation, so that what they pack stays within a budget; the model keeps its own.

    For each operation e = |g - g_q|^2 / |g|^2, with it alone packed in 2, 4 or 8 bits. All start with 2; the step
    that takes away most error per byte is taken, again and again, while it fits.

    budget    "64 MB": for what the operations pack in one forward on this batch
    returns   for S2A(bits=...), by name of the operation
    Raises BudgetError when 2 bits for all do not fit.
    """
    allowed = Budget.of(budget)
    if allowed.unit != "bytes":
        raise BudgetError(f"what is saved is measured in bytes, not in {allowed.unit}: give a budget like 64 MB.")
    sizes = {bits: _sizes(model, batch, bits) for bits in WIDTHS}
    used = sum(sizes[2].values())
    if used > allowed.amount:
        raise BudgetError(f"2 bits for every operation take {readable(used, 'bytes')}: {budget} is not enough.")
    errors = _errors(model, batch, list(sizes[2]), seed)
    chosen = dict.fromkeys(sizes[2], 2)
    steps = [step for name in chosen for step in _steps(name, 2, sizes, errors)]
    heapq.heapify(steps)
    while steps:
        _, name, bits = heapq.heappop(steps)
        more = sizes[bits][name] - sizes[chosen[name]][name]
        if bits <= chosen[name] or used + more > allowed.amount:
            continue
        used, chosen[name] = used + more, bits
        for step in _steps(name, bits, sizes, errors):
            heapq.heappush(steps, step)
    return chosen


def _steps(
    name: str, bits: int, sizes: Mapping[int, Mapping[str, int]], errors: Mapping[tuple[str, int], float]
) -> Iterator[tuple[float, str, int]]:
    """What more bits for an operation would gain per byte, negative: the smallest is the best."""
    for wider in WIDTHS:
        if wider > bits:
            gain = errors[name, bits] - errors[name, wider]
            yield -gain / max(sizes[wider][name] - sizes[bits][name], 1), name, wider


def _sizes(model: S2A, batch: Mapping[str, Any], bits: int) -> dict[str, int]:
    with _with_bits(model, bits), torch.random.fork_rng():
        loss_of(model, batch)
        return dict(model.scope.sizes)


def _errors(model: S2A, batch: Mapping[str, Any], names: list[str], seed: int) -> dict[tuple[str, int], float]:
    with _with_bits(model, EXACT):
        exact = gradients(model, batch, seed=seed)
    found = {}
    for name in names:
        for bits in WIDTHS:
            with _with_bits(model, {**dict.fromkeys(names, EXACT), name: bits}):
                own = gradients(model, batch, seed=seed)
            found[name, bits] = float(((own - exact).norm() / exact.norm()) ** 2)
    return found


@contextmanager
def _with_bits(model: S2A, bits: int | Mapping[str, int]) -> Iterator[None]:
    was, model.scope.bits = model.scope.bits, bits
    try:
        yield
    finally:
        model.scope.bits = was


def gradients(model: nn.Module, batch: Mapping[str, Any], *, seed: int = 0) -> Tensor:
    """The gradient of everything that is trained, as one vector; the model and the random numbers stay as they were."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        found = torch.autograd.grad(loss_of(model, batch), trained, allow_unused=True)
    return torch.cat([
        (torch.zeros_like(parameter) if each is None else each).flatten().float()
        for parameter, each in zip(trained, found, strict=True)
    ])  # fmt: skip


def loss_of(model: nn.Module, batch: Mapping[str, Any]) -> Tensor:
    """The loss on a batch with labels."""
    result = model(**batch)
    if "loss" not in result or result["loss"] is None:
        raise InputError("the batch has no labels, so there is no gradient to measure: give one with labels.")
    loss: Tensor = result["loss"]
    return loss


def cosine(model: S2A, batch: Mapping[str, Any], *, seed: int = 0) -> float:
    """Cosine between the gradient from packed bytes and the exact one."""
    packed = gradients(model, batch, seed=seed)
    with _with_bits(model, EXACT):
        exact = gradients(model, batch, seed=seed)
    return float(torch.nn.functional.cosine_similarity(packed, exact, dim=0))
