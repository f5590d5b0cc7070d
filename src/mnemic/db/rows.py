"""Records and operations as rows and as JSON, and back.

The JSON of a record leaves out what has its default, so that the log stays small; `id` and `space` stand
beside it in the log's own columns.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from mnemic.moment import moment
from mnemic.recall.terms import terms
from mnemic.record import Edge, Operation, Record

if TYPE_CHECKING:
    from mnemic.db.connection import Connection
    from mnemic.db.store import Store

_DEFAULTS = {f.name: f.default for f in fields(Record) if f.name not in ("id", "space", "kind", "text", "metadata")}
_COLUMNS = ("id", "space", "kind", "text", "time", "until", "written", "source", "place", "episode", "speaker",
            "metadata", "derived_from", "stale", "pinned", "importance")  # fmt: skip
COLUMNS = ", ".join(f"record.{name}" for name in _COLUMNS)


def dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def record_of(row: Sequence[Any]) -> Record:
    """A row of COLUMNS as a record."""
    value = dict(zip(_COLUMNS, row, strict=True))
    value["metadata"] = json.loads(value["metadata"]) if value["metadata"] else {}
    value["derived_from"] = tuple(json.loads(value["derived_from"])) if value["derived_from"] else ()
    value["pinned"] = bool(value["pinned"])
    return Record(**value)


def state_of(record: Record, edges: Sequence[Edge] = ()) -> dict[str, Any]:
    """What the log keeps of a record: its fields (defaults left out) and the edges that were read from it."""
    state: dict[str, Any] = {"kind": record.kind, "text": record.text}
    for name, default in _DEFAULTS.items():
        value = getattr(record, name)
        if value != default:
            state[name] = list(value) if isinstance(value, tuple) else value
    if record.metadata:
        state["metadata"] = dict(record.metadata)
    if edges:
        state["edges"] = [[e.head, e.relation, e.tail, e.weight] for e in edges]
    return state


def record_from(state: Mapping[str, Any], id: str, space: str) -> Record:
    """The record of a logged state; inverse of state_of."""
    value = {name: given for name, given in state.items() if name != "edges"}
    value["derived_from"] = tuple(value.get("derived_from", ()))
    return Record(id=id, space=space, **value)


def edges_from(state: Mapping[str, Any], source: str) -> list[Edge]:
    return [Edge(head, relation, tail, weight, source) for head, relation, tail, weight in state.get("edges", ())]


def digest(record: Record) -> bytes:
    """Equal for two records that are the same memory: space, source, place, speaker, time, kind and text."""
    parts = (record.space, record.source, record.place, record.speaker, record.time, record.kind, record.text)
    return hashlib.blake2b(dumps(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def insert_record(store: Store, db: Connection, record: Record) -> int:
    """Write the row and its words; returns its n."""
    stemmed = terms(record.text)
    begins, ends = validity(record)
    n = store.inserted(
        "INSERT INTO record (id, space, kind, text, time, begins, ends, until, written, written_s, source, place, "
        "episode, speaker, metadata, derived_from, stale, pinned, importance, words, asks, digest) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (record.id, record.space, record.kind, record.text, record.time, begins, ends, record.until, record.written,
         moment(record.written).start, record.source, record.place, record.episode, record.speaker,
         dumps(dict(record.metadata)) if record.metadata else None,
         dumps(list(record.derived_from)) if record.derived_from else None,
         record.stale, int(record.pinned), record.importance, len(stemmed), asks(record.text),
         digest(record)),
    )  # fmt: skip
    store.write_words(db, {n: stemmed})
    write_derivation(db, record)
    return n


def write_derivation(db: Connection, record: Record) -> None:
    """Note which records this one was made from."""
    db.executemany(
        "INSERT INTO derivation (source, record) VALUES (?, ?) ON CONFLICT DO NOTHING",
        [(source, record.id) for source in record.derived_from],
    )


def write_ledger(db: Connection, rows: Sequence[Sequence[Any]]) -> None:
    """Keep what is known of some files: (space, source, fingerprint, report, at) each."""
    db.executemany(
        "INSERT INTO ledger (space, source, fingerprint, report, at) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (space, source) DO UPDATE SET fingerprint = excluded.fingerprint, report = excluded.report, "
        "at = excluded.at",
        rows,
    )


def write_embedder(db: Connection, number: int) -> None:
    """From now on the vectors of this embedder are the ones that are searched."""
    db.execute(
        "INSERT INTO meta (key, value) VALUES ('embedder', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (str(number),),
    )


def embedder_number(db: Connection, name: str, dimensions: int) -> int:
    """The number of an embedder, which is known from now on."""
    sql = "INSERT INTO embedder (name, dimensions) VALUES (?, ?) ON CONFLICT DO NOTHING"
    db.execute(sql, (name, dimensions))
    number: int = db.execute("SELECT id FROM embedder WHERE name = ?", (name,)).fetchone()[0]
    return number


def asks(text: str) -> int:
    """2 for a text that ends with a question, 1 for one that holds a question, else 0."""
    marks = "?？؟"
    return 2 if text.rstrip(" \n\t\"'”’)").endswith(tuple(marks)) else int(any(mark in text for mark in marks))


def delete_record(store: Store, db: Connection, n: int, record: Record) -> None:
    """Take the row out of every table and index but the log."""
    store.drop_words(db, n, terms(record.text))
    db.execute("DELETE FROM record WHERE n = ?", (n,))
    db.execute("DELETE FROM vector WHERE record = ?", (n,))
    db.execute("DELETE FROM access WHERE record = ?", (n,))
    db.execute("DELETE FROM edge WHERE source = ?", (record.id,))
    db.execute("DELETE FROM derivation WHERE record = ?", (record.id,))


def validity(record: Record) -> tuple[float | None, float | None]:
    """Seconds [begins, ends) in which the record holds: an episode for its moment, anything else until it ends."""
    begins = moment(record.time).start if record.time else None
    if record.until:
        return begins, moment(record.until).start
    if record.time and record.kind == "episode":
        return begins, moment(record.time).end
    return begins, None


def operation_of(row: Sequence[Any]) -> Operation:
    """A row of (n, kind, target, before, after, who, why, at, call, undoes) as an operation."""
    n, kind, target, before, after, who, why, at, call, undoes = row
    return Operation(
        kind, target, json.loads(before) if before else None, json.loads(after) if after else None,
        who, why, at, call, n, undoes,
    )  # fmt: skip
