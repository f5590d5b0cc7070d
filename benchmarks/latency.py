"""How long a recall takes, the embedding of the question included, and what the time goes to.

python benchmarks/latency.py                              10,000 and 100,000 records
python benchmarks/latency.py --sizes 10000,100000,1000000   the last takes about 3 GB of disk and a quarter of an hour
python benchmarks/latency.py --keep FOLDER                leave the memories there; the next run has only to ask
python benchmarks/latency.py --json

Default retriever, ten hits, questions of LoCoMo (the demo's without MNEMIC_DATA), each asked once, in a fresh process
that has the memory open; what is in the memories says benchmarks/_records.py. "at rest": nothing is written between
the questions. "written to": one record is added before each, so what was worked out from the old state is worked out
again. "no index": before `mnemic index` has made the index that a memory of more than 250,000 vectors profits from.

Exit code 1 when a median at rest is above its bar: 15, 25, 40 ms at 10,000, 100,000, 1,000,000 records. The bars are
for two idle cores: on a busy machine look at the processor time, which others can stretch but not multiply, and
at the load average that is printed. Processor time counts all threads; the embedder's spin for a moment when they wait.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import _records
from rich.console import Console
from rich.table import Table

from mnemic import Memory
from mnemic.cli.progress import track
from mnemic.errors import InputError
from mnemic.meter import disk_bytes, peak_of, readable
from mnemic.recall.approximate import FROM
from mnemic.recall.store_corpus import StoreCorpus

BARS_MS = {10_000: 15, 100_000: 25, 1_000_000: 40}
WARM = 10  # questions before the clock runs: the first one opens the columns and the model


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="10000,100000", help="records, with commas between")
    parser.add_argument("--questions", type=int, default=200, help="that are timed")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="make the memories here and leave them")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for size in map(int, given.sizes.split(",")):
            rows += measured(size, given.keep or Path(folder), given.questions)
    print(json.dumps({"rows": rows, "load": os.getloadavg(), "cores": os.cpu_count()}, indent=1)) if given.json \
        else show(rows)  # fmt: skip
    return int(any(row["bar_ms"] and row["wall_ms"] > row["bar_ms"] for row in rows))


def measured(size: int, folder: Path, count: int) -> list[dict[str, Any]]:
    """A row for each way to ask a memory of a size, which is made when the folder does not have it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"records-{size}.db"
    start = time.perf_counter()
    with bar(f"writing {size:,} records") as moved:
        _records.build(path, size, moved)
    written_s = time.perf_counter() - start
    rows = []
    if size >= FROM:
        for cache in folder.glob(f"{path.name}.*.cache"):
            cache.unlink()  # a kept memory has its index
        rows.append(asked(path, size, count, "no index"))
    index_s = indexed(path)
    rows.append(asked(path, size, count, "at rest"))
    with tempfile.TemporaryDirectory(dir=folder) as beside:  # what is kept stays as it is
        for file in folder.glob(f"{path.name}*"):
            shutil.copy2(file, beside)
        rows.append(asked(Path(beside) / path.name, size, count, "written to"))
    made = {"written_s": written_s, "index_s": index_s, "bytes": disk_bytes(path).amount}
    return [{**row, **made, "bar_ms": BARS_MS.get(size) if row["how"] == "at rest" else None} for row in rows]


def indexed(path: Path) -> float:
    """Seconds that it took to make what recall searches in, if the memory is large enough to want it."""
    start = time.perf_counter()
    with Memory(path) as memory, bar("indexing") as moved:
        for done, total in memory.index():
            moved(done, total)
    return time.perf_counter() - start


def bar(what: str) -> AbstractContextManager[Callable[[float, float], None]]:
    return track(what, unit="record")


def asked(path: Path, size: int, count: int, how: str) -> dict[str, Any]:
    """Ask in a fresh process; medians of milliseconds."""
    with Console(stderr=True).status(f"asking {size:,} records, {how}"):
        found = peak_of(ask, str(path), count, how == "written to")
    times = found.result["ms"]
    wall = sorted(row["wall"] for row in times)
    parts = {name: statistics.median(row[name] for row in times) for name in ("embed", "score", "fetch", "cpu")}
    return {"records": size, "how": how, "questions": len(times), "wall_ms": statistics.median(wall),
            "p95_ms": wall[int(0.95 * len(wall))], **{f"{name}_ms": ms for name, ms in parts.items()},
            "open_s": found.result["open_s"], "peak_bytes": found.used.amount}  # fmt: skip


def ask(path: str, count: int, writing: bool) -> dict[str, Any]:
    """Runs in the fresh process: milliseconds of each question, and seconds until the first was answered."""
    questions = _records.questions(count + WARM)
    if len(questions) <= WARM:
        raise InputError(f"there are {len(questions)} questions, and {WARM} only warm up: set MNEMIC_DATA for more.")
    start = time.perf_counter()
    with Memory(path) as memory:
        memory.recall(questions[0])
        open_s = time.perf_counter() - start
        spent = {"embed": 0.0, "fetch": 0.0}
        StoreCorpus.embed = timed(spent, "embed", StoreCorpus.embed)
        StoreCorpus.hits = timed(spent, "fetch", StoreCorpus.hits)
        rows = []
        for n, question in enumerate(questions):
            if writing:
                memory.add(f"Note {time.time()}: {question}")
            spent.update(embed=0.0, fetch=0.0)
            cpu, wall = time.process_time(), time.perf_counter()
            memory.recall(question)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            each = {**spent, "score": wall - sum(spent.values()), "wall": wall, "cpu": cpu}
            rows.append({name: 1000 * seconds for name, seconds in each.items()})
            if n == WARM - 1:
                rows.clear()
    return {"ms": rows, "open_s": open_s}


def timed(spent: dict[str, float], name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def clocked(*arguments: Any) -> Any:
        start = time.perf_counter()
        try:
            return call(*arguments)
        finally:
            spent[name] += time.perf_counter() - start

    return clocked


def show(rows: list[dict[str, Any]]) -> None:
    console = Console(width=150)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    table = Table("records", "", "median ms", "bar", "p95", "embed", "score", "fetch", "cpu ms", "open s", "process",
                  "written s", "index s", "disk", title_justify="left",
                  title=f"ms of one recall, medians; load {load} on {os.cpu_count()} cores")  # fmt: skip
    for row in rows:
        held = (
            "" if row["bar_ms"] is None else f"{row['bar_ms']} {'ok' if row['wall_ms'] <= row['bar_ms'] else 'MISSED'}"
        )
        table.add_row(f"{row['records']:,}", row["how"], f"{row['wall_ms']:.1f}", held, f"{row['p95_ms']:.1f}",
                      *(f"{row[f'{name}_ms']:.1f}" for name in ("embed", "score", "fetch", "cpu")),
                      f"{row['open_s']:.1f}", readable(row["peak_bytes"], "bytes"), f"{row['written_s']:.0f}",
                      f"{row['index_s']:.0f}", readable(row["bytes"], "bytes"))  # fmt: skip
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
