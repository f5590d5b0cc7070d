"""Earlier moments of a memory that were just looked at: a person scrubs back and forth, and each costs a copy."""

from __future__ import annotations

import threading
from collections import OrderedDict

from mnemic.moment import moment
from mnemic.serve.rooms import Room
from mnemic.snapshot import Snapshot

_KEPT = 4  # each is a copy of the memory in RAM


class Moments:
    """The last few snapshots; one is made again once its space has changed, so that nothing erased stays in it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, int, str], Snapshot] = OrderedDict()

    def at(self, room: Room, when: str | int) -> Snapshot:
        told = str(when) if isinstance(when, int) else f"time {moment(when).text}"
        key = (room.space, room.newest, told)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = room.as_of(when)
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]

    def forget(self) -> None:
        """Something was erased."""
        with self._lock:
            self._kept.clear()
