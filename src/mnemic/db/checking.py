"""Is the file sound? Pages, rows, log against rows, indexes against rows; and building the indexes again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mnemic.db.erasing import finish
from mnemic.db.rows import COLUMNS, record_of, state_of
from mnemic.db.store import Store
from mnemic.recall.packed import window_type
from mnemic.recall.terms import keys, terms
from mnemic.record import Record

_EMBED = 256  # records embedded at a time while repairing


@dataclass(frozen=True)
class Problem:
    """Something that is not as it should be.

    where      "pages", "log", "words", "vectors", "edges", "derivation"
    mendable   `check(repair=True)` rebuilds it from the rows; what is not mendable needs a backup
    """

    where: str
    what: str
    mendable: bool


@dataclass(frozen=True)
class Report:
    """What a check found. ok when nothing is left; mended lists what a repair put right."""

    records: int
    operations: int
    problems: tuple[Problem, ...]
    mended: tuple[Problem, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.problems


def check(store: Store, windows: Callable[[Sequence[str]], dict[str, bytes]], *, repair: bool = False) -> Report:
    """Check all spaces of a file.

    windows   texts -> packed vectors, to fill gaps when repairing
    """
    found = list(_problems(store))
    mended: list[Problem] = []
    if repair and any(problem.mendable for problem in found):
        _mend(store, windows)
        left = list(_problems(store))
        mended = [problem for problem in found if problem not in left]
        found = left
    if repair and (reason := finish(store)):
        found.append(Problem("pages", reason, False))
    count = store.read("SELECT (SELECT count(*) FROM record), (SELECT count(*) FROM operation)")[0]
    return Report(count[0], count[1], tuple(found), tuple(mended))


def _problems(store: Store) -> Iterator[Problem]:
    for (line,) in store.read("PRAGMA integrity_check"):
        if line != "ok":
            yield Problem("pages", str(line), False)
            return
    yield from _log_against_rows(store)
    yield from _words_against_rows(store)
    yield from _vectors_against_rows(store)
    yield from _links_against_rows(store)


def _all_records(store: Store) -> Iterator[tuple[int, Record]]:
    last = 0
    while page := store.read(f"SELECT record.n, {COLUMNS} FROM record WHERE n > ? ORDER BY n LIMIT 1000", (last,)):
        for row in page:
            yield row[0], record_of(row[1:])
        last = page[-1][0]


def _log_against_rows(store: Store) -> Iterator[Problem]:
    """Replaying the log must give the records."""
    replayed: dict[tuple[str, str], str] = {}
    last = 0
    while page := store.read(
        "SELECT n, space, target, after FROM operation WHERE n > ? AND kind NOT IN ('link', 'unlink') AND target != '' "
        "ORDER BY n LIMIT 5000", (last,)
    ):  # fmt: skip
        for _, space, target, after in page:
            replayed.pop((space, target), None)
            if after is not None:
                replayed[space, target] = after
        last = page[-1][0]
    for _, record in _all_records(store):
        state = replayed.pop((record.space, record.id), None)
        if state is None:
            yield Problem("log", f"record {record.id} is not in the log", False)
        elif {name: value for name, value in json.loads(state).items() if name != "edges"} != state_of(record):
            yield Problem("log", f"record {record.id} differs from what the log says", False)
    for _, id in replayed:
        yield Problem("log", f"record {id} stands in the log but not in the rows", False)


def _words_against_rows(store: Store) -> Iterator[Problem]:
    """The full-text index must hold each record's stemmed words, as often as they occur."""
    indexed: dict[int, Counter[str]] = {}
    for n, term in store.read("SELECT doc, term FROM posting"):
        indexed.setdefault(n, Counter())[term] += 1
    for n, record in _all_records(store):
        if indexed.pop(n, Counter()) != Counter(keys(terms(record.text))):
            yield Problem("words", f"the words of record {record.id} are not indexed as they stand", True)
    if indexed:
        yield Problem("words", f"{len(indexed)} records that are gone are still indexed", True)


def _vectors_against_rows(store: Store) -> Iterator[Problem]:
    embedder = store.embedder()
    if embedder is None:
        return
    number, name, dimensions = embedder
    missing = store.read(
        "SELECT count(*) FROM record LEFT JOIN vector ON vector.record = record.n AND vector.embedder = ? "
        "WHERE vector.record IS NULL", (number,)
    )[0][0]  # fmt: skip
    if missing:
        yield Problem("vectors", f"{missing} records have no vectors of {name}", True)
    orphans = store.read("SELECT count(*) FROM vector WHERE record NOT IN (SELECT n FROM record)")[0][0]
    if orphans:
        yield Problem("vectors", f"{orphans} vectors belong to records that are gone", True)
    size = window_type(dimensions).itemsize
    wrong = store.read(
        "SELECT count(*) FROM vector WHERE embedder = ? AND (length(windows) = 0 OR length(windows) % ? != 0)",
        (number, size),
    )[0][0]
    if wrong:
        yield Problem("vectors", f"{wrong} records have vectors of a wrong size", True)


def _links_against_rows(store: Store) -> Iterator[Problem]:
    edges = store.read("SELECT count(*) FROM edge WHERE source IS NOT NULL AND source NOT IN (SELECT id FROM record)")
    if edges[0][0]:
        yield Problem("edges", f"{edges[0][0]} links were read from records that are gone", True)
    pairs = {(source, record.id) for _, record in _all_records(store) for source in record.derived_from}
    if pairs != set(store.read("SELECT source, record FROM derivation")):
        yield Problem("derivation", "the table of what was derived from what is not as the records say", True)


def _mend(store: Store, windows: Callable[[Sequence[str]], dict[str, bytes]]) -> None:
    """Build every index again from the rows, and fill in missing vectors; slow work before each transaction."""
    with store.transaction() as db:
        db.execute("INSERT INTO words (words) VALUES ('delete-all')")
        db.execute("DELETE FROM derivation")
        for n, record in _all_records(store):
            db.execute("INSERT INTO words (rowid, terms) VALUES (?, ?)", (n, " ".join(keys(terms(record.text)))))
            pairs = [(source, record.id) for source in record.derived_from]
            db.executemany("INSERT OR IGNORE INTO derivation VALUES (?, ?)", pairs)
        db.execute("DELETE FROM edge WHERE source IS NOT NULL AND source NOT IN (SELECT id FROM record)")
        db.execute("DELETE FROM vector WHERE record NOT IN (SELECT n FROM record)")
        embedder = store.embedder()
        if embedder is not None:
            size = window_type(embedder[2]).itemsize
            db.execute("DELETE FROM vector WHERE embedder = ? AND (length(windows) = 0 OR length(windows) % ? != 0)",
                       (embedder[0], size))  # fmt: skip
    if embedder is not None:
        fill_vectors(store, embedder[0], windows)


def fill_vectors(store: Store, embedder: int, windows: Callable[[Sequence[str]], dict[str, bytes]]) -> None:
    """Embed every record that has no vectors of this embedder, a batch per transaction."""
    for _ in missing_vectors(store, embedder, windows, batch=_EMBED):
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
