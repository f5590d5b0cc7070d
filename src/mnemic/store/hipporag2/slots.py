"""Distinct keys (phrases, facts, passages) in numbered slots, a quantised vector with each."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from mnemic.recall.packed import Codes, Floats

K = TypeVar("K", bound=Hashable)
Array = TypeVar("Array", bound=npt.NDArray[Any])
Slot = npt.NDArray[np.int64]


class Slots(Generic[K]):
    """A key keeps its slot for as long as it is here; the slot of a key that went is given to a new one.

    of      key -> slot
    keys    slot -> key, None where nobody is, [n]
    live    where somebody is, bool [n]
    codes   int8 [n d], scale float32 [n]: vectors (see recall/packed.py); d is 0 for keys without any
    """

    def __init__(self, dimensions: int = 0) -> None:
        self.of: dict[K, int] = {}
        self.keys: list[K | None] = []
        self._free: list[int] = []
        self._live = np.zeros(0, np.bool_)
        self._codes: Codes = np.zeros((0, dimensions), np.int8)
        self._scale: Floats = np.zeros(0, np.float32)

    def __len__(self) -> int:
        """Slots, empty ones too: nodes are numbered by slot."""
        return len(self.keys)

    @property
    def live(self) -> npt.NDArray[np.bool_]:
        return self._live[: len(self)]

    @property
    def codes(self) -> Codes:
        return self._codes[: len(self)]

    @property
    def scale(self) -> Floats:
        return self._scale[: len(self)]

    def new(self, keys: Iterable[K]) -> list[K]:
        """Those keys that have no slot yet, each once, in order."""
        return [key for key in dict.fromkeys(keys) if key not in self.of]

    def take(self, keys: Sequence[K], codes: Codes | None = None, scale: Floats | None = None) -> Slot:
        """Give new keys slots; returns them. codes [k d] and scale [k] are their vectors."""
        reused = [self._free.pop() for _ in range(min(len(self._free), len(keys)))]
        fresh = range(len(self.keys), len(self.keys) + len(keys) - len(reused))
        self.keys.extend([None] * len(fresh))
        slots = np.array([*reused, *fresh], np.int64)
        self._live = grown(self._live, len(self.keys))
        self._codes, self._scale = grown(self._codes, len(self.keys)), grown(self._scale, len(self.keys))
        for key, slot in zip(keys, slots.tolist(), strict=True):
            self.of[key] = slot
            self.keys[slot] = key
        self._live[slots] = True
        if codes is not None and scale is not None:
            self._codes[slots], self._scale[slots] = codes, scale
        return slots

    def drop(self, slots: Iterable[int]) -> None:
        """Free slots; their vectors are overwritten now, so that nothing of a deleted text stays."""
        gone = list(slots)
        for slot in gone:
            key = self.keys[slot]
            assert key is not None
            del self.of[key]
            self.keys[slot] = None
        self._live[gone], self._codes[gone], self._scale[gone] = False, 0, 0.0
        self._free += gone


def grown(array: Array, size: int) -> Array:
    """The array with room for at least `size` rows: doubled when it is full, so that adding stays cheap."""
    if size <= len(array):
        return array
    room = np.zeros((max(size, 2 * len(array), 64), *array.shape[1:]), array.dtype)
    room[: len(array)] = array
    return room  # type: ignore[return-value]
