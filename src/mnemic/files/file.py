"""A file on its way into memory: opened, unpacked and decoded piece by piece, never as a whole."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from mnemic.files.bad import Bad, Unreadable
from mnemic.files.decoding import SAMPLE, encoding_of

_BOMB_BYTES = 64_000_000  # below this much, no unpacked text is a danger
_BOMB_RATIO = 200  # text shrinks to a tenth, a dull log to a fiftieth


class File:
    """One file.

    source    what its records are called after: its path as the user gave it, unless said otherwise
    suffix    ".jsonl" for both chat.jsonl and chat.jsonl.gz
    encoding  what its text was decoded as, once `text` was called
    """

    def __init__(self, path: Path, source: str | None = None) -> None:
        self.path = path
        self.source = source if source is not None else source_of(path)
        self.packed = path.suffix.lower() == ".gz"
        self.suffix = (Path(path.stem) if self.packed else path).suffix.lower()
        self.stem = Path(path.stem).stem if self.packed else path.stem
        self.encoding = ""
        self.done = 0
        self._raw: BinaryIO | None = None

    @property
    def consumed(self) -> int:
        """Bytes of the file on disk that were read so far."""
        if self._raw is not None and not self._raw.closed:
            self.done = self._raw.tell()
        return self.done

    @contextmanager
    def bytes(self) -> Iterator[BinaryIO]:
        """The file's bytes, unpacked when it is a .gz."""
        with self.path.open("rb") as raw:
            self._raw = raw
            yield cast(BinaryIO, _Inflated(raw)) if self.packed else raw

    @contextmanager
    def text(self) -> Iterator[IO[str]]:
        """The file's text, decoded, every line ending as a newline. Raises Unreadable for what is no text."""
        with self.bytes() as stream:
            sample = _beginning(stream)
            if not sample:
                raise Unreadable("is empty.")
            self.encoding, errors = encoding_of(sample, whole=len(sample) < SAMPLE, suffix=self.suffix)
            stream.seek(0)
            with io.TextIOWrapper(stream, self.encoding, errors, newline=None) as text:
                yield text

    def bad(self, place: str, reason: str, *, kept: bool = False) -> Bad:
        return Bad(self.source, place, reason, kept)


class _Inflated(gzip.GzipFile):
    """A .gz that refuses to become out of all proportion."""

    def __init__(self, raw: BinaryIO) -> None:
        super().__init__(fileobj=raw, mode="rb")
        self._packed = raw

    def read1(self, size: int = -1) -> bytes:  # what TextIOWrapper calls
        data = super().read1(size)
        if self.tell() > _BOMB_BYTES and self.tell() > _BOMB_RATIO * self._packed.tell():
            raise Unreadable(f"unpacks to more than {_BOMB_RATIO} times its size: unpack it yourself if you trust it.")
        return data


def _beginning(stream: BinaryIO) -> bytes:
    """The first bytes; of a .gz that is cut off, those before the cut."""
    sample = b""
    try:
        while len(sample) < SAMPLE and (piece := stream.read1(SAMPLE - len(sample))):  # type: ignore[attr-defined]
            sample += piece
    except (EOFError, zlib.error, gzip.BadGzipFile):
        if not sample:
            raise
    return sample


def source_of(path: Path) -> str:
    """The path as text: forward slashes; bytes in a name that are no UTF-8 become \\xe9, so that names stay apart."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")
