"""One memory file: a connection, a lock, transactions, and everything that is read from it.

All writing goes through mnemic.db.changes, inside `Store.transaction`.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mnemic.db.conditions import conditions, holds, marks
from mnemic.db.connection import Connection
from mnemic.db.problem import Problem
from mnemic.db.rows import COLUMNS, edges_from, operation_of, record_from, record_of
from mnemic.db.schema import connect, translate
from mnemic.errors import Busy, NotFound
from mnemic.filter import Filter
from mnemic.limits import is_id
from mnemic.moment import Moment, shown
from mnemic.recall.terms import keys
from mnemic.record import Edge, Operation, Record

OPERATION = "n, kind, target, before, after, who, why, at, call, undoes"
_TEXTS = {
    "record": "id space kind text time until written source place episode speaker metadata derived_from stale",
    "operation": "kind target space before after who why at call",
    "edge": "space head relation tail source",
    "derivation": "source record",
    "ledger": "space source fingerprint report at",
}
_PAGE = 1000  # records fetched at a time while iterating, so that no read holds the lock for long


class Store:
    """A memory file, open. Safe from several threads (one lock) and several processes (WAL).

    mnemic.db.postgres.PostgresStore is the same on PostgreSQL: it overrides what is SQLite's own here.
    """

    db: Connection
    searches = False  # True where the database finds near vectors by itself (see recall.database_corpus)

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self.lock = threading.RLock()
        self.db = self._file = connect(path)
        self._file.create_function("holds", 2, holds, deterministic=True)
        self._file.create_function("folded", 1, lambda text: text.casefold() if text else text, deterministic=True)
        self._file.create_function("readable", 1, _is_text, deterministic=True)

    def close(self) -> None:
        with self.lock:
            self.db.close()

    @contextmanager
    def transaction(self, *, whole: bool = False) -> Iterator[Connection]:
        """Write all of the block or nothing of it. Embedding and language models run before it, never inside.

        whole   no other space may be written meanwhile (in a file, none ever is)
        """
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

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """A transaction that only reads: what others write meanwhile is not seen."""
        with self.lock:
            try:
                self.db.execute("BEGIN")
                try:
                    yield
                finally:
                    self.db.execute("ROLLBACK")
            except sqlite3.DatabaseError as error:
                raise translate(error, self.path) from error

    @contextmanager
    def everywhere(self) -> Iterator[None]:
        """All spaces may be read and written in this block, where a store is otherwise kept to one."""
        yield

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
        condition, parameters = self.condition_of(where, space)
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
        condition, parameters = self.condition_of(where, space)
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
            found.update(self.read(f"SELECT term, doc FROM vocabulary WHERE term IN ({marks(part)})", part))
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
            sql = f"SELECT record, windows FROM vector WHERE embedder = ? AND record IN ({marks(part)})"
            found.update(self.read(sql, [embedder, *part]))
        return found

    # ---- what is SQLite's own

    def inserted(self, sql: str, parameters: Sequence[Any]) -> int:
        """Carry out an INSERT of one row; returns the n it was given."""
        n = self._file.execute(sql, parameters).lastrowid
        assert n is not None
        return n

    def go_on_numbering(self, db: Connection) -> None:
        """Within a transaction that wrote numbers of its own: the next ones come after them (SQLite sees to it)."""

    def write_words(self, db: Connection, stemmed: Mapping[int, Sequence[str]]) -> None:
        """Index records: n -> stemmed words (see recall.terms)."""
        rows = [(n, " ".join(keys(list(words)))) for n, words in stemmed.items()]
        db.executemany("INSERT INTO words (rowid, terms) VALUES (?, ?)", rows)

    def drop_words(self, db: Connection, n: int, stemmed: Sequence[str]) -> None:
        """Take the words of a record out of the index; they must be those that it was indexed with."""
        sql = "INSERT INTO words (words, rowid, terms) VALUES ('delete', ?, ?)"
        db.execute(sql, (n, " ".join(keys(list(stemmed)))))

    def clear_words(self, db: Connection) -> None:
        """Empty the index, however damaged it is."""
        try:
            db.execute("INSERT INTO words (words) VALUES ('delete-all')")
        except sqlite3.DatabaseError:
            renew_words(db)

    def indexed_words(self) -> Iterator[tuple[int, str]]:
        """(n, key of a term) of the index: each as often as it occurs, equal terms one after the other."""
        yield from self.db.execute("SELECT doc, term FROM posting")

    def is_indexed(self, key: str) -> bool:
        """Can the key of a term be found?"""
        return self.db.execute("SELECT 1 FROM posting WHERE term = ? LIMIT 1", (key,)).fetchone() is not None

    def write_vectors(self, db: Connection, embedder: int, packed: Mapping[int, bytes]) -> None:
        """Keep the vectors of records: n -> packed windows (see recall/packed.py)."""
        rows = [(n, embedder, windows) for n, windows in packed.items()]
        db.executemany("INSERT INTO vector (record, embedder, windows) VALUES (?, ?, ?)", rows)

    def compact(self, db: Connection) -> None:
        """Within a transaction: let deleted words leave the index now, give free pages back."""
        db.execute("INSERT INTO words (words) VALUES ('optimize')")
        db.execute("PRAGMA incremental_vacuum").fetchall()

    def rewrite(self) -> str:
        """Write every page anew and empty the WAL; returns why it could not be done, or nothing.

        secure_delete alone is not enough: moving rows between pages can leave copies in unused parts of a page.
        """
        with self.lock:
            try:
                self.db.execute("VACUUM")
                busy, _, _ = self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.DatabaseError as error:
                known = translate(error, self.path)
                if isinstance(known, Busy):
                    return f"the text is gone from the memory, but its pages could not be rewritten ({known})"
                raise known from error
        if busy:
            return ("the text is gone from the memory, but another process is reading an older state of the file: "
                    "close it and run `mnemic check --repair` to finish")  # fmt: skip
        return ""

    def unsound(self) -> Iterator[Problem]:
        """Damage below the rows: pages, and bytes that Python could not even fetch as text."""
        for (line,) in self.read("PRAGMA integrity_check"):
            if "fts5" in str(line).lower():  # newer versions of SQLite look into the full-text index too
                yield Problem("words", str(line), True)
            elif line != "ok":
                yield Problem("pages", str(line), False)
        for table, columns in _TEXTS.items():
            joined = " || ".join(f"coalesce({column}, '')" for column in columns.split())
            for (count,) in self.read(f"SELECT count(*) FROM {table} WHERE NOT readable(CAST({joined} AS BLOB))"):
                if count:
                    yield Problem("pages", f"{count} rows of the table {table} hold bytes that are no text", False)

    def unsearchable(self, embedder: int) -> list[int]:
        """n of records whose vectors no search can find although they are there: none, they lie in one table."""
        return []

    def bytes_in_use(self, space: str) -> int:
        """Bytes of the database's pages, free ones included; the WAL is transient and not counted."""
        return self._pragma("page_count") * self._pragma("page_size")

    def free_bytes(self) -> int:
        return self._pragma("freelist_count") * self._pragma("page_size")

    def sizes(self) -> dict[str, int]:
        """Bytes on disk of the file and what SQLite keeps beside it."""
        beside = {"file": "", "wal": "-wal"}
        return {
            name: os.path.getsize(self.path + end) for name, end in beside.items() if os.path.exists(self.path + end)
        }

    def condition_of(self, where: Filter, space: str) -> tuple[str, list[Any]]:
        """A filter as SQL over `record` and its parameters."""
        parts, parameters = conditions(where, space)
        if where.source:
            parts.append("(" + " OR ".join("record.source GLOB ?" for _ in where.source) + ")")
            parameters += [source.replace("[", "[[]") for source in where.source]  # only * and ? are special
        if where.speaker:
            parts.append(f"folded(record.speaker) IN ({marks(where.speaker)})")
            parameters += [speaker.casefold() for speaker in where.speaker]
        return " AND ".join(parts), parameters

    def _pragma(self, name: str) -> int:
        with self.lock:
            value: int = self.db.execute(f"PRAGMA {name}").fetchone()[0]
        return value


def renew_words(db: Connection) -> None:
    """An index too damaged to be emptied: put the tables of an empty one in its place."""
    (sql,) = db.execute("SELECT sql FROM sqlite_schema WHERE name = 'words'").fetchone()
    with sqlite3.connect(":memory:") as empty:
        empty.execute(sql)
        for part in ("config", "data", "idx", "docsize"):
            rows = empty.execute(f"SELECT * FROM words_{part}").fetchall()
            db.execute(f"DELETE FROM words_{part}")
            for row in rows:
                db.execute(f"INSERT INTO words_{part} VALUES ({', '.join('?' * len(row))})", row)


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


__all__ = ["OPERATION", "Store"]
