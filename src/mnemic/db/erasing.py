"""Erasing for real: out of the rows, the log, the indexes and the pages of the file."""

from __future__ import annotations

from dataclasses import dataclass

from mnemic.db.changes import Changes
from mnemic.db.schema import translate
from mnemic.db.store import Store
from mnemic.errors import Busy, NotFound


@dataclass(frozen=True)
class Erasure:
    """The receipt of an erase.

    operation   n of the tombstone in the log
    derived     ids of records that were made from it and are now stale: they may repeat its text
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
    with store.transaction() as db:
        found = store.find(id, space)
        if found is None and not any(True for _ in store.operations(space, target=id, last=1)):
            raise NotFound(f"no record {id} in this memory or its log.")
        changes = Changes(store, db, space, who="person", why=why)
        derived = changes.mark_stale([id], f"source {id} was erased")
        operation = changes.erase(found, id)
        db.execute("INSERT INTO words (words) VALUES ('optimize')")  # deleted words leave the full-text index now
    reason = _rewrite(store)
    return Erasure(id, operation.n, tuple(mark.target for mark in derived), not reason, reason)


def _rewrite(store: Store) -> str:
    """Write every page anew and empty the WAL; returns why it could not be done, or nothing.

    secure_delete alone is not enough: moving rows between pages can leave copies in unused parts of a page.
    """
    with store.lock:
        try:
            store.db.execute("VACUUM")
            busy, _, _ = store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except Exception as error:
            known = translate(error, store.path) if hasattr(error, "sqlite_errorcode") else error  # type: ignore[arg-type]
            if isinstance(known, Busy):
                return f"the text is gone from the memory, but its pages could not be rewritten ({known})"
            raise known from error
    if busy:
        return ("the text is gone from the memory, but another process is reading an older state of the file: "
                "close it and run `mnemic check --repair` to finish")  # fmt: skip
    return ""


def finish(store: Store) -> str:
    """Complete an erase that another process had kept from rewriting the file."""
    return _rewrite(store)
