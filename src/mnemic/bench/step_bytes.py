"""What one training step takes, method by method, before anything is trained.

A model from a folder (a Hugging Face config, with or without its weights: bytes do not depend on values) goes
through one real forward and backward pass per method: the system that was asked for, LoRA, full fine-tuning.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mnemic import catalog
from mnemic.bench.baselines import full, lora
from mnemic.errors import InputError, MissingExtra, NotFound
from mnemic.footprint._tuned import Tuned
from mnemic.meter import Budget, TrainingUsed

LORA, FULL = "LoRA", "full fine-tuning"


@dataclass(frozen=True)
class Shape:
    """A batch: so many texts of so many tokens, or so many square images of so many pixels a side."""

    size: int
    length: int

    @classmethod
    def of(cls, text: str) -> Shape:
        """Read "32x128". Raises InputError with the form that works."""
        size, cross, length = text.lower().partition("x")
        if not cross or not size.isdigit() or not length.isdigit() or not int(size) or not int(length):
            raise InputError(f'cannot read the batch "{text}": write it like 32x128, examples x tokens (or pixels).')
        return cls(int(size), int(length))


@dataclass(frozen=True)
class Row:
    """One method's step; `refused` says in a sentence why a method cannot be used on this model."""

    method: str
    used: TrainingUsed | None
    options: Mapping[str, Any]
    refused: str = ""


def steps(
    folder: Path, method: str, shape: Shape, *, options: Mapping[str, Any], budget: Budget | None = None,
    classes: int = 2, device: str = "cpu",
) -> Iterator[Row]:  # fmt: skip
    """Measure the steps one after the other: the method, LoRA (rank 8), full fine-tuning.

    folder   has a config.json of transformers
    options  of the method's class; with a budget the largest size that fits is taken
    classes  of the head that a bare encoder gets
    """
    system = tuned(method)
    _check_device(device)
    batch = a_batch(load_config(folder), shape, classes, device)
    _check_batch(load_model(folder, device), batch, shape)

    def ours() -> nn.Module:
        backbone, given = load_model(folder, device), _headed(folder, classes) | dict(options)
        model = _made(system, given, backbone) if budget is None else system.within(budget, backbone, batch, **given)
        return model.to(device)

    yield _row(method, ours, batch)
    yield _lora_row(folder, device, classes, batch)
    yield _row(FULL, lambda: full(load_model(folder, device), _classes(folder, classes)), batch)


def tuned(method: str) -> type[Tuned]:
    """The class of a built system of level footprint that wraps a backbone."""
    row = catalog.built(method)
    found = catalog.load(method)
    if not (isinstance(found, type) and issubclass(found, Tuned)):
        raise InputError(f"{row.slug} wraps no backbone for training: `mnemic systems --level footprint` lists them.")
    return found


def load_config(folder: Path) -> Any:
    """The configuration in a folder. Raises NotFound, or InputError for one that transformers does not know."""
    file = folder / "config.json"
    if not file.is_file():
        raise NotFound(f"there is no {file}: give a folder with a Hugging Face model or its config.json.")
    transformers = _transformers()
    try:
        return transformers.AutoConfig.from_pretrained(str(folder), local_files_only=True)
    except (ValueError, KeyError, OSError, json.JSONDecodeError) as error:
        raise InputError(f"{file} is no configuration that transformers knows: {str(error).splitlines()[0]}") from error


def load_model(folder: Path, device: str = "cpu") -> nn.Module:
    """The model that a folder's config names, with random weights: what a step takes does not depend on them."""
    config = load_config(folder)
    transformers = _transformers()
    names: Sequence[str] = getattr(config, "architectures", None) or ()
    kind = next((getattr(transformers, name) for name in names if hasattr(transformers, name)), None)
    try:
        model: nn.Module = transformers.AutoModel.from_config(config) if kind is None else kind(config)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"{folder} cannot be built: {str(error).splitlines()[0]}") from error
    return model.to(device)


def a_batch(config: Any, shape: Shape, classes: int, device: str) -> dict[str, Any]:
    """A batch of zeros and ones as the model takes it: texts or images, with labels of its own kind."""
    if hasattr(config, "image_size") or getattr(config, "model_type", "") in _CONVOLUTIONAL:
        channels = int(getattr(config, "num_channels", 3))
        pixels = torch.zeros(shape.size, channels, shape.length, shape.length, device=device)
        return {"pixel_values": pixels, "labels": torch.zeros(shape.size, dtype=torch.long, device=device)}
    longest = getattr(config, "max_position_embeddings", None)
    if longest and shape.length > longest:
        raise InputError(f"a text of {shape.length} tokens is too long for this model: it takes at most {longest}.")
    ids = torch.ones(shape.size, shape.length, dtype=torch.long, device=device)
    generates = any(name.endswith(("LMHeadModel", "ForCausalLM", "ForConditionalGeneration"))
                    for name in getattr(config, "architectures", None) or ())  # fmt: skip
    labels = ids.clone() if generates else torch.zeros(shape.size, dtype=torch.long, device=device)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}


_CONVOLUTIONAL = ("resnet", "mobilenet_v1", "mobilenet_v2", "convnext", "efficientnet", "regnet")


def _check_device(device: str) -> None:
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f'cannot measure on "{device}" ({str(error).splitlines()[0]}): use a device that torch has here.'
        ) from error


def _check_batch(model: nn.Module, batch: Mapping[str, Any], shape: Shape) -> None:
    """The model itself must take the batch, before any method is tried on it."""
    inputs = {name: value for name, value in batch.items() if name != "labels" or hasattr(model, "decoder")}
    try:
        with torch.no_grad():
            model.eval()(**inputs)
    except (ValueError, RuntimeError, IndexError, TypeError) as error:
        raise InputError(
            f"{type(model).__name__} cannot be run on a batch of {shape.size}x{shape.length}: {error}"
        ) from error


def _row(method: str, make: Callable[[], nn.Module], batch: Mapping[str, Any]) -> Row:
    from mnemic.meter import training_bytes

    try:
        model = make()
        used = training_bytes(model.train(), batch)
    except InputError as error:
        return Row(method, None, {}, str(error))
    return Row(method, used, getattr(model, "options", {}))


def _lora_row(folder: Path, device: str, classes: int, batch: Mapping[str, Any]) -> Row:
    """PEFT's layers may lack what a network asks its own for: that is told, and the other rows are shown."""
    try:
        return _row(LORA, lambda: lora(load_model(folder, device), _classes(folder, classes)), batch)
    except (AttributeError, ValueError, RuntimeError, TypeError) as error:
        return Row(LORA, None, {}, f"PEFT's layers do not run inside this model: {error}")


def _made(system: type[Tuned], given: Mapping[str, Any], backbone: nn.Module) -> Tuned:
    try:
        return system(backbone, **given)
    except TypeError as error:
        raise InputError(f"{system.method} does not take these options: {error}.") from error


def _classes(folder: Path, classes: int) -> int | None:
    """Classes of the head that a bare model gets; None for a model with a head of its own."""
    names = getattr(load_config(folder), "architectures", None) or ()
    return None if any("For" in name or name.endswith("LMHeadModel") for name in names) else classes


def _headed(folder: Path, classes: int) -> dict[str, Any]:
    wanted = _classes(folder, classes)
    return {} if wanted is None else {"classes": wanted}


def _transformers() -> Any:
    try:
        return importlib.import_module("transformers")
    except ModuleNotFoundError:
        raise MissingExtra("reading a model's configuration", "torch") from None
