"""The five forms in which the paper uses its module: what differs between them, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mnemic.errors import InputError

# Which states are targets, of so many: H_0 is what the first layer reads, H_i what layer i returns (layers from 1 on).
PATTERNS: Mapping[str, Callable[[int], list[int]]] = {
    "all": lambda n: list(range(n)),
    "half": lambda n: list(range(0, n, 2)),
    "quarter": lambda n: list(range(0, n, 4)),
    "odd": lambda n: list(range(1, n, 2)),  # the inputs of layers 1, 3, 5 where layers are counted from 0
    "deep": lambda n: list(range(max(0, n - 3), n)),  # three stages before the last: earlier maps cost most
}


@dataclass(frozen=True)
class Variant:
    """One row of the table.

    reduction   r: the module is d_out / r wide
    down        what projects a layer: "norm" Linear + LayerNorm, "batch" Linear + BatchNorm over all positions (a 1x1
                convolution + BatchNorm2d on maps), "relu" ReLU + Linear without a normalization
    single      one query, the pooled vector: each layer adds its feature at one position, not that at each position
    project     P on the fused features: "linear", "mlp" (m -> d -> m), or none: then the anchor is not added either
    up          back to d_out: "relu" ReLU + Linear, "plain" Linear, "norm" ReLU + Linear + LayerNorm
    residual    the raw anchor is added to the output
    layers      which states are targets (PATTERNS)
    xavier      uniform Xavier weights; else torch's own
    """

    reduction: int = 2
    down: str = "norm"
    single: bool = False
    project: str | None = "linear"
    up: str = "relu"
    residual: bool = False
    layers: str = "all"
    xavier: bool = False


VARIANTS: Mapping[str, Variant] = {
    "text": Variant(),
    "maps": Variant(down="batch", layers="deep"),
    "single": Variant(reduction=1, down="relu", single=True, project=None, residual=True),
    "joint": Variant(project="mlp", up="plain"),
    "pair": Variant(project="mlp", up="norm", layers="odd", xavier=True),
}
HOSTS = {
    "text": "BERT in VSE-infinity", "maps": "ResNeXt in VSE-infinity", "single": "CLIP4Clip", "joint": "CLIP-ViL",
    "pair": "MDETR",
}  # fmt: skip


def variant(name: str) -> Variant:
    """A row by its name."""
    if name not in VARIANTS:
        known = ", ".join(f"{key} ({host})" for key, host in HOSTS.items())
        raise InputError(f'"{name}" is no variant of UniPT: use {known}.')
    return VARIANTS[name]


def chosen(layers: str | Sequence[int], n: int) -> list[int]:
    """Numbers of the states that are targets, out of H_0 ... H_(n-1)."""
    if isinstance(layers, str):
        if layers not in PATTERNS:
            raise InputError(f'layers is "{layers}": use {", ".join(PATTERNS)}, or numbers of states like [0, 2, 4].')
        return PATTERNS[layers](n) or [n - 1]
    kept = sorted(set(layers))
    if not kept or not 0 <= kept[0] <= kept[-1] < n:
        raise InputError(f"layers is {list(layers)}: the targets are among states 0 to {n - 1}, give at least one.")
    return kept
