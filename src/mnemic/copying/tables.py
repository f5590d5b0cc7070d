"""The tables of a memory, as rows that are read here and written there: in the SQL that every store speaks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from mnemic.db.conditions import marks
from mnemic.db.connection import Connection
from mnemic.db.store import Store
from mnemic.recall.terms import terms

PAGE = 500  # rows read, compared and written at a time, in one transaction: what kill -9 makes undone
_MODULUS = 1 << 128

Row = tuple[Any, ...]
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Table:
    """One table.

    columns  all that are copied, those of the key first
    keys     how many columns the key has
    numbers  column -> what its numbers count ("record", "operation", "edge", "embedder"): these are moved when they
             are taken in the target
    within   which rows belong to some spaces, {} for their marks; empty for a table that no space owns
    """

    name: str
    columns: tuple[str, ...]
    keys: int = 1
    numbers: Mapping[str, str] = field(default_factory=dict)
    within: str = ""

    def key(self, row: Row) -> Key:
        return row[: self.keys]

    def moved(self, rows: Iterable[Row], by: Mapping[str, int]) -> list[Row]:
        """The rows with their numbers moved by so many."""
        steps = [by.get(self.numbers.get(column, ""), 0) for column in self.columns]
        if not any(steps):
            return list(rows)
        return [tuple(v + step if step and v is not None else v for v, step in zip(row, steps[: len(row)], strict=True))
                for row in rows]  # fmt: skip


_OWN = "space IN ({})"
_RECORD = (
    "n id space kind text time begins ends until written written_s source place episode speaker metadata derived_from "
    "stale pinned importance words asks digest"
)
_OPERATION = "n kind target space before after who why at at_s call undoes record m"

# In the order in which they are written; what is gone leaves in the other one. How the indexed words of a record
# follow from its text, so they are made, not copied.
TABLES = (
    Table("embedder", ("id", "name", "dimensions")),
    Table("record", tuple(_RECORD.split()), numbers={"n": "record"}, within=_OWN),
    Table("derivation", ("source", "record"), 2, within="record IN (SELECT id FROM record WHERE space IN ({}))"),
    Table("vector", ("record", "embedder", "windows"), 2, {"record": "record", "embedder": "embedder"},
          "record IN (SELECT n FROM record WHERE space IN ({}))"),
    Table("access", ("record", "count", "last"), 1, {"record": "record"},
          "record IN (SELECT n FROM record WHERE space IN ({}))"),
    Table("operation", tuple(_OPERATION.split()), 1,
          {"n": "operation", "undoes": "operation", "record": "record"}, _OWN),
    Table("edge", ("n", "space", "head", "relation", "tail", "weight", "source"), 1, {"n": "edge"}, _OWN),
    Table("ledger", ("space", "source", "fingerprint", "report", "at"), 2, within=_OWN),
    Table("principal", ("id", "name", "at")),
    Table("token", ("id", "principal", "digest", "at", "expires", "revoked", "narrow")),
    Table("permission", ("holder", "space", "rights"), 2),
    Table("answered", ("key", "space", "asked", "at", "done", "answer")),
)  # fmt: skip
OF_SPACES = tuple(table for table in TABLES if table.within)
OF_PEOPLE = ("principal", "token", "permission", "answered")  # of a memory as a whole, not of a space in it


@dataclass(frozen=True)
class Part:
    """What is copied of a store: all of it, or some spaces.

    embedder  the number of the one that is searched with; the vectors of a `reembed` that is under way stay behind
    """

    store: Store
    spaces: tuple[str, ...] | None
    embedder: int | None

    def pages(self, table: Table, *, keys: bool = False) -> Iterator[list[Row]]:
        """All rows in the order of their keys (or the keys alone), some at a time."""
        columns = table.columns[: table.keys] if keys else table.columns
        order = ", ".join(table.columns[: table.keys])
        after = f"({order}) > ({marks(columns[: table.keys])})" if table.keys > 1 else f"{order} > ?"
        last: Key = ()
        while True:
            conditions, given = self._conditions(table)
            if last:
                conditions, given = [*conditions, after], [*given, *last]
            where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
            rows = self._read(f"SELECT {', '.join(columns)} FROM {table.name} {where}ORDER BY {order} LIMIT ?",
                              [*given, PAGE])  # fmt: skip
            if not rows:
                return
            yield rows
            last = table.key(rows[-1])

    def at(self, table: Table, keys: Sequence[Key], *, whole: bool = True) -> dict[Key, Row]:
        """The rows that have one of these keys (at most PAGE of them), by key; their keys alone when not `whole`."""
        if not keys:
            return {}
        columns = table.columns if whole else table.columns[: table.keys]
        conditions, given = self._conditions(table)
        if table.keys == 1:
            conditions = [*conditions, f"{table.columns[0]} IN ({marks(keys)})"]
        else:
            each = f"({marks(keys[0])})"
            conditions = [*conditions, f"({', '.join(table.columns[: table.keys])}) "
                                       f"IN (VALUES {', '.join([each] * len(keys))})"]  # fmt: skip
        rows = self._read(f"SELECT {', '.join(columns)} FROM {table.name} WHERE {' AND '.join(conditions)}",
                          [*given, *(value for key in keys for value in key)])  # fmt: skip
        return {table.key(row): row for row in rows}

    def count(self, table: Table) -> int:
        conditions, given = self._conditions(table)
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return int(self.store.read(f"SELECT count(*) FROM {table.name}{where}", given)[0][0])

    def newest(self) -> int:
        """n of the newest operation, 0 for an empty log."""
        return int(self._of_log("coalesce(max(n), 0)", 0))

    def since(self, n: int) -> int:
        """How many operations are newer."""
        return int(self._of_log("count(*)", n))

    def _of_log(self, what: str, after: int) -> Any:
        where, given = "", [after, *(self.spaces or ())]
        if self.spaces is not None:
            where = f" AND space IN ({marks(self.spaces)})"
        return self.store.read(f"SELECT {what} FROM operation WHERE n > ?{where}", given)[0][0]

    def _conditions(self, table: Table) -> tuple[list[str], list[Any]]:
        conditions: list[str] = []
        given: list[Any] = []
        if self.spaces is not None and table.within:
            conditions.append(table.within.format(marks(self.spaces)))
            given += self.spaces
        if self.embedder is not None and table.name in ("embedder", "vector"):
            conditions.append(f"{'id' if table.name == 'embedder' else 'embedder'} = ?")
            given.append(self.embedder)
        return conditions, given

    def _read(self, sql: str, parameters: Sequence[Any]) -> list[Row]:
        return [tuple(map(_plain, row)) for row in self.store.read(sql, parameters)]


def _plain(value: Any) -> Any:
    """As every store means it: bytes as bytes, truth as a number."""
    if isinstance(value, memoryview):
        return bytes(value)
    return int(value) if isinstance(value, bool) else value


def insert(store: Store, db: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Write rows whose keys are free, and what follows from them."""
    if table.name == "vector":
        for number in {embedder for _, embedder, _ in rows}:
            store.write_vectors(db, number, {n: windows for n, embedder, windows in rows if embedder == number})
        return
    columns = [column for column in table.columns if column != "m"]  # the store gives this number itself
    sql = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks(columns)})"
    db.executemany(sql, [row[: len(columns)] for row in rows])
    if table.name == "record":
        store.write_words(db, {row[0]: terms(_text(row)) for row in rows})
    if table.name == "operation":  # where evictions were folded or a row was renewed, it had another m
        sql = "UPDATE operation SET m = ? WHERE n = ?"
        db.executemany(sql, [(-row[0], row[0]) for row in rows])  # out of the way first: each m is there once
        db.executemany(sql, [(row[-1], row[0]) for row in rows])


def remove(store: Store, db: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Take rows out, and what follows from them."""
    if table.name == "record":
        for row in rows:
            store.drop_words(db, row[0], terms(_text(row)))
    condition = " AND ".join(f"{column} = ?" for column in table.columns[: table.keys])
    db.executemany(f"DELETE FROM {table.name} WHERE {condition}", [table.key(row) for row in rows])


def _text(record: Row) -> str:
    text: str = record[_RECORD.split().index("text")]
    return text


@dataclass
class Sum:
    """How many rows, and a digest of them that does not depend on the order in which they were read.

    A row is its 128-bit BLAKE2b; a sum of rows is the sum of these. Stores sort text in different orders; where order
    means something it is a number, and stands in the row.
    """

    rows: int = 0
    total: int = 0

    def add(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self.rows += 1
            digest = blake2b(repr(row).encode("utf-8", "surrogatepass"), digest_size=16).digest()
            self.total = (self.total + int.from_bytes(digest, "big")) % _MODULUS

    @property
    def digest(self) -> str:
        return f"{self.total:032x}"


def sum_of(part: Part, table: Table, by: Mapping[str, int], seen: Callable[[int], None]) -> Sum:
    """Of a whole table, numbers moved; calls `seen` with the rows of each page."""
    found = Sum()
    for rows in part.pages(table):
        found.add(table.moved(rows, by))
        seen(len(rows))
    return found
