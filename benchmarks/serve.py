"""The server under load: 50 clients at once on one file, and what is left of what it acknowledged.

python benchmarks/serve.py                        50 clients, 60 s, 10,000 records: as fast as they can, then paced
python benchmarks/serve.py --seconds 10 --clients 20
python benchmarks/serve.py --kills 50             kill -9 during writes, so many times; nothing else
python benchmarks/serve.py --chroma PYTHON        chromadb's server beside it; PYTHON has chromadb installed
python benchmarks/serve.py --keep FOLDER --json

Work     of ten requests seven recalls (ten hits), one reads a record, two remember a text; each client does one after
         the other over a connection of its own. "as fast as they can": the next at once, so that the machine is full
         and latency is queueing; "paced": each client asks --rate times a second, as an agent at work does
Clients  one process beside the server's, on the same cores, with as little code as HTTP needs
Checks   every text that was acknowledged is in the memory exactly once, and no other; no answer but the expected
Chroma   the same records, vectors, questions and mix through its HTTP API; there the client makes the vectors, with the
         same model on one thread, and that time counts, as it does inside mnemic

Columns  processor time a request of the server and of the clients: others on the machine stretch times, not these

Exit code 1 for an error, a lost or a doubled write, or when p95 of paced recall is above 150 ms (the bar is for two
cores that are idle otherwise; the load average is printed).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import _records
from _load import Connection, Load, expect
from rich.console import Console
from rich.table import Table

from mnemic import Memory
from mnemic.lm.minilm import MiniLM

BAR_MS = 150
SPACE = "/v1/spaces/default"
SERVE = "from mnemic.cli.serve import serve; serve()"
READY_SECONDS = 60


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=1.0, help="requests a second of a paced client")
    parser.add_argument("--kills", type=int, default=0, help="kill -9 so many times, and do nothing else")
    parser.add_argument("--chroma", metavar="PYTHON", help="a Python that has chromadb")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="make the memory here and leave it")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.kills:
            rows = [killed(Path(folder) / "kill.db", given.kills)]
        else:
            rows = loads(given, given.keep or Path(folder), Path(folder))
    if given.json:
        print(json.dumps({"rows": rows, "load": os.getloadavg(), "cores": os.cpu_count()}, indent=1))
    else:
        show(rows)
    return int(any(row["errors"] or row["lost"] or row["doubled"] for row in rows)
               or any(row.get("way") == "paced" and row["system"] == "mnemic" and row["recall p95 ms"] > BAR_MS
                      for row in rows))  # fmt: skip


def loads(given: argparse.Namespace, kept: Path, folder: Path) -> list[dict[str, Any]]:
    kept.mkdir(parents=True, exist_ok=True)
    made = kept / f"records-{given.records}.db"
    _records.build(made, given.records)
    questions = _records.questions(400)
    rows = []
    for way, rate in (("as fast as they can", None), ("paced", given.rate)):
        path = folder / "serve.db"
        for end in ("", "-wal", "-shm"):
            Path(f"{path}{end}").unlink(missing_ok=True)
        shutil.copy2(made, path)
        with server(path) as (port, pid):
            load = Load(MnemicClient, port, questions, given.clients, given.seconds, rate)
            row = load.run(pid)
        rows.append({"system": "mnemic", "way": way, **row, **kept_of(path, load)})
        if given.chroma:
            rows.append({"system": "chromadb", "way": way, **chroma(given, made, folder, questions, rate)})
    return rows


# ---- clients


@dataclass
class MnemicClient:
    connection: Connection
    seen: list[str] = field(default_factory=list)  # ids of records that can be read

    async def recall(self, question: str) -> None:
        status, body = await self.connection.ask("GET", f"{SPACE}/recall?k=10&q={quote(question)}")
        expect(status, 200, body)
        self.seen = [hit["record"]["id"] for hit in json.loads(body)["items"]]

    async def read(self, question: str) -> None:
        if not self.seen:
            return await self.recall(question)
        status, body = await self.connection.ask("GET", f"{SPACE}/records/{self.seen[0]}")
        expect(status, 200, body)

    async def add(self, text: str) -> None:
        status, body = await self.connection.ask("POST", f"{SPACE}/records", {"text": text, "source": "benchmark"})
        expect(status, 201, body)


def kept_of(path: Path, load: Load) -> dict[str, int]:
    """Acknowledged writes that are not there, and texts that are there twice or were never sent."""
    with Memory(path) as memory:
        there = Counter(record.text for record in memory.records({"source": "benchmark"}))
        sound = memory.check().ok
    doubled = sum(count - 1 for count in there.values()) + sum(text not in load.sent for text in there)
    return {"writes": len(load.written), "lost": sum(text not in there for text in load.written) + (not sound),
            "doubled": doubled}  # fmt: skip


# ---- the server


@contextmanager
def server(path: Path) -> Iterator[tuple[int, int]]:
    """Its port and process."""
    started, port = start(path)
    try:
        yield port, started.pid
    finally:
        started.terminate()
        started.wait(60)


def start(path: Path) -> tuple[subprocess.Popen[str], int]:
    command = [sys.executable, "-c", SERVE, "--db", str(path), "--port", "0", "--lm", "none", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("the server did not start")
    return process, int(json.loads(line)["url"].rpartition(":")[2])


def killed(path: Path, times: int) -> dict[str, Any]:
    """Write, kill -9, start again, look for every acknowledged text; so many times."""
    acknowledged: list[str] = []
    sent: set[str] = set()
    lost = doubled = 0
    for turn in range(times):
        process, port = start(path)
        asyncio.run(_write_until_killed(process, port, turn, acknowledged, sent))
        process.wait()
        with Memory(path) as memory:
            there = Counter(record.text for record in memory.records())
            sound = memory.check().ok
        lost = sum(text not in there for text in acknowledged) + (not sound)
        doubled = sum(count - 1 for count in there.values()) + sum(text not in sent for text in there)
        if lost or doubled:
            break
    return {"system": "mnemic", "way": f"kill -9, {times} times", "writes": len(acknowledged), "errors": 0,
            "lost": lost, "doubled": doubled}  # fmt: skip


async def _write_until_killed(process: subprocess.Popen[str], port: int, turn: int, acknowledged: list[str],
                              sent: set[str]) -> None:  # fmt: skip
    async def writer(number: int) -> None:
        client = MnemicClient(Connection(port))
        with suppress(OSError, asyncio.IncompleteReadError):
            for count in range(1_000_000):
                text = f"Writer {number} wrote note {count} in turn {turn}."
                sent.add(text)
                await client.add(text)
                acknowledged.append(text)

    async def killer() -> None:
        await asyncio.sleep(random.Random(turn).uniform(0.2, 1.5))
        process.send_signal(signal.SIGKILL)

    work: list[Awaitable[None]] = [writer(number) for number in range(8)]
    await asyncio.gather(*work, killer())


# ---- chromadb's server


class ChromaClient:
    """One client of chromadb's server: it makes the vectors, as chromadb's own client does."""

    base = "/api/v2/tenants/default_tenant/databases/default_database/collections"
    collection = ""
    embedder = MiniLM(threads=1)
    threads = ThreadPoolExecutor(2)
    number = 0

    def __init__(self, connection: Connection) -> None:
        self.connection, self.seen = connection, [""]

    async def recall(self, question: str) -> None:
        body = {"query_embeddings": [await self._vector(question)], "n_results": 10,
                "include": ["documents", "metadatas", "distances"]}  # fmt: skip
        status, told = await self.connection.ask("POST", f"{self.base}/{self.collection}/query", body)
        expect(status, 200, told)
        self.seen = json.loads(told)["ids"][0]

    async def read(self, question: str) -> None:
        body = {"ids": self.seen[:1], "include": ["documents", "metadatas"]}
        status, told = await self.connection.ask("POST", f"{self.base}/{self.collection}/get", body)
        expect(status, 200, told)

    async def add(self, text: str) -> None:
        ChromaClient.number += 1
        body = {"ids": [f"new {ChromaClient.number}"], "embeddings": [await self._vector(text)], "documents": [text],
                "metadatas": [{"source": "benchmark"}]}  # fmt: skip
        status, told = await self.connection.ask("POST", f"{self.base}/{self.collection}/add", body)
        expect(status, 201, told)

    async def _vector(self, text: str) -> list[float]:
        run = asyncio.get_running_loop().run_in_executor
        return (await run(self.threads, lambda: self.embedder.embed([text])[0])).tolist()


def chroma(given: argparse.Namespace, made: Path, folder: Path, questions: list[str], rate: float | None
           ) -> dict[str, Any]:  # fmt: skip
    place = folder / f"chroma {rate}"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "import sys; from chromadb.cli.cli import app; sys.argv[0] = 'chroma'; app()"
    command = [given.chroma, "-c", code, "run", "--path", str(place), "--port", str(port), "--host", "127.0.0.1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env={**os.environ, "ANONYMIZED_TELEMETRY": "False"})  # fmt: skip
    try:
        asyncio.run(_fill(port, made))
        load = Load(ChromaClient, port, questions, given.clients, given.seconds, rate)
        row = load.run(process.pid)
        there = asyncio.run(_texts(port))
    finally:
        process.terminate()
        process.wait(60)
    return {**row, "writes": len(load.written), "lost": sum(text not in there for text in load.written),
            "doubled": sum(count - 1 for count in there.values())}  # fmt: skip


async def _fill(port: int, made: Path) -> None:
    """The same records with the same vectors."""
    connection = await _ready(port)
    status, told = await connection.ask("POST", ChromaClient.base, {"name": f"records{port}"})
    expect(status, 200, told)
    ChromaClient.collection = json.loads(told)["id"]
    with Memory(made) as memory:
        corpus, records = memory.corpus, list(memory.records())
        vectors = corpus.codes[corpus.first] * corpus.scale[corpus.first][:, None]
    for start in range(0, len(records), 500):
        part = records[start : start + 500]
        body = {"ids": [record.id for record in part], "documents": [record.text for record in part],
                "embeddings": vectors[start : start + 500].tolist(),
                "metadatas": [{"source": record.source or ""} for record in part]}  # fmt: skip
        status, told = await connection.ask("POST", f"{ChromaClient.base}/{ChromaClient.collection}/add", body)
        expect(status, 201, told)
    connection.close()


async def _ready(port: int) -> Connection:
    until = time.monotonic() + READY_SECONDS
    while True:
        connection = Connection(port)
        try:
            await connection.ask("GET", "/api/v2/heartbeat")
            return connection
        except (OSError, asyncio.IncompleteReadError):
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.3)


async def _texts(port: int) -> Counter[str]:
    connection, found = Connection(port), Counter[str]()
    while True:
        body = {"where": {"source": "benchmark"}, "include": ["documents"], "limit": 1000, "offset": found.total()}
        status, told = await connection.ask("POST", f"{ChromaClient.base}/{ChromaClient.collection}/get", body)
        expect(status, 200, told)
        texts = json.loads(told)["documents"]
        if not texts:
            connection.close()
            return found
        found.update(texts)


def show(rows: list[dict[str, Any]]) -> None:
    table = Table()
    columns = list(dict.fromkeys(name for row in rows for name in row if name != "what"))
    for name in columns:
        table.add_column(name, justify="left" if name in ("system", "way") else "right")
    for row in rows:
        table.add_row(
            *(f"{row[name]:,.1f}" if isinstance(row.get(name), float) else str(row.get(name, "")) for name in columns)
        )
    console = Console(width=150)
    console.print(table)
    for row in rows:
        if row.get("what"):
            console.print(row["system"], row["way"], row["what"])
    console.print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    sys.exit(main())
