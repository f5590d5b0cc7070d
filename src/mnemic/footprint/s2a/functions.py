"""Backward from packed bytes: one autograd function per operation, its forward exact, its backward of what was kept.

Every function takes an `Op` last: how many bits, and how many leading tokens of a sequence no gradient comes to.

Axes   b batch, n tokens, d channels, c classes of a normalisation, h w height and width of a map
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

from mnemic.footprint.s2a.packing import EXACT, Kept, Once, exactly, in_codes, in_groups, in_rows, save, saved
from mnemic.footprint.s2a.tables import Table, derivative

Grads = tuple[Tensor | None, ...]


@dataclass
class Op:
    """How one operation keeps what it needs.

    bits   of every value; 32 keeps tensors as they are
    skip   leading tokens of [b n d] whose gradient is zero, because their outputs are replaced: nothing is kept of them
    tokens n, by which such a tensor is known
    once   what was packed in this forward
    note   told the bytes of whatever is packed
    """

    bits: int = 4
    skip: int = 0
    tokens: int = 0
    once: Once = field(default_factory=Once)
    note: Callable[[int], None] = lambda size: None

    def skipped(self, x: Tensor) -> int:
        return self.skip if x.dim() == 3 and x.shape[1] == self.tokens else 0

    def keep(self, x: Tensor, kind: tuple[Any, ...], make: Callable[[], Kept]) -> Kept:
        """Pack x in some way, unless it is there."""

        def noted() -> Kept:
            kept = make()
            self.note(kept.nbytes)
            return kept

        found: Kept = self.once.get(x, (*kind, self.bits), noted)
        return found

    def values(self, x: Tensor, skip: int = 0) -> Kept:
        """The values of x without its first tokens."""
        return self.keep(x, ("values", skip), lambda: in_groups(x[:, skip:] if skip else x, self.bits))


def _grown(dx: Tensor, skip: int) -> Tensor:
    """Zeros for the tokens that were skipped: [b n-skip d] -> [b n d]."""
    return functional.pad(dx, (0, 0, skip, 0)) if skip else dx


class FrozenLinear(Function):
    """y = x W^T + b, W frozen. dx = dy W, db = sum(dy): nothing of x is kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, op: Op) -> Tensor:
        save(ctx, exactly(weight))
        return functional.linear(x, weight, None if bias is None else bias.to(weight.dtype))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        dy, weight = grads[0], saved(ctx)[0].value()
        db = dy.flatten(0, -2).float().sum(0) if dy.dtype != torch.float64 else dy.flatten(0, -2).sum(0)
        return dy @ weight.to(dy.dtype), None, db if ctx.needs_input_grad[2] else None, None


class FrozenConv(Function):
    """A convolution with a frozen kernel, of any dimension; nothing of x is kept (torch's own keeps all of it)."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, how: tuple[Sequence[int], ...], groups: int, op: Op
    ) -> Tensor:
        save(ctx, exactly(weight))
        ctx.how, ctx.groups, ctx.shape = how, groups, x.shape
        cast = None if bias is None else bias.to(weight.dtype)
        stride, padding, dilation = how
        return torch.convolution(x, weight, cast, stride, padding, dilation, False, [0] * len(stride), groups)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        dy, weight = grads[0], saved(ctx)[0].value()
        x = dy.new_empty(1).expand(ctx.shape)  # its shape is all that is looked at
        dx, _, _ = torch.ops.aten.convolution_backward(
            dy, x, weight.to(dy.dtype), None, *ctx.how, False, [0] * len(ctx.how[0]), ctx.groups, [True, False, False]
        )
        db = dy.sum([0, *range(2, dy.dim())]) if ctx.needs_input_grad[2] else None
        return dx, None, db, None, None, None


class ShiftBatchNorm(Function):
    """Batch norm with fixed statistics and scale: y = a x + shift. dx = a dy, dshift = sum(dy); [b d ...]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, a: Tensor, shift: Tensor, op: Op) -> Tensor:
        shape = [1, -1] + [1] * (x.dim() - 2)
        save(ctx, exactly(a))
        return x * a.view(shape).to(x.dtype) + shift.view(shape).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        dy, a = grads[0], saved(ctx)[0].value()
        shape = [1, -1] + [1] * (dy.dim() - 2)
        return dy * a.view(shape).to(dy.dtype), None, dy.sum([0, *range(2, dy.dim())]), None


class ShiftLayerNorm(Function):
    """Layer norm over the last axis with a frozen scale g: xh = (x - mean) / sd, y = g xh + shift.

    With e = g dy: dx = (e - mean(e) - xh mean(e xh)) / sd, dshift = sum(dy). Kept: xh packed, 1/sd in fp32.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor | None, shift: Tensor | None, eps: float, op: Op) -> Tensor:
        size, skip = x.shape[-1:], op.skipped(x)
        own, added = (None if each is None else each.to(x.dtype) for each in (scale, shift))
        y, mean, inverse = torch.native_layer_norm(x, size, own, added, eps)  # inverse [... 1]
        ctx.skip, ctx.scaled = skip, scale is not None
        if ctx.needs_input_grad[0]:

            def normed() -> Kept:
                xh = (x - mean) * inverse
                return in_groups(xh[:, skip:] if skip else xh, op.bits)

            small = [inverse[:, skip:].clone() if skip else inverse, *([] if scale is None else [scale])]
            save(ctx, op.keep(x, ("normed", eps, skip), normed), *map(exactly, small))
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (dy,) = grads
        dshift = dy.flatten(0, -2).sum(0) if ctx.needs_input_grad[2] else None
        if not ctx.needs_input_grad[0]:
            return None, None, dshift, None, None
        xh, inverse, *scale = (kept.value() for kept in saved(ctx))
        e = dy[:, ctx.skip :] if ctx.skip else dy
        e = e * scale[0].to(e.dtype) if ctx.scaled else e
        dx = (e - e.mean(-1, keepdim=True) - xh * (e * xh).mean(-1, keepdim=True)) * inverse
        return _grown(dx.to(dy.dtype), ctx.skip), None, dshift, None, None


class LevelActivation(Function):
    """y = f(x); dx = dy l_k, k the interval of the table in which x lies. With 32 bits f'(x) itself is kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, f: Callable[[Tensor], Tensor], table: Table | None, op: Op) -> Tensor:
        ctx.skip = skip = op.skipped(x)
        own = x[:, skip:] if skip else x
        if table is None:
            save(ctx, exactly(derivative(f, own)))
        else:
            borders, levels = table.borders.to(x.device, torch.float32), table.levels.to(x.device, x.dtype)

            def interval() -> Kept:
                places = torch.bucketize(own.float().contiguous(), borders, out_int32=True)
                return in_codes(places.to(torch.uint8), op.bits)

            save(ctx, op.keep(x, ("interval", id(table), skip), interval), exactly(levels))
        ctx.exact = table is None
        return f(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (dy,), kept = grads, saved(ctx)
        slope = kept[0].value() if ctx.exact else kept[1].value()[kept[0].value().int()]
        return _grown((dy[:, ctx.skip :] if ctx.skip else dy) * slope, ctx.skip), None, None, None


class ClampActivation(Function):
    """y = clamp(x, low, high) (ReLU, ReLU6, Hardtanh): one bit says whether x lay between. Exact."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, low: float, high: float, op: Op) -> Tensor:
        ctx.skip = skip = op.skipped(x)

        def inside() -> Kept:
            own = x[:, skip:] if skip else x
            return in_codes(((own > low) & (own < high)).to(torch.uint8), 1)

        save(ctx, op.keep(x, ("inside", low, high, skip), inside))
        return x.clamp(low, high) if math.isfinite(high) else x.clamp(min=low)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        dy = grads[0][:, ctx.skip :] if ctx.skip else grads[0]
        return _grown(dy * saved(ctx)[0].value().to(dy.dtype), ctx.skip), None, None, None


class MaxPool(Function):
    """Max pooling of maps [b d h w]: which of the window's places won, in ceil(log2(k^2)) bits. Exact."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int],
        dilation: tuple[int, int], ceil_mode: bool, op: Op,
    ) -> Tensor:  # fmt: skip
        y, index = functional.max_pool2d(x, kernel, stride, padding, dilation, ceil_mode, return_indices=True)
        corner = _corners(y.shape, stride, padding, x.device)  # [2 h' w']
        down, right = index // x.shape[-1] - corner[0], index % x.shape[-1] - corner[1]
        place = down // dilation[0] * kernel[1] + right // dilation[1]
        ctx.shape, ctx.windows = x.shape, (kernel, stride, padding, dilation)
        bits = max(1, math.ceil(math.log2(kernel[0] * kernel[1])))
        save(ctx, op.keep(x, ("winner", ctx.windows), lambda: in_codes(place.to(torch.uint8), bits)))
        result: Tensor = y
        return result

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (dy,), place = grads, saved(ctx)[0].value().long()
        kernel, stride, padding, dilation = ctx.windows
        corner = _corners(dy.shape, stride, padding, dy.device)
        row = corner[0] + place // kernel[1] * dilation[0]
        index = row * ctx.shape[-1] + corner[1] + place % kernel[1] * dilation[1]
        dx = dy.new_zeros(*ctx.shape[:-2], ctx.shape[-2] * ctx.shape[-1])
        dx.scatter_add_(-1, index.flatten(-2), dy.flatten(-2))
        return dx.view(ctx.shape), None, None, None, None, None, None


def _corners(shape: Sequence[int], stride: tuple[int, int], padding: tuple[int, int], device: Any) -> Tensor:
    """Row and column of the upper left place of every window: [2 h' w']."""
    rows, columns = (torch.arange(shape[n - 2], device=device) * stride[n] - padding[n] for n in (0, 1))
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"))


class ShapeOnly(Function):
    """A map that is linear in x (average pooling): its backward needs the shape of x alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, f: Callable[[Tensor], Tensor], op: Op) -> Tensor:
        ctx.f, ctx.shape = f, x.shape
        return f(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        with torch.enable_grad():
            zero = grads[0].new_zeros(ctx.shape, requires_grad=True)
            (dx,) = torch.autograd.grad(ctx.f(zero), zero, grads[0])
        return dx, None, None


class Product(Function):
    """y = u v element by element: du = dy v, dv = dy u. What is broadcast is small and stays as it is."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, v: Tensor, op: Op) -> Tensor:
        y = u * v
        ctx.shapes, ctx.skip = (u.shape, v.shape), op.skipped(y)
        ctx.skips = [ctx.skip if each.dim() == 3 and each.shape[1] == y.shape[1] else 0 for each in (u, v)]
        ctx.skip = ctx.skip if all(ctx.skips) else 0
        save(ctx, *(
            op.values(each, ctx.skip) if each.numel() == y.numel()
            else exactly(each[:, ctx.skip :].clone() if ctx.skip else each)
            for each in (u, v)
        ))  # fmt: skip
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        dy, (u, v) = grads[0], (kept.value() for kept in saved(ctx))
        dy = dy[:, ctx.skip :] if ctx.skip else dy
        du, dv = ((dy * other).sum_to_size(own.shape).to(own.dtype) for own, other in ((u, v), (v, u)))
        return _grown(du, ctx.skip), _grown(dv, ctx.skip), None


class Power(Function):
    """y = x^n: dx = n x^(n-1) dy."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, n: float, op: Op) -> Tensor:
        ctx.n, ctx.skip = n, op.skipped(x)
        save(ctx, op.values(x, ctx.skip))
        return x**n

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        dy = grads[0][:, ctx.skip :] if ctx.skip else grads[0]
        return _grown(dy * ctx.n * saved(ctx)[0].value() ** (ctx.n - 1), ctx.skip), None, None


class MatMul(Function):
    """y = a b, both needing gradients (attention written out): da = dy b^T, db = a^T dy; [... i k] [... k j]."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, op: Op) -> Tensor:
        save(ctx, op.values(a), op.values(b))
        return a @ b

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        dy, (a, b) = grads[0], (kept.value() for kept in saved(ctx))
        return (dy @ b.mT).sum_to_size(a.shape), (a.mT @ dy).sum_to_size(b.shape), None


class Softmax(Function):
    """p = softmax(x) over the last axis: dx = p (dy - sum(dy p)). The product with the values finds p packed."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, op: Op) -> Tensor:
        p = x.softmax(-1)
        save(ctx, op.keep(p, ("values", 0), lambda: in_rows(p, op.bits)))
        return p

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        dy, p = grads[0], saved(ctx)[0].value()
        return p * (dy - (dy * p).sum(-1, keepdim=True)), None


class Dropout(Function):
    """y = x m / (1 - rate); one bit per value says what was kept. Exact."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rate: float, op: Op) -> Tensor:
        kept = torch.rand_like(x) >= rate
        ctx.rate = rate
        bits = in_codes(kept.to(torch.uint8), 1)
        op.note(bits.nbytes)
        save(ctx, bits)
        return x * kept / (1 - rate)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return grads[0] * saved(ctx)[0].value().to(grads[0].dtype) / (1 - ctx.rate), None, None


class TrainedLinear(Function):
    """y = x W^T with W trained (the side branches): dW = dy^T x from packed x, dx = dy W."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, op: Op) -> Tensor:
        save(ctx, op.values(x), exactly(weight))
        return functional.linear(x, weight.to(x.dtype))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        dy, (x, weight) = grads[0], (kept.value() for kept in saved(ctx))
        dw = dy.flatten(0, -2).to(weight.dtype).mT @ x.flatten(0, -2).to(weight.dtype)
        return dy @ weight.to(dy.dtype), dw, None


__all__ = [
    "EXACT", "ClampActivation", "Dropout", "FrozenConv", "FrozenLinear", "LevelActivation", "MatMul", "MaxPool", "Op",
    "Power", "Product", "ShapeOnly", "ShiftBatchNorm", "ShiftLayerNorm", "Softmax", "TrainedLinear",
]  # fmt: skip
