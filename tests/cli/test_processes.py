"""`mnemic` as a process of its own: pipes, signals, bytes that are no text."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mnemic.memory import Memory

Process = Callable[..., "subprocess.CompletedProcess[str]"]


def test_a_day_with_mnemic(process: Process, db: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text("# Trip\n\nWe met Ana in Lisbon, by the river.\n")
    added = process("add", notes, "--db", db)
    assert (added.returncode, added.stderr) == (0, "")
    found = process("recall", "where did we meet Ana", "--db", db, "--json")
    hit = json.loads(found.stdout)["hits"][0]
    assert hit["record"]["source"] == notes.as_posix()
    assert process("ask", "where did we meet Ana", "--db", db).stdout.startswith("No language model")
    assert process("forget", hit["record"]["id"], "--db", db).returncode == 0
    assert process("recall", "Ana", "--db", db).returncode == 1
    assert process("undo", "2", "--db", db).returncode == 0
    assert process("recall", "Ana", "--db", db).returncode == 0
    assert process("check", "--db", db).stdout.endswith("all is well.\n")


def test_errors_have_no_traceback(process: Process, db: Path) -> None:
    db.write_bytes(os.urandom(5000))
    for words in (("recall", "x"), ("add", "--text", "x"), ("export", "out")):
        done = process(*words, "--db", db)
        assert (done.returncode, done.stdout) == (4, "")
        assert done.stderr.startswith("mnemic: ")
        assert done.stderr.count("\n") == 1


def test_the_reader_goes_away(program: list[str], db: Path) -> None:
    with Memory(db) as memory:
        memory.add_many(f"Message number {n} about tea." for n in range(2000))
    mnemic = subprocess.Popen([*program, "log", "--db", str(db)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert mnemic.stdout is not None
    assert mnemic.stderr is not None
    mnemic.stdout.readline()
    mnemic.stdout.close()
    assert mnemic.wait(30) == 141
    assert mnemic.stderr.read() == b""
    mnemic.stderr.close()


def test_a_name_that_is_no_text(process: Process, program: list[str], db: Path, tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.txt"
    try:
        Path(os.fsdecode(name)).write_text("Coffee is in the right cupboard.")
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    done = subprocess.run([*program, "add", name, "--db", str(db)], capture_output=True, check=False)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    assert process("recall", "coffee", "--db", db).returncode == 0
    assert process("recall", "coffee \udcff", "--db", db).returncode == 0
    assert process("add", "--text", "half \udcff", "--db", db).returncode == 2


@pytest.mark.skipif(os.name == "nt", reason="signals work otherwise on Windows")
def test_ctrl_c_keeps_what_was_reported(program: list[str], db: Path, tmp_path: Path, process: Process) -> None:
    chat = tmp_path / "chat.jsonl"
    line = '{"text": "Message %d, which is about tea and about nothing else."}\n'
    chat.write_text("".join(line % n for n in range(40_000)))
    mnemic = subprocess.Popen([*program, "add", str(chat), "--db", str(db)], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, preexec_fn=_heed_ctrl_c)  # fmt: skip
    _wait_for_records(db)
    mnemic.send_signal(signal.SIGINT)
    said, complaints = mnemic.communicate(timeout=60)
    assert (mnemic.returncode, complaints) == (130, "")
    assert said.startswith("Stopped. Remembered from 1 file: ")
    reported = int(said.split(": ")[1].split(" ")[0].replace(",", ""))
    with Memory(db) as memory:
        kept = sum(1 for _ in memory.records())
    assert 0 < reported <= kept < 40_000
    assert process("check", "--db", db).returncode == 0


def _heed_ctrl_c() -> None:
    """What a shell starts in the background ignores SIGINT, and so does all that it starts: the tests may run there."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _wait_for_records(db: Path) -> None:
    for _ in range(600):
        time.sleep(0.1)
        if _size(db) + _size(db.with_name("life.db-wal")) > 1_000_000:  # two batches: one was reported
            return
    pytest.fail("nothing was written within a minute")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@pytest.mark.skipif(os.name == "nt", reason="a terminal is made otherwise on Windows")
@pytest.mark.parametrize(
    ("words", "says"),
    [("add notes.jsonl", "2,000 added"), ("reembed hash-64", "now have vectors"), ("recall tea -k 1", "1. "),
     ("log --last 1", "#2000"), ("show --source *notes*", "Message 1999"), ("stats", "2,000"),
     ("demo", "What it cost"), ("ask tea", "No language model"), ("systems", "hipporag2")],
)  # fmt: skip
def test_in_a_terminal(program: list[str], tmp_path: Path, words: str, says: str) -> None:
    lines = [f'{{"text": "Message {n} about tea."}}\n' for n in range(2000)]
    (tmp_path / "notes.jsonl").write_text("".join(lines))
    if not words.startswith(("add", "demo", "systems")):
        with Memory(tmp_path / "life.db") as memory:
            list(memory.ingest([tmp_path / "notes.jsonl"]))
    own = [] if words == "demo" else ["--db", "life.db"]
    code, said = _in_terminal([*program, *words.split(), *own], tmp_path)
    assert (code in (0, 1), says in said) == (True, True), said
    assert "this is a bug" not in said


def _in_terminal(command: list[str], folder: Path) -> tuple[int, str]:
    """Exit code of a command whose output is a terminal, and all that it wrote there."""
    import pty

    ours, theirs = pty.openpty()
    running = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder,
                               env={**os.environ, "TERM": "xterm", "COLUMNS": "100"})  # fmt: skip
    os.close(theirs)
    said = b""
    try:
        while part := os.read(ours, 65536):
            said += part
    except OSError:  # Linux says so when the other end has been closed
        pass
    os.close(ours)
    return running.wait(30), said.decode(errors="replace")


def test_two_writers(program: list[str], db: Path) -> None:
    words: list[Any] = [*program, "add", "--db", str(db)]
    writers = [subprocess.Popen([*words, "--text", f"From writer {n}."]) for n in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    with Memory(db) as memory:
        assert sorted(record.text for record in memory.records()) == [f"From writer {n}." for n in range(3)]
