"""A file as chunks, whatever it holds and whatever is wrong with it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mnemic.errors import MissingExtra
from mnemic.files.bad import Bad, Item, Unreadable
from mnemic.files.cleaning import clean_chunk
from mnemic.files.file import File
from mnemic.files.formats import reader_of
from mnemic.files.pieces import pieces
from mnemic.record import Chunk

_GUESSED = ("", "utf-8", "utf-8-sig", "utf-16", "utf-32")  # every other encoding was a guess


def read(path: Path, *, source: str | None = None, start: int = 0,
         progress: Callable[[int], None] | None = None) -> Iterator[Item]:  # fmt: skip
    """Read a file piece by piece; what cannot be read comes as a Bad, and the rest goes on. Raises nothing.

    source     what its records are called after; None for its path
    start      items to leave out: as many as an earlier read of the same, unchanged file has yielded
    progress   called before each item with the bytes of the file that were read so far
    """
    file = File(path, source)
    for n, item in enumerate(_items(file)):
        if n >= start:
            if progress is not None:
                progress(file.consumed)
            yield item
    if progress is not None:
        progress(file.consumed)


def _items(file: File) -> Iterator[Item]:
    notes, count = _Notes(file), 0
    try:
        for item in _cut(_checked(file)):
            if isinstance(item, Bad) or item.text:
                count += 1
                notes.see(item)
                yield item
        if not count:
            yield file.bad("", "holds no text.")
    except Exception as error:  # whatever a library makes of a broken file, the other files are still read
        yield Bad(file.source, error.place if isinstance(error, Unreadable) else "", _reason(error), stopped=True)
    yield from notes.told()


def _cut(items: Iterator[Item]) -> Iterator[Item]:
    """Chunks cleaned, and none of them monstrous."""
    for item in items:
        if isinstance(item, Chunk):
            yield from pieces(clean_chunk(item))
        else:
            yield item


def _reason(error: Exception) -> str:
    match error:
        case Unreadable() | MissingExtra():
            return str(error)
        case PermissionError():
            return "may not be read: change its permissions (chmod +r)."
        case RecursionError():
            return "is nested too deeply."
        case MemoryError():
            return "needs more memory than there is: split it first."
        case OSError() | EOFError() | zlib.error():  # a disk that fails, a .gz that is cut off
            told = getattr(error, "strerror", None) or str(error) or type(error).__name__
            return f"could not be read on: {' '.join(told.split())[:200].rstrip('.')}."
        case _:
            return f"stumbled over a bug in mnemic ({type(error).__name__}: {str(error)[:200]}): please report it."


def _checked(file: File) -> Iterator[Item]:
    if file.path.is_dir():
        raise Unreadable("is a folder: give it to walk.")
    if not file.path.exists():
        raise Unreadable("does not exist.")
    if not file.path.is_file():
        raise Unreadable("is neither a file nor a folder.")
    if file.path.stat().st_size == 0:
        raise Unreadable("is empty.")
    yield from reader_of(file)(file)


@dataclass
class _Notes:
    """What was guessed or lost in texts that were read: told once a file, at its end."""

    file: File
    times: int = 0
    first: Chunk | None = None

    def see(self, item: Item) -> None:
        if isinstance(item, Chunk) and "time_text" in item.metadata:
            self.times += 1
            self.first = self.first or item

    def told(self) -> Iterator[Bad]:
        if self.first is not None:
            more = f" (and {self.times - 1:,} more like it)" if self.times > 1 else ""
            yield self.file.bad(
                self.first.place or "",
                f'the time is "{self.first.metadata["time_text"]}"{more}: the text was kept without a time; '
                "write a date like 2026-05-03.",
                kept=True,
            )
        if self.file.encoding not in _GUESSED:
            yield self.file.bad("", f"is not UTF-8; it was read as {self.file.encoding}, which is a guess.", kept=True)
