"""Files into a memory: added once, updated when they change, skipped when they do not."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnemic import ingest as module
from mnemic.errors import InputError, ModelError
from mnemic.ingest import FileReport
from mnemic.lm.doubles import HashEmbedder
from mnemic.memory import Memory
from mnemic.seams import Vectors


class Counting(HashEmbedder):
    """Counts what it embeds; can be told to fail."""

    embedded = 0
    fails_after = 10**9

    def embed(self, texts: Any) -> Vectors:
        if self.embedded + len(texts) > self.fails_after:
            raise ModelError("the embedder is down.")
        self.embedded += len(texts)
        return super().embed(texts)


@pytest.fixture
def embedder() -> Counting:
    return Counting()


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, embedder: Counting) -> Iterator[Memory]:
    monkeypatch.chdir(tmp_path)
    with Memory("life.db", embedder=embedder, retriever="dense") as memory:
        yield memory


def write(name: str, content: str | bytes, *, old: bool = True) -> None:
    """A file, changed a minute ago: so fresh that its time says nothing is the other case."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    if old:
        os.utime(path, (time.time() - 60, time.time() - 60))


def chat(count: int, start: int = 0) -> str:
    return "".join(f'{{"role": "user", "content": "message {n}"}}\n' for n in range(start, start + count))


def add(memory: Memory, *paths: str, **options: Any) -> dict[str, FileReport]:
    """The last report of each file."""
    return {report.path: report for report in memory.ingest(paths, **options)}


def counts(report: FileReport) -> tuple[str, int, int, int, int, int]:
    return report.state, report.added, report.unchanged, report.updated, report.gone, report.refused


def stop(*_: object) -> None:
    raise KeyboardInterrupt


def texts(memory: Memory) -> list[str]:
    return [record.text for record in memory.records()]


def test_files_become_records(memory: Memory) -> None:
    write("n/a.md", "# One\n\nfirst\n\n# Two\n\nsecond\n")
    write("n/b.jsonl", chat(2))
    reports = add(memory, "n")
    assert {path: counts(report) for path, report in reports.items()} == {
        "n/a.md": ("done", 2, 0, 0, 0, 0),
        "n/b.jsonl": ("done", 2, 0, 0, 0, 0),
    }
    assert [(r.source, r.place, r.text) for r in memory.records()] == [
        ("n/a.md", "# One", "One\n\nfirst"),
        ("n/a.md", "# Two", "Two\n\nsecond"),
        ("n/b.jsonl", "line 1", "message 0"),
        ("n/b.jsonl", "line 2", "message 1"),
    ]


def test_an_unchanged_file_is_not_read(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    write("a.jsonl", chat(3) + "broken\n")
    first = add(memory, "a.jsonl")["a.jsonl"]
    monkeypatch.setattr(module, "read", None)
    again = add(memory, "a.jsonl")["a.jsonl"]
    assert counts(first) == ("done", 3, 0, 0, 0, 1)
    assert counts(again) == ("unchanged", 0, 3, 0, 0, 1)
    assert again.reasons == first.reasons


def test_a_touched_file_is_known_by_its_content(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    write("a.jsonl", chat(3))
    add(memory, "a.jsonl")
    os.utime("a.jsonl")
    monkeypatch.setattr(module, "read", None)
    assert add(memory, "a.jsonl")["a.jsonl"].state == "unchanged"


def test_a_file_changed_within_its_clock_is_seen(memory: Memory) -> None:
    write("a.txt", "first", old=False)
    add(memory, "a.txt")
    before = os.stat("a.txt")
    write("a.txt", "other", old=False)
    os.utime("a.txt", ns=(before.st_atime_ns, before.st_mtime_ns))
    add(memory, "a.txt")
    assert texts(memory) == ["other"]


def test_a_changed_file_updates_what_changed(memory: Memory, embedder: Counting) -> None:
    write("a.md", "# One\n\nfirst\n\n# Two\n\nsecond\n\n# Three\n\nthird\n")
    add(memory, "a.md")
    ids = {r.place: r.id for r in memory.records()}
    embedder.embedded = 0
    write("a.md", "# One\n\nfirst\n\n# Two\n\nanother\n\n# Four\n\nfourth\n")
    assert counts(add(memory, "a.md")["a.md"]) == ("done", 1, 1, 1, 1, 0)
    assert {r.place: r.text for r in memory.records()} == {
        "# One": "One\n\nfirst",
        "# Two": "Two\n\nanother",
        "# Four": "Four\n\nfourth",
    }
    assert {r.place: r.id for r in memory.records() if r.place in ids} == {k: ids[k] for k in ("# One", "# Two")}
    assert embedder.embedded == 2
    gone = [operation for operation in memory.log() if operation.kind == "delete"]
    assert [(operation.target, operation.why) for operation in gone] == [(ids["# Three"], "gone from a.md")]
    assert add(memory, "a.md")["a.md"].state == "unchanged"


def test_what_people_added_is_not_the_files(memory: Memory) -> None:
    write("a.md", "# One\n\nfirst\n\n# Two\n\nsecond\n")
    add(memory, "a.md")
    one = next(memory.records())
    memory.add("A remark.", source="a.md")
    memory.add("Concluded.", source="a.md", place="conclusion", derived_from=[one.id])
    write("a.md", "# Two\n\nsecond\n")
    assert add(memory, "a.md")["a.md"].gone == 1
    assert sorted(texts(memory)) == ["A remark.", "Concluded.", "Two\n\nsecond"]


def test_a_file_that_cannot_be_read_to_its_end_takes_nothing_away(memory: Memory) -> None:
    good = json.dumps([{"text": f"message {n}"} for n in range(5)])
    write("a.json", good)
    add(memory, "a.json")
    write("a.json", good[:40])
    report = add(memory, "a.json")["a.json"]
    assert counts(report) == ("done", 0, 1, 0, 0, 1)
    assert len(texts(memory)) == 5
    write("a.json", json.dumps([{"text": "message 0"}]))
    assert add(memory, "a.json")["a.json"].gone == 4


@pytest.mark.parametrize("content", ["", " ", "[]", "{"])
def test_a_file_that_suddenly_holds_nothing_takes_nothing_away(memory: Memory, content: str) -> None:
    write("a.json", json.dumps([{"text": "one"}, {"text": "two"}]))
    add(memory, "a.json")
    write("a.json", content)
    assert counts(add(memory, "a.json")["a.json"]) == ("bad", 0, 0, 0, 0, 1)
    assert texts(memory) == ["one", "two"]


def test_a_line_that_broke_keeps_its_record(memory: Memory) -> None:
    write("a.jsonl", chat(3))
    add(memory, "a.jsonl")
    write("a.jsonl", chat(1) + '{"role": "us\n' + chat(1, start=2))
    assert counts(add(memory, "a.jsonl")["a.jsonl"]) == ("done", 0, 2, 0, 0, 1)
    assert len(texts(memory)) == 3


def test_forgotten_as_a_whole_and_given_again(memory: Memory) -> None:
    write("a.jsonl", chat(3))
    add(memory, "a.jsonl")
    memory.forget(next(memory.records()).id)
    assert add(memory, "a.jsonl")["a.jsonl"].state == "unchanged"  # one forgotten message stays forgotten
    memory.forget(where={"source": "a.jsonl"})
    assert counts(add(memory, "a.jsonl")["a.jsonl"]) == ("done", 3, 0, 0, 0, 0)


def test_a_budget_is_kept(memory: Memory) -> None:
    write("a.jsonl", chat(50))
    with Memory("small.db", embedder=HashEmbedder(), budget="20 records", retriever="dense") as small:
        add(small, "a.jsonl", batch=10)
        assert len(texts(small)) <= 20
        assert add(small, "a.jsonl", batch=10)["a.jsonl"].state == "unchanged"


def test_two_files_of_one_name_do_not_replace_each_other(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Path.cwd()
    for folder in ("x", "y"):
        write(f"{folder}/README.md", f"# Read me\n\nof {folder}\n")
        monkeypatch.chdir(folder)
        add(memory, "README.md")
        monkeypatch.chdir(home)
    assert [(r.source, r.text) for r in memory.records()] == [
        ("README.md", "Read me\n\nof x"),
        ((home / "y" / "README.md").as_posix(), "Read me\n\nof y"),
    ]


def test_one_file_by_two_names_is_one(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    write("n/a.txt", "text")
    add(memory, "n")
    reports = add(memory, str(Path("n/a.txt").absolute()))
    monkeypatch.chdir("n")
    assert {report.source for report in [*reports.values(), *add(memory, "a.txt").values()]} == {"n/a.txt"}
    assert texts(memory) == ["text"]


def test_a_folder_that_moved_is_the_same(memory: Memory) -> None:
    write("x/n/a.txt", "text")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir("x")
        add(memory, "n")
    os.rename("x", "y")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir("y")
        assert add(memory, "n")["n/a.txt"].state == "unchanged"


def test_a_missing_path_stops_before_anything_is_written(memory: Memory) -> None:
    write("a.txt", "text")
    with pytest.raises(InputError, match=r"gone\.txt: does not exist; nothing was added"):
        memory.ingest(["a.txt", "gone.txt"])
    assert memory.position == 0


def test_a_batch_of_none_is_refused(memory: Memory) -> None:
    with pytest.raises(InputError, match="at least 1"):
        memory.ingest(["."], batch=0)


def test_a_bad_file_is_told_and_the_rest_is_added(memory: Memory) -> None:
    write("n/a.txt", "one")
    write("n/b.pdf", b"%PDF-1.7 nothing")
    write("n/c.txt", "three")
    reports = add(memory, "n")
    assert [reports[f"n/{name}"].state for name in ("a.txt", "b.pdf", "c.txt")] == ["done", "bad", "done"]
    (reason,) = reports["n/b.pdf"].reasons
    assert str(reason).startswith("n/b.pdf: ")
    assert texts(memory) == ["one", "three"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(memory: Memory) -> None:
    write("a.txt", "text")
    os.chmod("a.txt", 0)
    assert "chmod" in str(add(memory, "a.txt")["a.txt"].reasons[0])


def test_the_memory_itself_is_not_a_file_to_read(memory: Memory) -> None:
    write("a.txt", "text")
    assert list(add(memory, ".")) == ["a.txt"]


def test_a_named_pipe_does_not_block(memory: Memory) -> None:
    os.mkfifo("pipe")
    assert add(memory, "pipe")["pipe"].state == "bad"


def test_times_that_cannot_be_read_are_noted(memory: Memory) -> None:
    write("a.jsonl", '{"text": "one", "date": "yesterday"}\n')
    report = add(memory, "a.jsonl")["a.jsonl"]
    assert counts(report) == ("done", 1, 0, 0, 0, 0)
    assert 'the time is "yesterday"' in report.notes[0].reason


def test_progress_rises_to_all_bytes(memory: Memory) -> None:
    write("n/a.jsonl", chat(1000))
    write("n/b.jsonl", chat(500))
    write("n/c.txt", "")
    size = sum(os.path.getsize(f"n/{name}") for name in ("a.jsonl", "b.jsonl", "c.txt"))
    for _ in range(2):
        reports = list(memory.ingest(["n"], batch=100))
        done = [report.all_done for report in reports]
        assert done == sorted(done)
        assert done[-1] == size
        assert {report.all_size for report in reports} == {size}
        assert all(report.done <= report.size for report in reports)


def test_small_files_share_a_batch(memory: Memory) -> None:
    for n in range(40):
        write(f"n/{n:02}.txt", f"note {n}")
    assert len(add(memory, "n", batch=20)) == 40
    assert len({operation.call for operation in memory.log()}) == 2


def test_long_texts_make_smaller_batches(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH_CHARACTERS", 100)
    write("a.jsonl", chat(100))
    add(memory, "a.jsonl")
    assert len({operation.call for operation in memory.log()}) == 10


def test_a_model_that_fails_keeps_what_was_done(memory: Memory, embedder: Counting) -> None:
    write("a.jsonl", chat(100))
    embedder.fails_after = 70
    with pytest.raises(ModelError):
        add(memory, "a.jsonl", batch=20)
    assert len(texts(memory)) == 60
    embedder.fails_after = 10**9
    assert counts(add(memory, "a.jsonl", batch=20)["a.jsonl"]) == ("done", 40, 60, 0, 0, 0)
    assert embedder.embedded == 100


@pytest.mark.parametrize("stopped_at", [1, 3])
def test_a_changed_file_that_was_stopped_is_read_again(memory: Memory, stopped_at: int) -> None:
    write("a.jsonl", chat(100))
    add(memory, "a.jsonl")
    write("a.jsonl", chat(60, start=1000))
    reports = memory.ingest(["a.jsonl"], batch=20)
    for _ in range(stopped_at):
        next(reports)
    reports.close()  # type: ignore[attr-defined]
    add(memory, "a.jsonl")
    assert sorted(texts(memory)) == sorted(f"message {n}" for n in range(1000, 1060))


def test_a_change_that_is_taken_back_is_seen(memory: Memory) -> None:
    write("a.jsonl", chat(30))
    add(memory, "a.jsonl")
    write("a.jsonl", chat(30, start=500))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module._Ingest, "_finish", stop)  # the records are written, the ledger is not yet
        with pytest.raises(KeyboardInterrupt):
            add(memory, "a.jsonl")
    assert texts(memory)[0] == "message 500"
    write("a.jsonl", chat(30))
    add(memory, "a.jsonl")
    assert sorted(texts(memory)) == sorted(f"message {n}" for n in range(30))


def test_a_file_that_grows_while_it_is_read(memory: Memory) -> None:
    write("a.jsonl", chat(30))
    for _ in memory.ingest(["a.jsonl"], batch=10):
        with open("a.jsonl", "a") as file:
            file.write(chat(1, start=int(time.time_ns())))
    add(memory, "a.jsonl")
    assert len(texts(memory)) == Path("a.jsonl").read_text().count("\n")


def test_a_file_that_is_cut_while_it_is_read_takes_nothing_away(memory: Memory) -> None:
    long = "".join(f'{{"text": "message {n} {"x" * 500}"}}\n' for n in range(800))
    write("a.jsonl", long)
    add(memory, "a.jsonl")
    write("a.jsonl", long.replace("message 0 ", "changed "))
    reports = memory.ingest(["a.jsonl"], batch=10)
    next(reports)
    os.truncate("a.jsonl", 0)  # an editor that is about to write it anew
    assert [report.gone for report in reports][-1] == 0
    assert len(texts(memory)) == 800


def test_spaces_do_not_share_files(memory: Memory) -> None:
    write("a.txt", "text")
    add(memory, "a.txt")
    with Memory("life.db", space="other", embedder=HashEmbedder(), retriever="dense") as other:
        assert add(other, "a.txt")["a.txt"].state == "done"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(files=st.lists(st.tuples(st.sampled_from([".txt", ".json", ".jsonl", ".csv", ".md", ".pdf", ".docx", ".gz", ""]),
                                st.binary(max_size=400)), min_size=1, max_size=4))  # fmt: skip
def test_random_files_are_remembered_or_told(memory: Memory, files: Iterable[tuple[str, bytes]]) -> None:
    names = [f"f{n}{suffix}" for n, (suffix, _) in enumerate(files)]
    for name, (_, content) in zip(names, files, strict=True):
        write(name, content, old=False)
    before = memory.position
    reports = add(memory, *names)
    assert sorted(reports) == sorted(names)
    for report in reports.values():
        assert report.reasons if report.state == "bad" else report.added + report.unchanged + report.updated > 0
    if all(report.state == "bad" for report in reports.values()):
        assert memory.position == before


def test_what_is_erased_stands_nowhere(memory: Memory) -> None:
    write("a.jsonl", '{"text": "a secret", "date": "hush"}\n{"text": "else"}\n')
    assert add(memory, "a.jsonl")["a.jsonl"].notes != ()
    memory.erase(next(record.id for record in memory.records() if record.text == "a secret"))
    memory.close()
    kept = b"".join(path.read_bytes() for path in Path().glob("life.db*"))
    assert b"secret" not in kept
    assert b"hush" not in kept
