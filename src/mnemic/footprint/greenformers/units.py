"""LED and CED: two thin layers in the place of one, with nothing between them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

CONVS: dict[type[nn.Module], int] = {nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}
_ASKED = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")


class LED(nn.Module):
    """y = D (E x) + b in the place of y = W x + b.

    encoder   E [r in]
    decoder   D [out r]
    bias      [out], copied, so that the layer it came from does not change with it
    """

    def __init__(self, decoder: Tensor, encoder: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Parameter(encoder.detach()), nn.Parameter(decoder.detach())
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())
        self.rank, self.in_features = encoder.shape
        self.out_features = decoder.shape[0]

    @property
    def weight(self) -> Tensor:
        """D E [out in], worked out: for code that looks at a layer's weight (T5 asks for its dtype)."""
        return self.decoder @ self.encoder

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(functional.linear(x, self.encoder), self.decoder, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, rank={self.rank}"


class CED(nn.Module):
    """A convolution to r channels with the kernel of the old one, then a 1x1 convolution to all channels.

    Both have the groups of the old one: group by group the pair is then the best of its rank.

    decoder   [out r/g]
    encoder   [r in/g *kernel]
    """

    in_channels: int
    out_channels: int
    kernel_size: tuple[int, ...]
    groups: int

    def __init__(self, source: Any, decoder: Tensor, encoder: Tensor) -> None:
        super().__init__()
        kind, self.rank = type(source), encoder.shape[0]
        for name in _ASKED:  # networks that pad by hand, or check their input, look at these
            setattr(self, name, getattr(source, name))
        where = {"device": encoder.device, "dtype": encoder.dtype}
        self.encoder = kind(
            source.in_channels, self.rank, source.kernel_size, source.stride, source.padding, source.dilation,
            source.groups, bias=False, padding_mode=source.padding_mode, **where,
        )  # fmt: skip
        self.decoder = kind(self.rank, source.out_channels, 1, groups=source.groups, bias=source.bias is not None,
                            **where)  # fmt: skip
        with torch.no_grad():
            self.encoder.weight.copy_(encoder)
            self.decoder.weight.copy_(decoder.reshape(self.decoder.weight.shape))
            if source.bias is not None:
                self.decoder.bias.copy_(source.bias)

    @property
    def weight(self) -> Tensor:
        """The kernel that the pair stands for, [out in/g *kernel], worked out group by group."""
        decoder = self.decoder.weight.reshape(self.groups, -1, self.rank // self.groups)  # [g out/g r/g]
        encoder = self.encoder.weight.reshape(self.groups, self.rank // self.groups, -1)  # [g r/g in/g*kernel]
        kernel: Tensor = (decoder @ encoder).reshape(-1, self.in_channels // self.groups, *self.kernel_size)
        return kernel

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.decoder(self.encoder(x))
        return result
