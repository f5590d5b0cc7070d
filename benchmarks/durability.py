"""What an acknowledgement is worth: kill -9 at random moments, and many processes on one file.

python benchmarks/durability.py kills [--times 200]     no acknowledged record lost, `check` clean every time
python benchmarks/durability.py crowd [--seconds 60]    two processes write, three read: no error, no lost write
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
from pathlib import Path

from mnemic import Memory
from mnemic.lm.doubles import HashEmbedder

WRITER = """
import sys
from mnemic import Memory
from mnemic.lm.doubles import HashEmbedder
path, name, many = sys.argv[1], sys.argv[2], int(sys.argv[3])
with Memory(path, embedder=HashEmbedder(), retriever="dense") as memory:
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
from mnemic.lm.doubles import HashEmbedder
with Memory(sys.argv[1], embedder=HashEmbedder(), retriever="dense") as memory:
    while True:
        hits = memory.recall("boats and harbours", k=5)
        sys.stdout.write(f"{len(hits)}\\n")
        sys.stdout.flush()
"""


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def kills(times: int, seed: int) -> dict[str, int]:
    """Kill a writer `times` times; every id that it printed must be there, and the file must check clean."""
    chance = random.Random(seed)
    acknowledged: set[str] = set()
    lost = unclean = 0
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "life.db")
        for round in range(times):
            writer = start(WRITER, path, f"round{round}", str(chance.choice([1, 7, 50])))
            assert writer.stdout is not None
            first = writer.stdout.readline()  # it is at work
            time.sleep(chance.random() * 0.25)
            writer.send_signal(signal.SIGKILL)
            out, _ = writer.communicate()
            whole = (first + out).split("\n")[:-1]  # the last line may be cut
            acknowledged.update(whole)
            with Memory(path, embedder=HashEmbedder(), retriever="dense") as memory:
                there = {record.id for record in memory.records()}
                lost += len(acknowledged - there)
                if round % 10 == 9 or round == times - 1 or len(there) < 2000:
                    unclean += not memory.check().ok
                else:
                    unclean += memory.store.read("PRAGMA quick_check") != [("ok",)]
    return {"kills": times, "acknowledged": len(acknowledged), "lost": lost, "unclean": unclean}


def crowd(seconds: float) -> dict[str, int]:
    """Two writers and three readers on one file for a while."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "life.db")
        Memory(path, embedder=HashEmbedder(), retriever="dense").close()
        writers = [start(WRITER, path, f"writer{i}", "5") for i in range(2)]
        readers = [start(READER, path) for _ in range(3)]
        time.sleep(seconds)
        died = sum(process.poll() is not None for process in writers + readers)
        for process in writers + readers:
            process.send_signal(signal.SIGKILL)
        written = [line for writer in writers for line in writer.communicate()[0].split("\n")[:-1]]
        reads = sum(reader.communicate()[0].count("\n") for reader in readers)
        with Memory(path, embedder=HashEmbedder(), retriever="dense") as memory:
            there = {record.id for record in memory.records()}
            return {"writes": len(written), "reads": reads, "died": died, "lost": len(set(written) - there),
                    "unclean": int(not memory.check().ok)}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["kills", "crowd"], help="both when left out")
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    results = []
    if given.what != "crowd":
        results.append(kills(given.times, given.seed))
    if given.what != "kills":
        results.append(crowd(given.seconds))
    for result in results:
        print(json.dumps(result))
    return int(any(result["lost"] or result["unclean"] or result.get("died", 0) for result in results))


if __name__ == "__main__":
    sys.exit(main())
