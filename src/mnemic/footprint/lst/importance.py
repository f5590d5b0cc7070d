"""How much each weight of a backbone matters: its size, or the empirical Fisher information."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mnemic.errors import InputError
from mnemic.footprint._head import masked_mean, padding_mask
from mnemic.footprint._stacks import linear_shape
from mnemic.meter import Used
from mnemic.meter.training import saved_bytes


def dense(module: nn.Module) -> Tensor:
    """The matrix of a linear map in float32, whatever it is stored in: [out in].

    A map in 8 or 4 bits is asked for the images of the unit vectors.
    """
    out, read = linear_shape(module) or (0, 0)
    weight: Any = getattr(module, "weight", None)
    if isinstance(weight, Tensor) and weight.is_floating_point() and tuple(weight.shape) == (out, read):
        return weight.detach().float()
    with torch.no_grad():
        units = torch.eye(read, device=weight.device)  # [in in]
        origin = module(units.new_zeros(1, read))  # the bias
        images: Tensor = module(units) - origin  # [in out]
        return images.float().t().contiguous()


def magnitude(module: nn.Module) -> Tensor:
    """|w| of a linear map, [out in]; of embeddings [entries d]."""
    if linear_shape(module) is not None:
        return dense(module).abs()
    weight = module.weight
    assert isinstance(weight, Tensor)
    return weight.detach().float().abs()


class Fisher:
    """The diagonal of the empirical Fisher information: sum over samples of (dL/dw)^2, one sample at a time.

    A gradient is squared, added and dropped as soon as it is there, so that only one is alive.

    modules   the maps and embeddings that are asked about
    used      what the pass took at its peak, measured: weights, importance, saved for backward, the largest gradient
    """

    def __init__(self, model: nn.Module, modules: Iterable[nn.Module]) -> None:
        self.model = model
        self._of: dict[int, Tensor] = {}  # id of a weight -> importance
        self._weights: list[nn.Parameter] = []
        for module in modules:
            weight: Any = module.weight
            if not weight.is_floating_point():
                raise InputError(
                    f"{type(module).__name__} is stored in {weight.dtype} and has no gradient: the Fisher information "
                    'needs a backbone in float, use init="magnitude".'
                )
            if id(weight) not in self._of:
                self._weights.append(weight)
                self._of[id(weight)] = torch.zeros_like(weight, dtype=torch.float32)
        self.used = Used(0, "bytes")

    def __call__(self, module: nn.Module) -> Tensor:
        return self._of[id(module.weight)]

    def observe(self, samples: Iterable[Mapping[str, Any]], loss: Callable[[Mapping[str, Any]], Tensor]) -> None:
        """Go through samples, each a batch of one."""
        asked = [weight.requires_grad for weight in self._weights]
        largest = saved = 0

        def take(weight: Tensor) -> None:
            nonlocal largest
            gradient = weight.grad
            assert gradient is not None
            largest = max(largest, gradient.numel() * gradient.element_size())
            self._of[id(weight)] += gradient.float() ** 2
            weight.grad = None

        for weight in self._weights:
            weight.requires_grad_(True)
        weights: list[Any] = self._weights
        hooks = [weight.register_post_accumulate_grad_hook(take) for weight in weights]
        try:
            for sample in samples:
                with torch.enable_grad(), saved_bytes(self.model) as kept:
                    value: Any = loss(sample)
                saved = max(saved, kept.peak)
                value.backward()
        finally:
            for hook in hooks:
                hook.remove()
            for weight, before in zip(self._weights, asked, strict=True):
                weight.requires_grad_(before)
        whole = sum(parameter.numel() * parameter.element_size() for parameter in self.model.parameters())
        parts = {"weights": whole, "importance": sum(4 * each.numel() for each in self._of.values()), "saved": saved,
                 "gradient": largest}  # fmt: skip
        self.used = Used(sum(parts.values()), "bytes", parts)


def singles(data: Iterable[Mapping[str, Any]], n: int) -> list[dict[str, Any]]:
    """The first n samples of a loader of batches, as batches of one."""
    found: list[dict[str, Any]] = []
    for batch in data:
        size = next(len(value) for value in batch.values() if isinstance(value, Tensor))
        for k in range(size):
            found.append(
                {name: value[k : k + 1] if isinstance(value, Tensor) else value for name, value in batch.items()}
            )
        if len(found) >= n:
            break
    if not found:
        raise InputError("data has no batch: the Fisher information needs some samples of the task.")
    return found[:n]


def fitted_head(features: Sequence[Tensor], labels: Tensor, classes: int) -> Callable[[Tensor], Tensor]:
    """A linear classifier on the features of a bare encoder, by least squares: a random one would weigh at random.

    features   of each sample, [1 d]
    """
    x = torch.cat([torch.cat(list(features)), torch.ones(len(features), 1, device=labels.device)], dim=1)  # [n d+1]
    target = nn.functional.one_hot(labels, classes).to(x.dtype) if classes > 1 else labels[:, None].to(x.dtype)
    ridge = 1e-3 * len(x) * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    weight = torch.linalg.solve(x.T @ x + ridge, x.T @ target)  # [d+1 classes]
    return lambda hidden: hidden @ weight[:-1] + weight[-1]


def pooled(backbone: nn.Module, sample: Mapping[str, Any]) -> Tensor:
    """Mean of the last hidden state over what is no padding, [1 d]."""
    hidden = backbone(**{name: value for name, value in sample.items() if name != "labels"}).last_hidden_state
    return masked_mean(hidden, padding_mask(sample)).float()
