"""The file of a small part: tensors in safetensors, and a header that says whose they are.

The header is JSON text in safetensors' metadata: method, options, fingerprint of the backbone. Nothing in the
file is executed when it is read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from mnemic.errors import InputError, NotFound

_FORMAT = "1"
_REPACKED = ("absmax", "nested_absmax", "quant_map", "nested_quant_map", "quant_state")  # bitsandbytes packs the scales
# of 4-bit weights anew when they first run on a CPU; the codes beside them stay and tell backbones apart
_SAMPLE = 64  # values per tensor that a fingerprint looks at: enough to tell two trainings of one architecture apart


@dataclass(frozen=True)
class Header:
    """What a file says about itself.

    method     the system that wrote it: "lst"
    options    what its class is built again with
    backbone   fingerprint of the backbone that it was trained on
    """

    method: str
    options: Mapping[str, Any]
    backbone: str


def write(path: Path, header: Header, tensors: Mapping[str, Tensor]) -> None:
    """Write a small part; a file that is there already stays whole until the new one is."""
    metadata = {
        "mnemic": _FORMAT, "method": header.method, "options": json.dumps(header.options), "backbone": header.backbone,
    }  # fmt: skip
    own = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}  # no shared storages
    part = path.with_name(path.name + ".part")
    try:
        save_file(own, part, metadata)
        os.replace(part, path)
    except (OSError, SafetensorError) as error:
        part.unlink(missing_ok=True)
        raise InputError(f"cannot write {path}: {error}.") from error


def read(path: Path) -> tuple[Header, dict[str, Tensor]]:
    """Header and tensors of a file that `write` wrote; InputError says what is wrong with any other."""
    if not path.is_file():
        raise NotFound(f"there is no file {path}.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is no safetensors file ({error}).") from error
    if "mnemic" not in metadata:
        raise InputError(f"{path} was not written by mnemic: it has no header that names a method.")
    if metadata["mnemic"] != _FORMAT:
        raise InputError(f"{path} is of format {metadata['mnemic']}, this version reads {_FORMAT}: upgrade mnemic.")
    try:
        options = json.loads(metadata["options"])
        return Header(metadata["method"], options, metadata["backbone"]), tensors
    except (KeyError, ValueError) as error:
        raise InputError(f"the header of {path} cannot be read ({error!r}): save the part again.") from error


def fingerprint(model: nn.Module, *, without: Collection[str] = ()) -> str:
    """A digest of a model: names, shapes and types of its tensors, and some values of each.

    Two trainings of one architecture differ in it, and so do a backbone and its copy in other precision.

    without   names of tensors that do not count
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if name in without or any(f".weight.{part}" in name for part in _REPACKED):
            continue
        if not isinstance(tensor, Tensor):  # quantized layers keep plain values here too
            digest.update(f"{name} {tensor}".encode())
            continue
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        if tensor.device.type != "meta":
            digest.update(_some(tensor))
    return digest.hexdigest()[:32]


def _some(tensor: Tensor) -> bytes:
    flat = tensor.detach().reshape(-1)
    step = max(1, flat.numel() // _SAMPLE)
    return flat[::step][:_SAMPLE].cpu().to(torch.float32).numpy().tobytes()
