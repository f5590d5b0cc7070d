"""Greenformer: a model whose layers are factorised, and whose factors are trained and saved."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Self

from torch import Tensor, nn

from mnemic.errors import InputError
from mnemic.footprint._head import Output, PooledHead, output, own_head, padding_mask
from mnemic.footprint._stacks import only_stack
from mnemic.footprint._tuned import Tuned
from mnemic.footprint.greenformers.factorise import auto_fact
from mnemic.footprint.greenformers.layers import Rank, layers
from mnemic.footprint.greenformers.planner import covariances
from mnemic.footprint.greenformers.units import CED, LED


class Greenformer(Tuned):
    """The backbone with its layers factorised. The one that is given keeps its own layers; the rest is shared.

    rank            whole number, share of each layer's break-even, or layer's name -> rank (what `plan` gives)
    solver          svd, balanced, random, nmf, snmf
    classes         adds a head to a bare encoder; a model's own head stays and is trained, never factorised
    submodules      names: only these and what is below them
    train_backbone  also train what is not factorised (embeddings, norms), on a copy of the backbone
    data            batches on whose inputs the factors have the least error, instead of on the weights
    """

    method = "greenformers"

    def __init__(
        self, backbone: nn.Module, *, rank: Rank | Mapping[str, int] = 0.5, solver: str = "svd",
        classes: int | None = None, submodules: Collection[str] | None = None, train_backbone: bool = False,
        data: Iterable[Any] | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        options = {"rank": rank, "classes": classes, "train_backbone": train_backbone}
        super().__init__(backbone, options)
        seen = None if data is None else covariances(backbone, data)
        heads = set(own_head(backbone))
        shared = {id(tensor): tensor for tensor in (*backbone.parameters(), *backbone.buffers())}
        self.backbone = copy.deepcopy(backbone, {} if train_backbone else shared)
        chosen = _chosen(self.backbone, submodules, heads)
        auto_fact(self.backbone, rank, solver, submodules=chosen, covariance=seen, seed=seed)
        units = {name: each for name, each in self.backbone.named_modules() if isinstance(each, LED | CED)}
        if not units:
            raise InputError(f"rank {rank} pays in no layer of {type(backbone).__name__}: lower the rank.")
        self.options["rank"] = _ranks(self.backbone, backbone)  # a file is loaded without data or a solver
        self.wake(name for name, _ in self.backbone.named_parameters() if train_backbone or name in heads
                  or any(name.startswith(f"{unit}.") for unit in units))  # fmt: skip
        self.head = None if classes is None else PooledHead(_width(backbone), classes)

    def train(self, mode: bool = True) -> Self:
        """Train or evaluate. A backbone that is trained is trained whole: statistics that were taken before its layers
        were factorised fit no more, and a network whose norms kept them would say the same of every input."""
        super().train(mode)
        if self.options["train_backbone"]:
            self.backbone.train(mode)
        return self

    def forward(self, **batch: Any) -> Any:
        """A Hugging Face batch: logits, and the loss when there are labels."""
        if self.training:
            self.check_frozen()
        if self.head is None:
            return _own(self.backbone, batch)
        labels = batch.pop("labels", None)
        found = self.backbone(**batch)
        hidden: Tensor = found if isinstance(found, Tensor) else found[0]
        if hidden.dim() == 4:
            hidden = hidden.flatten(2).transpose(1, 2)  # [b c h w] -> [b h*w c]
        hidden = hidden[:, None] if hidden.dim() == 2 else hidden
        return output(self.head(hidden, padding_mask(batch)), labels)

    def small_part(self) -> dict[str, Tensor]:
        """With a trained backbone everything is: its running statistics too."""
        if not self.options["train_backbone"]:
            return super().small_part()
        return {name: each for name, each in self.state_dict().items() if isinstance(each, Tensor)}

    @classmethod
    def rebuilt(cls, backbone: nn.Module, options: Mapping[str, Any]) -> Self:
        return cls(backbone, solver="random", **options)

    @classmethod
    def sizes(cls, backbone: nn.Module) -> Iterator[dict[str, Any]]:
        for rank in (0.75, 0.5, 0.25, 0.1, 0.05):
            yield {"rank": rank}


def _own(backbone: nn.Module, batch: dict[str, Any]) -> Any:
    """A model with its own head; plain torch networks know no labels."""
    if hasattr(backbone, "config"):
        found = backbone(**batch)
        if getattr(found, "logits", None) is None:
            raise InputError(f"{type(backbone).__name__} gives no logits: pass classes=n for a head on top of it.")
        return found
    labels = batch.pop("labels", None)
    found = backbone(*batch.values())
    return output(found, labels) if isinstance(found, Tensor) else Output(**found)


def _chosen(model: nn.Module, names: Collection[str] | None, heads: set[str]) -> list[nn.Module]:
    inside = [module for name, module in layers(model).items()
              if not any(head.startswith(f"{name}.") for head in heads)
              and (names is None or any(f"{name}.".startswith(f"{each}.") for each in names))]  # fmt: skip
    if not inside:
        raise InputError(f"{names or type(model).__name__} has no layer that can be factorised: name other submodules.")
    return inside


def _ranks(small: nn.Module, backbone: nn.Module) -> dict[str, int]:
    """Layer's name -> rank, with one entry for an attention that was taken apart."""
    ranks = {}
    for name in layers(backbone, warn=False):
        unit: Any = small.get_submodule(name)
        if not isinstance(unit, LED | CED):
            unit = getattr(unit, "q", None)
        if isinstance(unit, LED | CED):
            ranks[name] = int(unit.rank)
    return ranks


def _width(backbone: nn.Module) -> int:
    """Width of what a bare model gives: its stack's, or the number of features that it names."""
    features = next((getattr(backbone, name) for name in ("num_features", "width") if hasattr(backbone, name)), None)
    sizes = getattr(getattr(backbone, "config", None), "hidden_sizes", None)
    if isinstance(features, int):
        return features
    return int(sizes[-1]) if sizes else only_stack(backbone).width
