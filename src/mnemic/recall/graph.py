"""The cache file of a graph of near vectors: written whole or not at all, checked before it is used.

An HNSW graph (Malkov and Yashunin 2018, arXiv:1603.09320), made and searched by usearch. A file holds, one after
the other:
graph    usearch's own format with the vectors, about 530 bytes each at 384 dimensions
keys     what names each entry: a number made of its record and its vector, uint64 [e]
label    JSON: dimensions, the log's position when it was made, where the keys begin
end      CRC-32 of all that, length of the label, and _MAGIC: a file that was cut off has none

Axes  e entries of the graph, w windows, d dimensions
"""

from __future__ import annotations

import glob
import hashlib
import json
import mmap
import os
import sqlite3
import threading
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mnemic.errors import StoreError
from mnemic.recall.packed import Codes

_BATCH = 5000  # vectors added between two signs of life
_BLOCK = 2048  # vectors whose keys are worked out at a time: they stay in the processor's cache
_MAGIC = b"mnemicG1"

Keys = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]


class Graph:
    """An opened cache, mapped into memory: pages come in when they are looked at.

    keys       of its entries, [e]
    position   n of the newest operation of the log when it was made
    """

    def __init__(self, file: Path) -> None:
        """Raises ValueError or RuntimeError for a damaged file, FileNotFoundError for none."""
        self._data = _mapped(file)
        end = self._data[-16:].tobytes()
        label_at = len(self._data) - 16 - int.from_bytes(end[4:8], "little")
        if end[8:] != _MAGIC or label_at < 0:
            raise ValueError("it was cut off, or is no graph")
        if int.from_bytes(end[:4], "little") != zlib.crc32(self._data[:-16]):
            raise ValueError("its checksum is wrong")  # usearch would follow a wrong link out of the map
        label = json.loads(self._data[label_at:-16].tobytes())
        self.dimensions: int = label["dimensions"]
        self.position: int = label["position"]
        self._graph = self._data[: label["keys"]]
        self.keys: Keys = np.frombuffer(self._data[label["keys"] : label_at].tobytes(), "<u8")
        self._index = _empty(self.dimensions)
        self._index.view(self._graph)
        self._lock = threading.Lock()  # two searches at once would share usearch's working space

    def search(self, codes: Codes, count: int) -> Places:
        """The entries nearest to a vector, int8 [d], by cosine, best first: [count] or fewer."""
        with self._lock:
            found: Places = self._index.search(codes, count, threads=1).keys.astype(np.int64)
        return found

    def copied(self) -> Any:
        """Usearch's index of the same entries, in RAM, that more can be added to."""
        index = _empty(self.dimensions)
        index.load(self._graph)
        return index


def write(file: Path, position: int, keys: Keys, codes: Codes, new: Places, known: Graph | None
          ) -> Iterator[tuple[int, int]]:  # fmt: skip
    """Write the graph of some vectors, or of all that a known one has and these; yields (vectors done, of all).

    keys, codes   of all windows, [w] and [w d]; new names those that go in
    Takes the graph's size in RAM. Raises StoreError when the file cannot be written.
    """
    index, had = (_empty(codes.shape[1]), keys[:0]) if known is None else (known.copied(), known.keys)
    for left in file.parent.glob(f"{glob.escape(file.name)}.*.part.cache"):  # by one that was killed
        left.unlink(missing_ok=True)
    total = len(had) + len(new)
    for at in range(0, len(new), _BATCH):
        yield len(had) + at, total
        part = new[at : at + _BATCH]
        # One thread: several leave entries behind that no search ever reaches (usearch issue 735).
        index.add(len(had) + np.arange(at, at + len(part)), codes[part], threads=1)
    try:
        _save(file, index, position, np.concatenate([had, keys[new]]))
    except (OSError, RuntimeError) as error:
        raise StoreError(f"{file}: the index could not be written ({error}): the memory itself is whole; "
                         "make room on the disk and try again.") from error  # fmt: skip
    yield total, total


def _save(file: Path, index: Any, position: int, keys: Keys) -> None:
    part = file.with_name(f"{file.name}.{os.getpid()}.part.cache")  # a name that goes when caches are dropped
    try:
        index.save(os.fspath(part))
        with open(part, "ab") as out:
            label = json.dumps({"dimensions": index.ndim, "position": position, "keys": out.tell()}).encode()
            out.write(keys.astype("<u8").tobytes() + label)
        checksum = zlib.crc32(_mapped(part))
        with open(part, "ab") as out:
            out.write(checksum.to_bytes(4, "little") + len(label).to_bytes(4, "little") + _MAGIC)
            out.flush()
            os.fsync(out.fileno())
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def building(file: Path) -> Iterator[bool]:
    """Claim the making of a cache file; False when somebody else, in any process, is at it.

    The claim is SQLite's lock of a file: it goes with the process, however that ends.
    """
    lock = file.with_name(f"{file.name}.lock")
    with closing(sqlite3.connect(lock, timeout=0, isolation_level=None, check_same_thread=False)) as claim:
        try:
            claim.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            yield False
            return
        try:
            yield True
        finally:
            lock.unlink(missing_ok=True)  # who has just opened it builds once more, at worst: caches are replaced whole


def keys_of(ns: npt.NDArray[np.int64], codes: Codes) -> Keys:
    """A key of each window, of its record [w] and its vector [w d].

    Multilinear hashing (Lemire and Kaser 2014, arXiv:1202.4961): words of 4 bytes times random numbers of 8, added
    up. Two windows that differ share a key by a chance of 2^-32 or less; then one may be overlooked.
    """
    words = -(-codes.shape[1] // 4)
    random = np.frombuffer(hashlib.shake_128(b"mnemic").digest(8 * (words + 1)), "<u8")  # always the same
    keys = np.zeros(len(codes), np.uint64)
    for at in range(0, len(codes), _BLOCK):
        part = codes[at : at + _BLOCK]
        padded = np.zeros((len(part), words * 4), np.int8)
        padded[:, : part.shape[1]] = part
        keys[at : at + _BLOCK] = padded.view("<u4").astype(np.uint64) @ random[1:]
    keys += ns.astype(np.uint64) * (random[0] | np.uint64(1))
    return keys


def _mapped(file: Path) -> memoryview:
    """A file's bytes, which are read when they are looked at; an empty one is a ValueError."""
    with open(file, "rb") as opened:
        return memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))


def _empty(dimensions: int) -> Any:
    # usearch makes the C++ library it was built with the whole process's; an onnxruntime that is loaded after it
    # then mixes that with its own and crashes the process.
    import onnxruntime  # noqa: F401
    from usearch.index import Index

    # Keys are never looked up: entries are numbered in order.
    return Index(ndim=dimensions, metric="cos", dtype="i8", enable_key_lookups=False)
