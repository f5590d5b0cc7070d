"""What a process takes that opens a memory and asks it, and how long `import mnemic` takes.

python benchmarks/memory.py                    a memory of 100,000 records
python benchmarks/memory.py --keep FOLDER      leave it there; the next run has only to open it
python benchmarks/memory.py --json

Each number is of fresh processes. "peak" counts all pages, those of the libraries too (VmHWM); "own" are pages that
no file stands behind (RssAnon). The memory is the one of benchmarks/latency.py, opened with the default retriever and
embedder. Exit code 1 when the peak after one recall is above 350 MB, or the import takes more than 0.3 s (median, for
two idle cores; the processor time stands beside it).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import _records
from rich.console import Console
from rich.table import Table

from mnemic import Memory
from mnemic.cli.progress import track
from mnemic.meter import peak_of, readable

BAR_BYTES, BAR_IMPORT_S = 350_000_000, 0.3
QUESTION = "What did we plan for the summer?"
IMPORT = "import time; w, c = time.perf_counter(), time.process_time(); import mnemic; " \
         "print(time.perf_counter() - w, time.process_time() - c)"  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--imports", type=int, default=15, help="processes that import")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="make the memory here and leave it")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = opened(given.keep or Path(folder), given.records)
    found = {"records": given.records, "rows": rows, "import": imported(given.imports), "load": os.getloadavg()}
    print(json.dumps(found, indent=1)) if given.json else show(found)
    return int(rows[-1]["peak"] > BAR_BYTES or found["import"]["wall_s"] > BAR_IMPORT_S)


def opened(folder: Path, records: int) -> list[dict[str, Any]]:
    """Bytes after each step: a row for a process that took it and those before."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"records-{records}.db"
    with track(f"writing {records:,} records", unit="record") as moved:
        _records.build(path, records, moved)
    steps = {"import": nothing, "open": open_only, "recall": recall}
    return [{"step": name, **taken(step, path)} for name, step in steps.items()]


def taken(step: Any, path: Path) -> dict[str, int]:
    used = peak_of(step, str(path)).used
    return {"peak": used.amount, "own": used.parts.get("own", 0)}


def nothing(path: str) -> None:
    """Runs in the fresh process: the script and what it imports, nothing else."""


def open_only(path: str) -> int:
    with Memory(path) as memory:
        return memory.position


def recall(path: str) -> int:
    with Memory(path) as memory:
        return len(memory.recall(QUESTION))


def imported(times: int) -> dict[str, float]:
    """Median seconds of `import mnemic`; the first one, which reads from a cold disk, does not count."""
    found = []
    for _ in range(times + 1):
        out = subprocess.run([sys.executable, "-c", IMPORT], check=True, stdout=subprocess.PIPE, text=True).stdout
        found.append([float(word) for word in out.split()])
    wall, cpu = (statistics.median(column) for column in zip(*found[1:], strict=True))
    return {"wall_s": wall, "cpu_s": cpu}


def show(found: dict[str, Any]) -> None:
    console = Console()
    table = Table("a process that did", "peak", "own", title=f"{found['records']:,} records", title_justify="left")
    for row in found["rows"]:
        table.add_row(row["step"], readable(row["peak"], "bytes"), readable(row["own"], "bytes"))
    console.print(table)
    console.print(f"bar: {readable(BAR_BYTES, 'bytes')} peak after a recall")
    wall, cpu = found["import"]["wall_s"], found["import"]["cpu_s"]
    console.print(f"import mnemic: {wall:.3f} s, {cpu:.3f} s of processor time (medians; bar {BAR_IMPORT_S} s)")
    console.print(f"load {found['load'][0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    sys.exit(main())
