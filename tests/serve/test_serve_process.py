"""`mnemic serve` as a process: it stops in good order, survives being killed, and opens no door by accident."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("fastapi", reason='fastapi is not installed: pip install "mnemic[serve]"')

from click.testing import CliRunner

from mnemic import Memory

BASE = "/v1/spaces/default"
SERVE = "from mnemic.cli.serve import serve; serve()"


@contextmanager
def running(db: Path, *words: str) -> Iterator[tuple[Any, str]]:
    command = [sys.executable, "-c", SERVE, "--db", str(db), "--port", "0", "--lm", "none", "--embedder", "hash-64"]
    process = subprocess.Popen([*command, "--json", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        assert line, process.stderr.read()
        yield process, json.loads(line)["url"]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def write(url: str, acknowledged: list[str], stop: threading.Event, number: int) -> None:
    with httpx.Client(base_url=url) as client:
        for count in range(10_000):
            if stop.is_set():
                return
            text = f"Writer {number} wrote {count}."
            try:
                answer = client.post(f"{BASE}/records", json={"text": text})
            except httpx.TransportError:
                return
            if answer.status_code == 201:
                acknowledged.append(text)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_what_was_acknowledged_is_there_however_the_server_ends(db: Path, how: signal.Signals) -> None:
    acknowledged: list[str] = []
    stop = threading.Event()
    for _ in range(3):
        with running(db) as (process, url):
            writers = [threading.Thread(target=write, args=(url, acknowledged, stop, n)) for n in range(4)]
            for writer in writers:
                writer.start()
            known, until = len(acknowledged), time.monotonic() + 30
            while len(acknowledged) == known and time.monotonic() < until:
                time.sleep(0.02)  # on a busy machine the first write takes its time
            time.sleep(0.2)
            process.send_signal(how)
            for writer in writers:
                writer.join()
            code = process.wait(30)
            assert code == (0 if how == signal.SIGTERM else -signal.SIGKILL)
    with Memory(db) as memory:
        there = [record.text for record in memory.records()]
        assert set(acknowledged) <= set(there)
        assert len(there) == len(set(there))
        assert memory.check().ok
    assert acknowledged


def test_a_running_import_ends_after_its_batch_and_has_kept_what_it_said(db: Path) -> None:
    lines = "\n".join(json.dumps({"text": f"note {n}"}) for n in range(30_000))
    with running(db) as (process, url), httpx.Client(base_url=url, timeout=60) as client:
        with client.stream("POST", f"{BASE}/records/bulk", content=lines) as answer:
            told: list[dict[str, Any]] = []
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    told.append(json.loads(line[6:]))
                    if len(told) == 2:
                        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert told[-1]["stopped"] is True
    with Memory(db) as memory:
        assert memory.used("records").amount == told[-1]["added"] < 30_000


def test_it_listens_on_this_machine_alone(db: Path) -> None:
    with running(db) as (_, url):
        assert url.startswith("http://127.0.0.1:")
        assert httpx.get(f"{url}/health").json()["status"] == "ok"


def test_it_listens_beyond_this_machine_only_with_a_token(db: Path) -> None:
    from mnemic.cli.access import access
    from mnemic.cli.serve import serve

    refused = CliRunner().invoke(serve, ["--host", "0.0.0.0", "--db", str(db), "--embedder", "hash-64"])
    assert "every request needs a token, and there is none yet" in str(refused.exception)

    def call(*words: str) -> Any:
        done = CliRunner().invoke(access, [*words, "--db", str(db), "--json"], catch_exceptions=False)
        return json.loads(done.stdout)

    call("principal", "ana")
    issued = call("issue", "ana", "--right", "write", "--expires", "30d")
    with running(db, "--host", "0.0.0.0") as (_, url):
        here = url.replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(f"{here}{BASE}/records").status_code == 401
        shown = {"Authorization": f"Bearer {issued['secret']}"}
        assert httpx.get(f"{here}{BASE}/records", headers=shown).status_code == 200
        call("revoke", issued["token"]["id"])  # another process revokes, and it holds at once
        assert httpx.get(f"{here}{BASE}/records", headers=shown).status_code == 401


def test_a_port_that_is_taken_is_said_in_a_sentence(db: Path) -> None:
    with running(db) as (_, url):
        port = url.rpartition(":")[2]
        command = [sys.executable, "-c", SERVE, "--db", str(db), "--port", port, "--lm", "none"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode != 0
        assert "cannot listen on port" in done.stderr


def test_nothing_of_the_server_is_loaded_with_the_library() -> None:
    code = "import sys, mnemic; from mnemic import Memory; print([m for m in sys.modules if m.startswith(" \
           "('fastapi', 'uvicorn', 'starlette', 'pydantic', 'mnemic.serve'))])"  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_without_its_libraries_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, db: Path) -> None:
    from mnemic.cli.serve import serve
    from mnemic.errors import MissingExtra

    for name in [each for each in sys.modules if each.startswith("mnemic.serve.http")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    done = CliRunner().invoke(serve, ["--db", str(db)])
    assert isinstance(done.exception, MissingExtra)
    assert 'pip install "mnemic[serve]"' in str(done.exception)
