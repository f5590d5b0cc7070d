"""A memory on PostgreSQL: what differs from a file (see mnemic.db.store.Store)."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from mnemic.db.address import shown_address
from mnemic.db.conditions import conditions, marks
from mnemic.db.connection import Connection
from mnemic.db.postgres.connection import PostgresConnection, Unsure, translate
from mnemic.db.postgres.schema import migrate
from mnemic.db.problem import Problem
from mnemic.db.store import Store
from mnemic.filter import Filter
from mnemic.recall.packed import Codes, Floats, unpack
from mnemic.recall.terms import keys
from mnemic.record import Record

Ns = npt.NDArray[np.int64]

EVERY = "*"
INDEXED_FROM = 20_000  # vectors of a memory: below, comparing all takes some milliseconds
_POSTING = np.dtype([("n", ">i8"), ("count", ">i4")])
_SCORE = np.dtype([("n", ">i8"), ("score", ">f4")])
_REWRITTEN = ("record", "operation", "edge", "derivation", "vector", "near", "posting", "access", "ledger", "answered")
_HAS_INDEX = "SELECT 1 FROM pg_index WHERE indisvalid AND indexrelid = to_regclass(quote_ident(current_schema()) || ?)"
_POLL = 0.5  # seconds between two looks at the making of an index
_SPARE = 1.5  # near vectors that are looked up for each that is wanted: some are windows of one record
_LEAST = 100  # how many the index looks at, at least


class PostgresStore(Store):
    """Implements Store. Safe from several threads (one lock) and from as many processes as the database serves.

    space   the only one whose rows are seen; None for all of them. Writers of one space take turns, those of different
            spaces do not wait for each other.
    """

    searches = True

    def __init__(self, address: str, space: str | None = None) -> None:
        self.address, self.path, self.space = address, shown_address(address), space
        self.lock = threading.RLock()
        self._indexed: set[int] = set()  # embedders
        seen = EVERY if space is None else f"={space}"
        try:
            self.db = self._server = PostgresConnection(address, {"mnemic.space": seen})
            migrate(self._server, self.path)
        except Exception as error:
            raise self._told(error) from error

    # ---- transactions

    @contextmanager
    def transaction(self, *, whole: bool = False) -> Iterator[Connection]:
        with self.lock:
            try:
                with self._server.block("BEGIN", "COMMIT"):
                    self._take_turns(whole or self.space is None)
                    yield self.db
            except Exception as error:
                raise self._told(error) from error

    def _take_turns(self, whole: bool) -> None:
        """One writer for each space, so that what a writer has looked at stands until it has written."""
        memory = "hashtextextended('mnemic ' || current_schema(), 0)"
        if whole:
            self.db.execute(f"SELECT pg_advisory_xact_lock({memory})")
            return
        self.db.execute(f"SELECT pg_advisory_xact_lock_shared({memory})")
        one = "hashtextextended('mnemic ' || current_schema() || '=' || ?, 0)"
        self.db.execute(f"SELECT pg_advisory_xact_lock({one})", (self.space,))

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        with self.lock:
            try:
                with self._server.block("BEGIN ISOLATION LEVEL REPEATABLE READ", "ROLLBACK"):
                    yield
            except Exception as error:
                raise self._told(error) from error

    @contextmanager
    def everywhere(self) -> Iterator[None]:
        with self.lock:
            before = self._seen
            self._see(EVERY)
            try:
                yield
            finally:
                self._see(before)

    @property
    def _seen(self) -> str:
        return self._server.settings["mnemic.space"]

    def _see(self, space: str) -> None:
        """Which rows the session sees from now on; a connection that has to be opened anew begins so."""
        if space == self._seen:
            return
        self._server.settings["mnemic.space"] = space
        if self._server.usable:  # a transaction that failed goes back by itself to what was seen before it
            self.read("SELECT set_config('mnemic.space', ?, false)", (space,))

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        with self.lock:
            try:
                return self.db.execute(sql, parameters).fetchall()
            except Exception as error:
                raise self._told(error) from error

    def position(self) -> int:
        """n of the newest operation that is seen: of the space, where the store is kept to one."""
        if self._seen == EVERY:
            return super().position()
        return int(self.read("SELECT coalesce(max(n), 0) FROM operation WHERE space = ?", (self.space,))[0][0])

    def _told(self, error: Exception) -> Exception:
        ours = type(error).__module__.startswith("psycopg") or isinstance(error, Unsure)
        return translate(error, self.address) if ours else error

    # ---- records

    def find_slot(self, space: str, source: str, place: str) -> tuple[int, Record] | None:
        return self._one(
            "record.space = ? AND md5(record.source || '#' || record.place) = md5(? || '#' || ?) "
            "AND record.source = ? AND record.place = ?", (space, source, place, source, place)
        )  # fmt: skip

    def inserted(self, sql: str, parameters: Sequence[Any]) -> int:
        n: int = self.db.execute(f"{sql} RETURNING n", parameters).fetchone()[0]
        return n

    def go_on_numbering(self, db: Connection) -> None:
        with self.everywhere():
            for table, column in (("record", "n"), ("operation", "n"), ("edge", "n"), ("embedder", "id")):
                numbers = f"pg_get_serial_sequence('{table}', '{column}')"
                newest = f"greatest((SELECT max({column}) FROM {table}), nextval({numbers}))"
                db.execute(f"SELECT setval({numbers}, {newest})")

    def condition_of(self, where: Filter, space: str) -> tuple[str, list[Any]]:
        parts, parameters = conditions(where, space)
        if where.source:
            parts.append("(" + " OR ".join("record.source ~ ?" for _ in where.source) + ")")
            parameters += [_as_regex(glob) for glob in where.source]
        if where.speaker:
            wanted = {speaker.casefold() for speaker in where.speaker}
            rows = self.read("SELECT DISTINCT speaker FROM record WHERE space = ? AND speaker IS NOT NULL", (space,))
            named = [name for (name,) in rows if name.casefold() in wanted]  # the database folds otherwise than Python
            parts.append(f"record.speaker IN ({marks(named)})" if named else "false")
            parameters += named
        return " AND ".join(parts), parameters

    # ---- words

    def write_words(self, db: Connection, stemmed: Mapping[int, Sequence[str]]) -> None:
        rows = [(n, *row) for n, words in stemmed.items() for row in Counter(keys(list(words))).items()]
        ns, terms, counts = ([row[column] for row in rows] for column in range(3))
        db.execute("INSERT INTO posting (record, term, count) SELECT * FROM unnest(?::bigint[], ?::text[], ?::int[])",
                   (ns, terms, counts))  # fmt: skip

    def drop_words(self, db: Connection, n: int, stemmed: Sequence[str]) -> None:
        db.execute("DELETE FROM posting WHERE space = (SELECT space FROM record WHERE n = ?) AND term = ANY(?) "
                   "AND record = ?", (n, list(set(keys(list(stemmed)))), n))  # fmt: skip

    def clear_words(self, db: Connection) -> None:
        db.execute("DELETE FROM posting")

    def indexed_words(self) -> Iterator[tuple[int, str]]:
        for n, term, count in self.db.execute("SELECT record, term, count FROM posting ORDER BY space, term"):
            for _ in range(count):
                yield n, term

    def is_indexed(self, key: str) -> bool:
        return True  # a term that was read out of a B-tree is found in it

    def postings(self, term: str) -> tuple[Ns, Ns]:
        return self.postings_of([term])[term]

    def postings_of(self, terms: Sequence[str]) -> dict[str, tuple[Ns, Ns]]:
        """Of each term: n of the records of the space that hold it, ascending, and how often each does."""
        known = keys(list(terms))
        rows = self._packed("SELECT term, string_agg(int8send(record) || int4send(count), ''::bytea) FROM posting "
                            "WHERE space = ? AND term = ANY(?) GROUP BY term", (self.space, known))  # fmt: skip
        found = {term: _by_record(np.frombuffer(data, _POSTING)) for term, data in rows}
        none = np.zeros(0, _POSTING)
        each = {term: found.get(key, none) for term, key in zip(terms, known, strict=True)}
        return {term: (held["n"].astype(np.int64), held["count"].astype(np.int64)) for term, held in each.items()}

    def frequencies(self, terms: Sequence[str]) -> dict[str, int]:
        """In how many records of the space stemmed terms stand."""
        known = keys(list(terms))
        found = dict(self.read("SELECT term, count(*) FROM posting WHERE space = ? AND term = ANY(?) GROUP BY term",
                               (self.space, known)))  # fmt: skip
        return {term: found.get(key, 0) for term, key in zip(terms, known, strict=True)}

    # ---- vectors

    def write_vectors(self, db: Connection, embedder: int, packed: Mapping[int, bytes]) -> None:
        super().write_vectors(db, embedder, packed)
        (dimensions,) = db.execute("SELECT dimensions FROM embedder WHERE id = ?", (embedder,)).fetchone()
        rows = [(n, float(each["scale"]), as_vector(each["codes"]))
                for n, windows in packed.items() for each in unpack(windows, dimensions)]  # fmt: skip
        ns, scales, codes = ([row[column] for row in rows] for column in range(3))
        db.execute("INSERT INTO near (record, embedder, scale, codes) SELECT n, ?, scale, codes::halfvec "
                   "FROM unnest(?::bigint[], ?::real[], ?::text[]) AS each (n, scale, codes)",
                   (embedder, ns, scales, codes))  # fmt: skip

    def cosines(self, ns: Ns | None, embedder: int, codes: Codes) -> tuple[Ns, Floats]:
        """n of some records, ascending, or of all, and the score of the best window of each.

        As recall.packed.cosines, but over the query's step.
        """
        which, given = ("", []) if ns is None else (" AND record = ANY(?::bigint[])", [_as_array(ns)])
        return self._scored(
            f"SELECT record, max(-(codes <#> ?::halfvec) * scale) AS score FROM near WHERE space = ? AND embedder = ?"
            f"{which} GROUP BY record", (as_vector(codes), self.space, embedder, *given)
        )  # fmt: skip

    def nearest(self, k: int, embedder: int, codes: Codes) -> Ns:
        """n of about the k best records of the space, best first: exact until there is an index of the vectors."""
        if not self.has_index(embedder):
            ns, scores = self.cosines(None, embedder, codes)
        else:
            wide, typed = max(int(_SPARE * k), _LEAST), f"halfvec({len(codes)})"
            with self.lock:
                self._set("hnsw.ef_search", str(min(wide, 1000)))
                self._set("hnsw.iterative_scan", "relaxed_order")  # goes on where other spaces' rows were passed over
                ns, scores = self._scored(
                    "SELECT record, max(score) AS score FROM (SELECT record, -(codes <#> ?::halfvec) * scale AS score "
                    f"FROM near WHERE space = ? AND embedder = {int(embedder)} "
                    f"ORDER BY (codes::{typed}) <=> ?::{typed} LIMIT ?) AS found GROUP BY record",
                    (as_vector(codes), self.space, as_vector(codes), wide),
                )
        return ns[np.lexsort((ns, -scores))[:k]]

    def _scored(self, sql: str, parameters: Sequence[Any]) -> tuple[Ns, Floats]:
        """(record, score) of a query, ascending by record."""
        together = "SELECT string_agg(int8send(record) || float4send(score::real), ''::bytea) FROM"
        data = self._packed(f"{together} ({sql}) AS scored", parameters)[0][0]
        found = _by_record(np.frombuffer(data or b"", _SCORE))
        return found["n"].astype(np.int64), found["score"].astype(np.float32)

    def _packed(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        """As `read`, for rows whose numbers the database has joined to bytes: ten times as fast as one by one."""
        with self.lock:
            try:
                return self._server.execute(sql, parameters, binary=True).fetchall()
            except Exception as error:
                raise self._told(error) from error

    def _set(self, name: str, value: str) -> None:
        if self._server.settings.get(name) != value:
            self.read("SELECT set_config(?, ?, false)", (name, value))
            self._server.settings[name] = value

    def has_index(self, embedder: int) -> bool:
        """Is there a graph of the vectors (HNSW) that is complete?"""
        with self.lock:
            if embedder not in self._indexed and self.read(_HAS_INDEX, (f".near_{embedder}",)):
                self._indexed.add(embedder)
            return embedder in self._indexed

    def build_index(self, embedder: int, dimensions: int) -> Iterator[tuple[int, int]]:
        """Make the graph of the vectors when there are enough of them; yields (vectors done, of all).

        One at a time: a call that finds another at it, in any process, leaves it to that one.
        """
        with self.everywhere():
            total = int(self.read("SELECT count(*) FROM near WHERE embedder = ?", (embedder,))[0][0])
        if total < INDEXED_FROM or self.has_index(embedder):
            return
        failed: list[Exception] = []
        working = threading.Thread(target=self._make_index, args=(embedder, dimensions, failed), daemon=True)
        working.start()
        while working.is_alive():
            done = self.read("SELECT coalesce(max(tuples_done), 0) FROM pg_stat_progress_create_index "
                             "WHERE datname = current_database()")[0][0]  # fmt: skip
            yield min(int(done), total - 1), total
            time.sleep(_POLL)
        working.join()
        if failed:
            raise self._told(failed[0]) from failed[0]
        if self.has_index(embedder):
            yield total, total

    def _make_index(self, embedder: int, dimensions: int, failed: list[Exception]) -> None:
        try:
            maker = self._server.another()
            try:
                free = "SELECT pg_try_advisory_lock(hashtextextended('mnemic index ' || current_schema(), 0))"
                if not maker.execute(free).fetchall()[0][0]:
                    return  # another process is at it
                maker.execute("SELECT set_config('lock_timeout', '0', false)")
                name = f"near_{int(embedder)}"
                if maker.execute(_HAS_INDEX, (f".{name}",)).fetchall():
                    return
                maker.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")  # one that was cut off while it was made
                maker.execute(
                    f"CREATE INDEX CONCURRENTLY {name} ON near USING hnsw "
                    f"((codes::halfvec({int(dimensions)})) halfvec_cosine_ops) WHERE embedder = {int(embedder)}"
                )
            finally:
                maker.close()
        except Exception as error:
            failed.append(error)

    # ---- the whole

    def compact(self, db: Connection) -> None:
        """Nothing: the database makes room again by itself."""

    def rewrite(self) -> str:
        """Write the tables anew, so that deleted rows leave their files; returns why it could not be done, or nothing.

        The server's write-ahead log, its replicas and backups keep what they have until they let it go.
        """
        others = self.read(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_xmin IS NOT NULL "
            "AND pid != pg_backend_pid() AND backend_type = 'client backend'"
        )
        if others[0][0]:
            return ("the text is gone from the memory, but another session reads an older state of the database: "
                    "run `mnemic check --repair` when it is done, to finish")  # fmt: skip
        with self.lock:
            try:
                self.db.execute(f"VACUUM (FULL) {', '.join(_REWRITTEN)}")
            except Exception as error:
                return f"the text is gone from the memory, but its tables could not be rewritten ({self._told(error)})"
        return ""

    def unsound(self) -> Iterator[Problem]:
        """Nothing: pages are the server's own to check."""
        yield from ()

    def unsearchable(self, embedder: int) -> list[int]:
        """n of records whose vectors are not unpacked for the search as they are kept."""
        rows = self.read(
            "SELECT record FROM vector JOIN embedder ON embedder.id = vector.embedder WHERE embedder.id = ? "
            "AND length(windows) != (12 + dimensions) * (SELECT count(*) FROM near WHERE near.record = vector.record "
            "AND near.embedder = vector.embedder)", (embedder,)
        )  # fmt: skip
        return [n for (n,) in rows]

    def bytes_in_use(self, space: str) -> int:
        """Bytes of the rows of a space: records, log, links, vectors. Indexes belong to all spaces and do not count."""
        tables = ("record", "operation", "edge", "vector")
        sizes = (
            f"(SELECT coalesce(sum(pg_column_size(t.*)), 0) FROM {table} AS t WHERE space = ?)" for table in tables
        )
        return int(self.read(f"SELECT {' + '.join(sizes)}", [space] * len(tables))[0][0])

    def free_bytes(self) -> int:
        return 0

    def sizes(self) -> dict[str, int]:
        """Bytes on the server's disk, all spaces and indexes."""
        sql = "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relnamespace = " \
              "(SELECT oid FROM pg_namespace WHERE nspname = current_schema())"  # fmt: skip
        return {"database": int(self.read(sql)[0][0])}


def as_vector(codes: Codes | Floats) -> str:
    """A vector as pgvector reads it."""
    return "[" + ",".join(map(str, codes.tolist())) + "]"


def _as_array(ns: Ns) -> str:
    """Numbers as PostgreSQL reads an array: quicker than an element at a time."""
    return "{" + ",".join(map(str, ns.tolist())) + "}"


def _by_record(rows: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    return rows[np.argsort(rows["n"].astype(np.int64), kind="stable")]


def _as_regex(glob: str) -> str:
    """A glob of * and ? as PostgreSQL's regular expression."""
    special = {"*": ".*", "?": "."}
    return "^(?:" + "".join(special.get(each) or re.sub(r"([^\w\s/-])", r"\\\1", each) for each in glob) + ")$"


__all__ = ["EVERY", "PostgresStore", "as_vector"]
