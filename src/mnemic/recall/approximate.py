"""The nearest rows of a large space without looking at every vector.

Beside the memory file lies a graph of its vectors (mnemic.recall.graph), a cache. Each entry is named by a key of
its record and of the vector itself, so a graph may be as old as it likes, or of another file: what the memory no
longer has is passed over, what the graph lacks is compared exactly. Age costs time, never a wrong answer.

Axes  e entries of the graph, w windows and n rows of the columns
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mnemic.db.caches import cache_file
from mnemic.db.store import Store
from mnemic.recall.columns import Columns
from mnemic.recall.corpus import Rows, Scores
from mnemic.recall.graph import Graph, Keys, building, keys_of, write
from mnemic.recall.packed import quantise

FROM = 250_000  # windows: below, comparing all takes up to about 10 ms of one core, and no graph is kept
STALE = 0.1  # share of vectors that the graph may lack, and of entries that may be dead, before it is made again
_USEFUL = 0.5  # share of rows that a graph may lack: with more, looking at each is about as quick
_LEAST = 256  # entries that are looked up for the smallest k: what recall at 10 rests on
_SPARE = 1.5  # entries looked up for each wanted row: some are dead, some windows of the same row
_PRICE = 100  # vectors that are compared one after the other while one entry is looked up
SCATTERED = 4  # times as long as one after the other take vectors that are picked out from between others

Mask = npt.NDArray[np.bool_]


class Approximate:
    """The graph beside a memory file, as of now, for one space's columns; it is of no use once they are made anew."""

    def __init__(self, store: Store, space: str, columns: Columns) -> None:
        name = hashlib.blake2b(space.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
        self.file = cache_file(store.path, f"vectors-{name}")
        self._store, self._columns = store, columns
        self._seen: tuple[int, ...] | None = None
        self._graph: Graph | None = None
        self._placed: Placed | None = None

    @property
    def placed(self) -> Placed | None:
        """The graph that lies beside the file now; None when there is none that saves time."""
        if self.file is None or self._columns.windows < FROM:
            return None
        with self._columns.lock:
            graph = self._opened(self.file)
            if graph is None:
                self._placed = None
            elif self._placed is None or self._placed.graph is not graph:
                self._placed = Placed(graph, *self._keyed(), self._columns.alive)
            placed = self._placed
        return placed if placed and placed.lacks(self._columns.size) <= _USEFUL * self._columns.size else None

    def build(self) -> Iterator[tuple[int, int]]:
        """Make the graph, or bring it up, when it is wanted and stale; yields (vectors done, of all).

        One at a time: a call that finds another at it, in any process, leaves it to that one.
        """
        if self.file is None or self._columns.windows < FROM:
            return
        with building(self.file) as ours:
            if not ours:
                return
            with self._columns.lock:  # what is in the columns never changes, only `alive` does
                position, codes, alive = self._columns.position, self._columns.codes, self._columns.alive.copy()
                known, (keys, row) = self._opened(self.file), self._keyed()
            new = _changed(keys, alive[row], known)
            if new is None:
                return
            if len(new) == np.count_nonzero(alive[row]):
                known = None  # anew, without the dead
            yield from write(self.file, position, keys, codes, new, known)
            self._drop_erased(self.file, position)

    def _opened(self, file: Path) -> Graph | None:
        """The graph of the file as it is now; a damaged one is told of once, and passed over."""
        seen = _state(file)
        if seen != self._seen:
            self._seen, self._graph = seen, None
            if seen is not None:
                self._graph = self._read(file)
        return self._graph

    def _read(self, file: Path) -> Graph | None:
        try:
            graph = Graph(file)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            warnings.warn(f"{file}: cannot be used ({error}): recall looks at every vector until `mnemic index` has "
                          "made it anew.", stacklevel=2)  # fmt: skip
            return None
        if self._drop_erased(file, graph.position) or graph.dimensions != self._columns.codes.shape[1]:
            return None
        return graph

    def _drop_erased(self, file: Path, position: int) -> bool:
        """Delete a graph that was made before something was erased: whoever erased may have come too early or died."""
        sql = "SELECT 1 FROM operation WHERE n > ? AND kind = 'erase' LIMIT 1"
        if not self._store.read(sql, (position,)):
            return False
        file.unlink(missing_ok=True)
        return True

    def _keyed(self) -> tuple[Keys, Rows]:
        """Key and row of each window, [w]."""
        columns = self._columns
        row = np.repeat(np.arange(columns.size, dtype=np.int32), columns.count)
        return keys_of(columns.n[row], columns.codes), row


class Placed:
    """A graph, and what its entries are in the columns.

    rows      row of each entry, -1 for what is no longer there, int32 [e]
    lacking   live rows before `end` that are not whole in the graph, ascending
    end       from this row on it has none
    """

    def __init__(self, graph: Graph, keys: Keys, row: Rows, alive: Mask) -> None:
        """keys, row   of each window, [w]; alive [n]"""
        self.graph = graph
        entry = _places(graph.keys, keys)  # [w]
        has = (entry >= 0) & alive[row]
        self.rows: Rows = np.full(len(graph.keys), -1, np.int32)
        self.rows[entry[has]] = row[has]
        whole = alive & (np.bincount(row, minlength=len(alive)) > 0)  # [n]
        whole[row[~has]] = False
        self.end = int(np.flatnonzero(whole).max(initial=-1)) + 1
        self.lacking: Rows = np.flatnonzero(alive[: self.end] & ~whole[: self.end]).astype(np.int32)

    def lacks(self, size: int) -> int:
        """How many of the first `size` rows have to be compared one by one."""
        return len(self.lacking) + size - self.end

    def near(self, vector: Scores, k: int, mask: Mask) -> list[Rows] | None:
        """Rows of a mask that the k nearest are among: what the graph knows, what it lacks, what is newer.

        Each ascending. None when comparing them all is as quick: few pass, or few of the nearest do.
        """
        passing = int(np.count_nonzero(mask))
        codes = quantise(vector[None, :])[0][0]
        count = max(_LEAST, int(_SPARE * k * len(self.rows) / max(passing, 1)))
        while count * _PRICE <= min(SCATTERED * passing, len(mask)):
            entries = self.graph.search(codes, count)
            rows = np.unique(self.rows[entries])
            rows = rows[(rows >= 0) & (rows < len(mask))]
            rows = rows[mask[rows]]
            if len(rows) >= k or len(entries) == len(self.rows):
                return [rows, *self._unknown(mask)]
            if len(entries) < count:  # there are no more that it can reach
                break
            count *= 2
        return None

    def _unknown(self, mask: Mask) -> list[Rows]:
        """Rows of a mask that the graph lacks, and newer ones."""
        newer = np.arange(self.end, len(mask), dtype=np.int32)
        lacking = self.lacking[self.lacking < len(mask)]
        return [lacking[mask[lacking]], newer[mask[newer]]]


def _changed(keys: Keys, live: Mask, known: Graph | None) -> npt.NDArray[np.int64] | None:
    """Windows that go into the graph: all of the live ones, or those that it lacks; None while it is good enough."""
    windows = np.flatnonzero(live)
    if known is None:
        return windows
    dead = np.count_nonzero(~np.isin(known.keys, keys[windows]))
    missing = windows[~np.isin(keys[windows], known.keys)]
    if dead > STALE * len(known.keys):
        return windows
    return missing if len(missing) > STALE * len(windows) else None


def _places(among: Keys, keys: Keys) -> npt.NDArray[np.int64]:
    """Where each of some keys stands among others, -1 for nowhere."""
    place = np.full(len(keys), -1, np.int64)
    if len(among):
        order, asked = np.argsort(among), np.argsort(keys)  # both sorted: five times as fast as looking all over
        at = np.minimum(np.searchsorted(among[order], keys[asked]), len(among) - 1)
        same = among[order[at]] == keys[asked]
        place[asked[same]] = order[at[same]]
    return place


def _state(file: Path) -> tuple[int, ...] | None:
    """What tells a file from one that took its place."""
    try:
        found = os.stat(file)
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
