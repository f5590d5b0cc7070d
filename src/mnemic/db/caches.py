"""Caches beside a memory file: what can be worked out from it again. The file is the truth; they may go at any time.

A cache is `FILE.NAME.cache`. Erasing a record deletes them all, since they may hold traces of its text.
"""

from __future__ import annotations

import glob
from pathlib import Path

from mnemic.db.address import is_address


def cache_file(path: str, name: str) -> Path | None:
    """Where a cache of a memory file lies; None for a memory in RAM or in a database, which have none."""
    return None if path == ":memory:" or is_address(path) else Path(f"{path}.{name}.cache")


def drop_caches(path: str) -> None:
    """Delete all caches of a memory file."""
    if path != ":memory:" and not is_address(path):
        for name in glob.glob(f"{glob.escape(path)}.*.cache"):
            Path(name).unlink(missing_ok=True)
