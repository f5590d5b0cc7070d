"""Fetching one file: whole and right, or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from mnemic.data._sets import File
from mnemic.errors import DataMissing

_TIMEOUT_S = 60
_BLOCK = 1 << 16


def fetch(file: File, folder: Path, watch: Callable[[int, int], None] | None = None) -> Path:
    """Download a file into a folder; it appears there only when it is complete and its checksum is right."""
    from mnemic.data import checksum

    target = folder / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".part-")  # two downloads at once do not meet
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as out:
            _copy(file.url, out, watch or (lambda done, total: None))
        if file.sha256 and (got := checksum(part)) != file.sha256:
            raise DataMissing(f"{file.url} is not what it was (SHA-256 {got[:12]}..): get the file elsewhere.")
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return target


def _copy(url: str, out: IO[bytes], watch: Callable[[int, int], None]) -> None:
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
            total, done = _length(answer), 0
            while block := answer.read(_BLOCK):
                out.write(block)
                done += len(block)
                watch(done, total)
    except OSError as error:  # no network, no such host, 404, timeout
        raise DataMissing(
            f"cannot fetch {url} ({error}): try again, or set MNEMIC_DATA to a folder that has it."
        ) from None
    if total and done != total:
        raise DataMissing(f"{url} stopped after {done:,} of {total:,} bytes: try again.")


def _length(answer: Any) -> int:
    return int(answer.headers.get("Content-Length") or 0)
