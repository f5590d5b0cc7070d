"""What is trained besides biases: prompts in front of every block's tokens, and a small branch beside every block.

All of it hangs on hooks of the blocks, which are found by structure; the backbone's own modules stay where they are.

Axes   b batch, n tokens, p prompts, d width, r rank, c channels, h w height and width of a map
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mnemic.errors import InputError, MnemicError
from mnemic.footprint._stacks import Stack
from mnemic.footprint._trace import split_call
from mnemic.footprint.s2a.ops import Scope, current, trained_linear

Shapes = tuple[torch.Size, torch.Size]  # of what goes into a block and comes out, [b c h w]
_STRIP = 32  # places along a side of a picture that a frame knows; they are stretched to the picture's size


class Side(nn.Module):
    """s(x) = U gelu(D pool(x)), U zero at the start: [... in] -> [... out] through r numbers.

    Kept for backward: pool(x) and the r numbers, packed.
    """

    def __init__(self, width: int, out: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.empty(rank, width))
        self.up = nn.Parameter(torch.zeros(out, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, pooled: Tensor) -> Tensor:
        scope = current() or Scope()
        return trained_linear(scope, functional.gelu(trained_linear(scope, pooled, self.down)), self.up)


class Blocks(nn.Module):
    """Prompts and side branches of a stack of transformer layers.

    prompt   p per layer, 0: none
    rank     r of the branches, 0: none
    pool     patches are averaged pool x pool, other tokens pool^2 in a row (of those before, where a layer is causal)
    """

    def __init__(self, stack: Stack, scope: Scope, *, prompt: int, rank: int, pool: int) -> None:
        super().__init__()
        count, d = len(stack.layers), stack.width
        reach = math.sqrt(6 / (3 * 16**2 + d))  # as visual prompts start (arXiv:2203.12119), for patches of 16 pixels
        fresh = [torch.empty(prompt, d).uniform_(-reach, reach) for _ in range(count)]  # [p d] each
        self.prompts = nn.ParameterList(fresh if prompt else [])
        self.sides = nn.ModuleList([Side(d, d, rank) for _ in range(count if rank else 0)])
        self.scope, self.pool = scope, pool
        self.causal = any(getattr(module, "is_causal", False) is True for module in stack.host.modules())
        self._beside: list[Tensor | None] = []
        for n, layer in enumerate(stack.layers):
            layer.register_forward_pre_hook(partial(self._enter, n), with_kwargs=True)
            layer.register_forward_hook(self._leave)

    def _enter(self, n: int, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if current() is not self.scope:
            raise MnemicError("the backbone was called by itself: call the S2A model, its prompts belong to a batch.")
        x, rest, named = split_call(args, kwargs)
        if named.get("cache") is not None or named.get("past_key_values") is not None:
            raise MnemicError("S2A sees whole sequences and keeps no cache of keys: pass use_cache=False.")
        self._beside[:] = [self._side(n, x) if len(self.sides) else None]
        p = len(self.prompts[n]) if len(self.prompts) else 0
        self.scope.prompts, self.scope.skip, self.scope.tokens = p, 0, x.shape[1] + p
        if p:
            x = torch.cat([self.prompts[n].to(x.dtype).expand(len(x), -1, -1), x], 1)  # [b p+n d]
            named = {name: _unturned(value, p) for name, value in named.items()}
        return (x, *rest), named

    def _leave(self, layer: nn.Module, args: Any, output: Any) -> Any:
        y = output if isinstance(output, Tensor) else output[0]
        y = y[:, self.scope.prompts :]  # [b n d]
        self.scope.prompts = self.scope.skip = 0
        beside = self._beside.pop()
        y = y if beside is None else y + beside
        return y if isinstance(output, Tensor) else (y, *output[1:])

    def _side(self, n: int, x: Tensor) -> Tensor:
        """The branch's output for every token: [b n d]."""
        grid = self.scope.grid
        if grid and grid[0] * grid[1] <= x.shape[1]:
            return on_patches(x, grid, self.pool, self.sides[n])
        mask = self.scope.mask if self.scope.mask is not None and self.scope.mask.shape == x.shape[:2] else None
        return in_a_row(x, mask, self.pool**2, self.sides[n], causal=self.causal)


def _unturned(value: Any, p: int) -> Any:
    """Cosines and sines of a rotary embedding, [b n e] each, with rows in front that turn nothing: for prompts."""
    if not isinstance(value, tuple) or [isinstance(each, Tensor) and each.dim() for each in value] != [3, 3]:
        return value
    return tuple(functional.pad(each, (0, 0, p, 0), value=still) for each, still in zip(value, (1.0, 0.0), strict=True))


def on_patches(x: Tensor, grid: tuple[int, int], pool: int, side: nn.Module) -> Tensor:
    """A branch on pooled patches: the tokens before the patches (class, registers) one by one.

    x [b n d] -> [b n d]
    """
    lead = x.shape[1] - grid[0] * grid[1]
    maps = x[:, lead:].mT.reshape(len(x), -1, *grid)  # [b d h w]
    small = functional.avg_pool2d(maps, pool, ceil_mode=True, count_include_pad=False)  # [b d h/2 w/2]
    y = side(torch.cat([x[:, :lead], small.flatten(2).mT], 1))
    wide = y[:, lead:].mT.reshape(len(y), -1, *small.shape[2:])
    wide = functional.interpolate(wide, scale_factor=float(pool))[:, :, : grid[0], : grid[1]]
    return torch.cat([y[:, :lead], wide.flatten(2).mT], 1)


def in_a_row(x: Tensor, mask: Tensor | None, window: int, side: nn.Module, *, causal: bool) -> Tensor:
    """A branch on means of so many tokens in a row, padding left out; a causal one sees the window before.

    x [b n d] -> [b n d]
    """
    n, short = x.shape[1], -x.shape[1] % window
    seen = x.new_ones(len(x), n) if mask is None else mask.to(x.dtype)
    weight = functional.pad(seen, (0, short)).unsqueeze(-1)  # [b n' 1]
    seen_x = functional.pad(x, (0, 0, 0, short)) * weight
    sums, counts = (
        each.view(len(x), -1, window, each.shape[-1]).sum(2) for each in (seen_x, weight)
    )  # [b n'/window d]
    pooled = sums / counts.clamp(min=1)
    if causal:
        pooled = functional.pad(pooled[:, :-1], (0, 0, 1, 0))
    return _each(side(pooled), window)[:, :n]


def _each(y: Tensor, window: int) -> Tensor:
    """Every row `window` times: [b m d] -> [b m*window d]."""
    return y.unsqueeze(2).expand(-1, -1, window, -1).flatten(1, 2)


class Maps(nn.Module):
    """Side branches of a convolutional network's blocks (as TinyTL's lite residuals, Cai et al., arXiv:2007.11622).

    Pooled pool x pool, 1x1 to an eighth of the channels, 1x1 back, stretched to the block's output; and a frame
    that is added to the picture's border.

    shapes   of every block, on some picture
    frame    pixels of the border, 0: none
    """

    def __init__(
        self, stem: nn.Module, blocks: Sequence[nn.Module], shapes: Sequence[Shapes], scope: Scope, *, frame: int,
        side: int, pool: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.scope, self.pool = scope, pool
        self.sides = nn.ModuleList()
        if side:
            self.sides.extend(Side(x[1], y[1], max(1, x[1] // 8)) for x, y in shapes)
            for n, block in enumerate(blocks):
                block.register_forward_hook(partial(self._beside, n))
        self.frame = nn.Parameter(torch.zeros(4, _channels(stem), frame, _STRIP)) if frame else None
        if frame:
            stem.register_forward_pre_hook(self._framed)

    def _beside(self, n: int, block: nn.Module, args: tuple[Tensor, ...], y: Tensor) -> Tensor:
        small = functional.avg_pool2d(args[0], self.pool, ceil_mode=True, count_include_pad=False)
        s = self.sides[n](small.movedim(1, -1)).movedim(-1, 1)
        return y + functional.interpolate(s, size=y.shape[2:])

    def _framed(self, stem: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        assert self.frame is not None
        x = args[0]
        return (x + border(self.frame, x.shape[2], x.shape[3]).to(x.dtype), *args[1:])


def border(frame: Tensor, h: int, w: int) -> Tensor:
    """Four strips [4 c f s] (top, bottom, left, right), stretched to a picture's sides: [c h w]."""
    f = min(frame.shape[2], h // 4, w // 4)
    top, bottom = (functional.interpolate(frame[n, :, :f], size=w) for n in (0, 1))  # [c f w]
    left, right = (functional.interpolate(frame[n, :, :f], size=h).mT for n in (2, 3))  # [c h f]
    return (
        functional.pad(top, (0, 0, 0, h - f)) + functional.pad(bottom, (0, 0, h - f, 0))
        + functional.pad(left, (0, w - f)) + functional.pad(right, (w - f, 0))
    )  # fmt: skip


def conv_blocks(model: nn.Module) -> list[nn.Module]:
    """The innermost items of lists that hold at least two convolutions each, in the order of definition."""
    found: list[nn.Module] = []
    for module in model.modules():
        if isinstance(module, nn.ModuleList | nn.Sequential):
            found += [item for item in module if _convs(item) >= 2 and not any(map(_convs_twice, _lists(item)))]
    return list(dict.fromkeys(found))


def _lists(module: nn.Module) -> list[nn.Module]:
    return [each for each in module.modules() if isinstance(each, nn.ModuleList | nn.Sequential)]


def _convs_twice(items: nn.Module) -> bool:
    return any(_convs(item) >= 2 for item in items.children())


def _convs(module: nn.Module) -> int:
    return sum(isinstance(each, nn.Conv2d) for each in module.modules())


def first_conv(model: nn.Module) -> nn.Module | None:
    """The convolution that reads pictures: the first in the order of definition."""
    return next((module for module in model.modules() if isinstance(module, nn.Conv2d)), None)


def _channels(stem: nn.Module) -> int:
    weight: Any = stem.weight
    return int(weight.shape[1])


def look(model: nn.Module, blocks: Sequence[nn.Module]) -> tuple[list[Shapes], int]:
    """Shapes of what goes into every block and comes out, and the width of what the network returns."""
    shapes: dict[nn.Module, Shapes] = {}

    def note(block: nn.Module, args: tuple[Any, ...], y: Any) -> None:
        if args and all(isinstance(each, Tensor) and each.dim() == 4 for each in (args[0], y)):
            shapes[block] = (args[0].shape, y.shape)

    hooks = [block.register_forward_hook(note) for block in blocks]
    stem = first_conv(model)
    assert stem is not None
    weight: Any = stem.weight
    try:
        with torch.no_grad():
            found = model(torch.zeros(1, _channels(stem), 64, 64, dtype=weight.dtype, device=weight.device))
    finally:
        for hook in hooks:
            hook.remove()
    missing = [type(block).__name__ for block in blocks if block not in shapes]
    if missing:
        raise InputError(f"{missing[0]} holds convolutions and does not turn a map [b c h w] into one: give side=0.")
    return [shapes[block] for block in blocks], int(pooled(found).shape[-1])


def pooled(found: Any) -> Tensor:
    """[b d] of what a network of convolutions returns: features, logits, or the mean of a map."""
    result = found if isinstance(found, Tensor) else found[0]
    if not isinstance(result, Tensor) or result.dim() not in (2, 4):
        raise InputError("the network returns neither features [b d] nor a map [b d h w]: give one that does.")
    return result.mean((2, 3)) if result.dim() == 4 else result
