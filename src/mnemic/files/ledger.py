"""Which files a space has read, and how far: so that the next run skips, or goes on.

A file's line is written after the records that it speaks of, so it never promises what is not there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mnemic import __version__
from mnemic.db.store import Store
from mnemic.files.bad import Bad
from mnemic.files.file import source_of
from mnemic.files.fingerprints import Fingerprint
from mnemic.moment import moment, now

_RACY_S = 2.0  # a file that was changed so shortly before may be changed again without a newer time
_KEPT = 100  # refusals of a file that are remembered, so that skipping it can repeat them. (Notes are not: they quote
# texts of records, and what is erased must stand nowhere.)


@dataclass(frozen=True)
class Entry:
    """What is known about one file.

    path      absolute, to tell two files of one name apart
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
    """The lines of one space."""

    def __init__(self, store: Store, space: str) -> None:
        self.store, self.space = store, space
        rows = store.read("SELECT json_extract(report, '$.path'), source FROM ledger WHERE space = ?", (space,))
        self.source_at: dict[str, str] = dict(rows)
        self.path_of = {source: path for path, source in rows}

    def source(self, path: Path) -> str:
        """What the file's records are called after: as before, wherever it is called from; else its path as given.

        Two files that were given by the same name ("README.md", from two folders) must not replace each other.
        """
        where = os.path.abspath(path)
        name = source_of(path)
        if where not in self.source_at:
            owner = self.path_of.get(name)
            taken = owner is not None and owner != where and os.path.exists(owner)  # not moved here from there
            name = source_of(Path(where)) if taken else name
            self.source_at[where], self.path_of[name] = name, where
        return self.source_at[where]

    def entry(self, source: str) -> Entry | None:
        rows = self.store.read("SELECT fingerprint, report, at FROM ledger WHERE space = ? AND source = ?",
                               (self.space, source))  # fmt: skip
        if not rows:
            return None
        mark, report, at = rows[0]
        told = json.loads(report)
        told["reasons"] = tuple(Bad(source, *bad) for bad in told["reasons"])
        return Entry(source, mark=Fingerprint(**json.loads(mark)), at=at, **told)

    def save(self, entries: Sequence[Entry]) -> None:
        """Write the lines of some files, in one transaction."""
        if entries:
            rows = [(self.space, e.source, json.dumps(asdict(e.mark)), _report(e), now().text) for e in entries]
            with self.store.transaction() as db:
                db.executemany("INSERT OR REPLACE INTO ledger VALUES (?, ?, ?, ?, ?)", rows)


def _report(entry: Entry) -> str:
    told = {name: getattr(entry, name) for name in ("path", "items", "whole", "again", "records", "refused", "version")}
    told["reasons"] = [(bad.place, bad.reason, bad.kept, bad.stopped) for bad in entry.reasons[:_KEPT]]
    return json.dumps(told, ensure_ascii=False)
