"""Adding spaces to a memory that has others: in one transaction, with numbers that are free there.

Others may write to the target before and after, and would take the very numbers: so it is all or nothing, and a run
that is killed leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mnemic.copying.mark import name_of
from mnemic.copying.progress import Copied, Count, Progress
from mnemic.copying.tables import OF_SPACES, Part, Row, Sum, Table, insert, sum_of
from mnemic.db.conditions import marks
from mnemic.db.connection import Connection
from mnemic.db.rows import embedder_number, write_embedder
from mnemic.db.store import Store
from mnemic.errors import Conflict, EmbedderMismatch, InputError


class Adding:
    """One run.

    copied_before   the target was a copy of the source, and was written to since
    """

    def __init__(self, source: Store, target: Store, spaces: tuple[str, ...], *, copied_before: bool) -> None:
        self.source, self.target, self.spaces, self.copied_before = source, target, spaces, copied_before
        self.sums: dict[str, Sum] = {}
        self.done = self.total = 0

    def run(self) -> Iterator[Progress]:
        here = Part(self.source, self.spaces, None)
        with self.source.one_moment():
            position = here.newest()
            with self.target.transaction(whole=True) as db:
                self._refuse()
                yield from self._write(db)
        tables = tuple(Count(name, each.rows, each.digest) for name, each in self.sums.items())
        copied = Copied(name_of(self.source.path), name_of(self.target.path), self.spaces, position, self.done, 0,
                        here.since(position), False, "", tables)  # fmt: skip
        yield Progress("checking", OF_SPACES[-1].name, self.total, self.total, copied)

    def _refuse(self) -> None:
        for table in OF_SPACES:
            if "space" not in table.columns:
                continue
            taken = self.target.read(f"SELECT space FROM {table.name} WHERE space IN ({marks(self.spaces)}) LIMIT 1",
                                     self.spaces)  # fmt: skip
            if taken:
                why = "it was written to since it was copied" if self.copied_before else "spaces are never mixed"
                raise InputError(f'{self.target.path}: holds the space "{taken[0][0]}" already, and {why}: name a new '
                                 "target, or other spaces.")  # fmt: skip
        has, wanted = self.target.embedder(), self.source.embedder()
        if has and wanted and has[1:] != wanted[1:]:
            raise EmbedderMismatch(
                f"{self.target.path}: its vectors were made by {has[1]}, those of the source by {wanted[1]}, and they "
                f"are never mixed: name a new target, or `mnemic reembed` one of both."
            )

    def _write(self, db: Connection) -> Iterator[Progress]:
        embedder = self.source.embedder()
        number = self._embedder(db, embedder)
        by = self._free(embedder[0] if embedder else 0, number)
        back = {name: -step for name, step in by.items()}
        here = Part(self.source, self.spaces, embedder[0] if embedder else None)
        there = Part(self.target, self.spaces, number or None)
        self.total = sum(here.count(table) for table in OF_SPACES)
        for table in OF_SPACES:
            self.sums[table.name] = Sum()
            for rows in here.pages(table):
                self._refuse_taken(table, rows)
                insert(self.target, db, table, table.moved(rows, by))
                self.sums[table.name].add(rows)
                self.done += len(rows)
                yield Progress("copying", table.name, self.done, self.total)
        for table in OF_SPACES:
            if sum_of(there, table, back, lambda rows: None) != self.sums[table.name]:
                raise Conflict(f"{self.target.path}: its table {table.name} is not what was written to it; nothing "
                               "was copied.")  # fmt: skip
            yield Progress("checking", table.name, self.total, self.total)
        self.target.go_on_numbering(db)

    def _embedder(self, db: Connection, embedder: tuple[int, str, int] | None) -> int:
        """The target's number for the source's embedder; 0 without one."""
        if embedder is None:
            return 0
        number = embedder_number(db, *embedder[1:])
        if self.target.embedder() is None:
            write_embedder(db, number)
        return number

    def _free(self, embedder: int, number: int) -> Mapping[str, int]:
        """How far each kind of number is moved: behind all that the target has, or names in its log."""

        def newest(sql: str) -> int:
            return int(self.target.read(sql)[0][0])

        return {
            "record": max(newest("SELECT coalesce(max(n), 0) FROM record"),
                          newest("SELECT coalesce(max(record), 0) FROM operation")),
            "operation": self.target.position(),
            "edge": newest("SELECT coalesce(max(n), 0) FROM edge"),
            "embedder": number - embedder,
        }  # fmt: skip

    def _refuse_taken(self, table: Table, rows: Sequence[Row]) -> None:
        """An id names one record of a memory, whatever its space."""
        if table.name != "record":
            return
        taken = self.target.read(f"SELECT id, space FROM record WHERE id IN ({marks(rows)}) LIMIT 1",
                                 [row[1] for row in rows])  # fmt: skip
        if taken:
            raise InputError(f'{self.target.path}: has a record {taken[0][0]} already, in the space "{taken[0][1]}"; '
                             "nothing was copied: name a new target.")  # fmt: skip
