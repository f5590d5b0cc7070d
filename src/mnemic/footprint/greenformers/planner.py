"""Which layers, and which rank: a budget is shared out by the energy that each further rank would keep."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mnemic.errors import BudgetError, InputError
from mnemic.footprint.greenformers.layers import break_even, is_attention, is_linear, layers, matrices
from mnemic.footprint.greenformers.solvers import triangular
from mnemic.footprint.greenformers.units import CONVS
from mnemic.meter import Budget


def covariances(model: nn.Module, batches: Iterable[Any]) -> dict[str, Tensor]:
    """Layer's name -> mean of x x^T over all inputs x that its Linear saw: [in in]. Convolutions are left out."""
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}

    def watch(name: str) -> Any:
        def see(module: nn.Module, args: tuple[Tensor, ...]) -> None:
            x = args[0].detach().flatten(0, -2).float()  # [b*n in]
            sums[name] = sums.get(name, torch.zeros((), device=x.device)) + x.T @ x
            counts[name] = counts.get(name, 0) + len(x)

        return see

    found = layers(model, warn=False).items()
    hooks = [module.register_forward_pre_hook(watch(name)) for name, module in found if is_linear(module)]
    _run(model, batches, hooks)
    return {name: total / counts[name] for name, total in sums.items()}


def plan(
    model: nn.Module, budget: float | str | Budget, *, unit: Literal["bytes", "macs"] = "bytes", example: Any = None,
    covariance: Mapping[str, Tensor] | None = None,
) -> dict[str, int]:  # fmt: skip
    """Layer's name -> rank for `auto_fact`; layers that are not named stay as they are.

    Each step gives one rank to the layer that keeps most of its energy by it per unit of cost. The singular values
    only fall, so this is the best choice for the sum of the kept shares, up to the last rank.

    budget       share of what the layers take now (0.5), or "2 MB" (unit bytes)
    unit         what is budgeted: bytes of weights, or multiply-adds of one run on `example`
    covariance   energies are then those of the layers' outputs
    """
    found = {name: each for name, each in layers(model).items() if not is_attention(each)}
    if not found:
        raise InputError(f"{type(model).__name__} has no layer to factorise: give a model with Linear or Conv.")
    sizes: dict[str, int] = {name: next(each.parameters()).element_size() for name, each in found.items()}
    runs = _positions(model, found, example) if unit == "macs" else sizes  # what one weight costs
    full = {name: matrices(module).numel() * runs[name] for name, module in found.items()}
    allowed = budget * sum(full.values()) if isinstance(budget, int | float) else Budget.of(budget).amount
    costs = {name: sum(matrices(module).shape[1:]) * len(matrices(module)) * runs[name]
             for name, module in found.items()}  # of one rank in each group  # fmt: skip
    ranks = dict.fromkeys((name for name, module in found.items() if _most(module)), 1)
    spent = sum(costs[name] if name in ranks else full[name] for name in found)
    if spent > allowed:
        raise BudgetError(f"rank 1 everywhere takes {spent} {unit}, more than the budget of {int(allowed)}: raise it.")
    energies = {name: _energy(found[name], (covariance or {}).get(name)) for name in ranks}
    waiting = [(-float(energies[name][1]) / costs[name], name) for name in ranks if _most(found[name]) > 1]
    heapq.heapify(waiting)
    while waiting:
        _, name = heapq.heappop(waiting)
        if spent + costs[name] > allowed:
            continue
        ranks[name], spent = ranks[name] + 1, spent + costs[name]
        if ranks[name] < _most(found[name]):
            heapq.heappush(waiting, (-float(energies[name][ranks[name]]) / costs[name], name))
    for name in [name for name in ranks if ranks[name] == _most(found[name])]:  # what is left makes layers whole
        more = full[name] - ranks[name] * costs[name]
        if spent + more <= allowed:
            del ranks[name]
            spent += more
    return {name: rank * len(matrices(found[name])) for name, rank in ranks.items()}


def _most(module: nn.Module) -> int:
    """The highest rank per group that pays."""
    groups, out, read = matrices(module).shape
    return min((break_even(module) - 1) // groups, out, read)


def _energy(module: nn.Module, covariance: Tensor | None) -> Tensor:
    """Share of the squared singular values that each rank keeps, mean over the groups, highest first."""
    weight = matrices(module).float()  # [g out in]
    if covariance is not None:
        weight = weight @ triangular(covariance.to(weight))
    squares = torch.linalg.svdvals(weight).square()
    shares: Tensor = (squares / squares.sum(-1, keepdim=True).clamp(min=1e-30)).mean(0)
    return shares


def _positions(model: nn.Module, found: Mapping[str, nn.Module], example: Any) -> dict[str, int]:
    """How often each layer's matrix is applied in one run."""
    if example is None:
        raise InputError("multiply-adds depend on the input: give example=batch.")
    counts = dict.fromkeys(found, 0)

    def watch(name: str) -> Any:
        def see(module: nn.Module, args: Any, out: Tensor) -> None:
            channels = out.shape[-1 if type(module) not in CONVS else -1 - CONVS[type(module)]]
            counts[name] += out.numel() // channels

        return see

    hooks = [module.register_forward_hook(watch(name)) for name, module in found.items()]
    _run(model, [example], hooks)
    return counts


def _run(model: nn.Module, batches: Iterable[Any], hooks: Iterable[Any]) -> None:
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for batch in batches:
                call(model, batch)
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()


def call(model: nn.Module, batch: Any) -> Any:
    """A mapping for model(**batch), a tuple for model(*batch), or one input."""
    if isinstance(batch, Mapping):
        return model(**batch)
    return model(*batch) if isinstance(batch, tuple | list) else model(batch)
