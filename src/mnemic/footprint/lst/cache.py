"""Keys and values of the side network in generation: further layers of the backbone's own cache.

Whatever is done to the cache (reordering for beams, cropping, repeating, moving) is then done to both networks.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from mnemic.errors import InputError


def rooms(value: Any, kept: Sequence[int], depth: int, tokens: int) -> None:
    """Make room for the side layers where a layer's argument is a cache; anything else is left alone.

    kept     backbone layers that have a side layer; side layer n keeps its keys at depth + n
    tokens   read in this call: the backbone's layers have added theirs already
    Raises InputError for a cache that the backbone filled without its side network.
    """
    own = getattr(value, "self_attention_cache", value)
    if not hasattr(own, "get_seq_length") or not hasattr(own, "layers"):
        return
    before = int(own.get_seq_length(kept[0])) - tokens
    if before != int(own.get_seq_length(depth)):
        raise InputError(
            f"the cache holds {before} tokens that the side network has not read: start with an empty one, or with one "
            "that this model has filled."
        )
    for cache in {id(each): each for each in (own, getattr(value, "cross_attention_cache", own))}.values():
        for place in kept[max(0, len(cache.layers) - depth) :]:
            if cache.layer_class_to_replicate is None:  # otherwise the cache grows by itself
                cache.layers.append(_empty(cache.layers[place]))


def _empty(layer: Any) -> Any:
    """A cache layer of the same kind, with nothing in it."""
    wanted = inspect.signature(type(layer).__init__).parameters
    return type(layer)(**{name: getattr(layer, name) for name in wanted if name != "self" and hasattr(layer, name)})
