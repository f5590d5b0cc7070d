"""What stands twice in a memory file must say the same: log and rows, rows and columns, indexes, caches.

Everything is read in pages or as it comes, and kept as digests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

from mnemic.db.indexed import vectors_against_rows, words_against_rows
from mnemic.db.linked import links_against_log
from mnemic.db.problem import Problem
from mnemic.db.replaying import Newest, Replay, digest
from mnemic.db.rows import COLUMNS, asks, operation_of, record_of, state_of, validity
from mnemic.db.rows import digest as content_digest
from mnemic.db.store import OPERATION, Store
from mnemic.errors import InputError
from mnemic.files.ledger import entry_of
from mnemic.limits import checked, checked_edge, checked_edges
from mnemic.moment import moment
from mnemic.recall.terms import terms
from mnemic.record import Operation, OperationKind, Record

WORKED_OUT = ("begins", "ends", "written_s", "words", "asks", "digest")  # columns of a record that its others give


def problems(store: Store) -> Iterator[Problem]:
    """All that is wrong; the caller holds the store's lock and a transaction, so that all of it is one moment."""
    found = list(store.unsound())
    yield from found
    if any(problem.where == "pages" for problem in found):
        return  # the rest could not be read
    records = Rows(store)
    replay = Replay()
    yield from _log(store, replay)
    yield from _rows(records, replay)
    yield from _newest(store)
    yield from words_against_rows(store, ((n, record) for n, record, _ in records))
    yield from vectors_against_rows(store)
    yield from links_against_log(store, replay)
    yield from _derivation(store, records)
    yield from _small(store)


class Rows:
    """The records of a file that can be read, page by page, with their worked-out columns."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __iter__(self) -> Iterator[tuple[int, Record, tuple[Any, ...]]]:
        for n, row, columns in self.raw():
            try:
                yield n, checked(record_of(row)), columns
            except (InputError, ValueError, TypeError, RecursionError):
                continue  # told by _rows

    def raw(self) -> Iterator[tuple[int, tuple[Any, ...], tuple[Any, ...]]]:
        last = 0
        sql = f"SELECT record.n, {COLUMNS}, {', '.join(WORKED_OUT)} FROM record WHERE n > ? ORDER BY n LIMIT 1000"
        while page := self.store.read(sql, (last,)):
            for row in page:
                yield row[0], row[1 : -len(WORKED_OUT)], row[-len(WORKED_OUT) :]
            last = page[-1][0]


def replayed(store: Store) -> Replay:
    """The whole log, what is wrong with it left aside."""
    replay = Replay()
    for _ in _log(store, replay):
        pass
    return replay


def worked_out(record: Record) -> tuple[Any, ...]:
    """WORKED_OUT of a record."""
    begins, ends = validity(record)
    words = len(terms(record.text))
    return begins, ends, moment(record.written).start, words, asks(record.text), content_digest(record)


# ---- log and rows


def _log(store: Store, replay: Replay) -> Iterator[Problem]:
    last = 0
    sql = f"SELECT space, at_s, {OPERATION} FROM operation WHERE n > ? ORDER BY n LIMIT 1000"
    while page := store.read(sql, (last,)):
        for space, at_s, *row in page:
            n = row[0]
            try:
                operation = _operation(row, at_s)
                wrong = replay.see(operation, space)
            except (InputError, ValueError, TypeError, AttributeError, RecursionError) as error:
                wrong = f"cannot be read ({error})"
            if wrong:
                yield Problem("log", f"operation {n} {wrong}", False)
        last = page[-1][2]
    for n in replay.unexplained():
        yield Problem("log", f"operation {n} lost what it says, and nothing was erased", False)


def _operation(row: list[Any], at_s: float) -> Operation:
    """Raises InputError for a row that no operation has."""
    operation = operation_of(row)
    if moment(operation.when).start != at_s:
        raise InputError(f"its date {operation.when} is not {at_s} seconds after 1970")
    if operation.kind not in get_args(OperationKind):
        raise InputError(f"no operation is called {operation.kind}")
    if operation.undoes is not None and not 0 < operation.undoes < operation.n:
        raise InputError(f"it cannot undo operation {operation.undoes}")
    for state in filter(None, (operation.before, operation.after)):
        if operation.kind in ("link", "unlink"):
            checked_edge(state.get("edge"))
            if state["edge"][0] != operation.target:
                raise InputError("the link starts at another record")
        else:
            checked_edges(state.get("edges", ()))
    return operation


def _rows(records: Rows, replay: Replay) -> Iterator[Problem]:
    """Replaying the log must give the records."""
    left = {key: newest for key, newest in replay.newest.items() if newest.state is not None}
    for _, row, columns in records.raw():
        id, space = row[:2]
        newest = left.pop((space, id), None)
        try:
            record = checked(record_of(row))
        except (InputError, ValueError, TypeError, RecursionError) as error:
            yield Problem("rows", f"record {id} cannot be read ({error})", False)
            continue
        if newest is None:
            yield Problem("log", f"record {id} is not in the log", False)
        elif newest.state != digest(state_of(record)):
            yield Problem(
                "log", f"record {id} differs from what the log says ({_which(records, record, newest)})", False
            )
        if worked_out(record) != columns:
            wrong = [name for name, a, b in zip(WORKED_OUT, worked_out(record), columns, strict=True) if a != b]
            yield Problem("columns", f"{', '.join(wrong)} of record {id} are not what the rest of it gives", True)
    for _, id in left:
        yield Problem("log", f"record {id} stands in the log but not in the rows", False)


def _which(records: Rows, record: Record, newest: Newest) -> str:
    """The fields in which row and log differ."""
    logged = json.loads(records.store.read("SELECT after FROM operation WHERE n = ?", (newest.n,))[0][0])
    state = state_of(record)
    return ", ".join(name for name in {**state, **logged} if name != "edges" and state.get(name) != logged.get(name))


def _newest(store: Store) -> Iterator[Problem]:
    """The log knows the row of each record, so that caches can follow it."""
    strays = store.read(STRAY_OPERATIONS)
    if strays:
        yield Problem("log", f"{len(strays)} operations point at another row than their record's", True)


STRAY_OPERATIONS = (
    "SELECT operation.n, record.n FROM record JOIN operation ON operation.n = (SELECT max(n) FROM operation AS o "
    "WHERE o.target = record.id AND o.kind NOT IN ('link', 'unlink')) WHERE coalesce(operation.record, 0) != record.n"
)


# ---- small tables


def _derivation(store: Store, records: Rows) -> Iterator[Problem]:
    pairs = {(source, record.id) for _, record, _ in records for source in record.derived_from}
    if pairs != set(store.read("SELECT source, record FROM derivation")):
        yield Problem("derivation", "the table of what was derived from what is not as the records say", True)


def _small(store: Store) -> Iterator[Problem]:
    """Tables that nothing rests on."""
    unread = sum(1 for _ in unread_files(store))
    if unread:
        yield Problem("ledger", f"what is known of {unread} files cannot be read", True)
    gone = store.read("SELECT count(*) FROM access WHERE record NOT IN (SELECT n FROM record)")[0][0]
    if gone:
        yield Problem("access", f"{gone} records that are gone are still counted", True)


def unread_files(store: Store) -> Iterator[tuple[str, str]]:
    """(space, source) of the lines of the ledger that say nothing."""
    for space, *row in store.read("SELECT space, source, fingerprint, report, at FROM ledger"):
        try:
            entry_of(*row)
        except InputError:
            yield space, row[0]
