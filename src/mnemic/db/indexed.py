"""The full-text index and the vectors, against the rows that they were made of."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

import numpy as np

from mnemic.db.problem import Problem
from mnemic.db.replaying import MASK
from mnemic.db.store import Store
from mnemic.recall.packed import unpack, window_type
from mnemic.recall.terms import keys, terms
from mnemic.record import Record


def words_against_rows(store: Store, records: Iterable[tuple[int, Record]]) -> Iterator[Problem]:
    """The full-text index must hold each record's stemmed words, as often as they occur.

    Compared as sums of hashes: terms come in their order, not in that of the records.
    """
    indexed: dict[int, int] = {}
    last, lost = None, 0
    try:
        for n, term in store.indexed_words():
            indexed[n] = (indexed.get(n, 0) + hash(term)) & MASK
            if term != last:
                lost += not store.is_indexed(term)
                last = term
    except sqlite3.DatabaseError as error:
        yield Problem("words", f"the full-text index cannot be read ({error})", True)
        return
    if lost:
        yield Problem("words", f"{lost} words of the full-text index are there and cannot be found", True)
    for n, record in records:
        if indexed.pop(n, 0) != sum(map(hash, keys(terms(record.text)))) & MASK:
            yield Problem("words", f"the words of record {record.id} are not indexed as they stand", True)
    if indexed:
        yield Problem("words", f"{len(indexed)} records that are gone are still indexed", True)


def vectors_against_rows(store: Store) -> Iterator[Problem]:
    orphans = store.read("SELECT count(*) FROM vector WHERE record NOT IN (SELECT n FROM record) "
                         "OR embedder NOT IN (SELECT id FROM embedder)")[0][0]  # fmt: skip
    if orphans:
        yield Problem("vectors", f"{orphans} vectors belong to records or embedders that are gone", True)
    embedder = store.embedder()
    if embedder is None:
        if store.read("SELECT 1 FROM record LIMIT 1"):
            yield Problem("vectors", "the file does not say which embedder made its vectors", True)
        return
    number, name, dimensions = embedder
    missing = store.read(
        "SELECT count(*) FROM record LEFT JOIN vector ON vector.record = record.n AND vector.embedder = ? "
        "WHERE vector.record IS NULL", (number,)
    )[0][0]  # fmt: skip
    if missing:
        yield Problem("vectors", f"{missing} records have no vectors of {name}", True)
    if wrong := sum(1 for _ in wrong_vectors(store, number, dimensions)):
        yield Problem("vectors", f"{wrong} records have vectors that cannot be theirs", True)


def wrong_vectors(store: Store, embedder: int, dimensions: int) -> Iterator[int]:
    """n of records whose packed windows have a wrong size, lie outside of the text or hold no number."""
    yield from (gone := store.unsearchable(embedder))
    last, size, known = 0, window_type(dimensions).itemsize, set(gone)
    while page := store.read(
        "SELECT record.n, text, windows FROM vector JOIN record ON record.n = vector.record "
        "WHERE embedder = ? AND record.n > ? ORDER BY record.n LIMIT 1000", (embedder, last)
    ):  # fmt: skip
        for n, text, data in page:
            if n in known:
                continue
            if not isinstance(data, bytes) or not data or len(data) % size:
                yield n
                continue
            windows = unpack(data, dimensions)
            start, end, scale = windows["start"], windows["end"], windows["scale"]
            if not ((start >= 0) & (start < end) & (end <= len(text)) & (scale > 0) & np.isfinite(scale)).all():
                yield n
        last = page[-1][0]
