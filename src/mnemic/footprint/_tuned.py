"""The one way in which the systems of this level are used: wrap, train, save the small part, load it elsewhere."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from mnemic.errors import BudgetError, InputError, MnemicError
from mnemic.footprint._file import Header, fingerprint, read, write
from mnemic.meter import Budget, Used, readable, training_bytes

Loss = Callable[[nn.Module, Any], Tensor]


class Tuned(nn.Module):
    """A backbone that stays as it is, and a small part that is trained.

    A subclass names its `method` (the slug), builds its part in __init__ after super().__init__(backbone, ...),
    and gives `sizes` when a budget can choose among its options.

    backbone   frozen here; it is never saved
    options    JSON values that the class is built again with when a file is loaded
    """

    method: ClassVar[str]

    def __init__(self, backbone: nn.Module, options: Mapping[str, Any]) -> None:
        super().__init__()
        self.fingerprint = self.identity(backbone, options)  # before anything is changed in it
        self.options = dict(options)
        self.backbone = freeze(backbone)
        self._awake: set[str] = set()  # names, not objects: they survive a deepcopy

    def train(self, mode: bool = True) -> Self:
        """Train or evaluate the small part; the backbone's dropout stays off and its running statistics still."""
        super().train(mode)
        self.backbone.eval()
        return self

    def small_part(self) -> dict[str, Tensor]:
        """What `save` writes: every tensor of the state that is not the frozen backbone's."""
        trained = {name for name, parameter in self.backbone.named_parameters(prefix="backbone", remove_duplicate=False)
                   if parameter.requires_grad}  # fmt: skip
        return {  # the state of layers in 8 or 4 bits has more names than parameters and buffers
            name: tensor
            for name, tensor in self.state_dict().items()
            if isinstance(tensor, Tensor) and (name in trained or not name.startswith("backbone."))
        }

    def save(self, path: str | Path) -> None:
        """Write the small part as safetensors, with a header that names method, options and backbone."""
        write(Path(path), Header(self.method, self.options, self.fingerprint), self.small_part())

    @classmethod
    def load(cls, path: str | Path, backbone: nn.Module) -> Self:
        """Build the part again on the backbone that it was trained on.

        Raises InputError for a file of another method, or a backbone with other weights or in other precision.
        """
        header, tensors = read(Path(path))
        if header.method != cls.method:
            raise InputError(f"{path} holds a part of {header.method}, not of {cls.method}: load it with that.")
        if header.backbone != (given := cls.identity(backbone, header.options)):
            raise InputError(
                f"{path} was trained on another backbone than this {type(backbone).__name__} "
                f"(fingerprint {header.backbone[:8]}, not {given[:8]}): load the same weights in the "
                "same precision."
            )
        model = cls.rebuilt(backbone, header.options)
        wanted = model.small_part()
        if wanted.keys() != tensors.keys() or any(wanted[name].shape != tensors[name].shape for name in wanted):
            raise InputError(f"{path} does not fit the options in its own header: it was changed after it was saved.")
        with torch.no_grad():
            for name, tensor in wanted.items():  # no load_state_dict: layers in 8 bits refuse it
                tensor.copy_(tensors[name])
        return model

    @classmethod
    def identity(cls, backbone: nn.Module, options: Mapping[str, Any]) -> str:
        """What a file must find again: the backbone's fingerprint. A method that trains an adapter leaves that out."""
        return fingerprint(backbone)

    @classmethod
    def rebuilt(cls, backbone: nn.Module, options: Mapping[str, Any]) -> Self:
        """An instance as the options of a file describe it; its weights come from the file afterwards."""
        return cls(backbone, **options)

    def used(self, batch: Any, *, loss: Loss | None = None) -> Used:
        """What one training step on a batch keeps, measured: weights, gradients, optimizer, saved for backward."""
        return training_bytes(self, batch, loss=loss)

    @classmethod
    def sizes(cls, backbone: nn.Module) -> Iterator[dict[str, Any]]:
        """Options that a budget chooses among, from those that take most to those that take least."""
        yield {}

    @classmethod
    def within(
        cls, budget: Budget | str, backbone: nn.Module, batch: Any, *, loss: Loss | None = None, **options: Any
    ) -> Self:
        """The largest size whose training step stays within a budget, measured on a copy of the backbone.

        budget    "200 MB": for weights, gradients, optimizer and what is saved for backward
        options   fixed; those that `sizes` would choose are left to it otherwise
        Raises BudgetError, with what the smallest size takes, when none fits.
        """
        allowed = Budget.of(budget)
        if allowed.unit != "bytes":
            raise BudgetError(f"training is measured in bytes, not in {allowed.unit}: give a budget like 200 MB.")
        least: Used | None = None
        for size in cls.sizes(backbone):
            chosen = {**size, **options}
            used = cls(copy.deepcopy(backbone), **chosen).used(batch, loss=loss)
            if used.amount <= allowed.amount:
                return cls(backbone, **chosen)
            least = used if least is None or used.amount < least.amount else least
        needs = readable(least.amount, "bytes") if least else "more"
        raise BudgetError(f"{cls.method} needs at least {needs} for a step on this batch: {budget} is not enough.")

    def wake(self, names: Iterable[str]) -> None:
        """Let some parameters of the backbone be trained after all: its own head, biases, the last blocks."""
        wanted = set(names)
        for name, parameter in self.backbone.named_parameters():
            if name in wanted:
                parameter.requires_grad_(True)
        self._awake |= wanted

    def check_frozen(self) -> None:
        """Raise MnemicError when a parameter of the backbone needs a gradient that the method does not give it.

        One trainable tensor below the part would make everything above it be saved for backward, unnoticed.
        """
        awake = [
            name
            for name, parameter in self.backbone.named_parameters()
            if parameter.requires_grad and name not in self._awake
        ]
        if awake:
            raise MnemicError(
                f"{len(awake)} parameters of the backbone need a gradient ({', '.join(awake[:3])}), so {self.method} "
                "would save no memory: call requires_grad_(False) on them."
            )


def freeze(backbone: nn.Module) -> nn.Module:
    """No gradients, no dropout, no running statistics: the backbone as it is, in place."""
    for parameter in backbone.parameters():
        parameter.requires_grad_(False)
    return backbone.eval()
