"""How often and when records were found: what policies judge by, kept only while a budget needs it."""

from __future__ import annotations

import time as clock
from collections.abc import Sequence

from mnemic.db.store import Store


def accesses(store: Store, space: str) -> dict[str, tuple[int, float]]:
    """id -> (how often, when last in seconds since 1970)."""
    rows = store.read(
        "SELECT id, count, last FROM access JOIN record ON access.record = record.n WHERE record.space = ?", (space,)
    )
    return {id: (count, last) for id, count, last in rows}


def note_access(store: Store, ids: Sequence[str]) -> None:
    """These records were found just now."""
    with store.transaction() as db:
        db.executemany(
            "INSERT INTO access (record, count, last) SELECT n, 1, ? FROM record WHERE id = ? "
            "ON CONFLICT (record) DO UPDATE SET count = access.count + 1, last = excluded.last",
            [(clock.time(), id) for id in ids],
        )
