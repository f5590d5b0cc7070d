"""Numbers in few bits, really packed: codes in uint8, several to a byte, and two fp16 numbers per group.

Kept   what of a tensor is saved for backward, and how it becomes a tensor again
Once   a tensor that two operations save is packed once
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

GROUP = 64  # values that share a lowest value and a step, along the channels
EXACT = 32  # bits that stand for: keep the tensor as it is
_TINY = 6e-8  # the smallest step of fp16


@dataclass(frozen=True)
class Kept:
    """Tensors that are saved, and a function without tensors of its own that restores the value from them."""

    tensors: tuple[Tensor, ...]
    restore: Callable[..., Tensor]

    def value(self) -> Tensor:
        return self.restore(*self.tensors)

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.tensors)


def save(ctx: Any, *kept: Kept) -> None:
    """Everything through save_for_backward: what lies on ctx elsewhere would outlive the step and escape the meter."""
    ctx.save_for_backward(*(tensor for each in kept for tensor in each.tensors))
    ctx.restores = [(len(each.tensors), each.restore) for each in kept]


def saved(ctx: Any) -> list[Kept]:
    """What `save` was given."""
    tensors, found = list(ctx.saved_tensors), []
    for count, restore in ctx.restores:
        found.append(Kept(tuple(tensors[:count]), restore))
        del tensors[:count]
    return found


def pack(codes: Tensor, bits: int) -> Tensor:
    """Codes below 2^bits -> uint8, ceil(n / (8 / bits)) bytes; 3 bits are 2 and 1, 5 are 4 and 1.

    codes   uint8 of any shape
    """
    width = max(width for width in (1, 2, 4, 8) if width <= bits)
    if width < bits:
        return torch.cat([pack(codes & ((1 << width) - 1), width), pack(codes >> width, bits - width)])
    flat, per = codes.flatten(), 8 // width
    flat = torch.nn.functional.pad(flat, (0, -flat.numel() % per)).view(-1, per)  # [bytes codes]
    packed = flat[:, 0]
    for place in range(1, per):
        packed = packed | (flat[:, place] << (place * width))
    return packed.clone() if per == 1 else packed


def unpack(packed: Tensor, bits: int, count: int) -> Tensor:
    """The first `count` codes, flat, uint8."""
    width = max(width for width in (1, 2, 4, 8) if width <= bits)
    per = 8 // width
    if width < bits:
        size = -(-count // per)
        high = unpack(packed[size:], bits - width, count)
        return unpack(packed[:size], width, count) | (high << width)
    places = [(packed >> (place * width)) & ((1 << width) - 1) for place in range(per)]
    return torch.stack(places, 1).flatten()[:count]


def exactly(x: Tensor) -> Kept:
    """The tensor itself."""
    return Kept((x,), _same)


def in_codes(codes: Tensor, bits: int) -> Kept:
    """Whole numbers below 2^bits, restored as uint8."""
    return Kept((pack(codes, bits),), partial(_codes, bits=bits, shape=tuple(codes.shape)))


def in_groups(x: Tensor, bits: int) -> Kept:
    """Groups of 64 along the last axis: lowest value and step in fp16, codes rounded at random, so unbiased.

    lo is rounded down and the step up: no value lies outside of what the codes reach.
    """
    if bits >= EXACT:
        return exactly(x)
    flat = x.detach().reshape(-1).float()
    groups = torch.nn.functional.pad(flat, (0, -flat.numel() % GROUP)).view(-1, GROUP)  # [g 64]
    if flat.numel() % GROUP:
        groups[-1, flat.numel() % GROUP :] = flat[-1]  # zeros would widen the range
    low, high = groups.amin(1, keepdim=True), groups.amax(1, keepdim=True)  # [g 1]
    lo = (low - low.abs() * 2**-10 - _TINY).clamp(-65504, 65504).half()
    step = ((high - lo.float()) / (2**bits - 1) * (1 + 2**-10) + _TINY).clamp(max=65504).half()
    codes = ((groups - lo.float()) / step.float() + torch.rand_like(groups)).floor_().clamp_(0, 2**bits - 1)
    packed = pack(codes.to(torch.uint8).flatten()[: flat.numel()], bits)
    shape, dtype = tuple(x.shape), x.dtype
    return Kept((packed, lo.flatten(), step.flatten()), partial(_groups, bits=bits, shape=shape, dtype=dtype))


def in_rows(p: Tensor, bits: int) -> Kept:
    """Probabilities: 0 is a code, the largest of each row is the last one; rounded to the nearest.

    A row's largest value scales the row, in fp16.
    """
    if bits >= EXACT:
        return exactly(p)
    top = p.detach().amax(-1, keepdim=True).float().clamp(min=_TINY).half()
    codes = (p.detach().float() / top.float() * (2**bits - 1)).round_().clamp_(0, 2**bits - 1).to(torch.uint8)
    restore = partial(_rows, bits=bits, shape=tuple(p.shape), dtype=p.dtype)
    return Kept((pack(codes, bits), top), restore)


def _same(x: Tensor) -> Tensor:
    return x


def _codes(packed: Tensor, *, bits: int, shape: Sequence[int]) -> Tensor:
    return unpack(packed, bits, torch.Size(shape).numel()).view(shape)


def _groups(packed: Tensor, lo: Tensor, step: Tensor, *, bits: int, shape: Sequence[int], dtype: Any) -> Tensor:
    count = torch.Size(shape).numel()
    codes = torch.nn.functional.pad(unpack(packed, bits, count), (0, -count % GROUP)).view(-1, GROUP)
    flat = torch.addcmul(lo.float()[:, None], codes.float(), step.float()[:, None]).flatten()[:count]
    values: Tensor = flat.view(shape).to(dtype)
    return values


def _rows(packed: Tensor, top: Tensor, *, bits: int, shape: Sequence[int], dtype: Any) -> Tensor:
    codes = unpack(packed, bits, torch.Size(shape).numel()).view(shape)
    values: Tensor = codes.float() * (top.float() / (2**bits - 1))
    return values.to(dtype)


class Once:
    """Packed forms by what was packed: storage, place in it, version. An entry counts while its tensor lives."""

    def __init__(self) -> None:
        self._entries: dict[tuple[Any, ...], tuple[weakref.ref[Tensor], Any]] = {}

    def get(self, x: Tensor, kind: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """The form of this kind that there is, or a new one."""
        place = (x.untyped_storage()._cdata, x.storage_offset(), tuple(x.shape), x.stride(), x._version)
        entry = self._entries.get((*place, *kind))
        if entry is None or entry[0]() is None:  # another tensor may have come to lie there
            entry = (weakref.ref(x), make())
            self._entries[(*place, *kind)] = entry
        return entry[1]

    def clear(self) -> None:
        self._entries.clear()
