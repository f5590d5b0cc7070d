"""Clients of a server under load: a connection with as little code as HTTP needs, and many clients at once."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

MIX = ["recall"] * 7 + ["read"] + ["add"] * 2


class Connection:
    """HTTP/1.1 over one connection that stays open: no more than a benchmark needs."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        assert self.reader is not None
        content = b"" if body is None else json.dumps(body).encode()
        head = [f"{method} {path} HTTP/1.1", f"host: 127.0.0.1:{self.port}", f"content-length: {len(content)}",
                "content-type: application/json", *(f"{name}: {value}" for name, value in headers.items())]  # fmt: skip
        self.writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + content)
        told = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status = int(told.split(" ", 2)[1])
        if "transfer-encoding: chunked" in told:
            return status, await self._chunks()
        length = next((int(line[15:]) for line in told.split("\r\n") if line.startswith("content-length:")), 0)
        return status, await self.reader.readexactly(length)

    async def _chunks(self) -> bytes:
        assert self.reader is not None
        parts = []
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            parts.append(await self.reader.readexactly(size))
            await self.reader.readexactly(2)
        await self.reader.readexactly(2)
        return b"".join(parts)

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


def expect(status: int, wanted: int, body: bytes) -> None:
    if status != wanted:
        raise RuntimeError(f"{status} instead of {wanted}: {body[:200]!r}")


class Load:
    """So many clients for so long; what they asked for, how long it took, what was acknowledged."""

    def __init__(self, client: Callable[[Connection], Any], port: int, questions: list[str], clients: int,
                 seconds: float, rate: float | None) -> None:  # fmt: skip
        self.client, self.port, self.questions = client, port, questions
        self.clients, self.seconds, self.rate = clients, seconds, rate
        self.took: dict[str, list[float]] = defaultdict(list)
        self.written: list[str] = []  # acknowledged
        self.sent: set[str] = set()
        self.errors: Counter[str] = Counter()

    def run(self, server: int) -> dict[str, Any]:
        """server   its process, whose processor time is read where the system tells it"""
        began, busy, own = time.perf_counter(), cpu_seconds(server), time.process_time()
        asyncio.run(self._all())
        seconds = time.perf_counter() - began
        busy, own = cpu_seconds(server) - busy, time.process_time() - own
        recalls = np.array(self.took["recall"] or [np.nan]) * 1000
        adds = np.array(self.took["add"] or [np.nan]) * 1000
        total = sum(len(each) for each in self.took.values())
        return {"requests a second": total / seconds, "recall p50 ms": float(np.median(recalls)),
                "recall p95 ms": float(np.quantile(recalls, 0.95)), "add p95 ms": float(np.quantile(adds, 0.95)),
                "server cpu ms": 1000 * busy / max(total, 1), "client cpu ms": 1000 * own / max(total, 1),
                "errors": sum(self.errors.values()), "what": dict(self.errors.most_common(3))}  # fmt: skip

    async def _all(self) -> None:
        warm = self.client(Connection(self.port))
        for question in self.questions[:10]:
            await warm.recall(question)
        warm.connection.close()
        end = time.perf_counter() + self.seconds
        await asyncio.gather(*(self._one(number, end) for number in range(self.clients)))

    async def _one(self, number: int, end: float) -> None:
        chance, client = random.Random(number), self.client(Connection(self.port))
        due = time.perf_counter() + (chance.random() / self.rate if self.rate else 0)
        while (now := time.perf_counter()) < end:
            if self.rate and now < due:
                await asyncio.sleep(min(due, end) - now)
                continue
            due += chance.expovariate(self.rate) if self.rate else 0
            what, question = chance.choice(MIX), chance.choice(self.questions)
            text = f"{question} Note {number}-{len(self.took['add'])}-{chance.random():.12f}."
            began = time.perf_counter()
            try:
                if what == "add":
                    self.sent.add(text)
                    await client.add(text)
                    self.written.append(text)
                else:
                    await getattr(client, what)(question)
            except Exception as error:
                self.errors[f"{type(error).__name__}: {error}"[:120]] += 1
                client = self.client(Connection(self.port))
                continue
            self.took[what].append(time.perf_counter() - began)
        client.connection.close()


def cpu_seconds(process: int) -> float:
    """Processor time of a process and its threads so far; nan where /proc does not tell."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
