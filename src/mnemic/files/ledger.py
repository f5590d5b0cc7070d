"""Which files a space has read, and how far: so that the next run skips, or goes on.

A file's line is written after the records that it speaks of, so it never promises what is not there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

from mnemic import __version__
from mnemic.db.rows import write_ledger
from mnemic.db.store import Store
from mnemic.errors import InputError
from mnemic.files.bad import Bad
from mnemic.files.file import source_of
from mnemic.files.fingerprints import Fingerprint
from mnemic.moment import moment, now, shown

_RACY_S = 2.0  # a file that was changed so shortly before may be changed again without a newer time
_KEPT = 100  # refusals of a file that are remembered, so that skipping it can repeat them. (Notes are not: they quote
# texts of records, and what is erased must stand nowhere.)
_MARK: dict[str, type] = {"size": int, "mtime_ns": int, "digest": str}
_NEEDED: dict[str, type] = {"path": str, "items": int, "whole": bool, "again": bool}
_REPORT = {**_NEEDED, "records": int, "refused": int, "version": str, "reasons": list}
_REASON = (str, str, bool, bool)  # place, reason, kept, stopped of a Bad


@dataclass(frozen=True)
class Entry:
    """What is known about one file.

    path      absolute, to tell two files of one name apart; bytes of it that are no UTF-8 as Python spells them
    items     how many items of the file are in the memory, or were refused
    whole     it was read to its end
    again     it was known before, with another content: places may have gone
    version   of mnemic: another one may count items otherwise
    """

    source: str
    path: str
    mark: Fingerprint
    items: int
    whole: bool
    again: bool
    records: int = 0
    refused: int = 0
    reasons: tuple[Bad, ...] = ()
    version: str = __version__
    at: str = ""

    @property
    def settled(self) -> Fingerprint | None:
        """The mark, when the file's size and time are enough to know it again."""
        written = moment(self.at).start if self.at else 0.0
        return self.mark if written - self.mark.mtime_ns / 1e9 > _RACY_S else None


class Ledger:
    """The lines of one space. One that cannot be read counts as none: its file is read again."""

    def __init__(self, store: Store, space: str) -> None:
        self.store, self.space = store, space
        rows = store.read("SELECT source, fingerprint, report, at FROM ledger WHERE space = ?", (space,))
        found = ((source, _readable(source, *row)) for source, *row in rows)
        self.path_of: dict[str, str] = {source: known.path for source, known in found if known}
        self.source_at = {path: source for source, path in self.path_of.items()}

    def source(self, path: Path) -> str:
        """What the file's records are called after: as before, wherever it is called from; else its path as given.

        Two files that were given by the same name ("README.md", from two folders) must not replace each other.
        """
        where = os.path.abspath(path)
        if where not in self.source_at:
            name = next(name for name in _names(path, where) if not self._taken(name, where))
            self.source_at[where], self.path_of[name] = name, where
        return self.source_at[where]

    def _taken(self, name: str, where: str) -> bool:
        owner = self.path_of.get(name)
        return owner is not None and owner != where and os.path.exists(owner)  # not moved here from there

    def entry(self, source: str) -> Entry | None:
        rows = self.store.read("SELECT fingerprint, report, at FROM ledger WHERE space = ? AND source = ?",
                               (self.space, source))  # fmt: skip
        return _readable(source, *rows[0]) if rows else None

    def save(self, entries: Sequence[Entry]) -> None:
        """Write the lines of some files, in one transaction."""
        if entries:
            rows = [(self.space, e.source, json.dumps(asdict(e.mark)), _report(e), now().text) for e in entries]
            with self.store.transaction() as db:
                write_ledger(db, rows)


def _names(path: Path, where: str) -> Iterator[str]:
    """As it was given, in full, and numbered: two names may look the same once they are text."""
    yield source_of(path)
    yield source_of(Path(where))
    for number in count(2):
        yield f"{source_of(Path(where))} ({number})"


def _readable(source: str, mark: Any, report: Any, at: Any) -> Entry | None:
    try:
        return entry_of(source, mark, report, at)
    except InputError:
        return None


def entry_of(source: str, mark: Any, report: Any, at: Any) -> Entry:
    """A row of the ledger, as its columns have it; raises InputError for what is none."""
    try:
        told, known = json.loads(report), json.loads(mark)
        written = moment(at).text
    except (TypeError, ValueError, RecursionError):
        raise InputError("fingerprint and report of a file must be JSON in a text.") from None
    _check(told, "report", _REPORT, _NEEDED)
    _check(known, "fingerprint", _MARK, _MARK)
    given = told.pop("reasons", [])
    for reason in given:
        if not isinstance(reason, list) or tuple(map(type, reason)) != _REASON:
            raise InputError(f"a reason in the report is [place, reason, kept, stopped], got {shown(reason)}.")
    reasons = tuple(Bad(source, *reason) for reason in given)
    return Entry(source, mark=Fingerprint(**known), reasons=reasons, at=written, **told)


def _check(told: Any, what: str, types: dict[str, type], needed: dict[str, type]) -> None:
    if not isinstance(told, dict) or not needed.keys() <= told.keys() <= types.keys():
        raise InputError(f"the {what} of a file has {', '.join(types)}, got {shown(told)}.")
    for name, value in told.items():
        if type(value) is not types[name] or (isinstance(value, int) and value < 0 and name != "mtime_ns"):
            raise InputError(f'"{name}" in the {what} of a file cannot be {shown(value)}.')


def _report(entry: Entry) -> str:
    """As JSON in ASCII: it can say bytes of a path that are no UTF-8, which the file could not hold."""
    told = {name: getattr(entry, name) for name in ("path", "items", "whole", "again", "records", "refused", "version")}
    told["reasons"] = [(bad.place, bad.reason, bad.kept, bad.stopped) for bad in entry.reasons[:_KEPT]]
    return json.dumps(told)
