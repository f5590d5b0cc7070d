"""Filling a new memory with all of another, or going on with that.

A run compares both sides page by page and writes what differs, so it does not matter where an earlier one was killed
or what has changed in the source since. Only a target that nobody else has written to is compared: what is not in the
source is taken out of it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from mnemic.copying.mark import Mark, mark_of, name_of
from mnemic.copying.progress import Copied, Count, Progress
from mnemic.copying.tables import OF_PEOPLE, TABLES, Part, Row, Sum, Table, insert, remove, sum_of
from mnemic.db.caches import drop_caches
from mnemic.db.connection import Connection
from mnemic.db.rows import write_embedder
from mnemic.db.store import Store
from mnemic.errors import Conflict

_ROUNDS = 4  # how often a run looks for what was written to the source while it copied


def is_empty(store: Store) -> bool:
    """True for a memory that nothing was ever written to."""
    return not any(store.read(f"SELECT 1 FROM {table.name} LIMIT 1") for table in TABLES)


def is_untouched(target: Store, mark: Mark) -> bool:
    """True for a complete copy whose rows are still those that were copied."""
    sums = ((table, sum_of(Part(target, None, None), table, {}, lambda rows: None)) for table in TABLES)
    return all((each.rows, each.digest) == mark.done.get(table.name, (0, Sum().digest)) for table, each in sums)


class Filling:
    """One run."""

    def __init__(self, source: Store, target: Store, spaces: tuple[str, ...] | None, mark: Mark | None) -> None:
        self.source, self.target, self.spaces = source, target, spaces
        self.tables = [table for table in TABLES if spaces is None or table.name not in OF_PEOPLE]
        self.there = Part(target, None, None)
        self.found = mark
        self.mark = Mark(name_of(source.path), spaces, uuid.uuid4().hex, mark.position if mark else 0,
                         mark.removed if mark else 0)  # fmt: skip
        self.sums: dict[str, Sum] = {}
        self.done = self.total = self.written = self.removed = self.position = 0

    def run(self) -> Iterator[Progress]:
        self._begin()
        for _ in range(_ROUNDS):
            with self.source.one_moment():  # what is written to the source meanwhile is seen in the next round
                yield from self._round()
            if self.here.newest() == self.position:
                break
        yield from self._check()
        yield self._last(self._finish(), self.here.since(self.position))

    def _begin(self) -> None:
        with self.target.transaction(whole=True) as db:
            if mark_of(self.target) != self.found or (self.found is None and not is_empty(self.target)):
                raise Conflict(f"{self.target.path}: another process has begun to write to it; nothing was copied.")
            if self.target.position() != self.mark.position:
                raise self._used()
            self.mark.write(db)

    @contextmanager
    def _batch(self) -> Iterator[Connection]:
        """A transaction on the target, if it is still this run's own."""
        with self.target.transaction(whole=True) as db:
            if mark_of(self.target) != self.mark or self.target.position() != self.mark.position:
                raise self._used()
            yield db
            after = replace(self.mark, position=self.target.position())
            after.write(db)
        self.mark = after

    def _used(self) -> Conflict:
        return Conflict(f"{self.target.path}: somebody else has written to it before the copy was complete; nothing of "
                        "that was touched. Keep it for what it is and name a new target.")  # fmt: skip

    # ---- one round

    def _round(self) -> Iterator[Progress]:
        embedder = self.source.embedder()
        self.here = here = Part(self.source, self.spaces, embedder[0] if embedder else None)
        self.position = here.newest()
        self.total, self.done, self.sums = sum(here.count(table) for table in self.tables), 0, {}
        for table in reversed(self.tables):
            self._drop(table, here)
        for table in self.tables:
            self.sums[table.name] = Sum()
            for rows in here.pages(table):
                self._bring(table, rows, embedder[0] if embedder else None)
                self.sums[table.name].add(rows)
                self.done += len(rows)
                yield Progress("copying", table.name, self.done, self.total)

    def _drop(self, table: Table, here: Part) -> None:
        """Take out what an earlier run brought and the source no longer has."""
        for keys in self.there.pages(table, keys=True):
            kept = here.at(table, keys, whole=False)
            gone = [key for key in keys if key not in kept]
            if gone:
                with self._batch() as db:
                    self._remove(db, table, list(self.there.at(table, gone).values()))

    def _bring(self, table: Table, rows: Sequence[Row], embedder: int | None) -> None:
        has = self.there.at(table, [table.key(row) for row in rows])
        new = [row for row in rows if has.get(table.key(row)) != row]
        if not new:
            return
        with self._batch() as db:
            self._remove(db, table, [has[table.key(row)] for row in new if table.key(row) in has])
            insert(self.target, db, table, new)
            if table.name == "embedder" and embedder is not None:
                write_embedder(db, embedder)
        self.written += len(new)

    def _remove(self, db: Connection, table: Table, rows: Sequence[Row]) -> None:
        remove(self.target, db, table, rows)
        self.removed += len(rows)
        self.mark = replace(self.mark, removed=self.mark.removed + len(rows))

    # ---- the end

    def _check(self) -> Iterator[Progress]:
        """Read the copy again, as it is on disk now."""
        done = 0
        for table in self.tables:
            found = Sum()
            for rows in self.there.pages(table):
                found.add(rows)
                done += len(rows)
                yield Progress("checking", table.name, done, self.total)
            if found != self.sums[table.name]:
                raise Conflict(f"{self.target.path}: its table {table.name} is not what was written to it: was it used "
                               "meanwhile? Run the same copy again.")  # fmt: skip

    def _finish(self) -> str:
        """Mark it complete; returns why traces of what is gone from the source may be left."""
        traces = ""
        if self.mark.removed:  # something may have been erased in the source: its text must not stay behind here
            with self._batch() as db:
                self.target.compact(db)
            drop_caches(self.target.path)
            traces = self.target.rewrite()
        with self._batch() as db:
            self.target.go_on_numbering(db)
            done = {name: (each.rows, each.digest) for name, each in self.sums.items()}
            self.mark = replace(self.mark, removed=0, done=done)
        return traces

    def _last(self, traces: str, behind: int) -> Progress:
        tables = tuple(Count(name, each.rows, each.digest) for name, each in self.sums.items())
        copied = Copied(self.mark.source, name_of(self.target.path), self.spaces, self.position, self.written,
                        self.removed, behind, self.spaces is None, traces, tables)  # fmt: skip
        return Progress("checking", self.tables[-1].name, self.total, self.total, copied)
