"""With Ray, files become the same memory as in one process, whoever dies on the way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mnemic import ingest_ray as module
from mnemic import ray_cluster
from mnemic.cli import main
from mnemic.errors import InputError, MissingExtra, ModelError
from mnemic.files.bad import Item
from mnemic.ingest import FileReport, pieces
from mnemic.ingest_ray import ingest_on_ray
from mnemic.lm.doubles import HashEmbedder
from mnemic.memory import Memory
from mnemic.record import Operation
from mnemic.seams import Vectors

HERE = os.getpid()
_COLUMNS = "n, kind, text, time, source, place, episode, speaker, metadata"


class Elsewhere(HashEmbedder):
    """Embeds in other processes only; there, can be told to die or to fail.

    dies    a file: who does not find it makes it and dies
    fails   a text that cannot be embedded
    """

    def __init__(self, *, dies: Path | None = None, fails: str = "") -> None:
        super().__init__()
        self.dies, self.fails = dies, fails

    def embed(self, texts: Sequence[str]) -> Vectors:
        assert not texts or os.getpid() != HERE, "the writer embeds"
        once(self.dies)
        if self.fails and any(self.fails in text for text in texts):
            raise ModelError("the embedder is down.")
        return super().embed(texts)


def once(mark: Path | None) -> None:
    """Die, the first time."""
    if mark is not None and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """One Ray for all tests: to start it takes longer than all that is done with it."""
    try:
        ray = ray_cluster.library()
    except MissingExtra as error:
        pytest.skip(str(error))
    with ray_cluster.private():
        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
                 object_store_memory=100_000_000)  # fmt: skip
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers do not have this file
    yield ray
    ray.shutdown()


@dataclass(frozen=True)
class One:
    """What one process makes of the corpus.

    folder   where it is, in n, beside the memory one.db: the ledger has the whole names of files
    copy     of both, which nobody changes
    """

    folder: Path
    copy: Path
    reports: list[FileReport]
    content: dict[str, Any]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> One:
    """Files of many kinds; one that cannot be read, one with a bad line."""
    folder, copy = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("copy")
    with chdir(folder):
        Path("n").mkdir()
        for n in range(9):
            write(f"n/{n}.md", "".join(f"# Part {part}\n\nAna told story {n} {part}.\n\n" for part in range(n)) + "x")
        messages = [{"role": "user", "content": f"message {n}"} for n in range(60)]
        write("n/chat.jsonl", "".join(f"{json.dumps(message)}\n" for message in messages))
        write("n/broken.jsonl", '{"role": "user", "content": "one"}\n{broken\n{"role": "user", "content": "two"}\n')
        write("n/empty.txt", "")
        write("n/long.txt", "The boat is called Heron. " * 800)
        reports = added("one.db", ray=False)
        found = content("one.db")
    shutil.copytree(folder, copy, dirs_exist_ok=True)
    return One(folder, copy, reports, found)


@pytest.fixture(autouse=True)
def corpus(one: One, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it was in the beginning, for each test."""
    shutil.rmtree(one.folder)
    shutil.copytree(one.copy, one.folder)  # files keep their times
    monkeypatch.chdir(one.folder)


def write(name: str, content: str) -> None:
    Path(name).write_text(content)
    os.utime(name, (time.time() - 60, time.time() - 60))


def added(name: str, *, ray: bool, **options: Any) -> list[FileReport]:
    embedder = Elsewhere(**options) if ray else HashEmbedder()
    with Memory(name, embedder=embedder, retriever="dense") as memory:
        if ray:
            reports = list(ingest_on_ray(memory, ["n"], batch=7))
            assert memory.embedder is embedder
        else:
            reports = list(memory.ingest(["n"], batch=7))
        assert memory.check().ok
    return reports


def content(name: str) -> dict[str, Any]:
    """All that a run determines: everything but ids and times."""
    with Memory(name, embedder=HashEmbedder(), retriever="dense") as memory:
        read = memory.store.read
        return {
            "record": read(f"SELECT {_COLUMNS} FROM record ORDER BY n"),
            "vector": read("SELECT record, windows FROM vector ORDER BY record"),
            "operation": read("SELECT n, kind, who, why, record, m FROM operation ORDER BY n"),
            "ledger": read("SELECT source, fingerprint, report FROM ledger ORDER BY source"),
            "recall": [(hit.record.text, hit.score) for hit in memory.recall("who told story 7", k=5)],
        }


@pytest.mark.usefixtures("ray")
def test_the_memory_is_that_of_one_process_on_every_run(one: One, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    real = module._Ahead._new

    def noted(self: Any, gathered: Any) -> list[str]:
        sent.extend(texts := real(self, gathered))
        return texts

    monkeypatch.setattr(module._Ahead, "_new", noted)
    assert added("ray.db", ray=True) == one.reports
    assert content("ray.db") == one.content
    assert len(one.content["record"]) == 100
    assert len(sent) == 100
    sent.clear()
    again = added("ray.db", ray=True)
    assert again == added("one.db", ray=False)
    assert {report.state for report in again} == {"unchanged", "bad"}
    assert content("ray.db") == one.content
    assert sent == []
    text = Path("n/8.md").read_text()
    write("n/8.md", text.replace("story 8 4", "story eight four"))
    write("n/7.md", "# Part 3\n\nAna told story 7 3.\n")
    write("n/9.md", "A new one.")
    assert added("ray.db", ray=True) == added("one.db", ray=False)
    assert content("ray.db") == content("one.db") != one.content
    assert sent == [
        "Part 4\n\nAna told story eight four.",
        "9\n\nA new one.",
    ]  # what stands there is not embedded again


@pytest.mark.usefixtures("ray")
def test_workers_that_die_while_they_read_or_embed_are_replaced(
    one: One, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "reading"

    def parsed(path: str, source: str, start: int) -> Iterator[list[tuple[Item, int]]]:
        for n, piece in enumerate(pieces(Path(path), source, start)):
            if n == 40:
                once(mark)
            yield [piece]

    monkeypatch.setattr(module, "parsed", parsed)
    assert added("ray.db", ray=True, dies=tmp_path / "embedding") == one.reports
    assert mark.exists()
    assert (tmp_path / "embedding").exists()
    assert content("ray.db") == one.content


@pytest.mark.usefixtures("ray")
def test_a_file_that_kills_whoever_reads_it_is_reported_and_the_others_are_read(
    one: One, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parsed(path: str, source: str, start: int) -> Iterator[list[tuple[Item, int]]]:
        if path.endswith("5.md"):
            os.kill(os.getpid(), signal.SIGKILL)
        yield list(pieces(Path(path), source, start))

    with monkeypatch.context() as patch:
        patch.setattr(module, "RETRIES", 1)
        patch.setattr(module, "parsed", parsed)
        last = {report.path: report for report in added("ray.db", ray=True)}
    assert last["n/5.md"].state == "bad"
    assert "killed the process that read it, 2 times" in str(last["n/5.md"].reasons[0])
    assert last["n/6.md"].state == "done"
    assert {report.path: report for report in added("ray.db", ray=True)}["n/5.md"].added == 5
    assert texts("ray.db") == texts("one.db")


def texts(name: str) -> list[tuple[Any, ...]]:
    """Text, source and place of all records, in any order of writing."""
    return sorted((row[2], row[4], row[5]) for row in content(name)["record"])


@pytest.mark.usefixtures("ray")
def test_a_model_that_fails_on_a_worker_ends_the_run_and_the_next_one_goes_on() -> None:
    with pytest.raises(ModelError, match=r"^the embedder is down\.$"):
        added("ray.db", ray=True, fails="story 8 3")
    assert 20 < len(texts("ray.db")) < len(texts("one.db"))
    added("ray.db", ray=True)
    assert texts("ray.db") == texts("one.db")


def test_a_run_that_is_stopped_cancels_what_waits_and_goes_on(
    one: One, ray: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, cancel, stop = [], ray.cancel, module._Ahead.stop

    def noted(self: Any) -> None:
        waiting = [file.stream for file in self.unread] + [each.ref for each in self.batches if each.ref is not None]
        stop(self)
        ended.append(waiting)

    cancelled: list[Any] = []
    monkeypatch.setattr(module._Ahead, "stop", noted)
    monkeypatch.setattr(ray, "cancel", lambda ref: (cancelled.append(ref), cancel(ref)))
    with Memory("ray.db", embedder=Elsewhere(), retriever="dense") as memory:
        running = ingest_on_ray(memory, ["n"], batch=7)
        for _ in range(6):
            next(running)
        running.close()
        assert type(memory.embedder) is Elsewhere
    assert len(ended[0]) > 1
    assert cancelled == ended[0]
    before, whole = len(texts("ray.db")), one.content["record"]
    reports = added("ray.db", ray=True)
    assert 0 < before < len(whole)
    assert sum(report.added for report in reports if report.state == "done") <= len(whole) - before
    assert content("ray.db")["record"] == whole


@pytest.mark.usefixtures("ray")
def test_it_looks_ahead_by_so_much_and_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting, real = [], module._Ahead._read_on

    def noted(self: Any) -> bool:
        waiting.append((len(self.batches), self.waiting, len(self.unread)))
        return real(self)

    monkeypatch.setattr(module._Ahead, "_read_on", noted)
    monkeypatch.setattr(module, "_GROUP", 5)
    write("n/chat.jsonl", "".join(json.dumps({"content": f"message {n}"}) + "\n" for n in range(200)))
    added("ray.db", ray=True)
    batches, items, files = (max(each) for each in zip(*waiting, strict=True))
    assert 2 < batches <= 2 * 2 + 1
    assert items < (2 * 2 + 1) * 7 + 5
    assert files == 2  # are read at a time: one for each core


@pytest.mark.usefixtures("ray")
def test_untrusted_files_stay_untrusted_and_another_writer_still_reads_elsewhere() -> None:
    class Loud:
        """Keeps what it is told in capitals: nothing that a worker could have embedded before."""

        name = "loud"

        def observe(self, chunk: Any, view: Any) -> list[Operation]:
            state = {"kind": "fact", "text": chunk.text.upper(), "source": chunk.source}
            return [Operation("insert", "", after=state)]

    for name, ray in (("ray.db", True), ("loud.db", False)):
        with Memory(name, embedder=HashEmbedder(), retriever="dense", writer=Loud()) as memory:
            run = ingest_on_ray(memory, "n/chat.jsonl") if ray else memory.ingest(["n/chat.jsonl"])
            assert [report.added for report in run] == [60]
    assert content("ray.db") == content("loud.db")
    with Memory("ray.db", space="b", embedder=Elsewhere(), retriever="dense") as memory:
        list(ingest_on_ray(memory, "n/0.md", untrusted=True))
        assert [record.metadata["trust"] for record in memory.records()] == ["untrusted"]


@pytest.mark.usefixtures("ray")
def test_what_cannot_be_is_refused_before_anything_is_written() -> None:
    with Memory("ray.db", embedder=HashEmbedder(), retriever="dense") as memory:
        with pytest.raises(InputError, match=r"nowhere\.md: does not exist; nothing was added"):
            ingest_on_ray(memory, ["n", "nowhere.md"])
        assert memory.position == 0


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with (Memory("ray.db", embedder=HashEmbedder(), retriever="dense") as memory,
          pytest.raises(MissingExtra, match=r'pip install "mnemic\[ray\]"')):  # fmt: skip
        ingest_on_ray(memory, "n")


def test_a_ray_of_its_own_is_bound_to_loopback_and_keeps_its_processes(
    ray: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [node["NodeManagerAddress"] for node in ray.nodes()] == ["127.0.0.1"]
    idle, loopback = "RAY_idle_worker_killing_time_threshold_ms", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
    for name in (idle, loopback):
        monkeypatch.delenv(name, raising=False)
    with ray_cluster.private():
        assert (int(os.environ[idle]) > 10**9, os.environ[loopback]) == (True, "0")
    assert not {idle, loopback} & set(os.environ)
    monkeypatch.setenv(idle, "5000")  # a person's own setting holds
    with ray_cluster.private():
        assert os.environ[idle] == "5000"
    assert os.environ[idle] == "5000"


def test_the_command_starts_a_ray_of_its_own_and_stops_it(one: One) -> None:
    pytest.importorskip("ray", reason="ray is not installed: no command that starts it")
    words = [sys.executable, "-m", "mnemic", "add", "n", "--db", "cli.db", "--embedder", "hash-64", "--json", "--ray"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as running:
        try:
            out, told = running.communicate(timeout=120)
        finally:
            running.kill()  # nothing, when it has ended
    assert running.returncode == 8, told.decode()
    done = json.loads(out)
    assert (done["added"], done["refused"]) == (len(one.content["record"]), 2)
    assert content("cli.db")["record"] == one.content["record"]
    for _ in range(300):  # the processes that it started are in its group
        try:
            os.killpg(running.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("Ray still runs")


@pytest.mark.parametrize(("given", "says"), [("n", "is no address"), ("PORT", "no Ray could be had at 127.0.0.1:")])
def test_an_address_where_no_ray_is_says_so(given: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason="ray is not installed: no address is tried")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)  # as in a program that has not started one
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        address = f"127.0.0.1:{taken.getsockname()[1]}" if given == "PORT" else given
        words = ["add", "n", "--db", "cli.db", "--embedder", "hash-64", "--ray", address]
        done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
