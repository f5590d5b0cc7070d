"""The side module: features of frozen layers go in, one list of features for the task comes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from mnemic.errors import InputError
from mnemic.footprint._head import masked_mean
from mnemic.footprint.unipt.attention import Manner, mixed
from mnemic.footprint.unipt.shrinking import SHRINKS
from mnemic.footprint.unipt.variants import Variant

Memory = tuple[Tensor, Tensor | None]  # what is read across: features [b t' m], their padding mask


class Fused(NamedTuple):
    """What the module made of some features.

    output       Y [b k d_out], for the head
    side         Z [b k m], what another module reads across
    confidence   [b n], or [b k n] where no token may know of later ones: softmax over the targets
    states       [n + 1, b k d_out]: the targets themselves and Z, each brought to d_out, for auxiliary losses
    """

    output: Tensor
    side: Tensor
    confidence: Tensor
    states: Tensor | None = None


class Fusion(nn.Module):
    """UniPT on features [b t d_i] of n targets and an anchor, all frozen; m = width / reduction.

        F_i = down_i(H_i), A = down_n(anchor)
        c_i = gate(mean(A) * mean(F_i)); w = softmax over i of c
        Z   = A + P(sum_i w_i W_i F_i)                        attention.py has W
        Y   = up(Z)

    dims      widths of the targets, then of the anchor
    width     d_out
    causal    means and attention see no later token
    crosses   each target first reads a memory that another module made, of the same m
    neutral   the raw anchor is added to the output, and the last weights start at zero
    ends      False: there is no `up`, another module reads Z across
    rows      queries that attend at a time
    """

    def __init__(
        self, dims: Sequence[int], width: int, reduction: int, form: Variant, *, causal: bool = False,
        crosses: bool = False, neutral: bool = False, ends: bool = True, rows: int = 256,
    ) -> None:  # fmt: skip
        super().__init__()
        if reduction < 1 or width % reduction:
            raise InputError(f"reduction {reduction} does not divide the width {width}.")
        if len(dims) < 2:
            raise InputError("UniPT fuses at least one layer with the last: give the widths of two or more.")
        m, shrink = width // reduction, SHRINKS[form.down]
        self.form, self.causal, self.residual = form, causal, form.residual or neutral
        self.width, self.rows = width, rows
        self.downs = nn.ModuleList(shrink(d, m) for d in dims)
        self.gate = nn.Linear(m, 1)
        self.project = _projection(form, m, width)
        self.up = nn.Linear(m, width) if ends else None
        self.norm = nn.LayerNorm(width) if ends and form.up == "norm" else None
        self.crossings = nn.ModuleList(SHRINKS["norm"](m, m) for _ in dims[1:]) if crosses else None
        if form.xavier:
            for parameter in self.parameters():
                if parameter.dim() > 1:
                    nn.init.xavier_uniform_(parameter)
        if neutral:
            for parameter in (self.norm or self.up or self).parameters():
                nn.init.zeros_(parameter)

    def forward(
        self, features: Sequence[Tensor], mask: Tensor | None = None, *, at: Tensor | None = None,
        memory: Memory | None = None, stacked: bool = False,
    ) -> Fused:  # fmt: skip
        """All layers in parallel: n targets and the anchor, with one mask. `shrink` and `fuse` take them one by one."""
        shrunk = [self.shrink(n, each) for n, each in enumerate(features[:-1])]
        return self.fuse(features[-1], shrunk, mask, [mask] * len(shrunk), at=at, memory=memory, stacked=stacked)

    def shrink(self, n: int, hidden: Tensor) -> Tensor:
        """F_n of a target that was handed over, [b t d] -> [b t m]; nothing else of it is needed."""
        shrunk: Tensor = self.downs[n](hidden)
        return shrunk

    def fuse(
        self, raw: Tensor, targets: Sequence[Tensor], mask: Tensor | None, masks: Sequence[Tensor | None], *,
        at: Tensor | None = None, memory: Memory | None = None, stacked: bool = False,
    ) -> Fused:  # fmt: skip
        """The anchor as it came [b k d], and the targets already projected.

        masks    of the targets, one each; `mask` is the anchor's
        at       [b], place of the feature that a single query gets from each target; None: the first
        memory   read by the targets, where the module crosses
        stacked  hand out Fused.states too; each of them keeps as much as the output
        """
        anchor = self.shrink(len(self.downs) - 1, raw)  # [b k m]
        self._check(anchor, targets)
        if self.crossings is not None and memory is not None:
            targets = [self._crossed(n, target, memory) for n, target in enumerate(targets)]
        confidence = self.confidence(anchor, targets, mask, masks)  # [b 1 n] or [b k n]
        manner = Manner(identity=not self.form.single, causal=self.causal, rows=self.rows)
        found = mixed(anchor, targets, confidence, masks, manner).to(anchor.dtype)  # [b k m]
        if self.form.single:
            found = found + confidence @ torch.stack([_at(target, at) for target in targets], 1)
        side = found if self.project is None else anchor + self.project(found)
        states = torch.stack([self._up(each) for each in (*targets, side)]) if stacked else None
        output = self._up(side) if states is None else states[-1]  # [b k d_out]
        if self.residual:
            output = raw.to(output.dtype) + output
        return Fused(output, side, confidence if self.causal else confidence[:, 0], states)

    def confidence(
        self, anchor: Tensor, targets: Sequence[Tensor], mask: Tensor | None, masks: Sequence[Tensor | None]
    ) -> Tensor:
        """Softmax over the targets of a gate on mean anchor x mean target: [b 1 n], or [b k n] if causal."""
        mean = self._mean(anchor, None if self.form.single else mask)
        gates = [self.gate(mean * self._mean(target, own)) for target, own in zip(targets, masks, strict=True)]
        return torch.softmax(torch.cat(gates, -1).float(), -1).to(anchor.dtype)

    def _mean(self, features: Tensor, mask: Tensor | None) -> Tensor:
        """Mean over the tokens [b 1 m]; if causal, up to each token [b t m]."""
        if not self.causal:
            return masked_mean(features, mask).unsqueeze(1)
        weight = features.new_ones(features.shape[:2]) if mask is None else mask.to(features.dtype)  # [b t]
        summed = (features * weight.unsqueeze(-1)).cumsum(1)  # [b t m]
        return summed / weight.cumsum(1).clamp(min=1).unsqueeze(-1)

    def _crossed(self, n: int, target: Tensor, memory: Memory) -> Tensor:
        """A target and what it finds in the memory, by the same attention without I."""
        assert self.crossings is not None
        features, mask = memory
        whole = target.new_ones(len(target), 1, 1)
        found = mixed(target, [features], whole, [mask], Manner(identity=False, rows=self.rows)).to(target.dtype)
        crossed: Tensor = target + self.crossings[n](found)
        return crossed

    def _up(self, side: Tensor) -> Tensor:
        if self.up is None:
            return side
        wide: Tensor = self.up(side if self.form.up == "plain" else functional.relu(side))  # [b k d_out]
        return wide if self.norm is None else self.norm(wide)

    def _check(self, anchor: Tensor, targets: Sequence[Tensor]) -> None:
        if len(targets) != len(self.downs) - 1:
            raise InputError(f"UniPT was built for {len(self.downs) - 1} targets and got {len(targets)}.")
        lengths = {target.shape[1] for target in targets}
        if not self.form.single and lengths != {anchor.shape[1]}:
            raise InputError(
                f"the last layer has {anchor.shape[1]} positions, the others {sorted(lengths)}: each position keeps "
                'its own feature of each layer, so there must be as many; for a pooled last layer use variant="single".'
            )


def _projection(form: Variant, m: int, width: int) -> nn.Module | None:
    """P."""
    if form.project is None:
        return None
    shrink = SHRINKS["batch" if form.down == "batch" else "norm"]
    if form.project == "linear":
        return shrink(m, m)
    if form.project == "mlp":
        return nn.Sequential(nn.Linear(m, width), nn.ReLU(), shrink(width, m))
    raise InputError(f'project is "{form.project}": use linear or mlp.')


def _at(target: Tensor, at: Tensor | None) -> Tensor:
    """The feature at one place of each sample, [b m]."""
    return target[:, 0] if at is None else target[torch.arange(len(target), device=target.device), at]
