"""What factorising brought, measured: parameters, multiply-adds, milliseconds, error and rank of each layer."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mnemic.errors import InputError
from mnemic.footprint.greenformers.attention import LinformerAttention, attend, split
from mnemic.footprint.greenformers.factorise import auto_fact
from mnemic.footprint.greenformers.layers import matrices
from mnemic.footprint.greenformers.planner import call
from mnemic.footprint.greenformers.units import CED, LED
from mnemic.meter import saved_bytes

KINDS = ("dense", "lrt", "linformer")


@dataclass(frozen=True)
class Report:
    """Before and after, as pairs; print it for a table.

    layers   name -> (rank, |W - D E| / |W|)
    """

    params: tuple[int, int]
    macs: tuple[int, int]
    ms: tuple[float, float]
    layers: dict[str, tuple[int, float]] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"{name:<11} {was:>14,.{digits}f} {now:>14,.{digits}f}  x {now / was:.2f}" for name, (was, now), digits
                 in (("parameters", self.params, 0), ("macs", self.macs, 0), ("ms", self.ms, 1)) if was]  # fmt: skip
        return "\n".join([*lines, *(f"{name}  rank {rank}  error {error:.3f}"
                                    for name, (rank, error) in self.layers.items())])  # fmt: skip


def report(model: nn.Module, small: nn.Module, example: Any, *, runs: int = 20) -> Report:
    """Compare a model with its factorised copy on one batch.

    runs   of which the median time is taken; both models take turns
    """
    waits = timed([lambda: call(model, example), lambda: call(small, example)], runs)
    rows = {}
    for name, unit in small.named_modules():
        if isinstance(unit, LED | CED):
            try:
                before: Any = model.get_submodule(name)
            except AttributeError:  # inside of an attention that had one matrix for all
                continue
            rows[name] = (int(unit.rank), error(before, unit))
    return Report(_both(parameters, model, small), _both(lambda each: macs(each, example), model, small),
                  (waits[0], waits[1]), rows)  # fmt: skip


def _both(measure: Callable[[nn.Module], int], model: nn.Module, small: nn.Module) -> tuple[int, int]:
    return measure(model), measure(small)


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def macs(model: nn.Module, example: Any) -> int:
    """Multiply-adds of one run, counted by torch."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        call(model, example)
    return int(counter.get_total_flops()) // 2


def error(layer: Any, unit: LED | CED) -> float:
    """|W - D E| / |W| over all weights of the layer."""
    weight = matrices(layer).float()  # [g out in]
    product = unit.weight.detach().float().reshape(weight.shape)
    return float((weight - product).norm() / weight.norm())


def timed(calls: Sequence[Callable[[], Any]], runs: int) -> list[float]:
    """Median milliseconds of each call after a warm-up, in turns, without gradients."""
    waits: list[list[float]] = [[] for _ in calls]
    with torch.no_grad():
        for turn in range(runs + 2):
            for wait, each in zip(waits, calls, strict=True):
                start = time.perf_counter()
                each()
                if turn >= 2:
                    wait.append(1000 * (time.perf_counter() - start))
    return [statistics.median(wait) for wait in waits]


class Layer(nn.Module):
    """One encoder layer, norm first: [b n d] -> [b n d]. LRT is `auto_fact(layer, r, "random")`."""

    def __init__(self, d: int, heads: int, d_ff: int, *, linformer: tuple[int, int] | None = None,
                 materialise: bool = False) -> None:  # fmt: skip
        super().__init__()
        self.first, self.second = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attention = LinformerAttention(d, heads, *linformer, materialise=materialise) if linformer else \
            Attention(d, heads, materialise=materialise)  # fmt: skip
        self.up, self.down = nn.Linear(d, d_ff), nn.Linear(d_ff, d)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.first(x))
        result: Tensor = x + self.down(nn.functional.gelu(self.up(self.second(x))))
        return result


class Attention(nn.Module):
    """Multi-head attention with four nn.Linear, as transformers' models have it."""

    def __init__(self, d: int, heads: int, *, materialise: bool = False) -> None:
        super().__init__()
        self.heads, self.materialise = heads, materialise
        self.q, self.k, self.v, self.out = (nn.Linear(d, d) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (split(project(x), self.heads) for project in (self.q, self.k, self.v))  # [b h n d/h]
        mixed = attend(q, k, v, materialise=self.materialise)
        result: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return result


def sweep(
    *, n: Sequence[int] = (64, 128, 256, 512, 1024, 2048), d: int = 768, heads: int = 12, d_ff: int = 0, r: int = 128,
    k: int = 128, tokens: int = 2048, runs: int = 20, materialise: bool = False, times: bool = True,
) -> list[dict[str, float]]:  # fmt: skip
    """One layer of each kind at each length, always with as many tokens in all.

    returns   rows with n, and for each of dense, lrt, linformer "<kind> ms" (median of a forward pass) and
              "<kind> saved" (bytes saved for backward)
    """
    if max(n) > tokens:
        raise InputError(f"{max(n)} tokens in one input are more than the {tokens} of a run: raise tokens.")
    width = d_ff or 4 * d
    rows = []
    for length in n:
        dense = Layer(d, heads, width, materialise=materialise)
        models = {"dense": dense, "lrt": auto_fact(copy.deepcopy(dense), r, "random"),
                  "linformer": Layer(d, heads, width, linformer=(length, min(k, length)),
                                     materialise=materialise)}  # fmt: skip
        x = torch.randn(tokens // length, length, d, generator=torch.Generator().manual_seed(0))
        row = {"n": float(length)}
        for kind, model in models.items():
            with saved_bytes(model) as saved:
                model(x)
            row[f"{kind} saved"] = float(saved.peak)
        if times:
            waits = timed([partial(model, x) for model in models.values()], runs)
            row |= {f"{kind} ms": wait for kind, wait in zip(models, waits, strict=True)}
        rows.append(row)
    return rows
