"""The searchable columns of a space in RAM, kept up with the operation log.

Vectors lie as one byte a dimension (384 bytes a window), so 100,000 records take about 45 MB. A refresh
reads only what the log says has changed. Rows are only ever appended: a changed record gets a new row that
takes its place in the episode, and the row of what is gone stays behind, dead.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from mnemic.db.store import Store
from mnemic.recall.corpus import Rows, Scores
from mnemic.recall.packed import unpack, window_type

_PATCH = 5000  # up to so many operations are patched in; beyond, loading again is quicker
_CHUNK = 20_000  # rows fetched at a time while loading
# What names no episode but a speaker, or a source as a whole, stands with the rest of its source and day.
_EPISODE = (
    "coalesce(episode, CASE WHEN speaker IS NOT NULL OR source IS NOT NULL AND place IS NULL "
    "THEN '\x1f' || coalesce(source, '') || '\x1f' || coalesce(substr(time, 1, 10), '') END)"
)
_ROW = f"n, {_EPISODE}, speaker, begins, words, asks"
_PER_ROW = ("n", "key", "alive", "episode", "before", "after", "order", "speaker", "time", "length", "asks", "first",
            "count")  # fmt: skip

Array = TypeVar("Array", bound=npt.NDArray[Any])


class Columns:
    """The columns of mnemic.recall.corpus.Corpus (see there), and these:

    n             the record's number in the file, int64 [size]
    key           n of the newest record when the row was made: never falls, so that n can be looked up
    first, count  a row's windows are first <= w < first + count
    codes, scale  vectors of all windows: int8 [w d], float32 [w] (see recall/packed.py)
    """

    def __init__(self, store: Store, space: str, dimensions: int) -> None:
        self._store, self._space, self._dimensions = store, space, dimensions
        self.lock = threading.RLock()
        self._clear()

    def _clear(self) -> None:
        self.position = -1
        self.size = self.windows = 0
        types = {"alive": bool, "time": np.float64, "length": np.float32, "n": np.int64, "key": np.int64,
                 "asks": np.int8, "first": np.int64}  # fmt: skip
        self._room: dict[str, npt.NDArray[Any]] = {
            name: np.zeros(0, types.get(name, np.int32)) for name in _PER_ROW
        } | {"codes": np.zeros((0, self._dimensions), np.int8), "scale": np.zeros(0, np.float32)}
        self._speaker_names: list[str] = []
        self._speaker_number: dict[str, int] = {}
        self._episode_number: dict[str, int] = {}
        self._last_row: dict[int, int] = {}  # episode -> its last row
        self._moved: dict[int, int] = {}  # n -> row, of records whose row was replaced
        self._fresh_episode = self._newest = 0
        self._show()

    def _show(self) -> None:
        """Publish views of what is filled; a reader that holds older views keeps a consistent, shorter memory."""
        size, room = self.size, self._room
        self.n: npt.NDArray[np.int64] = room["n"][:size]
        self.key: npt.NDArray[np.int64] = room["key"][:size]
        self.alive: npt.NDArray[np.bool_] = room["alive"][:size]
        self.episode: npt.NDArray[np.int32] = room["episode"][:size]
        self.before: Rows = room["before"][:size]
        self.after: Rows = room["after"][:size]
        self.order: npt.NDArray[np.int32] = room["order"][:size]
        self.speaker: npt.NDArray[np.int32] = room["speaker"][:size]
        self.time: npt.NDArray[np.float64] = room["time"][:size]
        self.length: Scores = room["length"][:size]
        self.asks: npt.NDArray[np.int8] = room["asks"][:size]
        self.first: npt.NDArray[np.int64] = room["first"][:size]
        self.count: npt.NDArray[np.int32] = room["count"][:size]
        self.codes: npt.NDArray[np.int8] = room["codes"][: self.windows]
        self.scale: Scores = room["scale"][: self.windows]

    @property
    def speakers(self) -> Sequence[str]:
        return self._speaker_names

    def refresh(self) -> bool:
        """Bring the columns to the newest operation; True when anything changed."""
        with self.lock:
            newest = self._store.position()
            if newest == self.position:
                return False
            if self.position < 0 or newest - self.position > _PATCH or self._folded():
                self._clear()
            else:
                self._replace_changed(newest)
            self._append_new()
            self.position = newest
            self._show()
            return True

    def rows_of(self, ns: npt.NDArray[np.int64]) -> Rows:
        """Live rows of some records, in the order of ns; records without one are left out."""
        if not self.size or not len(ns):
            return np.zeros(0, np.int32)
        rows = np.minimum(np.searchsorted(self.key, ns), self.size - 1)
        for n, row in self._moved.items():
            rows[ns == n] = row
        kept: Rows = rows[(self.n[rows] == ns) & self.alive[rows]].astype(np.int32)
        return kept

    # ---- filling

    def _append_new(self) -> None:
        embedder = self._store.embedder()
        while page := self._store.read(
            f"SELECT {_ROW} FROM record WHERE space = ? AND n > ? ORDER BY n LIMIT {_CHUNK}",
            (self._space, self._newest),
        ):
            self._append(page, embedder[0] if embedder else None)
            self._newest = page[-1][0]
            self._room["key"][self.size - len(page) : self.size] = [row[0] for row in page]

    def _append(self, page: Sequence[Any], embedder: int | None) -> None:
        """Rows of _ROW with their vectors, into new rows at the end."""
        start, end = self.size, self.size + len(page)
        for name in _PER_ROW:
            self._room[name] = _grown(self._room[name], end)
        room = self._room
        room["n"][start:end] = [row[0] for row in page]
        room["key"][start:end] = self._newest
        room["alive"][start:end] = True
        room["speaker"][start:end] = [self._speaker(row[2]) for row in page]
        room["time"][start:end] = [np.nan if row[3] is None else row[3] for row in page]
        room["length"][start:end] = [row[4] for row in page]
        room["asks"][start:end] = [row[5] for row in page]
        for row, values in enumerate(page, start):
            self._join_episode(row, values[1])
        self._append_vectors(start, [row[0] for row in page], embedder)
        self.size = end

    def _append_vectors(self, start: int, ns: list[int], embedder: int | None) -> None:
        packed = {} if embedder is None else self._packed(ns, embedder)
        itemsize = window_type(self._dimensions).itemsize
        counts = [len(packed.get(n, b"")) // itemsize for n in ns]
        data = unpack(b"".join(packed[n] for n in ns if n in packed), self._dimensions)
        end = self.windows + len(data)
        for name in ("codes", "scale"):
            self._room[name] = _grown(self._room[name], end)
            self._room[name][self.windows : end] = data[name]
        self._room["count"][start : start + len(ns)] = counts
        self._room["first"][start : start + len(ns)] = self.windows + np.cumsum([0, *counts[:-1]])
        self.windows = end

    def _packed(self, ns: list[int], embedder: int) -> dict[int, bytes]:
        if len(ns) < 500:
            return self._store.windows(ns, embedder)
        sql = "SELECT record, windows FROM vector WHERE record BETWEEN ? AND ? AND embedder = ?"
        return dict(self._store.read(sql, (ns[0], ns[-1], embedder)))

    def _speaker(self, name: str | None) -> int:
        if name is None:
            return -1
        if name not in self._speaker_number:
            self._speaker_number[name] = len(self._speaker_names)
            self._speaker_names.append(name)
        return self._speaker_number[name]

    def _join_episode(self, row: int, name: str | None) -> None:
        """Put a row at the end of its episode; a record without one has an episode of its own."""
        number = self._episode_number.get(name, -1) if name is not None else -1
        if number < 0:
            number, self._fresh_episode = self._fresh_episode, self._fresh_episode + 1
            if name is not None:
                self._episode_number[name] = number
        previous = self._last_row.get(number, -1)
        room = self._room
        room["episode"][row], room["before"][row], room["after"][row] = number, previous, -1
        room["order"][row] = room["order"][previous] + 1 if previous >= 0 else 0
        if previous >= 0:
            room["after"][previous] = row
        if name is not None:
            self._last_row[number] = row

    # ---- changing

    def _folded(self) -> bool:
        """True when the log no longer tells one by one what left since (see Changes.fold)."""
        sql = "SELECT 1 FROM operation WHERE n > ? AND kind = 'evict' AND target = '' LIMIT 1"
        return bool(self._store.read(sql, (self.position,)))

    def _replace_changed(self, newest: int) -> None:
        """Bury the rows of what was changed or taken out since; what was changed gets a new row in its place."""
        changed = self._store.read(
            "SELECT DISTINCT record FROM operation WHERE n > ? AND n <= ? AND space = ? "
            "AND kind != 'insert' AND record IS NOT NULL ORDER BY record",
            (self.position, newest, self._space),
        )
        embedder = self._store.embedder()
        for (n,) in changed:
            self._replace(n, embedder[0] if embedder else None)

    def _replace(self, n: int, embedder: int | None) -> None:
        self._show()
        found = self.rows_of(np.array([n], np.int64))
        if not len(found):
            return  # newer than the columns: it will be appended
        old, room = int(found[0]), self._room
        page = self._store.read(f"SELECT {_ROW} FROM record WHERE n = ?", (n,))
        before, after, order = int(self.before[old]), int(self.after[old]), int(self.order[old])
        same = bool(page) and self._episode_number.get(page[0][1], -1) == int(self.episode[old])
        self._unlink(old)
        room["alive"][old] = False
        if not page:
            return
        self._append(page, embedder)
        new = self.size - 1
        self._moved[n] = new
        if same and before != int(room["before"][new]):  # it was not the last of its episode: back to its place
            self._unlink(new)
            self._link(new, before, after, order)

    def _unlink(self, row: int) -> None:
        """Take a row out of its episode's chain."""
        room = self._room
        before, after, episode = int(room["before"][row]), int(room["after"][row]), int(room["episode"][row])
        if before >= 0:
            room["after"][before] = after
        if after >= 0:
            room["before"][after] = before
        if self._last_row.get(episode) == row:
            self._last_row[episode] = before

    def _link(self, row: int, before: int, after: int, order: int) -> None:
        room = self._room
        room["before"][row], room["after"][row], room["order"][row] = before, after, order
        if before >= 0:
            room["after"][before] = row
        if after >= 0:
            room["before"][after] = row
        else:
            self._last_row[int(room["episode"][row])] = row


def _grown(array: Array, size: int) -> Array:
    """The array, or a copy with room for `size` rows and some more."""
    if size <= len(array):
        return array
    bigger = np.zeros((max(size, len(array) * 3 // 2, 1024), *array.shape[1:]), array.dtype)
    bigger[: len(array)] = array
    return bigger  # type: ignore[return-value]
