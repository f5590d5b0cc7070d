"""auto_fact: every Linear and convolution of a model as a pair of thin layers."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mnemic.errors import InputError
from mnemic.footprint.greenformers.attention import LowRankAttention
from mnemic.footprint.greenformers.layers import Rank, chosen_rank, is_attention, layers, matrices
from mnemic.footprint.greenformers.solvers import SOLVERS, factors
from mnemic.footprint.greenformers.units import CED, CONVS, LED


def auto_fact(
    model: nn.Module, rank: Rank | Mapping[str, int], solver: str = "svd", *, num_iter: int = 10,
    submodules: Collection[nn.Module] | None = None, deepcopy: bool = False, fact_led_unit: bool = False,
    kernel: bool = True, covariance: Mapping[str, Tensor] | None = None, seed: int = 0,
) -> nn.Module:  # fmt: skip
    """The model with its layers factorised; a bare layer gives the unit itself.

    Build optimizers afterwards: the old parameters are no longer those of the model.

    rank            whole number, share of each layer's break-even, or layer's name -> rank (what `plan` gives)
    submodules      only these and what is below them
    deepcopy        leave the given model as it is
    fact_led_unit   factorise existing LED units further
    kernel          the break-even of convolutions counts the kernel's area
    covariance      layer's name -> covariance of its inputs (what `covariances` gives): least error on those inputs
    """
    if solver not in SOLVERS:
        raise InputError(f'"{solver}" is no solver: use {", ".join(SOLVERS)}.')
    found = layers(model, led_too=fact_led_unit)
    if submodules is not None:
        wanted = {id(below) for module in submodules for below in module.modules()}
        found = {name: module for name, module in found.items() if id(module) in wanted}
    names = list(found)  # told apart in the given tree: a copy has other objects
    if isinstance(rank, Mapping) and (unknown := sorted(set(rank) - set(names))):
        raise InputError(f"{unknown[0]} is no layer that can be factorised: the layers are {', '.join(names[:4])}, ...")
    model = copy.deepcopy(model) if deepcopy else model
    for place, name in enumerate(names):
        its = rank.get(name, 0) if isinstance(rank, Mapping) else rank
        if its == 0:
            continue
        options = {"num_iter": num_iter, "seed": seed + place}
        seen = (covariance or {}).get(name)
        unit = _unit(model.get_submodule(name), its, solver, kernel=kernel, covariance=seen, **options)
        if unit is not None and not name:
            return unit
        if unit is not None:
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, unit)
    return model


def _unit(module: Any, rank: Rank, solver: str, *, kernel: bool, covariance: Tensor | None, **options: Any
          ) -> nn.Module | None:  # fmt: skip
    """What takes the place of a layer; None when the rank does not pay."""
    if is_attention(module):
        return low_rank_attention(module, rank, solver, **options)
    size = chosen_rank(module, rank, kernel=kernel)
    if not size:
        return None
    each = size // len(matrices(module))
    pairs = [factors(matrix, each, solver, covariance=covariance, **options) for matrix in matrices(module)]
    decoder, encoder = (torch.cat(parts) for parts in zip(*pairs, strict=True))  # [out r/g], [r in/g*kernel]
    if type(module) in CONVS:
        unit: nn.Module = CED(module, decoder, encoder.reshape(size, *module.weight.shape[1:]))
    else:
        unit = LED(decoder, encoder, module.bias)
    unit.train(module.training)
    return unit.requires_grad_(next(module.parameters()).requires_grad)


def low_rank_attention(module: nn.MultiheadAttention, rank: Rank, solver: str, **options: Any) -> nn.Module | None:
    """Its one matrix for queries, keys and values is cut into three, each with a rank and a break-even of its own."""
    width = module.embed_dim
    plain = nn.Linear(width, width, device="meta")
    if not chosen_rank(plain, rank):
        return None
    parts = []
    biases = [None] * 3 if module.in_proj_bias is None else list(module.in_proj_bias.chunk(3))
    rows = [*zip(module.in_proj_weight.chunk(3), biases, strict=True), (module.out_proj.weight, module.out_proj.bias)]
    for weight, bias in rows:
        parts.append(LED(*factors(weight, chosen_rank(plain, rank), solver, **options), bias))
    unit = LowRankAttention(parts, module.num_heads, module.dropout, module.batch_first)
    return unit.train(module.training).requires_grad_(module.in_proj_weight.requires_grad)
