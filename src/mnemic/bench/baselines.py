"""What tuning in few bytes is compared with: probes, full fine-tuning, BitFit, LoRA and IA3 (both PEFT's own).

Each takes an encoder that returns a last hidden state [b t d], or a network of mnemic.nets that returns pooled
features [b d], and gives a module that is trained and asked like any system of the level: model(**batch) -> logits,
and loss when the batch has labels.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mnemic.errors import InputError, MissingExtra
from mnemic.footprint._head import Output, PooledHead, masked_mean, output, own_head, padding_mask
from mnemic.footprint._stacks import only_stack, stacks
from mnemic.footprint._trace import Frozen, Trace
from mnemic.footprint._tuned import freeze


class Classifier(nn.Module):
    """An encoder and a linear classifier on the mean of its tokens, or on its pooled features."""

    def __init__(self, backbone: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.backbone, self.head = backbone, PooledHead(width, classes)

    def forward(self, labels: Tensor | None = None, **batch: Any) -> Output:
        found = self.backbone(**batch)
        hidden = found.unsqueeze(1) if isinstance(found, Tensor) else found.last_hidden_state  # [b t d]
        return output(self.head(hidden, padding_mask(batch)), labels)


class Probe(nn.Module):
    """A linear classifier on a frozen encoder: the last layer, or all layers side by side.

    layers   "last": the mean of the last layer's tokens, the pooled features of a network of mnemic.nets. "all":
             the means of H_0 ... H_N (of every stage's map), each scaled to length 1 (Head2Toe's features, without
             its selection)
    """

    def __init__(self, backbone: nn.Module, classes: int, *, layers: str = "last") -> None:
        super().__init__()
        self.backbone, self.layers = freeze(backbone), layers
        self._states: list[Tensor] = []
        net: Any = backbone
        if hasattr(net, "features"):
            widths = [*(net.blocks[end].pw2.out_channels for end in net.ends), net.width]
        else:
            stack = only_stack(backbone)
            self._frozen = Frozen(stack, self._keep)
            widths = [stack.width] * (len(stack.layers) + 1)
        self.head = nn.Linear(sum(widths) if layers == "all" else widths[-1], classes)

    def train(self, mode: bool = True) -> Probe:
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, labels: Tensor | None = None, **batch: Any) -> Output:
        with torch.no_grad():
            means = self._maps(**batch) if hasattr(self.backbone, "features") else self._layers(**batch)
        if self.layers == "all":
            return output(self.head(torch.cat([functional.normalize(mean, dim=-1) for mean in means], dim=-1)), labels)
        return output(self.head(means[-1]), labels)

    def _layers(self, **batch: Any) -> list[Tensor]:
        """N+1 of [b d]."""
        self.backbone(**batch)
        states, self._states = self._states, []
        return [masked_mean(state, padding_mask(batch)) for state in states]

    def _maps(self, pixel_values: Tensor) -> list[Tensor]:
        """One [b c] per stage, and the pooled features."""
        net: Any = self.backbone
        maps = net.features(pixel_values)
        return [*(each.mean((2, 3)) for each in maps), net.head(maps[-1]).mean((2, 3))]

    def _keep(self, trace: Trace) -> Tensor:
        self._states = trace.states
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

    targets   ends of their names; None: PEFT's own choice for the model (queries and values, mostly). Where it has
              none: all linear layers of a transformer, all ungrouped convolutions of a convolutional network
    """

    def adapted(chosen: list[str] | str | None) -> nn.Module:
        return _adapted(backbone, classes, _peft().LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=chosen))

    if targets is not None:
        return adapted(list(targets))
    try:
        return adapted(None)
    except InputError:
        return adapted(_convolutions(backbone) or "all-linear")


def _convolutions(backbone: nn.Module) -> list[str]:
    """Names of the convolutions of a network that has no transformer layers; PEFT adapts those without groups."""
    try:
        stacks(backbone)
    except InputError:
        return [name for name, each in backbone.named_modules() if isinstance(each, nn.Conv2d) and each.groups == 1]
    return []


def ia3(
    backbone: nn.Module, classes: int | None, *, targets: Sequence[str] | None = None,
    feedforward: Sequence[str] | None = None,
) -> nn.Module:  # fmt: skip
    """PEFT's IA3: learned scales on keys, values and the feed-forward; which, PEFT chooses when None."""
    chosen, inner = (None if names is None else list(names) for names in (targets, feedforward))
    return _adapted(backbone, classes, _peft().IA3Config(target_modules=chosen, feedforward_modules=inner))


def _adapted(backbone: nn.Module, classes: int | None, config: Any) -> nn.Module:
    try:
        with warnings.catch_warnings():  # PEFT asks transformers in a way that the latter no longer likes
            warnings.simplefilter("ignore", FutureWarning)
            return _headed(backbone, _peft().get_peft_model(freeze(backbone), config), classes)
    except ValueError as error:
        raise InputError(f"PEFT cannot adapt {type(backbone).__name__} unasked: {error}") from error


def _headed(backbone: nn.Module, tuned: nn.Module, classes: int | None) -> nn.Module:
    """The model itself where it has a head; its own classifier is trained with it."""
    if classes is not None:
        return Classifier(tuned, getattr(backbone, "width", None) or only_stack(backbone).width, classes)
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
