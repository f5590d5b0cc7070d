"""Counts and sizes of a memory."""

from __future__ import annotations

from typing import Any

from mnemic.db.store import Store


def statistics(store: Store, space: str) -> dict[str, Any]:
    """Counts of one space and sizes of the whole file, in bytes."""

    def count(sql: str) -> int:
        return int(store.read(sql, (space,))[0][0])

    kinds = store.read("SELECT kind, count(*) FROM record WHERE space = ? GROUP BY kind ORDER BY kind", (space,))
    first, last = store.read("SELECT min(time), max(time) FROM record WHERE space = ?", (space,))[0]
    embedder = store.embedder()
    with store.everywhere():
        spaces = [name for (name,) in store.read("SELECT DISTINCT space FROM record ORDER BY space")]
    return {
        "path": store.path,
        "space": space,
        "spaces": spaces,
        "records": sum(number for _, number in kinds),
        "kinds": dict(kinds),
        "stale": count("SELECT count(*) FROM record WHERE space = ? AND stale IS NOT NULL"),
        "sources": count("SELECT count(DISTINCT source) FROM record WHERE space = ?"),
        "words": count("SELECT coalesce(sum(words), 0) FROM record WHERE space = ?"),
        "from": first,
        "to": last,
        "operations": count("SELECT count(*) FROM operation WHERE space = ?"),
        "edges": count("SELECT count(*) FROM edge WHERE space = ?"),
        "embedder": embedder[1] if embedder else None,
        "bytes": store.bytes_in_use(space),
        "on_disk": store.sizes(),
    }
