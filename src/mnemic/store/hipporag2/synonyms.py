"""Synonyms: pairs of phrases whose vectors are near. Only new phrases are compared, with all that are there."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mnemic.store.hipporag2.slots import Slot, Slots

THRESHOLD = 0.8  # cosine from which two phrases count as synonyms (paper, section 3)
NEIGHBOURS = 100  # synonyms that one phrase may have, the nearest (reference code)
_SHORTEST = 3  # letters and digits from which a phrase looks for synonyms: "x" is near to everything
_BLOCK = 512, 4096  # rows x columns compared at once: 8 MB of scores, and 16 MB of scales

Cosines = npt.NDArray[np.float64]


class Synonyms:
    """All pairs of phrase slots whose cosine reaches the threshold.

    a, b, cosine    one row a pair, a != b, each pair once, [m]

    Products of int8 codes are whole numbers that float32 holds exactly, so a pair's cosine does not depend
    on what it was computed together with: adding one by one gives the same pairs as adding all at once.
    """

    def __init__(self) -> None:
        self.a: Slot = np.zeros(0, np.int64)
        self.b: Slot = np.zeros(0, np.int64)
        self.cosine: Cosines = np.zeros(0, np.float64)

    def join(self, phrases: Slots[str], new: Slot) -> None:
        """Find the pairs of new phrases: among themselves and with all others."""
        fresh = np.zeros(len(phrases), np.bool_)
        fresh[new] = True
        found = [self._near(phrases, new[at : at + _BLOCK[0]], fresh) for at in range(0, len(new), _BLOCK[0])]
        if found:
            self.extend(*(np.concatenate(parts) for parts in zip(*found, strict=True)))

    def extend(self, a: Slot, b: Slot, cosine: Cosines) -> None:
        """Take over pairs that are known."""
        self.a, self.b = np.concatenate([self.a, a]), np.concatenate([self.b, b])
        self.cosine = np.concatenate([self.cosine, cosine])

    def part(self, gone: npt.NDArray[np.bool_]) -> None:
        """Forget the pairs of phrases that go, bool [phrase slots]."""
        stays = ~(gone[self.a] | gone[self.b])
        self.a, self.b, self.cosine = self.a[stays], self.b[stays], self.cosine[stays]

    def edges(self, phrases: Slots[str]) -> tuple[Slot, Slot, Cosines]:
        """Directed: from each phrase that is long enough to its nearest NEIGHBOURS synonyms."""
        source, target = np.concatenate([self.a, self.b]), np.concatenate([self.b, self.a])
        cosine = np.concatenate([self.cosine, self.cosine])
        looking = np.zeros(len(phrases), np.bool_)
        for slot in np.unique(source).tolist():
            looking[slot] = sum(map(str.isalnum, phrases.keys[slot] or "")) >= _SHORTEST
        seeks = looking[source]
        kept = self._nearest(phrases, source, target, cosine, seeks)
        return source[kept], target[kept], cosine[kept]

    def _nearest(self, phrases: Slots[str], source: Slot, target: Slot, cosine: Cosines,
                 seeks: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:  # fmt: skip
        """Of each source's edges the NEIGHBOURS nearest, by name among equals so that slots do not matter."""
        kept = seeks.copy()
        count = np.bincount(source[seeks], minlength=len(phrases))
        for crowded in np.flatnonzero(count > NEIGHBOURS).tolist():
            rows = np.flatnonzero((source == crowded) & seeks)
            order = sorted(rows.tolist(), key=lambda row: (-cosine[row], phrases.keys[target[row]] or ""))
            kept[order[NEIGHBOURS:]] = False
        return kept

    def _near(self, phrases: Slots[str], rows: Slot, fresh: npt.NDArray[np.bool_]) -> tuple[Slot, Slot, Cosines]:
        """Pairs of some new phrases with all live ones; a pair of two new ones is found from its lower slot."""
        left = phrases.codes[rows].astype(np.float32)  # [r d]
        a, b, cosine = [], [], []
        for at in range(0, len(phrases), _BLOCK[1]):
            columns = np.arange(at, min(at + _BLOCK[1], len(phrases)))
            dots = left @ phrases.codes[columns].astype(np.float32).T  # [r c]
            scale = phrases.scale[rows][:, None].astype(np.float64) * phrases.scale[columns]
            row, column = np.nonzero(dots >= THRESHOLD / np.maximum(scale, 1e-30))  # an empty slot has scale 0
            once = ~fresh[columns[column]] | (rows[row] < columns[column])
            row, column = row[once], column[once]
            a.append(rows[row])
            b.append(columns[column])
            cosine.append(dots[row, column] * scale[row, column])
        return np.concatenate(a), np.concatenate(b), np.minimum(np.concatenate(cosine), 1.0)
