"""Everything that changes a memory: each change writes the rows and the log together.

One `Changes` is one call: its operations share `call`, and live or die in one transaction.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace

from mnemic.db.connection import Connection
from mnemic.db.rows import (
    asks,
    delete_record,
    digest,
    dumps,
    insert_record,
    state_of,
    validity,
    write_derivation,
)
from mnemic.db.store import Store
from mnemic.moment import moment, now
from mnemic.recall.terms import terms
from mnemic.record import Edge, Operation, OperationKind, Record


class Changes:
    """The changes of one call, inside a transaction of `store`.

    Every method applies one operation, appends it to the log and returns it with its n.
    """

    def __init__(self, store: Store, db: Connection, space: str, *, who: str, why: str) -> None:
        self.store, self.db, self.space = store, db, space
        self.who, self.why = who, why
        self.call = uuid7()
        self.at = self._not_before(now().text)
        self.done: list[Operation] = []

    def insert(self, record: Record, windows: bytes | None, embedder: int | None, edges: Sequence[Edge] = (),
               *, undoes: int | None = None, why: str | None = None) -> Operation:  # fmt: skip
        """Remember a record with its packed vectors and the edges that were read from it."""
        n = insert_record(self.store, self.db, record)
        if windows is not None and embedder is not None:
            self.store.write_vectors(self.db, embedder, {n: windows})
        self._write_edges(edges)
        return self._log("insert", record.id, None, state_of(record, edges), n, undoes=undoes, why=why)

    def update(self, n: int, old: Record, new: Record, windows: bytes | None, embedder: int | None,
               edges: Sequence[Edge] | None = None, *, kind: OperationKind = "update", who: str | None = None,
               why: str | None = None, undoes: int | None = None) -> Operation:  # fmt: skip
        """Change a record in place; its vectors stay unless the text is another.

        edges   those that the record has now; None keeps them, or leaves none when the text is another
        """
        had = list(self.store.edges(self.space, old.id))
        if new.text != old.text:
            self._write_text(n, old, new, windows, embedder)
            edges = edges or ()
        if edges is not None:
            self.db.execute("DELETE FROM edge WHERE source = ?", (old.id,))
            self._write_edges(edges)
        begins, ends = validity(new)
        self.db.execute(
            "UPDATE record SET kind = ?, text = ?, time = ?, begins = ?, ends = ?, until = ?, source = ?, place = ?, "
            "episode = ?, speaker = ?, metadata = ?, derived_from = ?, stale = ?, pinned = ?, importance = ?, "
            "digest = ? WHERE n = ?",
            (new.kind, new.text, new.time, begins, ends, new.until, new.source, new.place, new.episode, new.speaker,
             dumps(dict(new.metadata)) if new.metadata else None,
             dumps(list(new.derived_from)) if new.derived_from else None,
             new.stale, int(new.pinned), new.importance, digest(new), n),
        )  # fmt: skip
        if new.derived_from != old.derived_from:
            self.db.execute("DELETE FROM derivation WHERE record = ?", (new.id,))
            write_derivation(self.db, new)
        has = had if edges is None else edges
        return self._log(kind, new.id, state_of(old, had), state_of(new, has), n, who=who, why=why, undoes=undoes)

    def delete(self, n: int, record: Record, *, kind: OperationKind = "delete", who: str | None = None,
               why: str | None = None, undoes: int | None = None) -> Operation:  # fmt: skip
        """Take a record out; the log keeps it, so that it can come back."""
        edges = list(self.store.edges(self.space, record.id))
        delete_record(self.store, self.db, n, record)
        return self._log(kind, record.id, state_of(record, edges), None, n, who=who, why=why, undoes=undoes)

    def redact(self, id: str) -> None:
        """Take a record's content out of its log entries; who, when and why stay."""
        self.db.execute("UPDATE operation SET before = NULL, after = NULL WHERE target = ?", (id,))

    def shorten(self, id: str) -> None:
        """Take all but the newest log entry of a record out of the log."""
        newest = "(SELECT max(n) FROM operation WHERE target = ?)"
        self.db.execute(f"DELETE FROM operation WHERE target = ? AND n < {newest}", (id, id))
        self.redact(id)

    def fold(self, *, keep: int) -> None:
        """When the log tells of more than `keep` evictions, replace the oldest half by one line that counts them."""
        (count,) = self.db.execute("SELECT count(*) FROM operation WHERE kind = 'evict' AND target != ''").fetchone()
        if count <= keep:
            return
        old = self.db.execute(
            "SELECT n, at FROM operation WHERE kind = 'evict' AND target != '' ORDER BY n LIMIT ?", (count - keep // 2,)
        ).fetchall()
        counted = self.db.execute("SELECT after FROM operation WHERE kind = 'evict' AND target = ''").fetchall()
        total = len(old) + sum(json.loads(after)["folded"] for (after,) in counted)
        self.db.executemany("DELETE FROM operation WHERE n = ?", [(n,) for n, _ in old])
        self.db.execute("DELETE FROM operation WHERE kind = 'evict' AND target = ''")
        self._log("evict", "", None, {"folded": total}, why=f"{total} records were let go up to {old[-1][1]}")

    def erase(self, found: tuple[int, Record] | None, id: str) -> Operation:
        """Take a record out of rows, indexes and log; the tombstone keeps who, when and why."""
        if found is not None:
            delete_record(self.store, self.db, *found)
        self.db.execute("DELETE FROM edge WHERE head = ? OR tail = ?", (id, id))
        self.redact(id)
        return self._log("erase", id, None, None, found[0] if found else None)

    def link(self, edge: Edge, *, kind: OperationKind = "link", why: str | None = None,
             undoes: int | None = None) -> Operation:  # fmt: skip
        """Write an edge between two records, or (kind "unlink") take it away."""
        state = {"edge": [edge.head, edge.relation, edge.tail, edge.weight]}
        if kind == "link":
            self._write_edges([replace(edge, source=None)])
            return self._log("link", edge.head, None, state, why=why, undoes=undoes)
        self.db.execute(
            "DELETE FROM edge WHERE n = (SELECT min(n) FROM edge WHERE space = ? AND head = ? AND relation = ? "
            "AND tail = ? AND source IS NULL)",
            (self.space, edge.head, edge.relation, edge.tail),
        )
        return self._log("unlink", edge.head, state, None, why=why, undoes=undoes)

    def mark_stale(self, ids: Sequence[str], why: str, *, beside: Container[str] = ()) -> list[Operation]:
        """Mark everything made from these records, directly or through others, as no longer to be trusted.

        beside   ids of those that are revised in another way
        """
        marked = []
        for id in self.store.derived(ids):
            if id in beside:
                continue
            found = self.store.find(id, self.space)
            if found is not None and found[1].stale is None:
                n, record = found
                marked.append(self.update(n, record, replace(record, stale=why), None, None, who="cascade", why=why))
        return marked

    def _write_text(self, n: int, old: Record, new: Record, windows: bytes | None, embedder: int | None) -> None:
        stemmed = terms(new.text)
        self.store.drop_words(self.db, n, terms(old.text))
        self.store.write_words(self.db, {n: stemmed})
        self.db.execute("UPDATE record SET words = ?, asks = ? WHERE n = ?", (len(stemmed), asks(new.text), n))
        self.db.execute("DELETE FROM vector WHERE record = ?", (n,))
        if windows is not None and embedder is not None:
            self.store.write_vectors(self.db, embedder, {n: windows})

    def _not_before(self, at: str) -> str:
        """A clock that was set back must not make the log run backwards: as_of reads it by time."""
        last = self.db.execute("SELECT at FROM operation WHERE n = ?", (self.store.position(),)).fetchone()
        return max(at, last[0]) if last else at

    def _write_edges(self, edges: Sequence[Edge]) -> None:
        self.db.executemany(
            "INSERT INTO edge (space, head, relation, tail, weight, source) VALUES (?, ?, ?, ?, ?, ?)",
            [(self.space, e.head, e.relation, e.tail, e.weight, e.source) for e in edges],
        )

    def _log(self, kind: OperationKind, target: str, before: Mapping[str, object] | None,
             after: Mapping[str, object] | None, record: int | None = None, *, who: str | None = None,
             why: str | None = None, undoes: int | None = None) -> Operation:  # fmt: skip
        operation = Operation(
            kind, target, before, after, who or self.who, self.why if why is None else why, self.at, self.call,
            undoes=undoes,
        )  # fmt: skip
        n = self.store.inserted(
            "INSERT INTO operation (kind, target, space, before, after, who, why, at, at_s, call, undoes, record) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (kind, target, self.space, dumps(before) if before else None, dumps(after) if after else None,
             operation.who, operation.why, self.at, moment(self.at).start, self.call, undoes, record),
        )  # fmt: skip
        operation = replace(operation, n=n)
        self.done.append(operation)
        return operation


_uuid_lock = threading.Lock()
_uuid_last = 0


def uuid7() -> str:
    """A UUID of version 7 (RFC 9562): 48 bits of milliseconds, then a counter and chance; rises within a process."""
    global _uuid_last
    with _uuid_lock:
        ns = time.time_ns()
        stamp = max((ns // 1_000_000) << 12 | (ns % 1_000_000) * 4096 // 1_000_000, _uuid_last + 1)
        _uuid_last = stamp
    low = uuid.uuid4().int & ((1 << 62) - 1)
    return str(uuid.UUID(int=(stamp >> 12) << 80 | 7 << 76 | (stamp & 0xFFF) << 64 | 2 << 62 | low))
