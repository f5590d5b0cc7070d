"""What tuning in few bytes is compared with: probes, full fine-tuning, BitFit, LoRA and IA3 (both PEFT's own).

Each takes a text encoder that returns a last hidden state [b t d] and gives a module that is trained and asked like
any system of the level: model(**batch) -> logits, and loss when the batch has labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mnemic.errors import InputError, MissingExtra
from mnemic.footprint._head import Output, PooledHead, masked_mean, output, own_head, padding_mask
from mnemic.footprint._stacks import only_stack
from mnemic.footprint._trace import Frozen, Trace
from mnemic.footprint._tuned import freeze


class Classifier(nn.Module):
    """An encoder and a linear classifier on the mean of its tokens."""

    def __init__(self, backbone: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.backbone, self.head = backbone, PooledHead(width, classes)

    def forward(self, labels: Tensor | None = None, **batch: Any) -> Output:
        hidden = self.backbone(**batch).last_hidden_state  # [b t d]
        return output(self.head(hidden, padding_mask(batch)), labels)


class Probe(nn.Module):
    """A linear classifier on a frozen encoder: the mean of the last layer, or the means of all layers side by side.

    layers   "last", or "all": H_0 ... H_N, each mean scaled to length 1 (Head2Toe's features, without its selection)
    """

    def __init__(self, backbone: nn.Module, classes: int, *, layers: str = "last") -> None:
        super().__init__()
        self.backbone, self.layers = freeze(backbone), layers
        stack = only_stack(backbone)
        self._frozen = Frozen(stack, self._keep)
        self._states: list[Tensor] = []
        pieces = len(stack.layers) + 1 if layers == "all" else 1
        self.head = nn.Linear(pieces * stack.width, classes)

    def train(self, mode: bool = True) -> Probe:
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, labels: Tensor | None = None, **batch: Any) -> Output:
        self.backbone(**batch)
        states, self._states = self._states, []
        mask = padding_mask(batch)
        means = [masked_mean(state, mask) for state in states]  # N+1 of [b d]
        if self.layers == "all":
            return output(self.head(torch.cat([functional.normalize(mean, dim=-1) for mean in means], dim=-1)), labels)
        return output(self.head(means[-1]), labels)

    def _keep(self, trace: Trace) -> Tensor:
        self._states = trace.states if self.layers == "all" else trace.states[-1:]
        return trace.states[-1]


def full(backbone: nn.Module, classes: int | None, *, dropout: bool = True) -> nn.Module:
    """All parameters are trained.

    classes  None for a model that has a head of its own
    dropout  the backbone's own, on as in a plain training loop
    """
    backbone.requires_grad_(True)
    for module in backbone.modules():
        if isinstance(module, nn.Dropout) and not dropout:
            module.p = 0.0
    return _headed(backbone, backbone, classes)


def bitfit(backbone: nn.Module, classes: int | None) -> nn.Module:
    """Only the biases and the head are trained (Ben Zaken, Ravfogel, Goldberg, ACL 2022, arXiv:2106.10199)."""
    freeze(backbone)
    for name, parameter in backbone.named_parameters():
        parameter.requires_grad_(name.endswith("bias"))
    return _headed(backbone, backbone, classes)


def lora(backbone: nn.Module, classes: int | None, *, rank: int = 8, targets: Sequence[str] | None = None) -> nn.Module:
    """PEFT's LoRA on some linear layers.

    targets   ends of their names; PEFT's own choice for the model when None (queries and values, mostly)
    """
    chosen = None if targets is None else list(targets)
    return _adapted(backbone, classes, _peft().LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=chosen))


def ia3(
    backbone: nn.Module, classes: int | None, *, targets: Sequence[str] | None = None,
    feedforward: Sequence[str] | None = None,
) -> nn.Module:  # fmt: skip
    """PEFT's IA3: learned scales on keys, values and the feed-forward; which, PEFT chooses when None."""
    chosen, inner = (None if names is None else list(names) for names in (targets, feedforward))
    return _adapted(backbone, classes, _peft().IA3Config(target_modules=chosen, feedforward_modules=inner))


def _adapted(backbone: nn.Module, classes: int | None, config: Any) -> nn.Module:
    try:
        return _headed(backbone, _peft().get_peft_model(freeze(backbone), config), classes)
    except ValueError as error:
        raise InputError(f"PEFT cannot adapt {type(backbone).__name__} unasked: {error}") from error


def _headed(backbone: nn.Module, tuned: nn.Module, classes: int | None) -> nn.Module:
    """The model itself where it has a head; its own classifier is trained with it."""
    if classes is not None:
        return Classifier(tuned, only_stack(backbone).width, classes)
    own = set(own_head(backbone))
    for name, parameter in backbone.named_parameters():
        if name in own:
            parameter.requires_grad_(True)
    return tuned


def _peft() -> Any:
    try:
        import peft
    except ModuleNotFoundError:
        raise MissingExtra("LoRA and IA3", "torch") from None
    return peft
