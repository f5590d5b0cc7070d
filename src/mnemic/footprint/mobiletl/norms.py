"""The inner norms of a block: only the shift is trained, and nothing is kept for backward."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class ShiftNorm(nn.Module):
    """A batch norm with fixed scale and statistics: y = a*x + b, b is trained.

        a = gamma / sqrt(var + eps),  b = beta - mean*a
        dL/dx = a * dL/dy,  dL/db = sum of dL/dy over images and places

    torch's own batch_norm keeps its input for backward whatever is frozen in it; a product with a buffer keeps the
    buffer only.
    """

    a: Tensor

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        mean, scale = scaling(norm)
        self.register_buffer("a", scale.view(-1, 1, 1))  # [c 1 1]
        self.b = nn.Parameter((norm.bias.detach().float() - mean * scale).view(-1, 1, 1))
        self.rest = nn.Sequential(*norm.children())  # norms of some libraries carry their activation inside
        self._norm = (norm,)  # in a tuple: no submodule, for its tensors are not to be saved twice

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.rest((x * self.a + self.b).to(x.dtype))  # [b c h w]
        return y

    def exported(self) -> nn.BatchNorm2d:
        """The batch norm again, with beta = b + mean*a."""
        norm = copy.deepcopy(self._norm[0]).to(self.b.device)
        mean, scale = scaling(norm)
        with torch.no_grad():
            norm.bias.copy_(self.b.flatten() + mean * scale)
        for name, child in zip(dict(norm.named_children()), self.rest, strict=True):
            setattr(norm, name, child)
        return norm


def scaling(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """(mean, a) of a batch norm's running statistics, in float32."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.detach().float() * torch.rsqrt(norm.running_var.float() + norm.eps)
    return norm.running_mean.float().clone(), scale
