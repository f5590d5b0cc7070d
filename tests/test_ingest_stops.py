"""Runs that are killed go on where they stopped; files of any size are read in little memory."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mnemic.files import Bad, read
from mnemic.ingest import FileReport
from mnemic.lm.doubles import HashEmbedder
from mnemic.memory import Memory

COUNT = 600
ADD = """
import sys, time
from mnemic.lm.doubles import HashEmbedder
from mnemic.memory import Memory
class Slow(HashEmbedder):
    def embed(self, texts):
        time.sleep(0.03)
        return super().embed(texts)
with Memory("life.db", embedder=Slow(), retriever="dense") as memory:
    for report in memory.ingest(["n"], batch=20):
        print(report.added + report.unchanged, flush=True)
"""


class Counting(HashEmbedder):
    embedded = 0

    def embed(self, texts):  # type: ignore[no-untyped-def]
        self.embedded += len(texts)
        return super().embed(texts)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("n").mkdir()
    lines = [json.dumps({"role": "user", "content": f"message {n}"}) for n in range(COUNT)]
    Path("n/chat.jsonl").write_text("\n".join(lines))
    os.utime("n/chat.jsonl", (1e9, 1e9))
    return tmp_path


def stopped_after(reports: int, signal_number: int, wait_s: float = 0.0) -> int:
    """Starts adding, stops it after so many reports and a moment; returns the records reported as remembered."""
    run = subprocess.Popen([sys.executable, "-c", ADD], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert run.stdout is not None
    told = 0
    for _ in range(reports):
        told = int(run.stdout.readline() or told)
    time.sleep(wait_s)
    run.send_signal(signal_number)
    run.wait(timeout=60)
    return told


def go_on() -> tuple[list[FileReport], Counting]:
    embedder = Counting()
    with Memory("life.db", embedder=embedder, retriever="dense") as memory:
        reports = list(memory.ingest(["n"], batch=20))
        assert sorted(r.text for r in memory.records()) == sorted(f"message {n}" for n in range(COUNT))
        assert memory.check().ok
    return reports, embedder


@pytest.mark.parametrize("seed", range(4))
def test_kill_9_loses_nothing_that_was_reported(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    told = stopped_after(chance.randint(1, 12), signal.SIGKILL, chance.uniform(0, 0.06))
    with Memory("life.db", embedder=HashEmbedder(), retriever="dense") as memory:
        kept = [r.text for r in memory.records()]
    assert told <= len(kept) <= COUNT
    assert kept == [f"message {n}" for n in range(len(kept))]
    reports, embedder = go_on()
    assert embedder.embedded == COUNT - len(kept)  # nothing is embedded twice
    assert (reports[-1].added, reports[-1].unchanged) == (COUNT - len(kept), len(kept))


def test_ctrl_c_loses_nothing_either(folder: Path) -> None:
    told = stopped_after(3, signal.SIGINT)
    reports, embedder = go_on()
    assert reports[-1].unchanged >= told == 60
    assert embedder.embedded <= COUNT - told


def test_a_run_goes_on_without_asking_for_what_it_has(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Memory("life.db", embedder=HashEmbedder(), retriever="dense") as memory:
        reports = memory.ingest(["n"], batch=100)
        assert next(reports).added == 100
        reports.close()  # type: ignore[attr-defined]
        asked: list[int] = []
        real = memory.add_many
        monkeypatch.setattr(memory, "add_many", lambda items: [asked.append(len(items)), real(items)][1])
        last = list(memory.ingest(["n"], batch=100))[-1]
        assert sum(asked) == COUNT - 100
        assert (last.added, last.unchanged) == (COUNT - 100, 100)


def test_a_file_that_changed_while_nobody_read_is_started_anew(folder: Path) -> None:
    with Memory("life.db", embedder=HashEmbedder(), retriever="dense") as memory:
        next(memory.ingest(["n"], batch=100))
        Path("n/chat.jsonl").write_text('{"role": "user", "content": "message 5000"}')
        last = list(memory.ingest(["n"]))[-1]
        assert [r.text for r in memory.records()] == ["message 5000"]
        assert (last.updated, last.gone) == (1, 99)


def test_what_is_reported_is_in_the_file(folder: Path) -> None:
    with (Memory("life.db", embedder=HashEmbedder(), retriever="dense") as memory,
          Memory("life.db", embedder=HashEmbedder(), retriever="dense") as other):  # fmt: skip
        for report in memory.ingest(["n"], batch=100):
            assert other.stats()["records"] == report.added


def test_a_disk_that_fails_once_leaves_nothing_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(path: Path, **options: Any) -> Iterator[Any]:
        yield from itertools.islice(read(path, **options), 10)
        yield Bad("n/chat.jsonl", "", "could not be read on: input/output error.", stopped=True)

    with Memory("life.db", embedder=HashEmbedder(), retriever="dense") as memory:
        monkeypatch.setattr("mnemic.ingest.read", failing)
        (report,) = memory.ingest(["n"])
        assert (report.state, report.added, report.refused) == ("done", 10, 1)
    monkeypatch.setattr("mnemic.ingest.read", read)
    reports, _ = go_on()
    assert (reports[-1].added, reports[-1].unchanged, reports[-1].refused) == (COUNT - 10, 10, 0)


# ---- memory

READ = """
import sys
from mnemic.meter import process_bytes
from pathlib import Path
from mnemic.files import read
from mnemic.record import Chunk
warm = list(read(Path(sys.argv[1])))
before = process_bytes().amount
count = sum(isinstance(item, Chunk) for item in read(Path(sys.argv[2])))
print(count, process_bytes().amount - before)
"""
ADD_BIG = """
import sys
from mnemic.meter import process_bytes
import numpy as np
from mnemic.lm.doubles import HashEmbedder
from mnemic.memory import Memory
class Blind(HashEmbedder):
    def windows(self, text): return [(0, len(text))]
    def embed(self, texts):
        vectors = np.zeros((len(texts), 64), np.float32)
        vectors[:, 0] = 1
        return vectors
with Memory("life.db", embedder=Blind(), retriever="dense") as memory:
    warm = list(memory.ingest([sys.argv[1]]))
    before = process_bytes().amount
    last = list(memory.ingest([sys.argv[2]]))[-1]
    print(last.added, process_bytes().amount - before)
"""
MB = 1_000_000
PARAGRAPH = "words that stand for other words " * 30


def jsonl() -> Iterator[str]:
    for n in range(10**9):
        yield json.dumps({"role": "user", "content": f"{n} {PARAGRAPH}", "time": "2026-05-03"}) + "\n"


def json_list() -> Iterator[str]:
    yield "["
    for line in jsonl():
        yield f"{line},"


def csv() -> Iterator[str]:
    yield "id,text\n"
    for n in range(10**9):
        yield f'{n},"{PARAGRAPH}"\n'


def markdown() -> Iterator[str]:
    for n in range(10**9):
        yield f"# Section {n}\n\n{PARAGRAPH}\n\n{PARAGRAPH}\n\n"


def one_line() -> Iterator[str]:
    while True:
        yield PARAGRAPH


def page() -> Iterator[str]:
    yield "<html><body>"
    for n in range(10**9):
        yield f"<h2>Section {n}</h2><p>{PARAGRAPH}</p>"


def fill(path: str, pieces: Iterator[str], size: int) -> None:
    with open(path, "w") as file:
        written = 0
        while written < size:
            written += file.write(next(pieces))


def grown(script: str, name: str, pieces: Callable[[], Iterator[str]], size: int) -> tuple[int, int]:
    """(records, bytes that the process grew by) of a file of `size`, after a small one of the same kind."""
    small = f"small{Path(name).suffix}"
    fill(small, pieces(), MB // 2)
    fill(name, pieces(), size)
    done = subprocess.run([sys.executable, "-c", script, small, name], capture_output=True, text=True, check=True)
    count, grew = map(int, done.stdout.split())
    return count, grew


@pytest.mark.parametrize(
    ("name", "pieces"),
    [
        ("a.jsonl", jsonl),
        ("a.json", json_list),
        ("a.csv", csv),
        ("a.md", markdown),
        ("a.txt", one_line),
        ("a.html", page),
    ],
)
def test_a_large_file_is_read_in_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str,
                                               pieces: Callable[[], Iterator[str]]) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    if name == "a.html":
        pytest.importorskip("lxml", reason='lxml is not installed: pip install "mnemic[files]"')
    count, grew = grown(READ, name, pieces, 40 * MB)
    assert count > 5000
    assert grew < 16 * MB


def test_a_large_file_is_added_in_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    count, grew = grown(ADD_BIG, "a.jsonl", jsonl, 12 * MB)
    assert count > 10_000
    assert grew < 24 * MB
