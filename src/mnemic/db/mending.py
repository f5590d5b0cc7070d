"""Building again what can be worked out: columns, indexes, vectors, links. Records and log are never touched."""

from __future__ import annotations

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
from mnemic.db.connection import Connection
from mnemic.db.indexed import vectors_against_rows, wrong_vectors
from mnemic.db.linked import mend_links
from mnemic.db.rows import embedder_number, write_derivation, write_embedder
from mnemic.db.store import Store
from mnemic.recall.terms import terms
from mnemic.seams import Embedder

_EMBED = 256  # records embedded at a time
_STILL_LACKING = (  # and the text is the one that was embedded
    "SELECT 1 FROM record LEFT JOIN vector ON vector.record = record.n AND vector.embedder = ? "
    "WHERE vector.record IS NULL AND record.n = ? AND record.text = ?"
)


def mend(store: Store, embedder: Embedder) -> None:
    """Work everything out again that does not fit, and fill in missing vectors; slow work before each transaction."""
    lacking = any(vectors_against_rows(store))
    dimensions = embedder.dimensions if lacking else 0  # a server may have to be asked: only when it must
    number = None
    with store.everywhere(), store.transaction(whole=True) as db:
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
    while rows := _lacking(store, embedder, batch):
        packed = windows([text for _, text in rows])
        with store.everywhere(), store.transaction(whole=True) as db:
            still = {n: text for n, text in rows if db.execute(_STILL_LACKING, (embedder, n, text)).fetchone()}
            store.write_vectors(db, embedder, {n: packed[text] for n, text in still.items()})
        yield len(rows)


def _lacking(store: Store, embedder: int, batch: int) -> list[tuple[int, str]]:
    """(n, text) of the next records without vectors."""
    with store.everywhere():
        return store.read(
            "SELECT record.n, record.text FROM record LEFT JOIN vector ON vector.record = record.n "
            "AND vector.embedder = ? WHERE vector.record IS NULL ORDER BY record.n LIMIT ?", (embedder, batch)
        )  # fmt: skip


def _mend_columns(store: Store, db: Connection) -> None:
    changes = ((*right, n) for n, record, has in Rows(store) if (right := worked_out(record)) != has)
    db.executemany(f"UPDATE record SET {' = ?, '.join(WORKED_OUT)} = ? WHERE n = ?", list(changes))


def _mend_log(db: Connection) -> None:
    """Where the row of its record is: caches follow it."""
    rows = db.execute(STRAY_OPERATIONS).fetchall()
    db.executemany("UPDATE operation SET record = ? WHERE n = ?", [(record, n) for n, record in rows])


def _mend_words(store: Store, db: Connection) -> None:
    store.clear_words(db)
    for n, record, _ in Rows(store):
        store.write_words(db, {n: terms(record.text)})


def _mend_derivation(store: Store, db: Connection) -> None:
    db.execute("DELETE FROM derivation")
    for _, record, _ in Rows(store):
        write_derivation(db, record)


def _mend_small(store: Store, db: Connection) -> None:
    """A file that is not known is read again, and a record is counted again when it is found."""
    db.executemany("DELETE FROM ledger WHERE space = ? AND source = ?", list(unread_files(store)))
    db.execute("DELETE FROM access WHERE record NOT IN (SELECT n FROM record)")


def _mend_embedder(store: Store, db: Connection, name: str, dimensions: int) -> int | None:
    """Which embedder the file's vectors are of; returns its number when it is the one that is open."""
    if store.embedder() is None:
        made = db.execute("SELECT embedder FROM vector JOIN embedder ON embedder.id = vector.embedder "
                          "GROUP BY embedder ORDER BY count(*) DESC LIMIT 1").fetchone()  # fmt: skip
        write_embedder(db, made[0] if made else embedder_number(db, name, dimensions))
    active = store.embedder()
    if active is None or active[1] != name:
        return None
    db.execute("UPDATE embedder SET dimensions = ? WHERE id = ?", (dimensions, active[0]))
    return active[0]


def _drop_vectors(store: Store, db: Connection) -> None:
    db.execute("DELETE FROM vector WHERE record NOT IN (SELECT n FROM record) "
               "OR embedder NOT IN (SELECT id FROM embedder)")  # fmt: skip
    active = store.embedder()
    if active is not None:
        wrong = [(n, active[0]) for n in wrong_vectors(store, active[0], active[2])]
        db.executemany("DELETE FROM vector WHERE record = ? AND embedder = ?", wrong)
