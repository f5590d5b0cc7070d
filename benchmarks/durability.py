"""What an acknowledgement is worth: kill -9 at random moments, and many processes on one file.

python benchmarks/durability.py                          all of the below, about half an hour on two cores
python benchmarks/durability.py kills [--times 200]      Memory.add_many is killed; no id that it printed may be lost
python benchmarks/durability.py models [--times 200]     the same with the embedder that ships inside
python benchmarks/durability.py files [--times 200]      `mnemic add FOLDER` is killed and started again until it is
                                                         through: nothing is lost, done twice or begun anew
python benchmarks/durability.py crowd [--seconds 60]     two processes write, three read: no error, no lost write

`check` (pages, rows, log against rows, indexes against rows) runs after every kill and must find nothing. One kill in
ten comes while the process starts, so also while the file is made; a new file is begun every ten kills. Exit code 1
when anything is lost, doubled, unclean or has failed.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mnemic import Memory
from mnemic.cli.progress import track
from mnemic.demo import conversation
from mnemic.files import read

QUICK = "hash-64"  # an embedder without a model: more writes, and more kills inside one
MINILM = "minilm"
PER_FILE = 10  # kills, then a new file: small and large ones are met, and `check` stays quick
START_S = 2.0  # a kill that comes before a process's first sign comes within so long
WORK_S = {QUICK: 0.25, MINILM: 1.0}  # a kill that comes at its work comes within so long after its first sign
FILES, TURNS = 12, 1000  # of the folder that is added: two batches each
WRONG = ("lost", "doubled", "unfinished", "unclean", "died")

WRITER = """
import sys
from mnemic import Memory
path, name, many, embedder = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
with Memory(path, embedder=embedder) as memory:
    i = 0
    while True:
        items = [f"{name} note {i + j} about boats and harbours" for j in range(many)]
        for outcome in memory.add_many(items):
            sys.stdout.write(outcome.record.id + "\\n")
        sys.stdout.flush()
        i += many
"""

READER = """
import sys
from mnemic import Memory
seen = 0
with Memory(sys.argv[1], embedder=sys.argv[2]) as memory:
    while True:
        hits = memory.recall("boats and harbours", k=5)
        count = memory.corpus.living
        assert count >= seen, f"{seen} records, then {count}"
        assert len(hits) >= min(5, seen), f"{len(hits)} hits of {seen} records"
        seen = count
        sys.stdout.write(f"{count}\\n")
        sys.stdout.flush()
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["kills", "models", "files", "crowd"], help="all when left out")
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    runs: dict[str, Callable[[], dict[str, Any]]] = {
        "kills": lambda: kills(given.times, given.seed, QUICK),
        "models": lambda: kills(given.times, given.seed, MINILM),
        "files": lambda: files(given.times, given.seed),
        "crowd": lambda: crowd(given.seconds),
    }
    results = {name: run() for name, run in runs.items() if given.what in (None, name)}
    print(json.dumps(results, indent=1)) if given.json else show(results)
    return int(any(result[wrong] for result in results.values() for wrong in WRONG if wrong in result))


def kills(times: int, seed: int, embedder: str) -> dict[str, Any]:
    """Kill a writer so many times; every id that it printed must be there, and the file must check clean."""
    chance = random.Random(seed)
    told = lost = unclean = early = 0
    with tempfile.TemporaryDirectory() as folder, track(f"killing ({embedder})", unit="kill") as moved:
        for n in range(times):
            moved(n, times)
            if n % PER_FILE == 0:
                path, acknowledged = Path(folder) / f"life{n}.db", set[str]()
            writer = start(WRITER, path, f"round{n}", chance.choice([1, 7, 50]), embedder)
            ids = killed(writer, chance, WORK_S[embedder])
            early += not ids
            acknowledged.update(ids)
            there, clean = looked_into(path)
            lost += len(acknowledged - there)
            unclean += not clean
            told += len(ids)
    return {"kills": times, "before the first write": early, "acknowledged": told, "lost": lost, "unclean": unclean}


def killed(process: subprocess.Popen[str], chance: random.Random, work_s: float) -> list[str]:
    """Kill -9 at a random moment, of its start one time in ten, else of its work; the whole lines that it printed."""
    assert process.stdout is not None
    first = ""
    if chance.random() < 0.1:
        time.sleep(chance.random() * START_S)
    else:
        first = process.stdout.readline()  # it is at work
        time.sleep(chance.random() * work_s)
    process.send_signal(signal.SIGKILL)
    out, complaint = process.communicate()
    if process.returncode != -signal.SIGKILL:
        raise SystemExit(f"the writer ended by itself ({process.returncode}): {complaint[-2000:]}")
    return (first + out).split("\n")[:-1]  # the last line may be cut


def looked_into(path: Path) -> tuple[set[str], bool]:
    """Ids of the records of a file that was left behind, and whether it checks clean."""
    if not path.exists():
        return set(), True
    with Memory(path) as memory:
        return {record.id for record in memory.records()}, memory.check().ok


def files(times: int, seed: int) -> dict[str, Any]:
    """Kill `mnemic add FOLDER`; when a run comes through, all must be in, once, and a new memory is begun."""
    chance, count = random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory() as name, track("killing (files)", unit="kill") as moved:
        folder = Path(name) / "folder"
        total, start_s = write_folder(folder), seconds_to_start(folder)
        while count["kills"] < times:
            path, before = Path(name) / f"life{count['memories']}.db", set[str]()
            through = False
            while not through:
                moved(count["kills"], times)
                # No run gets the time to add it all, so only going on ends it; the last memory is left to end in peace.
                wait_s = chance.uniform(0, 3 * start_s) if count["kills"] < times else None
                through = add(folder, path, wait_s)
                there, clean = looked_into(path)
                count.update({"kills": not through, "went on": bool(before) and len(there) > len(before),
                              "lost": len(before - there), "unclean": not clean})  # fmt: skip
                before = there
            count.update({"memories": 1, "records": len(there), "unfinished": total - len(there),
                          "doubled": operations(path) - len(there)})  # fmt: skip
    return dict(count)


def write_folder(folder: Path) -> int:
    """Files of three kinds with numbered sentences of the demo; the number of records that they hold."""
    turns = [chunk.text for chunk in conversation()]
    folder.mkdir()
    for file in range(FILES):
        said = [f"{turns[n % len(turns)]} ({file}, {n})" for n in range(TURNS)]
        lines = [json.dumps({"role": "user", "content": text}) for text in said]
        documents = {
            "jsonl": "\n".join(lines),
            "json": f"[{', '.join(lines)}]",
            "md": "\n".join(f"## Note {n}\n\n{text}\n" for n, text in enumerate(said)),
        }
        kind = list(documents)[file % len(documents)]
        (folder / f"{file}.{kind}").write_text(documents[kind], encoding="utf-8")
    return sum(1 for file in folder.iterdir() for _ in read(file))


def seconds_to_start(folder: Path) -> float:
    """What a run takes that has nothing to do, here and now."""
    path, nothing = folder.parent / "start.db", folder.parent / "start.txt"
    nothing.write_text("one line", encoding="utf-8")
    start = time.perf_counter()
    add(nothing, path, None)
    return time.perf_counter() - start


def add(what: Path, path: Path, wait_s: float | None) -> bool:
    """Run `mnemic add`, with kill -9 after some seconds; True when it came through."""
    command = [sys.executable, "-m", "mnemic", "add", str(what), "--db", str(path), "--embedder", QUICK]
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        _, complaint = run.communicate(timeout=wait_s)
    except subprocess.TimeoutExpired:
        run.kill()
        _, complaint = run.communicate()
    if run.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"`mnemic add` failed ({run.returncode}): {complaint[-2000:]}")
    return run.returncode == 0


def operations(path: Path) -> int:
    """Entries of the log."""
    with Memory(path) as memory:
        return sum(1 for _ in memory.log())


def crowd(seconds: float) -> dict[str, Any]:
    """Two writers and three readers on one file for a while."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "life.db"
        Memory(path, embedder=QUICK).close()
        writers = [start(WRITER, path, f"writer{i}", 5, QUICK) for i in range(2)]
        readers = [start(READER, path, QUICK) for _ in range(3)]
        with track("a crowd", unit="second") as moved:
            for second in range(round(seconds)):
                moved(second, seconds)
                time.sleep(1)
        ended = [process.poll() is not None for process in writers + readers]  # none ends by itself, but by an error
        for process in writers + readers:
            process.kill()
        said = [process.communicate() for process in writers + readers]
        for gone, (_, complaint) in zip(ended, said, strict=True):
            if gone:
                print(complaint[-2000:], file=sys.stderr)
        told = {id for out, _ in said[:2] for id in out.split("\n")[:-1]}
        there, clean = looked_into(path)
        return {"writes": len(told), "reads": sum(out.count("\n") for out, _ in said[2:]), "died": sum(ended),
                "lost": len(told - there), "unclean": int(not clean)}  # fmt: skip


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def show(results: dict[str, dict[str, Any]]) -> None:
    table = Table("", "what was done", "what must be 0")
    for name, result in results.items():
        done = ", ".join(f"{value:,} {what}" for what, value in result.items() if what not in WRONG)
        table.add_row(name, done, ", ".join(f"{value:,} {what}" for what, value in result.items() if what in WRONG))
    Console(width=130).print(table)


if __name__ == "__main__":
    sys.exit(main())
