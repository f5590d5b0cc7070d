"""Earlier moments of a memory: a person scrubs back and forth, and looks at each from several sides.

What was there then stands in the log. Records are read out of it as they are asked for; only a search needs a copy of
the memory as it was, and the last few of these are kept.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from mnemic.db.logged import concerns as passes
from mnemic.db.rows import record_from
from mnemic.errors import InputError, NotFound
from mnemic.filter import Filter
from mnemic.limits import is_id
from mnemic.moment import shown
from mnemic.record import Operation, Record
from mnemic.serve.http.cursors import Cursors
from mnemic.serve.http.kept import Kept
from mnemic.serve.http.stored import Row, row
from mnemic.serve.rooms import Room
from mnemic.snapshot import Snapshot

_LISTS = 8  # moments whose lists are known: 8 bytes a record
_COPIES = 4  # moments that can be searched: each is a copy of the memory in RAM
_RECORDS = 250_000  # of all copies together; the newest is kept however large it is
_PAGE = 500  # states that are read at once

_STATE = "space = ? AND n <= ? AND kind NOT IN ('link', 'unlink')"
_NUMBERS = (
    f"SELECT n FROM operation WHERE n IN (SELECT max(n) FROM operation WHERE {_STATE} AND target != '' "
    "GROUP BY target) AND after IS NOT NULL ORDER BY target"
)

Numbers = npt.NDArray[np.int64]  # of the operations that left the records as they stood, in the order of ids
Key = tuple[str, int, int]  # space, newest operation then, newest erasure now


class Moments:
    """What was looked at lately. Nothing that was erased since stays in it: an erasure is part of the key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lists: Kept[Numbers] = Kept(_LISTS)
        self._copies: Kept[Snapshot] = Kept(_COPIES, size=len, total=_RECORDS)
        self._erased: dict[str, tuple[int, int]] = {}  # space -> newest operation looked at, newest erasure

    def page(self, room: Room, when: str | int, where: Filter, *, limit: int, cursor: str | None, newest: bool,
             cursors: Cursors) -> Row:  # fmt: skip
        """A page of the records as they stood, in the order of their ids (which is that of writing) or backwards."""
        then = room.reached(when)
        numbers = self._numbers(room, then)
        listing = f"records {room.space} as of {then} {newest} {where}"
        ordered = numbers[::-1] if newest else numbers
        start = _behind(ordered, cursors.open(cursor, listing)) if cursor is not None else 0
        items: list[Row] = []
        last = 0
        for n, record in _states(room, ordered, start, where, first=limit + 1):
            if len(items) == limit:
                return {"items": items, "next": cursors.seal(last, listing)}
            items.append(row(record))
            last = n
        return {"items": items, "next": None}

    def record(self, room: Room, when: str | int, id: str) -> Record:
        """One record as it stood; raises NotFound."""
        sql = f"SELECT after FROM operation WHERE {_STATE} AND target = ? ORDER BY n DESC LIMIT 1"
        found = room.store.read(sql, (room.space, room.reached(when), id)) if is_id(id) else []
        if not found or found[0][0] is None:
            raise NotFound(f"no record {shown(id, quote='')} in the memory as it stood then: its history tells when.")
        return record_from(json.loads(found[0][0]), id, room.space)

    def searchable(self, room: Room, when: str | int) -> Snapshot:
        """The memory as it was; made once, however many ask for it, and while the others go on."""
        then = room.reached(when)

        def made() -> Snapshot:
            copy = Snapshot(room, then)
            copy.recall("anything", k=1)  # it makes its columns and vectors when it is first asked
            return copy

        return self._copies.get(self._key(room, then), made)

    def forget(self) -> None:
        """Something was erased."""
        self._copies.clear()

    def _numbers(self, room: Room, then: int) -> Numbers:
        def read() -> Numbers:
            rows = room.store.read(_NUMBERS, (room.space, then))
            return np.fromiter((n for (n,) in rows), np.int64, len(rows))

        return self._lists.get(self._key(room, then), read)

    def _key(self, room: Room, then: int) -> Key:
        """Other processes erase too, so the log is asked; only for what it says since the last time."""
        with self._lock:
            looked, erased = self._erased.get(room.space, (0, 0))
        sql = "SELECT coalesce(max(n), 0), coalesce(max(CASE WHEN kind = 'erase' THEN n END), 0) FROM operation " \
              "WHERE space = ? AND n > ?"  # fmt: skip
        newest, found = room.store.read(sql, (room.space, looked))[0]
        with self._lock:
            self._erased[room.space] = max(looked, newest), max(erased, found)
        return room.space, then, max(erased, found)


def _behind(ordered: Numbers, n: int) -> int:
    """Where a list goes on."""
    place = np.flatnonzero(ordered == n)
    if not len(place):
        raise InputError("the record that this page ended at was erased since: list from the beginning.")
    return int(place[0]) + 1


def _states(room: Room, ordered: Numbers, start: int, where: Filter, *, first: int) -> Iterator[tuple[int, Record]]:
    """(operation, record as it left it) of all that pass, a few at first and then more at a time."""
    size = min(first, _PAGE)
    while start < len(ordered):
        part = [int(n) for n in ordered[start : start + size]]
        sql = f"SELECT n, target, after FROM operation WHERE n IN ({','.join('?' * len(part))}) AND after IS NOT NULL"
        found: dict[int, Any] = {n: (target, json.loads(after)) for n, target, after in room.store.read(sql, part)}
        for n in part:
            if n not in found:
                continue  # erased since
            target, after = found[n]
            if where.open or passes(Operation("insert", target, None, after), where):
                yield n, record_from(after, target, room.space)
        start, size = start + size, _PAGE
