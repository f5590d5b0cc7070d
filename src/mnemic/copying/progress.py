"""How far a copy is, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Count:
    """One table: how many rows, and the digest of them that source and copy have in common."""

    table: str
    rows: int
    digest: str


@dataclass(frozen=True)
class Copied:
    """What a copy holds, compared row by row with the source.

    source, target  places; an address without its password
    spaces          those that were named, None for all
    position        n of the newest operation of the source that is in it
    written         rows that this run had to write; removed: rows that an earlier run had written and that are gone
    behind          operations that the source has got since: run it again to fetch them
    people          whether principals, tokens and permissions came along
    traces          why text that was erased in the source may still stand in free pages of the target; mostly empty
    tables          what was compared
    """

    source: str
    target: str
    spaces: tuple[str, ...] | None
    position: int
    written: int
    removed: int
    behind: int
    people: bool
    traces: str
    tables: tuple[Count, ...]

    def rows(self, table: str) -> int:
        return next((each.rows for each in self.tables if each.table == table), 0)


@dataclass(frozen=True)
class Progress:
    """done of total rows; `copied` stands in the last one.

    step   copying, or checking: reading the copy again, to compare it with the source
    """

    step: Literal["copying", "checking"]
    table: str
    done: int
    total: int
    copied: Copied | None = None
