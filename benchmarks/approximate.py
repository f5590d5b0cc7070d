"""Exact search against the approximate index: time, what it misses, and what it costs.

python benchmarks/approximate.py [--sizes 200000 1000000] [--queries 100]

Generated vectors of 384 dimensions stand in clusters of about 500, each spread over 32 directions that all share
and a little over the rest; questions are drawn alike. Each search goes through `Corpus.nearest`, as recall does:
"exact" with no index beside the file, "index" with it. Recall is the share of the exact k that the index finds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mnemic.db.store import Store
from mnemic.lm.doubles import HashEmbedder
from mnemic.meter import process_bytes
from mnemic.recall import approximate
from mnemic.recall.corpus import Rows
from mnemic.recall.packed import Codes, Floats, quantise
from mnemic.recall.store_corpus import StoreCorpus

DIMENSIONS, CLUSTER, SHARED = 384, 500, 32
SHARES = {"all": 1.0, "half": 0.5, "tenth": 0.1, "hundredth": 0.01}  # of the rows that pass a filter


class Generated:
    """Where clusters lie; vectors are drawn from them."""

    def __init__(self, clusters: int, seed: int) -> None:
        self._chance = np.random.default_rng(seed)
        centres = self._chance.standard_normal((clusters, DIMENSIONS), dtype=np.float32)
        self._centres = centres / np.linalg.norm(centres, axis=1, keepdims=True)
        self._shared = np.linalg.qr(self._normal(DIMENSIONS, SHARED))[0].T.astype(np.float32)  # [32 d]

    def draw(self, count: int) -> Floats:
        """float32 [count d], rows of length 1."""
        centre = self._centres[self._chance.integers(0, len(self._centres), count)]
        shared = self._normal(count, SHARED) @ self._shared * (0.6 / SHARED**0.5)
        vectors = centre + shared + self._normal(count, DIMENSIONS) * (0.4 / DIMENSIONS**0.5)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def _normal(self, *shape: int) -> Floats:
        return self._chance.standard_normal(shape, dtype=np.float32)


class Filled(StoreCorpus):
    """The corpus of a file, whose columns are filled with vectors instead of read from rows."""

    def fill(self, codes: Codes, scale: Floats) -> None:
        count = len(codes)
        self._room = {name: np.zeros(count, values.dtype) for name, values in self._room.items()}
        numbers = np.arange(1, count + 1)
        self._room |= {"n": numbers, "key": numbers, "alive": np.ones(count, np.bool_), "codes": codes, "scale": scale,
                       "first": numbers - 1, "count": np.ones(count, np.int32)}  # fmt: skip
        self.size = self.windows = count
        self.position = 0
        self._show()


def quantised(generated: Generated, count: int) -> tuple[Codes, Floats]:
    """A part at a time: as floats they would take four times the room."""
    codes, scale = np.empty((count, DIMENSIONS), np.int8), np.empty(count, np.float32)
    for at in range(0, count, 20_000):
        end = min(at + 20_000, count)
        codes[at:end], scale[at:end] = quantise(generated.draw(end - at))
    return codes, scale


def searched(corpus: StoreCorpus, questions: Floats, k: int, mask: npt.NDArray[np.bool_]) -> tuple[float, list[Rows]]:
    """Median milliseconds of a search, and what each found."""
    corpus.nearest(questions[0], k, mask)
    took, found = [], []
    for question in questions:
        start = time.perf_counter()
        found.append(corpus.nearest(question, k, mask))
        took.append(time.perf_counter() - start)
    return statistics.median(took) * 1e3, found


def recall(found: Sequence[Rows], wanted: Sequence[Rows]) -> float:
    return float(np.mean([np.isin(want, got).mean() for got, want in zip(found, wanted, strict=True)]))


def measured(size: int, queries: int, seed: int) -> dict[str, Any]:
    generated = Generated(max(size // CLUSTER, 1), seed)
    codes, scale = quantised(generated, size)
    questions = generated.draw(queries)
    chance = np.random.default_rng(seed)
    masks = {name: chance.random(size) < share for name, share in SHARES.items()}
    masks["all"][:] = True
    approximate.FROM = 1  # to see what an index is worth below its size, too
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "life.db")
        corpus = Filled(store, "default", HashEmbedder(DIMENSIONS))
        corpus.fill(codes, scale)
        asked = [(name, k) for name in masks for k in (10, 500)]
        exact = {each: searched(corpus, questions, each[1], masks[each[0]]) for each in asked}
        before, start = process_bytes().parts, time.perf_counter()
        while_built = [process_bytes().parts["own"] for _ in corpus.index()]
        built_s = time.perf_counter() - start
        gone, start = process_bytes().parts["own"], time.perf_counter()
        assert corpus.indexed
        opened_s, held = time.perf_counter() - start, process_bytes().parts["own"] - gone
        index = {each: searched(corpus, questions, each[1], masks[each[0]]) for each in asked}
        file = next(Path(folder).glob("*.cache"))
        result = {"size": size, "columns_mb": codes.nbytes / 1e6, "build_s": built_s, "open_s": opened_s,
                  "disk_mb": file.stat().st_size / 1e6, "held_mb": held / 1e6,
                  "build_mb": (max(while_built) - before["own"]) / 1e6}  # fmt: skip
        store.close()
    rows = [{"pass": name, "k": k, "exact_ms": exact[name, k][0], "index_ms": index[name, k][0],
             "recall": recall(index[name, k][1], exact[name, k][1])} for name, k in asked]  # fmt: skip
    return result | {"searches": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[200_000, 1_000_000])
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for size in options.sizes:
        result = measured(size, options.queries, options.seed)
        if options.json:
            print(json.dumps(result), flush=True)
            continue
        print("{size:,} vectors, {columns_mb:.0f} MB in RAM".format(**result))
        print(
            "index: built in {build_s:.0f} s with {build_mb:.0f} MB of RAM, opened in {open_s:.2f} s".format(**result)
        )
        print("       {disk_mb:.0f} MB on disk (mapped), {held_mb:.0f} MB of RAM".format(**result))
        print(f"{'pass':>10} {'k':>4} {'exact ms':>9} {'index ms':>9} {'recall':>7}")
        for row in result["searches"]:
            print("{pass:>10} {k:>4} {exact_ms:>9.2f} {index_ms:>9.2f} {recall:>7.3f}".format(**row), flush=True)


if __name__ == "__main__":
    main()
