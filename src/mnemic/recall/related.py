"""Related words: what a question may say in other words than the memory does ("martial" - "judo").

A table that ships inside, of 23,000 English stems and the stems near them, each with a weight from 0 to 1: how
far its cosine lies above 0.5. Made by scripts/build_related.py. Other words have no relatives and match as
they are.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files

import numpy as np
import numpy.typing as npt


def related(stem: str) -> list[tuple[str, float]]:
    """Stems near a stem, best first, with their weights; empty for one that the table does not know."""
    stems, number, start, others, weight = _table()
    row = number.get(stem)
    if row is None:
        return []
    at = slice(int(start[row]), int(start[row + 1]))
    return [(stems[int(i)], int(w) / 255) for i, w in zip(others[at], weight[at], strict=True)]


@cache
def _table() -> tuple[list[str], dict[str, int], npt.NDArray[np.int32], npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
    with as_file(files("mnemic.recall") / "related.npz") as path, np.load(path, allow_pickle=False) as table:
        stems = str(table["stems"]).split("\n")
        return stems, {stem: i for i, stem in enumerate(stems)}, table["start"], table["related"], table["cosine"]
