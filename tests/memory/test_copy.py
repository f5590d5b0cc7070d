"""A copy is the same memory, whatever stops it on the way; nobody's writes are lost for it."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic.copying import Copied, Progress, copy, tables
from mnemic.copying.mark import mark_of, refuse_unfinished
from mnemic.copying.tables import Sum
from mnemic.db.changes import Changes
from mnemic.db.store import Store
from mnemic.errors import (
    Conflict,
    EmbedderMismatch,
    InputError,
    MnemicError,
    NotAMemory,
    NotFound,
    StoreError,
)
from mnemic.lm.doubles import HashEmbedder
from mnemic.memory import Memory

Open = Callable[..., Memory]
Rows = dict[str, list[tuple[Any, ...]]]

_TABLES = "record operation edge derivation embedder vector access ledger principal token permission answered".split()
_WORDS = "SELECT term, doc, offset FROM temp.occurring ORDER BY doc, offset"


def rows_of(path: Path) -> Rows:
    """All that a file holds, read by SQLite alone."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE VIRTUAL TABLE temp.occurring USING fts5vocab('main', 'words', 'instance')")
        found = {table: sorted(db.execute(f"SELECT * FROM {table}"), key=repr) for table in _TABLES}
        found["words"] = db.execute(_WORDS).fetchall()
        found["meta"] = db.execute("SELECT * FROM meta WHERE key != 'copy'").fetchall()
        return found


def copied(source: Path, target: Path, **options: Any) -> Copied:
    """A whole run."""
    last = list(copy(source, target, **options))[-1].copied
    assert last is not None
    return last


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two spaces with all that a memory can hold."""
    path = tmp_path_factory.mktemp("kept") / "life.db"
    with Memory(path, embedder=HashEmbedder(), retriever="dense") as memory:
        told = memory.add_many({"text": f"Ana told story {n}.", "source": "chat", "place": f"{n}"} for n in range(40))
        ids = [outcome.record.id for outcome in told if outcome.record]
        memory.add("Ana tells stories.", kind="fact", derived_from=ids[:2])
        memory.update(ids[2], text="Ben told story 2.")
        memory.link(ids[3], "before", ids[4], weight=0.5)
        memory.forget(ids[5])
        memory.undo(memory.position)
        memory.forget(ids[6])
        memory.erase(ids[7])
        note = path.with_name("note.md")
        note.write_text("# One\n\nA note.\n")
        list(memory.ingest([note]))
    with Memory(path, space="work", embedder=HashEmbedder(), retriever="dense", budget="100 records") as memory:
        memory.add_many(["The boat is called Heron.", "Ben drinks green tea."])
        memory.recall("tea", k=1)  # counted, since there is a budget
    with closing(Store(path)) as store, store.transaction() as db:
        db.execute("INSERT INTO principal VALUES ('p', 'ana', '2026-05-03')")
        db.execute("INSERT INTO token VALUES ('t', 'p', x'00ff', '2026-05-03', NULL, NULL, 0)")
        db.execute("INSERT INTO permission VALUES ('p', 'work', 'read')")
        changes = Changes(store, db, "default", who="policy:recency", why="full")
        changes.delete(*store.named(ids[8], "default"), kind="evict")
        changes.shorten(ids[8])  # as under a budget in bytes: a gap in n and m
    return path


@pytest.fixture
def life(kept: Path, tmp_path: Path) -> Path:
    """A memory of its own for each test."""
    return Path(shutil.copy(kept, tmp_path / "life.db"))


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "PAGE", 7)


# ---- the same memory


def test_a_copy_holds_every_row_of_its_source(life: Path, tmp_path: Path, small_pages: None) -> None:
    told = copied(life, tmp_path / "copy.db")
    assert rows_of(tmp_path / "copy.db") == rows_of(life)
    counts = {name: len(rows) for name, rows in rows_of(life).items() if name not in ("words", "meta")}
    assert {each.table: each.rows for each in told.tables} == counts
    assert told.people
    assert told.written == sum(counts.values())
    assert (told.removed, told.behind, told.position) == (0, 0, max(row[0] for row in rows_of(life)["operation"]))


def test_a_copy_finds_what_its_source_finds_and_goes_on_numbering(life: Path, tmp_path: Path) -> None:
    copied(life, tmp_path / "copy.db")
    for space in ("default", "work"):
        with (Memory(life, space=space, embedder=HashEmbedder()) as source,
              Memory(tmp_path / "copy.db", space=space, embedder=HashEmbedder()) as target):  # fmt: skip
            for query in ("who told a story", "green tea", "boat"):
                assert [(hit.record, hit.score) for hit in target.recall(query)] == [
                    (hit.record, hit.score) for hit in source.recall(query)
                ]
            assert target.check().ok
            before = target.position
            target.add("Something new.")
            assert [each.n for each in target.log(last=1)] == [before + 1]


@settings(max_examples=12)
@given(st.lists(st.tuples(st.sampled_from("add derive update forget erase link undo".split()), st.integers(0, 30)),
                max_size=25), st.integers(0, 25))  # fmt: skip
def test_any_memory_is_copied_and_caught_up_with(steps: list[tuple[str, int]], cut: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "a.db"), Path(folder, "b.db")
        for part in (steps[:cut], steps[cut:]):
            for space in ("default", "work"):
                with Memory(source, space=space, embedder=HashEmbedder(16), retriever="dense") as memory:
                    for step, n in part:
                        do(memory, step, n)
            told = copied(source, target)
            assert rows_of(target) == rows_of(source)
            assert told.behind == 0
        with Memory(target, embedder=HashEmbedder(16), retriever="dense") as memory:
            assert memory.check().ok


def do(memory: Memory, step: str, n: int) -> None:
    """One change, of the n-th record where it is of one; one that cannot be made is left out."""
    ids = [record.id for record in memory.records()]
    one = ids[n % len(ids)] if ids else ""
    if step == "add" or not ids:
        memory.add(f"{step} boat {n}", episode=f"e{n % 3}")
    elif step == "derive":
        memory.add(f"derived {n}", kind="fact", derived_from=[one])
    elif step == "update":
        memory.update(one, text=f"changed tea {n}")
    elif step == "link":
        memory.link(one, "near", ids[0])
    elif step == "undo":
        try:
            memory.undo(memory.position - n % 4)
        except MnemicError:
            return
    else:
        getattr(memory, step)(one)


def test_the_sum_of_rows_by_hand() -> None:
    one, other, both, swapped = Sum(), Sum(), Sum(), Sum()
    one.add([(1, "a")])
    other.add([(2, None)])
    both.add([(1, "a"), (2, None)])
    swapped.add([(2, None), (1, "a")])
    assert both == swapped
    assert both.total == (one.total + other.total) % 2**128
    assert one.digest == "d4d983a1d4800117f54e6787d0da687e"  # printf "(1, 'a')" | b2sum -l 128


# ---- stopped, and gone on with


KILLED = """
import os, sys, signal
from mnemic.copying import copy, tables
tables.PAGE = 7
for n, progress in enumerate(copy(sys.argv[1], sys.argv[2])):
    if n == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_kill_9_at_any_place_ends_with_the_same_copy(life: Path, tmp_path: Path, small_pages: None) -> None:
    target = tmp_path / "copy.db"
    steps = len(list(copy(life, tmp_path / "other.db")))
    written = []
    for place in (0, steps // 3, steps // 2, steps - 4):
        done = subprocess.run([sys.executable, "-c", KILLED, life, target, str(place)], check=False)
        assert done.returncode == -signal.SIGKILL
        written.append(sum(map(len, rows_of(target).values())))
        with closing(Store(target)) as store, pytest.raises(StoreError, match="is not complete"):
            refuse_unfinished(store)
    assert written == sorted(written)
    assert written[0] < written[1] < written[2]
    told = copied(life, target)
    assert told.written < sum(each.rows for each in told.tables)  # it went on, it did not begin again
    assert rows_of(target) == rows_of(life) == rows_of(tmp_path / "other.db")
    with closing(Store(target)) as store:
        refuse_unfinished(store)


def test_a_run_that_is_killed_inside_a_transaction_leaves_no_half_page(
    life: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_pages: None
) -> None:
    target, real, calls = tmp_path / "copy.db", Store.write_words, iter(range(1000))

    def fails(self: Store, *given: Any) -> None:
        if next(calls) == 1:
            raise KeyboardInterrupt
        real(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write_words", fails)
        with pytest.raises(KeyboardInterrupt):
            list(copy(life, target))
    assert len(rows_of(target)["record"]) == 7
    copied(life, target)
    assert rows_of(target) == rows_of(life)


def test_a_source_that_changed_while_its_copy_was_stopped_is_caught_up_with(
    life: Path, tmp_path: Path, small_pages: None
) -> None:
    target = tmp_path / "copy.db"
    stop_after(copy(life, target), 12)
    with Memory(life, embedder=HashEmbedder(), retriever="dense") as memory:
        first, second, *_ = memory.records()
        memory.erase(first.id)
        memory.update(second.id, text="Another text.")
        memory.add("A late one.")
    copied(life, target)
    assert rows_of(target) == rows_of(life)


def stop_after(running: Iterator[Progress], steps: int) -> None:
    for _, _ in zip(range(steps), running, strict=False):
        pass
    running.close()


def test_what_was_erased_in_the_source_leaves_the_files_of_its_copy(tmp_path: Path) -> None:
    source, target = tmp_path / "life.db", tmp_path / "copy.db"
    with Memory(source, embedder=HashEmbedder(), retriever="dense") as memory:
        id = memory.add("The canary is called xylograph.").id
        memory.add("Nothing of note.")
    copied(source, target)
    assert b"xylograph" in files_of(target)
    with Memory(source, embedder=HashEmbedder(), retriever="dense") as memory:
        memory.erase(id)
    told = copied(source, target)
    assert (told.removed > 0, told.traces) == (True, "")
    assert b"xylograph" not in files_of(target)
    assert b"xylograph"[:8] not in files_of(target)  # as a word of the index, stemmed


def files_of(path: Path) -> bytes:
    return b"".join(each.read_bytes() for each in path.parent.glob(f"{path.name}*"))


def test_others_may_write_to_the_source_all_the_while(life: Path, tmp_path: Path, small_pages: None) -> None:
    target, stop, wrote = tmp_path / "copy.db", threading.Event(), []

    def write() -> None:
        with Memory(life, space="third", embedder=HashEmbedder(), retriever="dense") as memory:
            while not stop.is_set() and len(wrote) < 40:
                wrote.append(memory.add(f"late text {len(wrote)}").id)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        told = copied(life, target)
    finally:
        stop.set()
        writer.join()
    assert wrote
    there, here = rows_of(target)["operation"], rows_of(life)["operation"]
    assert there == sorted((row for row in here if row[0] <= told.position), key=repr)  # as it stood at one moment
    with Memory(target, embedder=HashEmbedder(), retriever="dense") as memory:
        assert memory.check().ok
    copied(life, target)
    assert rows_of(target) == rows_of(life)


def test_what_comes_to_the_source_at_the_very_end_is_told(life: Path, tmp_path: Path) -> None:
    last = None
    with Memory(life, embedder=HashEmbedder(), retriever="dense") as memory:
        for progress in copy(life, tmp_path / "copy.db"):
            if progress.step == "checking" and progress.copied is None and progress.table == "ledger":
                memory.add("Too late.")
            last = progress.copied
    assert last is not None
    assert last.behind == 1
    assert copied(life, tmp_path / "copy.db").written > 0


def test_what_comes_to_another_space_is_none_of_a_copys_business(life: Path, tmp_path: Path) -> None:
    last = None
    with Memory(life, embedder=HashEmbedder(), retriever="dense") as memory:
        for progress in copy(life, tmp_path / "copy.db", spaces=["work"]):
            memory.add("Elsewhere.")
            last = progress.copied
    assert last is not None
    assert (last.behind, last.position) == (0, max(row[0] for row in rows_of(tmp_path / "copy.db")["operation"]))


# ---- what a target may be


def test_a_copy_that_somebody_has_written_to_is_left_alone(life: Path, tmp_path: Path, small_pages: None) -> None:
    half, whole = tmp_path / "half.db", tmp_path / "whole.db"
    stop_after(copy(life, half), 12)
    copied(life, whole)
    for path in (half, whole):
        with closing(Store(path)) as store, store.transaction() as db:
            db.execute("INSERT INTO operation (kind, target, space, who, why, at, at_s, call) VALUES "
                       "('link', 'x', 'default', 'ana', 'mine', '2027-01-01', 0, 'c')")  # fmt: skip
        before = rows_of(path)
        with pytest.raises((Conflict, InputError), match="written to"):
            list(copy(life, path))
        assert rows_of(path) == before


def test_a_token_that_was_issued_in_the_copy_makes_it_a_memory_of_its_own(life: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    copied(life, target)
    with closing(Store(target)) as store, store.transaction() as db:
        db.execute("INSERT INTO principal VALUES ('q', 'ben', '2026-05-03')")
    with pytest.raises(InputError, match="was written to since it was copied"):
        list(copy(life, target))
    assert len(rows_of(target)["principal"]) == 2


def test_a_half_made_copy_is_no_source_and_no_target_of_another(life: Path, tmp_path: Path, small_pages: None) -> None:
    half = tmp_path / "half.db"
    stop_after(copy(life, half), 12)
    with pytest.raises(StoreError, match="not complete"):
        list(copy(half, tmp_path / "third.db"))
    assert not (tmp_path / "third.db").exists()
    with pytest.raises(StoreError, match="complete it first"):
        list(copy(life, half, spaces=["work"]))
    copied(life, half)


def test_two_runs_into_one_target_do_not_mix(life: Path, tmp_path: Path, small_pages: None) -> None:
    first = copy(life, tmp_path / "copy.db")
    for _ in range(5):
        next(first)
    copied(life, tmp_path / "copy.db")  # takes over
    with pytest.raises(Conflict):
        list(first)
    assert rows_of(tmp_path / "copy.db") == rows_of(life)


@pytest.mark.parametrize(("source", "target", "error", "says"), [
    ("none.db", "copy.db", NotFound, "no memory at"),
    ("empty.db", "copy.db", NotFound, "no memory at"),
    ("foreign.db", "copy.db", NotAMemory, "not a memory file"),
    ("life.db", "life.db", InputError, "source itself"),
    ("life.db", "link.db", InputError, "source itself"),
    ("life.db", "hard.db", InputError, "source itself"),
    ("life.db", "foreign.db", NotAMemory, "not a memory file"),
    ("life.db", ":memory:", InputError, "in RAM"),
    ("life.db", "nowhere/copy.db", NotAMemory, "does not exist"),
])  # fmt: skip
def test_places_that_cannot_be_are_refused(life: Path, source: str, target: str, error: type[MnemicError],
                                           says: str, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.chdir(life.parent)
    Path("empty.db").touch()
    Path("foreign.db").write_text("a letter" * 100)
    Path("link.db").symlink_to("life.db")
    os.link("life.db", "hard.db")
    before = rows_of(life)
    with pytest.raises(error, match=says):
        list(copy(source, target))
    assert rows_of(life) == before
    assert not Path("none.db").exists()
    assert not Path("copy.db").exists()


def test_spaces_are_named_or_left_out(life: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r'no space "wrok" in .*: there is "default", "work"'):
        list(copy(life, tmp_path / "copy.db", spaces=["wrok"]))
    with pytest.raises(InputError, match="at least one"):
        list(copy(life, tmp_path / "copy.db", spaces=[]))
    assert not (tmp_path / "copy.db").exists()


# ---- some spaces, and beside others


def test_one_space_into_a_new_file_keeps_its_numbers(life: Path, tmp_path: Path) -> None:
    told = copied(life, tmp_path / "copy.db", spaces=["work"])
    here, there = rows_of(life), rows_of(tmp_path / "copy.db")
    for table, column in (("record", 2), ("operation", 3)):
        assert there[table] == [row for row in here[table] if row[column] == "work"]
    assert len(there["vector"]) == 2
    assert there["principal"] == there["token"] == []
    assert not told.people
    with Memory(tmp_path / "copy.db", space="work", embedder=HashEmbedder(), retriever="dense") as memory:
        assert memory.check().ok


def test_spaces_are_added_beside_others_with_numbers_that_are_free(life: Path, tmp_path: Path) -> None:
    target = tmp_path / "team.db"
    with Memory(target, space="team", embedder=HashEmbedder(), retriever="dense") as memory:
        ids = [memory.add(f"Our boat {n}.").id for n in range(3)]
        memory.link(ids[0], "near", ids[1])
        memory.forget(ids[2])
        own = list(memory.log())
    with Memory(life, embedder=HashEmbedder(), retriever="dense") as memory:
        wanted, log = list(memory.records()), list(memory.log())
        hits = [(hit.record, hit.score) for hit in memory.recall("who told a story")]
    told = copied(life, target)
    assert (told.people, told.spaces) == (False, ("default", "work"))
    with Memory(target, space="team", embedder=HashEmbedder(), retriever="dense") as memory:
        assert list(memory.log()) == own
        assert memory.check().ok  # all spaces
    with Memory(target, embedder=HashEmbedder(), retriever="dense") as memory:
        assert list(memory.records()) == wanted
        assert [(hit.record, hit.score) for hit in memory.recall("who told a story")] == hits
        moved = list(memory.log())
        assert [each.n - len(own) for each in moved] == [each.n for each in log]
        assert [each.undoes and each.undoes - len(own) for each in moved] == [each.undoes for each in log]
        memory.undo(next(each.n for each in moved if each.kind == "update"))
        assert memory.check().ok


def test_a_space_that_is_there_already_is_refused_whole(life: Path, tmp_path: Path) -> None:
    target = tmp_path / "team.db"
    with Memory(target, space="work", embedder=HashEmbedder(), retriever="dense") as memory:
        memory.add("Ours.")
    before = rows_of(target)
    with pytest.raises(InputError, match='holds the space "work" already, and spaces are never mixed'):
        list(copy(life, target))
    assert rows_of(target) == before
    assert copied(life, target, spaces=["default"]).rows("record") > 30


def test_a_record_of_another_space_is_never_replaced(life: Path, tmp_path: Path, small_pages: None) -> None:
    target = tmp_path / "team.db"
    with Memory(life, embedder=HashEmbedder(), retriever="dense") as memory:
        record = list(memory.records())[20]
    with Memory(target, space="team", embedder=HashEmbedder(), retriever="dense") as memory:
        memory.propose([memory_insert(record.id)], who="ana", why="add")
    before = rows_of(target)
    with pytest.raises(InputError, match=f'has a record {record.id} already, in the space "team"'):
        list(copy(life, target))
    assert rows_of(target) == before


def memory_insert(id: str) -> Any:
    from mnemic.record import Operation

    return Operation("insert", id, after={"kind": "fact", "text": "Another one."})


def test_vectors_of_two_embedders_are_never_mixed(life: Path, tmp_path: Path) -> None:
    with Memory(tmp_path / "team.db", space="team", embedder=HashEmbedder(32), retriever="dense") as memory:
        memory.add("Ours.")
    with pytest.raises(EmbedderMismatch, match=r"made by hash-32, those of the source by hash-64"):
        list(copy(life, tmp_path / "team.db"))


def test_a_source_that_was_embedded_anew_is_caught_up_with(life: Path, tmp_path: Path, small_pages: None) -> None:
    copied(life, tmp_path / "copy.db")
    with Memory(life, embedder=HashEmbedder(), retriever="dense") as memory:
        list(memory.reembed(HashEmbedder(32)))
    copied(life, tmp_path / "copy.db")
    assert rows_of(tmp_path / "copy.db") == rows_of(life)
    with closing(Store(tmp_path / "copy.db")) as store:
        embedder, mark = store.embedder(), mark_of(store)
    assert embedder is not None
    assert embedder[1:] == ("hash-32", 32)
    assert mark is not None
    assert mark.done["record"][0] == len(rows_of(life)["record"])
