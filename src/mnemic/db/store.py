"""One memory file: a connection, a lock, transactions, and everything that is read from it.

All writing goes through mnemic.db.changes, inside `Store.transaction`.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mnemic.db.rows import COLUMNS, edges_from, operation_of, record_from, record_of
from mnemic.db.schema import connect, translate
from mnemic.errors import NotFound
from mnemic.filter import Filter
from mnemic.limits import is_id
from mnemic.moment import Moment, shown
from mnemic.recall.terms import keys
from mnemic.record import Edge, Operation, Record

OPERATION = "n, kind, target, before, after, who, why, at, call, undoes"
_PAGE = 1000  # records fetched at a time while iterating, so that no read holds the lock for long


class Store:
    """A memory file, open. Safe from several threads (one lock) and several processes (WAL)."""

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self.db = connect(path)
        self.lock = threading.RLock()
        self.db.create_function("holds", 2, _holds, deterministic=True)
        self.db.create_function("folded", 1, lambda text: text.casefold() if text else text, deterministic=True)

    def close(self) -> None:
        with self.lock:
            self.db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write all of the block or nothing of it. Embedding and language models run before it, never inside."""
        with self.lock:
            try:
                self.db.execute("BEGIN IMMEDIATE")  # the write lock now: an upgrade in mid-block may fail
                try:
                    yield self.db
                    self.db.execute("COMMIT")  # inside the try: a failed COMMIT rolls back too
                except BaseException:  # Ctrl-C must not leave half a memory either
                    if self.db.in_transaction:  # the error itself may have ended it
                        self.db.execute("ROLLBACK")
                    raise
            except sqlite3.DatabaseError as error:
                raise translate(error, self.path) from error

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        with self.lock:
            try:
                return self.db.execute(sql, parameters).fetchall()
            except sqlite3.DatabaseError as error:
                raise translate(error, self.path) from error

    def position(self) -> int:
        """n of the newest operation, 0 for an empty log."""
        return int(self.read("SELECT coalesce(max(n), 0) FROM operation")[0][0])

    def meta(self, key: str) -> str | None:
        found = self.read("SELECT value FROM meta WHERE key = ?", (key,))
        return found[0][0] if found else None

    # ---- records

    def find(self, id: str, space: str) -> tuple[int, Record] | None:
        """A record and its n, by id."""
        return self._one("record.id = ? AND record.space = ?", (id, space))

    def named(self, id: Any, space: str) -> tuple[int, Record]:
        """`find` for an id that somebody gave; raises NotFound, for what is no id too."""
        found = self.find(id, space) if is_id(id) else None
        if found is None:
            raise NotFound(f"no record {shown(id, quote='')} in this memory: was it forgotten? `mnemic log` tells.")
        return found

    def find_same(self, digest: bytes) -> tuple[int, Record] | None:
        """The live record with the same text from the same source (see rows.digest)."""
        return self._one("record.digest = ?", (digest,))

    def find_slot(self, space: str, source: str, place: str) -> tuple[int, Record] | None:
        """The live record that came from this place of this source."""
        return self._one("record.source = ? AND record.place = ? AND record.space = ?", (source, place, space))

    def _one(self, condition: str, parameters: Sequence[Any]) -> tuple[int, Record] | None:
        found = self.read(f"SELECT record.n, {COLUMNS} FROM record WHERE {condition} LIMIT 1", parameters)
        return (found[0][0], record_of(found[0][1:])) if found else None

    def records(self, where: Filter, space: str) -> Iterator[tuple[int, Record]]:
        """(n, record) of all that pass, in the order they were written, a page at a time."""
        condition, parameters = condition_of(where, space)
        last = 0
        while True:
            page = self.read(
                f"SELECT record.n, {COLUMNS} FROM record WHERE {condition} AND record.n > ? "
                f"ORDER BY record.n LIMIT {_PAGE}",
                [*parameters, last],
            )
            for row in page:
                yield row[0], record_of(row[1:])
            if len(page) < _PAGE:
                return
            last = page[-1][0]

    def fetch(self, ns: Sequence[int]) -> dict[int, Record]:
        """Records by n; numbers that are gone are left out."""
        found: dict[int, Record] = {}
        for start in range(0, len(ns), 500):
            part = [int(n) for n in ns[start : start + 500]]
            marks = ",".join("?" * len(part))
            for row in self.read(f"SELECT record.n, {COLUMNS} FROM record WHERE record.n IN ({marks})", part):
                found[row[0]] = record_of(row[1:])
        return found

    def numbers(self, where: Filter, space: str) -> npt.NDArray[np.int64]:
        """n of all records that pass, ascending."""
        condition, parameters = condition_of(where, space)
        rows = self.read(f"SELECT record.n FROM record WHERE {condition} ORDER BY record.n", parameters)
        return np.fromiter((n for (n,) in rows), np.int64, len(rows))

    def derived(self, ids: Sequence[str]) -> list[str]:
        """Ids of everything made from these records, directly or through others, nearest first."""
        found: list[str] = []
        seen, front = set(ids), list(ids)
        while front:
            marks = ",".join("?" * len(front))
            rows = self.read(f"SELECT DISTINCT record FROM derivation WHERE source IN ({marks})", front)
            front = [id for (id,) in rows if id not in seen]
            seen.update(front)
            found += front
        return found

    # ---- log

    def operations(
        self, space: str, *, target: str | None = None, after: int = 0, last: int | None = None
    ) -> Iterator[Operation]:
        """The log, oldest first: of one record, from a position on, or only the newest `last`."""
        condition, parameters = "space = ?", [space]
        if target is not None:
            condition, parameters = condition + " AND target = ?", [*parameters, target]
        if last is not None:
            rows = self.read(
                f"SELECT n FROM operation WHERE {condition} AND n > ? ORDER BY n DESC LIMIT ?",
                [*parameters, after, last],
            )
            if not rows:
                return
            after = rows[-1][0] - 1
        while True:
            page = self.read(
                f"SELECT {OPERATION} FROM operation WHERE {condition} AND n > ? ORDER BY n LIMIT {_PAGE}",
                [*parameters, after],
            )
            yield from map(operation_of, page)
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    def operation(self, n: int, space: str) -> Operation | None:
        found = self.read(f"SELECT {OPERATION} FROM operation WHERE n = ? AND space = ?", (n, space))
        return operation_of(found[0]) if found else None

    def states(self, space: str, at: Moment | int) -> Iterator[tuple[Record, list[Edge]]]:
        """Every record as the log says it stood at a time (its last instant included) or after an operation."""
        bound, value = ("n <= ?", at) if isinstance(at, int) else ("at_s < ?", at.end)
        rows = self.read(
            "SELECT target, after FROM operation WHERE n IN (SELECT max(n) FROM operation "
            f"WHERE space = ? AND {bound} AND kind NOT IN ('link', 'unlink') AND target != '' GROUP BY target) "
            "AND after IS NOT NULL ORDER BY target",
            (space, value),
        )
        for id, after in rows:
            state = json.loads(after)
            yield record_from(state, id, space), edges_from(state, id)

    # ---- edges, words, vectors

    def edges(self, space: str, source: str | None = None) -> Iterator[Edge]:
        condition, parameters = "space = ?", [space]
        if source is not None:
            condition, parameters = condition + " AND source = ?", [*parameters, source]
        rows = self.read(
            f"SELECT head, relation, tail, weight, source FROM edge WHERE {condition} ORDER BY n", parameters
        )
        return (Edge(*row) for row in rows)

    def postings(self, term: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """n of the records that hold a stemmed term (ascending) and how often each does."""
        # Joined to one text inside SQLite: three times as fast as a row for each occurrence.
        joined = self.read("SELECT group_concat(doc, ' ') FROM posting WHERE term = ?", (keys([term])[0],))[0][0]
        return np.unique(np.fromstring(joined or "", np.int64, sep=" "), return_counts=True)

    def frequencies(self, terms: Sequence[str]) -> dict[str, int]:
        """In how many records of the file, all spaces, stemmed terms stand."""
        found: dict[str, int] = {}
        for start in range(0, len(terms), 500):
            part = keys(list(terms[start : start + 500]))
            found.update(self.read(f"SELECT term, doc FROM vocabulary WHERE term IN ({_marks(part)})", part))
        return {term: found.get(key, 0) for term, key in zip(terms, keys(list(terms)), strict=True)}

    def embedder(self) -> tuple[int, str, int] | None:
        """(id, name, dimensions) of the embedder whose vectors this memory searches; None before the first."""
        active = self.meta("embedder")
        if active is None:
            return None
        row = self.read("SELECT id, name, dimensions FROM embedder WHERE id = ?", (int(active),))[0]
        return int(row[0]), str(row[1]), int(row[2])

    def windows(self, ns: Sequence[int], embedder: int) -> dict[int, bytes]:
        """Packed windows of some records, by n."""
        found: dict[int, bytes] = {}
        for start in range(0, len(ns), 500):
            part = [int(n) for n in ns[start : start + 500]]
            sql = f"SELECT record, windows FROM vector WHERE embedder = ? AND record IN ({_marks(part)})"
            found.update(self.read(sql, [embedder, *part]))
        return found

    # ---- sizes

    def bytes_in_use(self) -> int:
        """Bytes of the database's pages, free ones included; the WAL is transient and not counted."""
        with self.lock:
            pages: int = self.db.execute("PRAGMA page_count").fetchone()[0]
            size: int = self.db.execute("PRAGMA page_size").fetchone()[0]
        return pages * size

    def free_bytes(self) -> int:
        with self.lock:
            pages: int = self.db.execute("PRAGMA freelist_count").fetchone()[0]
            size: int = self.db.execute("PRAGMA page_size").fetchone()[0]
        return pages * size

    def sizes(self) -> dict[str, int]:
        """Bytes on disk of the file and what SQLite keeps beside it."""
        beside = {"file": "", "wal": "-wal"}
        return {
            name: os.path.getsize(self.path + end) for name, end in beside.items() if os.path.exists(self.path + end)
        }


def condition_of(where: Filter, space: str) -> tuple[str, list[Any]]:
    """A filter as SQL over `record` and its parameters."""
    parts = ["record.space = ?"]
    parameters: list[Any] = [space]
    for column, words in (("id", where.ids), ("kind", where.kind), ("episode", where.episode)):
        if words:
            parts.append(f"record.{column} IN ({','.join('?' * len(words))})")
            parameters += words
    if where.source:
        parts.append("(" + " OR ".join("record.source GLOB ?" for _ in where.source) + ")")
        parameters += [source.replace("[", "[[]") for source in where.source]  # only * and ? are special
    if where.speaker:
        parts.append(f"folded(record.speaker) IN ({','.join('?' * len(where.speaker))})")
        parameters += [speaker.casefold() for speaker in where.speaker]
    for span, begins, ends in ((where.time, "begins", "ends"), (where.written, "written_s", "written_s + 1e-6")):
        if span is not None:
            parts.append(f"record.{begins} < ? AND coalesce({ends}, 9e999) > ?")
            parameters += [span[1], span[0]]
    if where.stale is not None:
        parts.append("record.stale IS NOT NULL" if where.stale else "record.stale IS NULL")
    if where.current:
        parts.append("record.until IS NULL")
    if where.metadata:
        parts.append("holds(record.metadata, ?)")
        parameters.append(json.dumps(dict(where.metadata)))
    return " AND ".join(parts), parameters


def _holds(metadata: str | None, wanted: str) -> bool:
    """True when every wanted key stands in the metadata with an equal value."""
    have = json.loads(metadata) if metadata else {}
    return all(key in have and have[key] == value for key, value in json.loads(wanted).items())


__all__ = ["OPERATION", "Store", "condition_of"]


def _marks(values: Sequence[Any]) -> str:
    return ",".join("?" * len(values))
