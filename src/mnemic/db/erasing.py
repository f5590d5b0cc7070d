"""Erasing for real: out of the rows, the log, the indexes and the pages of the file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from mnemic.db.caches import drop_caches
from mnemic.db.changes import Changes
from mnemic.db.store import Store
from mnemic.errors import NotFound
from mnemic.limits import is_id
from mnemic.moment import shown


@dataclass(frozen=True)
class Erasure:
    """The receipt of an erase.

    operation   n of the tombstone in the log
    derived     ids of all that was ever made from it, directly or through others, nearest first: they may repeat its
                text. Those that still stand are stale now; of those that were forgotten the log keeps the text
    complete    False while another process still reads an older state of the file: its pages cannot be
                rewritten yet; `reason` says what to do
    """

    id: str
    operation: int
    derived: tuple[str, ...]
    complete: bool
    reason: str = ""


def erase(store: Store, space: str, id: str, *, why: str) -> Erasure:
    """Erase one record, live or already forgotten; raises NotFound when neither rows nor log know it."""
    if not is_id(id):
        raise NotFound(f"no record {shown(id)} in this memory or its log.")
    with store.transaction() as db:
        found = store.find(id, space)
        if found is None and not any(True for _ in store.operations(space, target=id, last=1)):
            raise NotFound(f"no record {id} in this memory or its log.")
        changes = Changes(store, db, space, who="person", why=why)
        derived = made_from(store, space, [id])
        changes.mark_stale([id], f"source {id} was erased")
        operation = changes.erase(found, id)
        store.compact(db)  # deleted words leave the full-text index now
    drop_caches(store.path)
    reason = store.rewrite()
    return Erasure(id, operation.n, tuple(derived), not reason, reason)


def made_from(store: Store, space: str, ids: Sequence[str]) -> list[str]:
    """Ids of all that was ever made from these records, directly or through others, nearest first.

    Read out of the log, so that the forgotten are among them, and what was made through one of these.
    """
    made: dict[str, list[str]] = {}
    last = 0
    while page := store.read(
        "SELECT n, target, coalesce(after, before) FROM operation WHERE n > ? AND space = ? "
        "AND coalesce(after, before) LIKE '%\"derived_from\"%' ORDER BY n LIMIT 1000", (last, space)
    ):  # fmt: skip
        for _, target, state in page:
            for source in json.loads(state).get("derived_from", ()):
                made.setdefault(source, []).append(target)
        last = page[-1][0]
    found = dict.fromkeys(ids)
    front = list(found)
    while front:
        front = list(dict.fromkeys(each for id in front for each in made.get(id, ()) if each not in found))
        found |= dict.fromkeys(front)
    return list(found)[len(dict.fromkeys(ids)) :]
