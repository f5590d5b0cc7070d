"""What an adapter does with a task, in a process of its own: JSON in, JSON out.

    python adapter_NAME.py task.json result.json

The task names a folder, the weights, how many hits to return, options, and collections of items and queries. An
adapter brings a class that opens one collection in a folder of its own; here is the loop around it and the
measuring, the same for every package. Runs in the package's environment: only the standard library.
"""

from __future__ import annotations

import gc
import importlib.metadata
import json
import platform
import socket
import sys
import time
from pathlib import Path
from typing import Any, Protocol


class Peer(Protocol):
    """One memory of a package, opened in a folder. Models are loaded when this returns."""

    def __init__(self, folder: Path, task: dict[str, Any]) -> None: ...
    def add(self, items: list[dict[str, Any]]) -> None:
        """Remember all items. An item has text, speaker, episode, place, time (and triples, where there are any)."""

    def search(self, query: str, k: int) -> list[int]:
        """Positions of the k best items in the list that was added, best first."""

    def close(self) -> None: ...


def main(peer: type[Peer], *packages: str) -> None:
    """Work the task that the command line names; `packages` are those whose versions the result tells."""
    stay_offline()
    task = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(sys.argv[2]).write_text(json.dumps(work(peer, task) | {"versions": versions(packages)}), encoding="utf-8")


def work(peer: type[Peer], task: dict[str, Any]) -> dict[str, Any]:
    found, waits, ingest_s, disk = [], [], 0.0, 0
    for number, collection in enumerate(task["collections"]):
        folder = Path(task["folder"]) / str(number)
        folder.mkdir(parents=True)
        memory = peer(folder, task)
        start = time.perf_counter()
        memory.add(collection["items"])
        ingest_s += time.perf_counter() - start
        answers = []
        for query in collection["queries"]:
            start = time.perf_counter()
            answers.append([int(n) for n in memory.search(query, task["k"])])
            waits.append(1000 * (time.perf_counter() - start))
        found.append(answers)
        memory.close()
        del memory
        gc.collect()  # the model of the last memory goes before that of the next comes
        disk += sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return {"found": found, "ingest_s": ingest_s, "query_ms": waits, "disk_bytes": disk, "peak_bytes": peak_bytes()}


def peak_bytes() -> int:
    """The most memory this process ever held, models and libraries included (VmHWM)."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in packages} | {"python": platform.python_version()}


def stay_offline() -> None:
    """A package that reaches for the network in spite of its settings gets an error, and the row tells."""
    connect = socket.socket.connect

    def local_only(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"{address[0]}: this benchmark runs without a network.")
        connect(self, address)

    socket.socket.connect = local_only  # type: ignore[method-assign]
