"""Files and folders into a memory: in batches, each of them on disk before it is reported; stopped runs go on.

for report in memory.ingest(["notes/", "chat.jsonl"]):
    print(report.path, report.state, report.added)

What a file holds is read by mnemic.files, a piece at a time. A batch may span many small files, so that the
embedder always has enough to do at once. The ledger notes how far each file was read: an unchanged file is
skipped, a stopped one goes on, of a changed one the records are updated, added or (gone from it) deleted.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from mnemic.errors import Conflict, InputError, NotFound
from mnemic.files import Bad, Fingerprint, fingerprint, missing, read, walk
from mnemic.files.bad import Item
from mnemic.files.file import source_of
from mnemic.files.ledger import Entry, Ledger
from mnemic.gate.marking import is_marked, mark_source, marked
from mnemic.record import Chunk, Operation, Outcome

if TYPE_CHECKING:
    from mnemic.memory import Memory

BATCH_CHARACTERS = 200_000  # of one batch: about ten seconds of embedding, the most that kill -9 makes undone
_MOST_REASONS = 1000  # kept for one file; all are counted
_TRIES = 3  # when another process changes the very records that a batch is about
_PAGE = 1000  # records looked through or deleted at a time


@dataclass(frozen=True)
class FileReport:
    """How far a file is, counted from the beginning of the file; the last report of a file has a state but "reading".

    path       as it was given, or found in a folder that was
    source     what its records are called after: the path, as it was given when the file was first read
    state      reading (so many are on disk, it goes on), done, unchanged (it is as it was, nothing was read), bad
               (nothing of it could be read)
    added      records that are new; unchanged: that were there; updated: whose place in the file holds another
               text now; gone: deleted, because a changed file no longer has their place
    refused    items that could not be read or kept; reasons: why, the first thousand
    notes      what was kept, but with something lost or guessed: a time that cannot be read, an encoding
    done, size          bytes of this file
    all_done, all_size  bytes of all files of the call: what a progress bar shows
    """

    path: str
    source: str
    state: Literal["reading", "done", "unchanged", "bad"]
    added: int = 0
    unchanged: int = 0
    updated: int = 0
    gone: int = 0
    refused: int = 0
    reasons: tuple[Bad, ...] = ()
    notes: tuple[Bad, ...] = ()
    done: int = 0
    size: int = 0
    all_done: int = 0
    all_size: int = 0


def ingest(memory: Memory, paths: Iterable[str | Path] | str | Path, *, batch: int = 512,
           untrusted: bool = False, reader: Reader | None = None) -> Iterator[FileReport]:  # fmt: skip
    """Remember files and folders; yields a report after each batch, and one for each file when it is done.

    batch    records that are embedded and written at once, in one transaction; fewer when they are long. The embedder
             sorts them by length: 128 chat messages cost it a quarter more padding than 512
    untrusted  others wrote the files: all records of them are marked so (see mnemic.gate), those too that were there.
             A file that was read so stays so; to trust it, forget its records and read it again
    reader     what reads the files; None for this process (mnemic.ingest_ray has one for many machines)

    Raises InputError at once, before anything is written, for a path that does not exist.
    """
    given = [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
    if batch < 1:
        raise InputError(f"batch is {batch}: use at least 1.")
    for path in given:
        if reason := missing(path):
            raise InputError(f"{source_of(path)}: {reason.rstrip('.')}; nothing was added: look at the name.")
    return _Ingest(memory, batch, untrusted, reader or Here()).run(given)


Pieces = Iterator[tuple[Item, int]]  # of a file: each with the bytes of the file that were read up to it


class Reader(Protocol):
    """What reads files: may look ahead and do so anywhere, but tells of them one after the other, in their order."""

    def files(self, found: Iterator[Reading | Bad]) -> Iterator[tuple[Reading | Bad, Pieces]]:
        """Each file with what is in it from its `start` on; nothing of one to skip, or of a path that is Bad."""


class Here:
    """Reads in this process."""

    def files(self, found: Iterator[Reading | Bad]) -> Iterator[tuple[Reading | Bad, Pieces]]:
        for each in found:
            if isinstance(each, Bad) or each.skip:
                yield each, iter(())
            else:
                yield each, pieces(each.path, each.source, each.start)


def pieces(path: Path, source: str, start: int) -> Pieces:
    """What is in a file, from the item `start` on."""
    at = 0

    def note(done: int) -> None:
        nonlocal at
        at = done

    for item in read(path, source=source, start=start, progress=note):
        yield item, at


def is_full(count: int, characters: int, batch: int) -> bool:
    """Is a batch of so many items to be written?"""
    return count >= batch or characters >= BATCH_CHARACTERS


@dataclass
class Reading:
    """A file on its way.

    known      what the ledger says of it, None for a new one
    skip       it need not be read: it is as it was
    start      items that an earlier, stopped run has seen to
    items      items that were read, those of the earlier run too
    waiting    of them, not yet in the memory
    places     64-bit hashes of all places that were seen, when places may have gone
    """

    path: Path
    source: str
    size: int
    mark: Fingerprint | None
    known: Entry | None
    skip: bool = False
    start: int = 0
    items: int = 0
    waiting: int = 0
    ended: bool = False
    stopped: bool = False
    done: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("added", "unchanged", "updated", "gone"), 0))
    refused: int = 0
    reasons: list[Bad] = field(default_factory=list)
    notes: list[Bad] = field(default_factory=list)
    places: array[int] = field(default_factory=lambda: array("q"))

    def __post_init__(self) -> None:
        known = self.known
        if known is None:
            return
        same = self.mark is not None and self.mark.digest == known.mark.digest
        if same and not (known.whole or known.again) and known.version == Entry.version:
            self.start = self.items = known.items
            self.counts["unchanged"], self.refused = known.records, known.refused
            self.reasons = list(known.reasons)

    @property
    def again(self) -> bool:
        """It was read before, and not by a run that this one continues: places may have gone since."""
        return self.known is not None and not self.start

    @property
    def records(self) -> int:
        """How many the memory holds of it, as far as it was read."""
        return self.counts["added"] + self.counts["unchanged"] + self.counts["updated"]

    @property
    def whole(self) -> bool:
        """It was read to its end, and something was in it: one that suddenly holds nothing is an accident."""
        return self.ended and not self.stopped and self.records > 0

    def bad(self, bad: Bad) -> None:
        """Note what could not be read; its place is still there."""
        self.stopped = self.stopped or bad.stopped
        self.see(bad.place)
        if bad.kept:
            self.notes.append(bad)
        else:
            self.refuse(bad)

    def refuse(self, bad: Bad) -> None:
        self.refused += 1
        if len(self.reasons) < _MOST_REASONS:
            self.reasons.append(bad)

    def see(self, place: str | None) -> None:
        if self.again and place:
            self.places.append(_hash(place))

    def count(self, chunk: Chunk, outcome: Outcome) -> None:
        self.waiting -= 1
        if outcome.state == "refused":
            self.refuse(Bad(self.source, chunk.place or "", outcome.reason))
        else:
            self.counts[outcome.state] += 1

    def entry(self) -> Entry | None:
        """What the ledger shall say; nothing for a file that changed meanwhile, or of which nothing is kept."""
        if self.mark is None or not self.records:
            return None
        again = self.stopped or (self.again and not self.whole)  # where a reader stops, the next one need not
        return Entry(self.source, os.path.abspath(self.path), self.mark, self.items, self.whole, again, self.records,
                     self.refused, tuple(self.reasons))  # fmt: skip


class _Ingest:
    """One call: the files in order, and the batch that waits to be written."""

    def __init__(self, memory: Memory, batch: int, untrusted: bool, reader: Reader) -> None:
        self.memory, self.batch, self.untrusted, self.reader = memory, batch, untrusted, reader
        self.ledger = Ledger(memory.store, memory.space)
        self.waiting: list[tuple[Chunk, Reading]] = []
        self.characters = 0
        self.ended: list[Reading] = []  # read to the end, with items that wait
        self.all_done = self.all_size = 0

    def run(self, given: Sequence[Path]) -> Iterator[FileReport]:
        mine = {os.path.abspath(self.memory.path + end) for end in ("", "-wal", "-shm")}
        found = [(item, 0 if isinstance(item, Bad) else _size(item)) for item in walk(given, but=mine)]
        self.all_size = sum(size for _, size in found)
        for each, items in self.reader.files(self._looked_at(item, size) for item, size in found):
            if isinstance(each, Bad):
                yield FileReport(each.source, each.source, "bad", refused=1, reasons=(each,),
                                 all_done=self.all_done, all_size=self.all_size)  # fmt: skip
            else:
                yield from self._file(each, items)
        yield from self._write()

    def _looked_at(self, path: Path | Bad, size: int) -> Reading | Bad:
        """Nothing is written here: a reader may look at a file long before its turn."""
        if isinstance(path, Bad):
            return path
        source = self.ledger.source(path)
        known = self.ledger.entry(source)
        mark = _mark(path, known)
        return Reading(path, source, size, mark, known, known is not None and self._is_as_it_was(known, mark))

    def _file(self, reading: Reading, items: Pieces) -> Iterator[FileReport]:
        source, known = reading.source, reading.known
        newly = mark_source(self.memory, source) if self.untrusted else 0  # also what an unchanged file gave before
        if known is not None and reading.skip:
            yield self._skipped(reading, known, newly)
            return
        if known is not None and known.whole:  # from the first batch on, the memory is no longer what that line says
            self.ledger.save([replace(known, whole=False, again=True)])
        untrusted = self.untrusted or (known is not None and is_marked(self.memory, source))
        for item, reading.done in items:
            reading.items += 1
            if isinstance(item, Bad):
                reading.bad(item)
                continue
            reading.see(item.place)
            reading.waiting += 1
            self.waiting.append((marked(item) if untrusted else item, reading))
            self.characters += len(item.text)
            if is_full(len(self.waiting), self.characters, self.batch):
                yield from self._write()
                self.ledger.save([entry] if (entry := reading.entry()) else [])
                yield self._report(reading, "reading")
        reading.ended, reading.done = True, reading.size
        self.ended.append(reading)
        if not reading.waiting:
            yield from self._finish()

    # ---- what need not be read

    def _is_as_it_was(self, known: Entry, mark: Fingerprint | None) -> bool:
        if mark is None or not known.whole or mark.digest != known.mark.digest:
            return False
        # Forgotten as a whole and given again: it is wanted. (What a budget let go must not come back each time.)
        return self.memory.budget is not None or self._remembers(known.source)

    def _remembers(self, source: str) -> bool:
        sql = "SELECT 1 FROM record WHERE source = ? AND place IS NOT NULL AND space = ? LIMIT 1"
        return bool(self.memory.store.read(sql, (source, self.memory.space)))

    def _skipped(self, reading: Reading, known: Entry, newly: int) -> FileReport:
        """newly   records that were marked as untrusted just now"""
        if reading.mark is not None and reading.mark != known.settled:  # touched, or known too freshly
            self.ledger.save([replace(known, mark=reading.mark)])
        reading.done = reading.size
        reading.counts["updated"] = min(newly, known.records)
        reading.counts["unchanged"], reading.refused = known.records - reading.counts["updated"], known.refused
        reading.reasons = list(known.reasons)
        self.all_done += reading.size
        return self._report(reading, "unchanged", ended=True)

    # ---- what is written

    def _write(self) -> Iterator[FileReport]:
        """Write the batch, then tell of the files that it completes."""
        waiting, self.waiting, self.characters = self.waiting, [], 0
        if waiting:
            outcomes = self._remember([chunk for chunk, _ in waiting])
            for (chunk, reading), outcome in zip(waiting, outcomes, strict=True):
                reading.count(chunk, outcome)
        yield from self._finish()

    def _remember(self, chunks: Sequence[Chunk]) -> list[Outcome]:
        for _ in range(_TRIES - 1):
            try:
                return self.memory.add_many(chunks)
            except Conflict:
                continue
        return self.memory.add_many(chunks)

    def _finish(self) -> Iterator[FileReport]:
        ready = [reading for reading in self.ended if not reading.waiting]
        self.ended = [reading for reading in self.ended if reading.waiting]
        for reading in ready:
            if _mark(reading.path, None, quick=reading.mark) != reading.mark:
                reading.mark = None  # it was written to meanwhile: the next run reads it again
            elif reading.again and reading.whole and getattr(self.memory.writer, "keeps_chunks", False):
                reading.counts["gone"] = self._drop_gone(reading)
        self.ledger.save([entry for reading in ready if (entry := reading.entry())])
        for reading in ready:
            self.all_done += reading.size
            yield self._report(reading, "done" if reading.records else "bad", ended=True)

    def _report(self, reading: Reading, state: Literal["reading", "done", "unchanged", "bad"], *,
                ended: bool = False) -> FileReport:  # fmt: skip
        return FileReport(
            source_of(reading.path), reading.source, state, **reading.counts, refused=reading.refused,
            reasons=tuple(reading.reasons), notes=tuple(reading.notes), done=reading.done, size=reading.size,
            all_done=self.all_done + (0 if ended else reading.done), all_size=self.all_size,
        )  # fmt: skip

    # ---- what a changed file no longer has

    def _drop_gone(self, reading: Reading) -> int:
        """Delete the file's records whose place was not seen; what was derived from others is not the file's."""
        seen = np.unique(np.array(reading.places, np.int64))
        place, n, count = "", 0, 0
        while page := self.memory.store.read(
            "SELECT place, n, id, derived_from FROM record WHERE source = ? AND space = ? AND place IS NOT NULL "
            "AND (place, n) > (?, ?) ORDER BY place, n LIMIT ?",
            (reading.source, self.memory.space, place, n, _PAGE),
        ):
            there = np.isin([_hash(row[0]) for row in page], seen)
            gone = [row[2] for row, kept in zip(page, there, strict=True) if not kept and not row[3]]
            count += self._delete(gone, f"gone from {reading.source}")
            place, n = page[-1][:2]
        return count

    def _delete(self, ids: Sequence[str], why: str) -> int:
        """What another process has deleted meanwhile is gone all the same."""
        for _ in range(_TRIES):
            there = [id for id in ids if self.memory.store.find(id, self.memory.space)]
            try:
                return len(self.memory.propose([Operation("delete", id) for id in there], who="person", why=why))
            except NotFound:
                continue
        return 0


def _mark(path: Path, known: Entry | None, *, quick: Fingerprint | None = None) -> Fingerprint | None:
    """The file's fingerprint; None when it cannot be had, and then its reader says why.

    quick    a mark that still holds while size and time are its own
    """
    try:
        return fingerprint(path, quick or (known.settled if known else None)) if path.is_file() else None
    except (OSError, ValueError):
        return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return 0


def _hash(place: str) -> int:
    return int.from_bytes(blake2b(place.encode(), digest_size=8).digest(), "big", signed=True)
