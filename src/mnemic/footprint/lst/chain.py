"""Which rows and columns of the backbone a side layer starts from: a chain of selections through the layers.

Every map is cut to the columns that the one before it kept, then the rows with the largest importance are kept.
The stream between the layers is not kept consistent (each writer selects its own rows): it is an initialisation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mnemic.errors import InputError
from mnemic.footprint.lst.anatomy import Attention, Norm, Step

Importance = Callable[[nn.Module], Tensor]  # a linear map -> [out in]


@dataclass(frozen=True)
class Heads:
    """The heads of a side attention.

    heads    query heads
    groups   query heads that share one head of keys and values
    size     features of one head
    """

    heads: int
    groups: int
    size: int


@dataclass(frozen=True)
class Cut:
    """What one side layer takes from its backbone layer.

    maps    name of a linear map -> (rows, columns)
    norms   name of a norm -> entries
    heads   name of an attention -> its heads, and the heads of the backbone's that were kept
    """

    maps: dict[str, tuple[Tensor, Tensor]]
    norms: dict[str, Tensor]
    heads: dict[str, tuple[Heads, Tensor]]


def keep(score: Tensor, k: int) -> Tensor:
    """Places of the k largest scores, in their original order: [n] -> [k]."""
    if score.is_meta:  # no values to choose by: shapes are all that is asked for
        return torch.arange(k)
    return score.topk(k).indices.sort().values.cpu()


def rows_of(scores: Sequence[Tensor], columns: Sequence[Tensor]) -> Tensor:
    """Score of each output row: the L1 norm of the product of some maps' importance at the kept columns: -> [out]."""
    cut = [score[:, kept.to(score.device)].double() for score, kept in zip(scores, columns, strict=True)]
    return torch.stack(cut).prod(0).abs().sum(1)  # double: a product of three Fisher entries is no float32


def heads_of(step: Attention, reduction: int, heads: int | None, where: str) -> Heads:
    """The heads of a side attention.

    By default all heads stay and get narrower, as in the paper; where positions are turned into the heads, these keep
    their size and there are fewer. heads: so many query heads instead.
    """
    if heads is not None and not 1 <= heads <= step.heads:
        raise InputError(f"{where}.{step.name} has {step.heads} heads: ask for 1 to {step.heads} of them, not {heads}.")
    inner = max(1, step.heads * step.size // reduction)
    if heads is not None:
        tried = [heads]
    elif step.rotary:
        tried = list(range(max(1, step.heads // reduction), 0, -1))
    else:
        tried = [n for n in range(step.heads, 0, -1) if step.heads % n == 0 and inner % n == 0]
    for count in tried:
        groups = max(n for n in range(1, step.groups + 1) if count % n == 0)
        size = step.size if step.rotary else min(step.size, inner // count)
        if size and count // groups <= step.heads // step.groups:
            return Heads(count, groups, size)
    raise InputError(
        f"{where}.{step.name} cannot be cut to {heads} heads: it has {step.heads // step.groups} heads of keys, and a "
        f"side layer {inner} features to share; ask for fewer heads."
    )


def cut(
    layer: nn.Module, steps: Sequence[Step], stream: Tensor, across: Tensor, reduction: int, heads: Mapping[str, Heads],
    importance: Importance,
) -> tuple[Cut, Tensor]:  # fmt: skip
    """Follow the chain through one layer.

    stream    the kept places of the hidden states that the layer reads, [s]
    across    those of the stack that is read across
    returns   the cut, and the kept places of what the layer writes
    """
    found = Cut({}, {}, {})
    for step in steps:
        if isinstance(step, Norm):
            found.norms[step.name] = stream
            continue
        keys = across if isinstance(step, Attention) and step.across else stream
        columns = [stream, *[keys] * (len(step.readers) - 1)]
        scores = [importance(layer.get_submodule(name)) for name in step.readers]
        if isinstance(step, Attention):
            kept, rows, key_rows = _head_rows(step, scores, columns, heads[step.name])
            found.heads[step.name] = heads[step.name], kept
        else:
            inner = scores[0].shape[0]
            rows = key_rows = keep(rows_of(scores, columns), max(1, inner // reduction))
        for n, name in enumerate(step.readers):
            found.maps[name] = (key_rows if n else rows), columns[n]
        stream = keep(rows_of([importance(layer.get_submodule(step.writer))], [rows]), len(stream))
        found.maps[step.writer] = stream, rows
    return found, stream


def _head_rows(
    step: Attention, scores: Sequence[Tensor], columns: Sequence[Tensor], side: Heads
) -> tuple[Tensor, Tensor, Tensor]:
    """Kept heads of the queries, rows of the queries, rows of keys and values.

    All heads kept: rows of queries, keys and values are chosen together and not head by head, as in the paper; with
    fewer heads whole heads are chosen, then the features inside them.
    """
    g, size = step.groups, step.size
    key_heads = step.heads // g
    alike = [scores[0], *(_repeated(score, key_heads, g) for score in scores[1:])]
    score = rows_of(alike, columns)  # [heads x size]
    if side.heads == step.heads and g == 1:
        rows = keep(score, side.heads * side.size)
        return torch.arange(step.heads), rows, rows
    by_head = score.view(key_heads, g, size)
    kept_keys = keep(by_head.sum((1, 2)), side.heads // side.groups)  # [k]
    queries, key_rows, heads = [], [], []
    for key in kept_keys.tolist():
        inside = keep(by_head[key].sum(0), side.size)  # [size'], the same for queries and keys: they are multiplied
        key_rows.append(key * size + inside)
        for member in keep(by_head[key].sum(1), side.groups).tolist():
            heads.append(key * g + member)
            queries.append(heads[-1] * size + inside)
    return torch.tensor(heads), torch.cat(queries), torch.cat(key_rows)


def _repeated(score: Tensor, key_heads: int, groups: int) -> Tensor:
    """Rows of keys or values once for each query head that reads them: [kv x size, d] -> [heads x size, d]."""
    if groups == 1:
        return score
    out, width = score.shape
    by_head = score.view(key_heads, 1, out // key_heads, width).expand(-1, groups, -1, -1)
    return by_head.reshape(groups * out, width)
