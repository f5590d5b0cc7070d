"""Whether a file is the one that was read before."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

_PIECE = 1 << 20


@dataclass(frozen=True)
class Fingerprint:
    """size in bytes, mtime_ns as the file system keeps it, digest of the content (BLAKE2b, 128 bits, hex)."""

    size: int
    mtime_ns: int
    digest: str


def fingerprint(path: Path, known: Fingerprint | None = None) -> Fingerprint:
    """The file's fingerprint; the content is read piece by piece. Raises OSError.

    known    an earlier one: while size and mtime are the same, the content is taken to be the same and not read
    """
    before = path.stat()
    if known is not None and (known.size, known.mtime_ns) == (before.st_size, before.st_mtime_ns):
        return known
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
    return Fingerprint(before.st_size, before.st_mtime_ns, digest.hexdigest())
