"""Many MCP clients at once on one memory: is every write there that was acknowledged, once and whole?

python benchmarks/mcp_crowd.py                                  20 clients, 1,000 writes each, both ways
python benchmarks/mcp_crowd.py http|stdio [--clients 20] [--writes 1000] [--embedder hash-64]

http    one server (`mnemic serve`), all clients over streamable HTTP
stdio   each client starts a process of its own (`mnemic mcp run`), all on one file

Half of the clients also recall after every tenth write. At the end the file is opened and compared with what the
clients were told: each id holds the text that its client sent, the log holds one insert of it and nothing else, and
`check` (pages, rows, log against rows, indexes against rows) finds nothing. Exit code 1 when anything is lost, doubled,
unclean or was answered with an error. hash-64 makes vectors without a model, so that writes meet each other more often.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters
from rich.console import Console
from rich.table import Table

from mnemic import Memory

ID = re.compile(r"(?:Remembered|Known already) as ([0-9a-f-]{36})")
READ_EVERY = 10
TOPICS = ("boats", "harbours", "bread", "chess", "gardens", "trains", "birds")

Connect = Callable[[], Any]


@dataclass
class Seen:
    """What the clients were told."""

    kept: list[tuple[str, str]] = field(default_factory=list)  # (id, text)
    errors: Counter[str] = field(default_factory=Counter)
    write_ms: list[float] = field(default_factory=list)
    read_ms: list[float] = field(default_factory=list)


async def one(connect: Connect, name: int, writes: int, seen: Seen, ready: asyncio.Barrier) -> None:
    async with connect() as client:
        await ready.wait()
        for n in range(writes):
            text = f"Client {name} says sentence {n} about {TOPICS[n % len(TOPICS)]} and {TOPICS[name % len(TOPICS)]}."
            told, ms = await called(client, seen, "remember", text=text)
            seen.write_ms.append(ms)
            if found := ID.match(told):
                seen.kept.append((found[1], text))
            if name % 2 == 0 and n % READ_EVERY == READ_EVERY - 1:
                _, ms = await called(client, seen, "recall", query=f"What does client {name} say about boats?")
                seen.read_ms.append(ms)


async def called(client: Client, seen: Seen, tool: str, **arguments: Any) -> tuple[str, float]:
    began = time.perf_counter()
    try:
        result = await client.call_tool(tool, arguments)
        told, failed = result.content[0].text, result.is_error
    except Exception as error:  # whatever it is, it is counted and the others go on
        told, failed = f"{type(error).__name__}: {error}", True
    if failed:
        seen.errors[told[:100]] += 1
        told = ""
    return told, (time.perf_counter() - began) * 1000


async def crowd(connect: Connect, clients: int, writes: int) -> tuple[Seen, float]:
    seen, ready = Seen(), asyncio.Barrier(clients + 1)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(connect, name, writes, seen, ready)) for name in range(clients)]
        await ready.wait()  # all are connected
        began = time.perf_counter()
        await asyncio.wait(tasks)
    return seen, time.perf_counter() - began


def stdio(db: Path, embedder: str) -> Connect:
    words = ["-m", "mnemic", "mcp", "run", "--db", str(db), "--embedder", embedder, "--lm", "none"]
    return lambda: Client(StdioServerParameters(command=sys.executable, args=words))


@contextmanager
def served(db: Path, embedder: str) -> Iterator[Connect]:
    words = ["serve", "--port", "0", "--json", "--db", str(db), "--embedder", embedder, "--lm", "none"]
    process = subprocess.Popen([sys.executable, "-m", "mnemic", *words], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        yield lambda: Client(f"{url}/mcp")
    finally:
        process.terminate()
        process.wait()


def verdict(db: Path, embedder: str, seen: Seen, wanted: int) -> dict[str, int]:
    """What is wrong with the file, against what was acknowledged."""
    with Memory(db, embedder=embedder) as memory:
        there = {record.id: record.text for record in memory.records()}
        logged = Counter((operation.kind, operation.target) for operation in memory.log())
        clean = memory.check().ok
    acknowledged = dict(seen.kept)
    return {
        "not acknowledged": wanted - len(seen.kept),
        "lost or altered": sum(there.get(id) != text for id, text in seen.kept),
        "doubled": len(seen.kept) - len(acknowledged) + len(there) - len(set(there.values())),
        "never acknowledged, but there": len(there.keys() - acknowledged.keys()),
        "log differs": sum((logged - Counter(("insert", id) for id in there)).values()) + len(there) - len(logged),
        "unclean": int(not clean),
        "errors": seen.errors.total(),
    }


def measure(way: str, clients: int, writes: int, embedder: str) -> tuple[list[str], bool]:
    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / "life.db"
        door = served(db, embedder) if way == "http" else nullcontext(stdio(db, embedder))
        with door as connect:
            seen, seconds = asyncio.run(crowd(connect, clients, writes))
        wrong = verdict(db, embedder, seen, clients * writes)
    for error, many in seen.errors.most_common(5):
        print(f"{many} x {error}", file=sys.stderr)
    bad = ", ".join(f"{many} {name}" for name, many in wrong.items() if many) or "nothing"
    row = [way, f"{clients}", f"{len(seen.kept):,}", f"{seconds:.0f}", f"{len(seen.kept) / seconds:.0f}",
           _ms(seen.write_ms), _ms(seen.read_ms), bad]  # fmt: skip
    return row, not any(wrong.values())


def _ms(times: list[float]) -> str:
    if len(times) < 2:
        return "-"
    cuts = statistics.quantiles(times, n=20)
    return f"{statistics.median(times):.0f} / {cuts[-1]:.0f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("way", nargs="?", choices=("http", "stdio"))
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--writes", type=int, default=1000)
    parser.add_argument("--embedder", default="hash-64")
    given = parser.parse_args()
    columns = ("way", "clients", "writes", "s", "writes/s", "write ms p50/p95", "recall ms p50/p95", "wrong")
    table, fine = Table(*columns), True
    for way in [given.way] if given.way else ["http", "stdio"]:
        row, good = measure(way, given.clients, given.writes, given.embedder)
        table.add_row(*row)
        fine &= good
    Console().print(table)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
