"""The op list: which functions of torch keep packed bytes for backward instead of what they keep by themselves.

A network's functions are caught where they are called, so that no class of modules needs to be known: a norm, an
activation, a gate that is a bare product, attention written out or in one call. What is not on the list (losses,
trained layers, indices) runs as it is. Without gradients everything does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from mnemic.footprint.s2a import functions as fn
from mnemic.footprint.s2a.attention import Attend, Call
from mnemic.footprint.s2a.functions import EXACT, Op
from mnemic.footprint.s2a.packing import Once
from mnemic.footprint.s2a.tables import derivative_table

DEFAULT_BITS = 4
_current: ContextVar[Scope | None] = ContextVar("s2a", default=None)


@dataclass
class Scope:
    """One model's way of keeping things, and where its forward pass is.

    bits      for all operations, or by name of the operation ("encoder.layer.0.output.LayerNorm.layer_norm")
    prompts   leading tokens of the running block that are prompts
    skip      the same number, once the block's attention has run: from there on their outputs matter to nobody
    tokens    of the running block, prompts included
    mask      [b n] which tokens are no padding
    grid      rows and columns of patches, where an image was cut into some
    sizes     bytes that every operation packed in the last forward
    weights   how often inputs of activations fall where, by name of the operation (see `derivative_table`)
    look      told name and input of every smooth activation
    """

    bits: int | Mapping[str, int] = DEFAULT_BITS
    prompts: int = 0
    skip: int = 0
    tokens: int = 0
    mask: Tensor | None = None
    grid: tuple[int, int] | None = None
    sizes: dict[str, int] = field(default_factory=dict)
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    look: Callable[[str, Tensor], None] | None = None
    once: Once = field(default_factory=Once)
    running: list[str] = field(default_factory=list)

    def op(self, kind: str) -> Op:
        """How an operation that runs now keeps what it needs."""
        name = self.name(kind)
        bits = self.bits if isinstance(self.bits, int) else self.bits.get(name, DEFAULT_BITS)
        return Op(bits, self.skip, self.tokens, self.once, partial(self._note, name))

    def name(self, kind: str) -> str:
        return f"{self.running[-1]}.{kind}" if self.running and self.running[-1] else kind

    def _note(self, name: str, size: int) -> None:
        self.sizes[name] = self.sizes.get(name, 0) + size

    @contextmanager
    def over(self, model: nn.Module, mask: Tensor | None) -> Iterator[None]:
        """Run a model with this scope: operations get names, and nothing of the pass is left behind."""
        self.mask, self.prompts, self.skip, self.grid = mask, 0, 0, None
        self.sizes.clear()
        self.running[:] = [""]
        hooks: list[Any] = []
        for name, module in model.named_modules():
            hooks.append(module.register_forward_pre_hook(partial(_push, self.running, name)))
            hooks.append(module.register_forward_hook(partial(_pop, self.running), always_call=True))
        token = _current.set(self)
        try:
            with OpList(self):
                yield
        finally:
            _current.reset(token)
            for hook in hooks:
                hook.remove()
            self.once.clear()
            self.mask = None


def _push(running: list[str], name: str, *_: Any) -> None:
    running.append(name)


def _pop(running: list[str], *_: Any) -> None:
    running.pop()


def current() -> Scope | None:
    """The scope of the model that is running."""
    return _current.get()


class OpList(TorchFunctionMode):
    """Catches the functions of the list; a handler that returns NotImplemented leaves the call to torch."""

    def __init__(self, scope: Scope) -> None:
        super().__init__()
        self.scope = scope

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        handler = _HANDLERS.get(func)
        if handler is not None:
            result = handler(self.scope, func, *args, **(kwargs or {}))
            if result is not NotImplemented:
                return result
        return func(*args, **(kwargs or {}))


def attention(scope: Scope, q: Tensor, k: Tensor, v: Tensor, call: Call) -> Tensor:
    """Attention with the prompts of the running block; exact and by torch's own function without gradients."""
    prompts = scope.prompts if q.shape[2] == k.shape[2] else 0  # attention over something else has none
    call = Call(call.mask, call.scale, call.causal, prompts, call.dropout)
    if torch.is_grad_enabled() and any(each.requires_grad for each in (q, k, v)):
        out: Tensor = _apply(Attend, q, k, v, call, scope.op("attention"))
    else:
        mask = call.visible(q.shape[2] - prompts, k.shape[2] - prompts, q.device)
        if mask is not None and mask.dtype != torch.bool:
            mask = mask.to(q.dtype)
        out = functional.scaled_dot_product_attention(
            q[:, :, prompts:], k, v, mask, call.dropout, scale=call.scale, enable_gqa=k.shape[1] != q.shape[1]
        )
        out = functional.pad(out, (0, 0, prompts, 0))
    if prompts:
        scope.skip = prompts
    return out


def trained_linear(scope: Scope, x: Tensor, weight: Tensor) -> Tensor:
    """x W^T of a side branch."""
    if not torch.is_grad_enabled():
        return functional.linear(x, weight.to(x.dtype))
    result: Tensor = _apply(fn.TrainedLinear, x, weight, scope.op("side"))
    return result


# ---- handlers: the scope, the function, and its arguments


def _apply(function: Any, *args: Any) -> Any:
    return function.apply(*args)


def _grad(*tensors: Any) -> bool:
    """True when something of it needs a gradient, now."""
    return torch.is_grad_enabled() and any(isinstance(each, Tensor) and each.requires_grad for each in tensors)


def _trained(*tensors: Tensor | None) -> bool:
    return any(each is not None and each.requires_grad for each in tensors)


def _cast(bias: Tensor | None, weight: Tensor | None) -> Tensor | None:
    """A shift that is trained in float32 in a backbone of less precision."""
    return bias if bias is None or weight is None else bias.to(weight.dtype)


def _linear(scope: Scope, func: Any, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
    if not weight.is_floating_point() or _trained(weight) or not _grad(x, bias):
        return func(x, weight, _cast(bias, weight))
    return _apply(fn.FrozenLinear, x, weight, bias, scope.op("linear"))


def _addmm(scope: Scope, func: Any, bias: Tensor, x: Tensor, weight: Tensor, **kwargs: Any) -> Any:
    return func(_cast(bias, weight), x, weight, **kwargs)  # torch keeps nothing of x when the weight is frozen


def _conv(
    scope: Scope, func: Any, input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1,
    padding: Any = 0, dilation: Any = 1, groups: int = 1,
) -> Any:  # fmt: skip
    if _trained(weight) or not _grad(input, bias):
        return func(input, weight, _cast(bias, weight), stride, padding, dilation, groups)
    dims = weight.dim() - 2
    stride, dilation = ([each] * dims if isinstance(each, int) else list(each) for each in (stride, dilation))
    if isinstance(padding, str):
        input, padding = _padded(input, weight, padding, dilation)
    padding = [padding] * dims if isinstance(padding, int) else list(padding)
    return _apply(fn.FrozenConv, input, weight, bias, (stride, padding, dilation), groups, scope.op("conv"))


def _padded(x: Tensor, weight: Tensor, padding: str, dilation: list[int]) -> tuple[Tensor, int]:
    """padding="same" written out: half before, the rest behind; "valid" is none."""
    sides = []
    for size, step in zip(reversed(weight.shape[2:]), reversed(dilation), strict=True):
        whole = step * (size - 1) if padding == "same" else 0
        sides += [whole // 2, whole - whole // 2]
    return (functional.pad(x, sides) if any(sides) else x), 0


def _layer_norm(
    scope: Scope, func: Any, input: Tensor, normalized_shape: Any, weight: Tensor | None = None,
    bias: Tensor | None = None, eps: float = 1e-5,
) -> Any:  # fmt: skip
    if _trained(weight) or len(normalized_shape) != 1 or not _grad(input, bias):
        return func(input, normalized_shape, weight, _cast(bias, weight), eps)
    return _apply(fn.ShiftLayerNorm, input, weight, bias, eps, scope.op("layer_norm"))


def _rms_norm(
    scope: Scope, func: Any, input: Tensor, normalized_shape: Any, weight: Tensor | None = None,
    eps: float | None = None,
) -> Any:  # fmt: skip
    if _trained(weight) or len(normalized_shape) != 1 or not _grad(input):
        return NotImplemented
    x, op = input.float() if input.dtype in (torch.half, torch.bfloat16) else input, scope.op("rms_norm")
    square = _apply(fn.Power, x, 2.0, op).mean(-1, keepdim=True)
    inverse = torch.rsqrt(square + (torch.finfo(x.dtype).eps if eps is None else eps))  # [... 1]
    y = _apply(fn.Product, x, inverse, op).to(input.dtype)
    return y if weight is None else y * weight


def _group_norm(
    scope: Scope, func: Any, input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Any:  # fmt: skip
    if _trained(weight) or not _grad(input, bias):
        return func(input, num_groups, weight, _cast(bias, weight), eps)
    flat = input.reshape(len(input), num_groups, -1)  # [b groups channels*place]
    op = scope.op("group_norm")
    normed = _apply(fn.ShiftLayerNorm, flat, None, None, eps, Op(op.bits, once=op.once, note=op.note)).view(input.shape)
    shape = [1, -1] + [1] * (input.dim() - 2)
    normed = normed if weight is None else normed * weight.view(shape)
    return normed if bias is None else normed + bias.view(shape).to(normed.dtype)


def _batch_norm(
    scope: Scope, func: Any, input: Tensor, running_mean: Tensor | None, running_var: Tensor | None,
    weight: Tensor | None = None, bias: Tensor | None = None, training: bool = False, momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:  # fmt: skip
    still = not training and running_mean is not None and running_var is not None
    if not still or _trained(weight) or not _grad(input, bias):
        return func(input, running_mean, running_var, weight, _cast(bias, weight), training, momentum, eps)
    assert running_mean is not None
    assert running_var is not None
    a = torch.rsqrt(running_var + eps) * (1.0 if weight is None else weight)
    shift = (0.0 if bias is None else bias) - running_mean * a
    return _apply(fn.ShiftBatchNorm, input, a, shift, scope.op("batch_norm"))


def _smooth(scope: Scope, func: Any, input: Tensor, *args: Any, **kwargs: Any) -> Any:
    if not _grad(input):
        return NotImplemented
    inplace = kwargs.pop("inplace", False)
    f = _Elementwise(func, args, kwargs)
    op, name = scope.op("activation"), scope.name("activation")
    if scope.look is not None:
        scope.look(name, input)
    table = None if op.bits >= EXACT else derivative_table(f, min(op.bits, 8), weight=scope.weights.get(name))
    return _placed(_apply(fn.LevelActivation, input, f, table, op), input, inplace)


def _placed(y: Tensor, x: Tensor, inplace: bool) -> Tensor:
    """The result in the place of the input, where the call says so: who reads x later must find y."""
    return x.copy_(y) if inplace else y


@dataclass(frozen=True)
class _Elementwise:
    """An activation with its options."""

    func: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def __call__(self, x: Tensor) -> Tensor:
        y: Tensor = self.func(x, *self.args, **self.kwargs)
        return y


def _clamp(low: float, high: float, scope: Scope, func: Any, input: Tensor, inplace: bool = False) -> Any:
    if not _grad(input):
        return NotImplemented
    y = _apply(fn.ClampActivation, input, low, high, scope.op("activation"))
    return _placed(y, input, inplace or func is torch.relu_)


def _hardtanh(
    scope: Scope, func: Any, input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Any:
    return _clamp(min_val, max_val, scope, func, input, inplace)


def _product(scope: Scope, func: Any, input: Any, other: Any) -> Any:
    if not (_grad(input) and _grad(other) and input.dtype == other.dtype):
        return NotImplemented
    return _apply(fn.Product, input, other, scope.op("product"))


def _power(scope: Scope, func: Any, input: Any, exponent: Any = 2.0) -> Any:
    if not _grad(input) or isinstance(exponent, Tensor):
        return NotImplemented
    return _apply(fn.Power, input, float(exponent), scope.op("power"))


def _matmul(scope: Scope, func: Any, input: Tensor, other: Tensor) -> Any:
    if not (_grad(input) and _grad(other) and min(input.dim(), other.dim()) >= 2):
        return NotImplemented
    return _apply(fn.MatMul, input, other, scope.op("matmul"))


def _softmax(scope: Scope, func: Any, input: Tensor, dim: int = -1, *, dtype: Any = None, _stacklevel: int = 3) -> Any:
    if not _grad(input) or dim not in (-1, input.dim() - 1):
        return NotImplemented
    return _apply(fn.Softmax, input if dtype is None else input.to(dtype), scope.op("softmax"))


def _dropout(
    scope: Scope, func: Any, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Any:
    if not training or not 0 < p < 1 or not _grad(input):
        return NotImplemented
    return _placed(_apply(fn.Dropout, input, p, scope.op("dropout")), input, inplace)


def _max_pool(
    scope: Scope, func: Any, input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    kernel, padding, dilation = (_pair(each) for each in (kernel_size, padding, dilation))
    if return_indices or not _grad(input) or input.dim() != 4 or kernel[0] * kernel[1] > 256:
        return NotImplemented
    stride = _pair(stride) if stride else kernel
    return _apply(fn.MaxPool, input, kernel, stride, padding, dilation, ceil_mode, scope.op("max_pool"))


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


def _linear_map(scope: Scope, func: Any, input: Tensor, *args: Any, **kwargs: Any) -> Any:
    if not _grad(input):
        return NotImplemented
    return _apply(fn.ShapeOnly, input, _Elementwise(func, args, kwargs), scope.op("pool"))


def _sdpa(
    scope: Scope, func: Any, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None,
    dropout_p: float = 0.0, is_causal: bool = False, *, scale: float | None = None, enable_gqa: bool = False,
) -> Any:  # fmt: skip
    if query.dim() != 4 or _grad(attn_mask) or not (scope.prompts or _grad(query, key, value)):
        return NotImplemented
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    return attention(scope, query, key, value, Call(attn_mask, scale, is_causal, dropout=dropout_p))


_HANDLERS: dict[Any, Callable[..., Any]] = {
    functional.linear: _linear, torch.addmm: _addmm,
    functional.conv1d: _conv, functional.conv2d: _conv, functional.conv3d: _conv,
    functional.layer_norm: _layer_norm, functional.rms_norm: _rms_norm, functional.group_norm: _group_norm,
    functional.batch_norm: _batch_norm,
    functional.hardtanh: _hardtanh,
    functional.dropout: _dropout,
    functional.max_pool2d: _max_pool, torch.max_pool2d: _max_pool,
    functional.avg_pool2d: _linear_map, functional.adaptive_avg_pool2d: _linear_map,
    functional.scaled_dot_product_attention: _sdpa,
    **dict.fromkeys((functional.relu, torch.relu, Tensor.relu, torch.relu_), partial(_clamp, 0.0, float("inf"))),
    functional.relu6: partial(_clamp, 0.0, 6.0),
    **dict.fromkeys(
        (functional.gelu, functional.silu, functional.hardswish, functional.hardsigmoid, functional.leaky_relu,
         functional.elu, functional.celu, functional.selu, functional.softplus, functional.mish, functional.logsigmoid,
         functional.sigmoid, torch.sigmoid, Tensor.sigmoid, functional.tanh, torch.tanh, Tensor.tanh), _smooth,
    ),
    **dict.fromkeys((torch.mul, Tensor.mul), _product),
    **dict.fromkeys((torch.pow, Tensor.pow, Tensor.__pow__, torch.square, Tensor.square), _power),
    **dict.fromkeys((torch.matmul, Tensor.matmul, torch.bmm, Tensor.bmm), _matmul),
    **dict.fromkeys((functional.softmax, torch.softmax, Tensor.softmax), _softmax),
}  # fmt: skip
