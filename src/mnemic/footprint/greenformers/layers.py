"""Which layers of a model can be factorised, what their matrix is, and from which rank on it does not pay."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn

from mnemic.errors import InputError
from mnemic.footprint.greenformers.units import CED, CONVS, LED

Rank = int | float


def is_linear(module: nn.Module) -> bool:
    """Exactly nn.Linear, or transformers' Conv1D: layers in 8 or 4 bits are subclasses and stay."""
    return type(module) is nn.Linear or is_transposed(module)


def is_transposed(module: nn.Module) -> bool:
    """transformers' Conv1D, which keeps its weight as [in out]."""
    weight = getattr(module, "weight", None)
    return type(module).__name__ == "Conv1D" and hasattr(module, "nf") and weight is not None and weight.dim() == 2


def is_attention(module: nn.Module) -> bool:
    return type(module) is nn.MultiheadAttention


def matrices(module: Any) -> Tensor:
    """The weight as [g out/g in/g*kernel]: one matrix, or for a grouped convolution one per group."""
    weight: Tensor = module.weight.detach()
    if type(module) in CONVS:
        return weight.reshape(module.groups, module.out_channels // module.groups, -1)
    if is_transposed(module):
        return weight.T[None]
    if type(module) is LED or is_linear(module):
        return weight[None]
    raise InputError(f"{type(module).__name__} is no layer that can be factorised: give a Linear, Conv1d, 2d or 3d.")


def break_even(module: Any, *, kernel: bool = True) -> int:
    """The rank at which the pair has as many weights as the layer; the layer is left alone from there on.

    kernel   False: the reference's value for convolutions, which leaves the kernel's area out
    """
    groups, out, read = matrices(module).shape
    if type(module) in CONVS and not kernel:
        return module.in_channels * out // (module.in_channels + out)  # type: ignore[no-any-return]
    return groups * (out * read) // (out + read)


def chosen_rank(module: Any, rank: Rank, *, kernel: bool = True) -> int:
    """The rank of one layer; 0 leaves it alone.

    rank   a whole number, or a share of the break-even between 0 and 1; rounded up to whole groups
    """
    if isinstance(rank, bool) or rank <= 0 or (isinstance(rank, float) and rank >= 1):
        raise InputError(f"rank is {rank}: give a whole number from 1 on, or a share between 0 and 1.")
    limit, groups = break_even(module, kernel=kernel), len(matrices(module))
    wanted = rank if isinstance(rank, int) else math.floor(rank * limit)
    wanted = -(-wanted // groups) * groups
    return wanted if wanted < limit and wanted <= groups * min(matrices(module).shape[1:]) else 0


def layers(
    model: nn.Module, *, skip: Collection[nn.Module] = (), led_too: bool = False, warn: bool = True
) -> dict[str, nn.Module]:
    """Name -> layer that can be factorised, in the order of definition; "" when the model is one itself.

    Layers that share a parameter with another (a language-model head with its embedding) are left out, with a
    warning; so are layers with another parametrization (weight_norm) or in few bits.
    """
    uses = Counter(id(p) for _, p in model.named_parameters(remove_duplicate=False))
    left, found, shared = {id(module) for module in skip}, dict[str, nn.Module](), list[str]()

    def visit(module: nn.Module, path: str) -> None:
        if id(module) in left or (isinstance(module, LED | CED) and not (led_too and type(module) is LED)):
            return
        if is_linear(module) or type(module) in CONVS or is_attention(module) or type(module) is LED:
            if any(uses[id(parameter)] > 1 for parameter in module.parameters()):
                shared.append(path)
            elif _plain(module):
                found[path] = module
            return
        for name, child in module.named_children():
            visit(child, f"{path}.{name}" if path else name)

    visit(model, "")
    if shared and warn:
        warnings.warn(f"{', '.join(shared)} share a parameter with another layer and stay as they are.", stacklevel=3)
    return found


def _plain(module: nn.Module) -> bool:
    """Nothing recomputes the weight, and it is in floating point."""
    if torch.nn.utils.parametrize.is_parametrized(module) or hasattr(module, "weight_g"):
        return False
    if is_attention(module):
        return getattr(module, "in_proj_weight", None) is not None and module.bias_k is None
    weight = module.weight
    return isinstance(weight, Tensor) and (isinstance(module, LED) or "weight" in module._parameters) \
        and weight.is_floating_point()  # fmt: skip
