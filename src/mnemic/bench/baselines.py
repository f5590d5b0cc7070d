"""What tuning in few bytes is compared with: probes, full fine-tuning, BitFit, LoRA and IA3 (both PEFT's own).

Each takes a text encoder that returns a last hidden state [b t d] and gives a module that is trained and asked like
any system of the level: model(**batch) -> logits, and loss when the batch has labels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mnemic.errors import MissingExtra
from mnemic.footprint._head import Output, PooledHead, masked_mean, output, padding_mask
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


def full(backbone: nn.Module, classes: int, *, dropout: bool = True) -> Classifier:
    """All parameters are trained.

    dropout   the backbone's own, on as in a plain training loop
    """
    backbone.requires_grad_(True)
    for module in backbone.modules():
        if isinstance(module, nn.Dropout) and not dropout:
            module.p = 0.0
    return Classifier(backbone, only_stack(backbone).width, classes)


def bitfit(backbone: nn.Module, classes: int) -> Classifier:
    """Only the biases and the head are trained (Ben Zaken, Ravfogel, Goldberg, ACL 2022, arXiv:2106.10199)."""
    freeze(backbone)
    for name, parameter in backbone.named_parameters():
        parameter.requires_grad_(name.endswith("bias"))
    return Classifier(backbone, only_stack(backbone).width, classes)


def lora(backbone: nn.Module, classes: int, *, rank: int = 8, targets: tuple[str, ...] = ("query", "value")
         ) -> Classifier:  # fmt: skip
    """PEFT's LoRA on some linear layers, by the ends of their names."""
    peft = _peft()
    config = peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=list(targets))
    return _adapted(backbone, classes, config)


def ia3(
    backbone: nn.Module, classes: int, *, targets: tuple[str, ...] = ("key", "value", "output.dense"),
    feedforward: tuple[str, ...] = ("output.dense",),
) -> Classifier:  # fmt: skip
    """PEFT's IA3: learned scales on keys, values and the feed-forward."""
    peft = _peft()
    config = peft.IA3Config(target_modules=list(targets), feedforward_modules=list(feedforward))
    return _adapted(backbone, classes, config)


def _adapted(backbone: nn.Module, classes: int, config: Any) -> Classifier:
    width = only_stack(backbone).width
    return Classifier(_peft().get_peft_model(freeze(backbone), config), width, classes)


def _peft() -> Any:
    try:
        import peft
    except ModuleNotFoundError:
        raise MissingExtra("LoRA and IA3", "torch") from None
    return peft
