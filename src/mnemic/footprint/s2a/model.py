"""S2A: the wrapper."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from mnemic.errors import InputError
from mnemic.footprint._head import Output, PooledHead, output, own_head, padding_mask
from mnemic.footprint._stacks import only_stack, stacks
from mnemic.footprint._tuned import Tuned
from mnemic.footprint.s2a import structure, tables
from mnemic.footprint.s2a.attention import Call
from mnemic.footprint.s2a.ops import Scope, attention, current
from mnemic.footprint.s2a.packing import EXACT

_ATTENTION = "mnemic_s2a"  # our function's name in transformers' registry


class S2A(Tuned):
    """Biases, prompts and side branches are trained; what backward needs of a frozen backbone is kept in 4 bits.

    backbone   a transformer (BERT, ViT, Llama, ... of transformers; others that call torch's attention) or a network
               of convolutions with batch norm
    classes    adds a classifier to a bare encoder; None for a model that has a head, which is trained when it is a
               classifier and stays as it is when it predicts words
    bias       all biases of layers and shifts of norms, in float32
    prompt     learned tokens in front of every block's; pixels of a learned frame for networks of convolutions
    side       rank of the branch beside every block; networks of convolutions take an eighth of the channels
    pool       tokens or pixels are averaged pool x pool for the branches
    bits       1 to 8, or 32 for tensors as they are; or by name of the operation (`allocate_bits` makes such a
               mapping; 4 where it names nothing)
    dropout    let the backbone's own dropout run in training
    """

    method = "s2a"

    def __init__(
        self, backbone: nn.Module, *, classes: int | None = None, bias: bool = True, prompt: int = 8, side: int = 8,
        pool: int = 2, bits: int | Mapping[str, int] = 4, dropout: bool = False,
    ) -> None:  # fmt: skip
        _check(prompt=prompt, side=side, pool=pool, bits=bits)
        bits = bits if isinstance(bits, int) else dict(bits)
        super().__init__(backbone, {"classes": classes, "bias": bias, "prompt": prompt, "side": side, "pool": pool,
                                    "bits": bits, "dropout": dropout})  # fmt: skip
        self.scope, self.dropout = Scope(bits), dropout
        is_transformer = _has_stack(backbone)
        if not own_attention(backbone) and prompt:
            raise InputError(
                f"{type(backbone).__name__} writes its attention out, where prompts cannot join: give prompt=0."
            )
        width = self._structure(is_transformer, prompt, side, pool)
        self.head = PooledHead(width, classes) if classes is not None else None
        own = own_head(backbone) if classes is None else []
        shifts = biases(backbone, own) if bias else []
        self.wake([*own, *shifts])
        for parameter in self.backbone.parameters():
            if parameter.requires_grad and parameter.dtype in (torch.half, torch.bfloat16) and parameter.dim() == 1:
                parameter.data = parameter.data.float()  # steps of 1e-3 would be rounded away
        if not any(parameter.requires_grad for parameter in self.parameters()):
            raise InputError(
                f"{type(backbone).__name__} has no biases, so there is nothing to train: give prompt or side."
            )
        self.train(self.training)

    def _structure(self, is_transformer: bool, prompt: int, side: int, pool: int) -> int:
        """Hang prompts and branches on the blocks; returns the width that a head reads."""
        if is_transformer:
            stack = only_stack(self.backbone) if prompt or side else stacks(self.backbone)[0]
            staged = _has_stack(stack.layers[0])  # its "layers" are stages of several widths, as Swin's
            if staged and (prompt or side):
                raise InputError(
                    f"{type(stack.layers[0]).__name__} is a stage of several blocks: give prompt=0, side=0."
                )
            if prompt or side:
                self.beside: nn.Module = structure.Blocks(stack, self.scope, prompt=prompt, rank=side, pool=pool)
            patches = structure.first_conv(self.backbone)
            if patches is not None:
                patches.register_forward_hook(self._see_grid)
            return int(self.backbone.config.hidden_size) if staged else stack.width  # type: ignore[union-attr,arg-type]
        stem = structure.first_conv(self.backbone)
        if stem is None:
            raise InputError(
                f"{type(self.backbone).__name__} has neither a stack of transformer layers nor convolutions: give a "
                "transformer or a network of convolutions."
            )
        blocks = structure.conv_blocks(self.backbone) if side else []
        shapes, width = structure.look(self.backbone, blocks)
        if prompt or side:
            self.beside = structure.Maps(stem, blocks, shapes, self.scope, frame=prompt, side=side, pool=pool)
        return width

    def _see_grid(self, conv: nn.Module, args: Any, maps: Tensor) -> None:
        if self.scope.grid is None and maps.dim() == 4:
            self.scope.grid = (maps.shape[2], maps.shape[3])

    def train(self, mode: bool = True) -> Self:
        """Train or evaluate; running statistics stay still in any case, dropout as the option says."""
        super().train(mode)
        if self.dropout:
            for module in self.backbone.modules():
                if not hasattr(module, "running_mean"):
                    module.training = mode
        return self

    def forward(self, *inputs: Any, labels: Tensor | None = None, **batch: Any) -> Any:
        """A batch of the backbone -> logits, and the loss when there are labels."""
        if self.training:
            self.check_frozen()
        mask = padding_mask(batch)
        if "use_cache" in inspect.signature(self.backbone.forward).parameters:
            batch = {"use_cache": False, **batch}
        if self.head is None:
            given = batch if labels is None else {**batch, "labels": labels}
            with self.scope.over(self, mask):
                return self.backbone(*inputs, **given)
        with self.scope.over(self, mask):
            found = self.backbone(*inputs, **batch)
        return self._classified(found, mask, labels)

    def _classified(self, found: Any, mask: Tensor | None, labels: Tensor | None) -> Output:
        assert self.head is not None
        hidden = found if isinstance(found, Tensor) else found[0]
        if hidden.dim() != 3:
            hidden, mask = structure.pooled(hidden).unsqueeze(1), None  # [b 1 d]
        return output(self.head(hidden, mask), labels)

    def trained(self) -> dict[str, int]:
        """How many numbers of each kind are trained; a model without biases says so here."""
        counts, own = {"bias": 0, "prompt": 0, "side": 0, "head": 0}, set(own_head(self.backbone))
        kinds = {"beside.prompts": "prompt", "beside.frame": "prompt", "beside.sides": "side", "head": "head"}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                kind = next((kind for start, kind in kinds.items() if name.startswith(start)), "bias")
                counts["head" if name.removeprefix("backbone.") in own else kind] += parameter.numel()
        return counts

    def calibrate(self, batch: Mapping[str, Any]) -> None:
        """Fit the levels of every activation to the inputs that it gets on a batch, for this object's training."""
        counts: dict[str, np.ndarray] = {}

        def see(name: str, x: Tensor) -> None:
            counts[name] = counts.get(name, 0) + tables.histogram(x)

        self.scope.look = see
        try:
            with torch.enable_grad():
                self(**batch)
        finally:
            self.scope.look = None
        self.scope.weights = counts

    @classmethod
    def sizes(cls, backbone: nn.Module) -> Iterator[dict[str, Any]]:
        """More bits first, then more modules."""
        yield {"bits": 8}
        yield {"bits": 4}
        yield {"bits": 4, "prompt": 0}
        if biases(backbone, []):  # else the branches are all there is
            yield {"bits": 4, "prompt": 0, "side": 0}
            yield {"bits": 2, "prompt": 0, "side": 0}
        else:
            yield {"bits": 2, "prompt": 0}


def _check(*, prompt: int, side: int, pool: int, bits: int | Mapping[str, int]) -> None:
    if prompt < 0 or side < 0 or pool < 1:
        raise InputError(f"prompt and side must be 0 or more and pool 1 or more, got {prompt}, {side}, {pool}.")
    for each in [bits] if isinstance(bits, int) else bits.values():
        if each not in (*range(1, 9), EXACT):
            raise InputError(f"bits must be 1 to 8, or {EXACT} to keep tensors as they are, got {each}.")


def _has_stack(backbone: nn.Module) -> bool:
    """True where there are layers of a transformer; such layers hold no convolutions."""
    try:
        return structure.first_conv(stacks(backbone)[0].layers) is None
    except InputError:
        return False


def biases(backbone: nn.Module, without: list[str]) -> list[str]:
    """Names of the shifts of all layers and norms."""
    return [
        name for name, parameter in backbone.named_parameters()
        if name.split(".")[-1] == "bias" and parameter.dim() == 1 and name not in without
    ]  # fmt: skip


# ---- attention of transformers' models


def own_attention(backbone: nn.Module) -> bool:
    """Make a model of transformers call our attention, through the registry that all of its attention modules ask.

    False for one that asks nobody: its products and its softmax are caught in its own code.

    The configuration is copied: another model may have been made from the same.
    """
    configs = {id(c): c for m in backbone.modules() if hasattr(c := getattr(m, "config", None), "_attn_implementation")}
    if not configs or structure.conv_blocks(backbone):
        return True
    if not getattr(backbone, "_supports_sdpa", False):
        return False
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(_ATTENTION, registered)
    AttentionMaskInterface.register(_ATTENTION, sdpa_mask)
    memo: dict[int, Any] = {}
    for module in backbone.modules():
        if id(getattr(module, "config", None)) in configs:
            module.config = copy.deepcopy(module.config, memo)
            own: Any = module.config
            own._attn_implementation = _ATTENTION
            if hasattr(own, "use_cache"):
                own.use_cache = False
    return True


def registered(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, dropout: float = 0.0,
    scaling: float | None = None, is_causal: bool | None = None, **kwargs: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    """Attention as transformers' modules call it: q [b h n e], k v [b g m e] -> [b n h e]."""
    strange = [name for name in ("softcap", "s_aux") if kwargs.get(name) is not None]
    if strange:
        raise InputError(
            f"{type(module).__name__} calls attention with {strange[0]}, which S2A cannot pack: give another."
        )
    scope, bias = current() or Scope(EXACT), kwargs.get("position_bias")
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    causal = bool(causal) and attention_mask is None and query.shape[2] > 1
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if bias is not None:
        if scope.prompts:
            raise InputError(
                f"{type(module).__name__} adds a bias by distance, which prompts have none of: give prompt=0."
            )
        attention_mask, causal = _added(attention_mask, bias, causal), False
    call = Call(attention_mask, scale, causal, dropout=dropout)
    out = attention(scope, query, key, value, call)
    return out.transpose(1, 2).contiguous(), None


def _added(mask: Tensor | None, bias: Tensor, causal: bool) -> Tensor:
    """A bias by distance [1 h n m] and what may be seen, as one mask that is added to the scores."""
    if mask is None and causal:
        mask = torch.ones(bias.shape[-2:], dtype=torch.bool, device=bias.device).tril()
    if mask is None:
        return bias
    return torch.where(mask, bias, torch.finfo(bias.dtype).min) if mask.dtype == torch.bool else bias + mask
