"""From the states of queries to logits: pieces of length 1, side by side, and a linear map."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

_RARE = -math.log(99)  # a class starts at a chance of 1 in 100, as in the reference code


class PiecesHead(nn.Module):
    """phi = [norm(summary) ; norm(vec(R_1)) ; ... ; norm(vec(R_N))], and a linear classifier on it.

    queries     Q of each layer
    summary     the backbone's own summary is the first piece
    combine     the Q states of a layer: "concat", their "mean", or a learned "weighted" sum
    normalize   scale each piece to length 1
    features    how many entries of phi are used; None for all of them
    """

    kept: Tensor

    def __init__(
        self, width: int, queries: Sequence[int], classes: int, *, summary: bool = True, combine: str = "concat",
        normalize: bool = True, features: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.combine, self.normalize = combine, normalize
        self.weights = nn.ParameterList(
            [nn.Parameter(torch.full((count,), 1 / count)) for count in queries] if combine == "weighted" else []
        )
        sizes = [width] * summary + [width * (count if combine == "concat" else 1) for count in queries]
        self.size = sum(sizes)
        self.register_buffer("kept", None if features is None else torch.arange(features))
        self.linear = linear(self.size if features is None else features, classes)

    def phi(self, summary: Tensor | None, states: Sequence[Tensor]) -> Tensor:
        """[b d] and [b q d] of each layer -> [b features]."""
        pieces = [] if summary is None else [summary.float()]
        for place, state in enumerate(states):
            state = state.float()
            if self.combine == "mean":
                state = state.mean(1)  # [b d]
            elif self.combine == "weighted":
                state = (self.weights[place].unsqueeze(-1) * state).sum(1)  # [b d]
            pieces.append(state.flatten(1))  # [b q*d] or [b d]
        phi = torch.cat([functional.normalize(each, dim=-1) for each in pieces] if self.normalize else pieces, dim=-1)
        return phi if self.kept is None else phi[:, self.kept]

    def forward(self, summary: Tensor | None, states: Sequence[Tensor]) -> Tensor:
        logits: Tensor = self.linear(self.phi(summary, states).to(self.linear.weight.dtype))
        return logits


def linear(features: int, classes: int) -> nn.Linear:
    """A fresh classifier: Kaiming by fan-out, every class rare."""
    made = nn.Linear(features, classes)
    nn.init.kaiming_normal_(made.weight, mode="fan_out")
    nn.init.constant_(made.bias, _RARE)
    return made
