"""Building again what can be worked out: columns, indexes, vectors, links. Records and log are never touched."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence

from mnemic.commit import windows_of
from mnemic.db.comparing import (
    STRAY_OPERATIONS,
    WORKED_OUT,
    Rows,
    replayed,
    unread_files,
    worked_out,
)
from mnemic.db.indexed import vectors_against_rows, wrong_vectors
from mnemic.db.linked import mend_links
from mnemic.db.store import Store
from mnemic.recall.terms import keys, terms
from mnemic.seams import Embedder

_EMBED = 256  # records embedded at a time


def mend(store: Store, embedder: Embedder) -> None:
    """Work everything out again that does not fit, and fill in missing vectors; slow work before each transaction."""
    lacking = any(vectors_against_rows(store))
    dimensions = embedder.dimensions if lacking else 0  # a server may have to be asked: only when it must
    number = None
    with store.transaction() as db:
        _mend_columns(store, db)
        _mend_log(db)
        _mend_words(store, db)
        mend_links(store, db, replayed(store))
        _mend_derivation(store, db)
        _mend_small(store, db)
        if lacking:
            number = _mend_embedder(store, db, embedder.name, dimensions)
            _drop_vectors(store, db)
    if number is not None:
        for _ in missing_vectors(store, number, lambda texts: windows_of(embedder, texts), batch=_EMBED):
            pass


def missing_vectors(
    store: Store, embedder: int, windows: Callable[[Sequence[str]], dict[str, bytes]], *, batch: int
) -> Iterator[int]:
    """Embed a batch of records that lack vectors and write them; yields how many, until none is left."""
    while rows := store.read(
        "SELECT record.n, record.text FROM record LEFT JOIN vector ON vector.record = record.n "
        "AND vector.embedder = ? WHERE vector.record IS NULL ORDER BY record.n LIMIT ?", (embedder, batch)
    ):  # fmt: skip
        packed = windows([text for _, text in rows])
        with store.transaction() as db:
            db.executemany(  # only where the text is still the one that was embedded
                "INSERT OR IGNORE INTO vector SELECT n, ?, ? FROM record WHERE n = ? AND text = ?",
                [(embedder, packed[text], n, text) for n, text in rows],
            )
        yield len(rows)


def _mend_columns(store: Store, db: sqlite3.Connection) -> None:
    changes = ((*right, n) for n, record, has in Rows(store) if (right := worked_out(record)) != has)
    db.executemany(f"UPDATE record SET {' = ?, '.join(WORKED_OUT)} = ? WHERE n = ?", list(changes))


def _mend_log(db: sqlite3.Connection) -> None:
    """Where the row of its record is: caches follow it."""
    rows = db.execute(STRAY_OPERATIONS).fetchall()
    db.executemany("UPDATE operation SET record = ? WHERE n = ?", [(record, n) for n, record in rows])


def _mend_words(store: Store, db: sqlite3.Connection) -> None:
    try:
        db.execute("INSERT INTO words (words) VALUES ('delete-all')")
    except sqlite3.DatabaseError:
        _renew_words(db)
    for n, record, _ in Rows(store):
        db.execute("INSERT INTO words (rowid, terms) VALUES (?, ?)", (n, " ".join(keys(terms(record.text)))))


def _renew_words(db: sqlite3.Connection) -> None:
    """An index too damaged to be emptied: put the tables of an empty one in its place."""
    (sql,) = db.execute("SELECT sql FROM sqlite_schema WHERE name = 'words'").fetchone()
    with sqlite3.connect(":memory:") as empty:
        empty.execute(sql)
        for part in ("config", "data", "idx", "docsize"):
            rows = empty.execute(f"SELECT * FROM words_{part}").fetchall()
            db.execute(f"DELETE FROM words_{part}")
            for row in rows:
                db.execute(f"INSERT INTO words_{part} VALUES ({', '.join('?' * len(row))})", row)


def _mend_derivation(store: Store, db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM derivation")
    for _, record, _ in Rows(store):
        pairs = [(source, record.id) for source in record.derived_from]
        db.executemany("INSERT OR IGNORE INTO derivation VALUES (?, ?)", pairs)


def _mend_small(store: Store, db: sqlite3.Connection) -> None:
    """A file that is not known is read again, and a record is counted again when it is found."""
    db.executemany("DELETE FROM ledger WHERE space = ? AND source = ?", list(unread_files(store)))
    db.execute("DELETE FROM access WHERE record NOT IN (SELECT n FROM record)")


def _mend_embedder(store: Store, db: sqlite3.Connection, name: str, dimensions: int) -> int | None:
    """Which embedder the file's vectors are of; returns its number when it is the one that is open."""
    if store.embedder() is None:
        made = db.execute("SELECT embedder FROM vector JOIN embedder ON embedder.id = vector.embedder "
                          "GROUP BY embedder ORDER BY count(*) DESC LIMIT 1").fetchone()  # fmt: skip
        if made is None:
            db.execute("INSERT OR IGNORE INTO embedder (name, dimensions) VALUES (?, ?)", (name, dimensions))
            made = db.execute("SELECT id FROM embedder WHERE name = ?", (name,)).fetchone()
        db.execute("INSERT OR REPLACE INTO meta VALUES ('embedder', ?)", (str(made[0]),))
    active = store.embedder()
    if active is None or active[1] != name:
        return None
    db.execute("UPDATE embedder SET dimensions = ? WHERE id = ?", (dimensions, active[0]))
    return active[0]


def _drop_vectors(store: Store, db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM vector WHERE record NOT IN (SELECT n FROM record) "
               "OR embedder NOT IN (SELECT id FROM embedder)")  # fmt: skip
    active = store.embedder()
    if active is not None:
        wrong = [(n, active[0]) for n in wrong_vectors(store, active[0], active[2])]
        db.executemany("DELETE FROM vector WHERE record = ? AND embedder = ?", wrong)
