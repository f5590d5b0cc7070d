"""A memory moves from a file into PostgreSQL and back, and is the same."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mnemic.copying import Copied, copy, tables
from mnemic.errors import InputError, StoreError
from mnemic.lm.doubles import HashEmbedder
from mnemic.memory import Memory
from mnemic.reembed import reembed_file

Address = Callable[..., str]

_TABLES = "record operation edge derivation embedder vector ledger principal token".split()


def rows_of(path: Path) -> dict[str, list[Any]]:
    """All that a file holds, read by SQLite alone."""
    with closing(sqlite3.connect(path)) as db:
        return {table: sorted(db.execute(f"SELECT * FROM {table}"), key=repr) for table in _TABLES}


def copied(source: Any, target: Any, **options: Any) -> Copied:
    last = list(copy(source, target, **options))[-1].copied
    assert last is not None
    return last


def open_one(place: Any, space: str = "default") -> Memory:
    return Memory(place, space=space, embedder=HashEmbedder(), retriever="dense")


@pytest.fixture
def life(tmp_path: Path) -> Path:
    path = tmp_path / "life.db"
    with open_one(path) as memory:
        told = memory.add_many(
            {"text": f"Ana told story {n} “{n}”.", "source": "chat", "place": f"{n}", "metadata": {"n": n},
             "speaker": "Ana", "time": "2026-05"} for n in range(30)
        )  # fmt: skip
        ids = [outcome.record.id for outcome in told if outcome.record]
        memory.add("Ana tells stories.", kind="fact", derived_from=ids[:2], pinned=True, importance=0.25)
        memory.update(ids[2], text="Ben told story 2, 東京.")
        memory.link(ids[3], "before", ids[4], weight=0.1)
        memory.forget(ids[5])
        memory.erase(ids[7])
        note = tmp_path / "note.md"
        note.write_text("# One\n\nA note.\n")
        list(memory.ingest([note]))
    with open_one(path, "work") as memory:
        memory.add_many(["The boat is called Heron.", "Ben drinks green tea."])
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("INSERT INTO principal VALUES ('p', 'ana', '2026-05-03')")
        db.execute("INSERT INTO token VALUES ('t', 'p', x'00ff', '2026-05-03', NULL, NULL, 0)")
    return path


def hits(memory: Memory, queries: Sequence[str] = ("who told story 9", "green tea", "東京")) -> list[Any]:
    """Scores, as far as float32 holds them, and records: those of one score in any order."""
    return [sorted((round(-hit.score, 5), hit.record.id) for hit in memory.recall(query, k=40)) for query in queries]


def test_a_file_goes_into_the_database_and_comes_back_the_same(life: Path, tmp_path: Path, postgres: Address) -> None:
    there, back = copied(life, postgres()), copied(postgres(), tmp_path / "back.db")
    assert there.tables == back.tables
    assert there.people
    assert rows_of(tmp_path / "back.db") == rows_of(life)
    for space in ("default", "work"):
        with open_one(life, space) as source, open_one(postgres(), space) as target:
            assert hits(target) == hits(source)
            assert [each.n for each in target.log()] == [each.n for each in source.log()]
            assert target.check().ok


def test_the_database_goes_on_numbering_where_the_file_stopped(life: Path, tmp_path: Path, postgres: Address) -> None:
    copied(life, postgres())
    with open_one(postgres()) as memory:
        ids = [record.id for record in memory.records()]
        last = memory.add("Something new.")
        memory.link(ids[0], "near", last.id)
        memory.link(ids[1], "near", last.id)
        assert memory.check().ok
    list(reembed_file(postgres(), HashEmbedder(32)))
    with pytest.raises(InputError, match="was written to since it was copied"):
        list(copy(life, postgres()))


def test_what_has_changed_in_the_file_is_fetched(life: Path, tmp_path: Path, postgres: Address) -> None:
    copied(life, postgres())
    with open_one(life) as memory:
        first, second, third, *_ = memory.records()
        memory.erase(first.id)
        memory.update(second.id, text="Another text.")
        memory.forget(third.id)
        memory.add("A late one.")
    told = copied(life, postgres())
    assert told.written > 0
    assert told.removed > 0
    copied(postgres(), tmp_path / "back.db")
    assert rows_of(tmp_path / "back.db") == rows_of(life)
    with open_one(life) as source, open_one(postgres()) as target:
        assert hits(target) == hits(source)
        assert target.check().ok


KILLED = """
import os, sys, signal
from mnemic.copying import copy, tables
tables.PAGE = 7
for n, progress in enumerate(copy(sys.argv[1], sys.argv[2])):
    if n == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_kill_9_on_the_way_into_the_database(
    life: Path, tmp_path: Path, postgres: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "PAGE", 7)
    for place in (4, 11):
        done = subprocess.run([sys.executable, "-c", KILLED, life, postgres(), str(place)], check=False)
        assert done.returncode == -signal.SIGKILL
        with pytest.raises(StoreError, match="not complete"):
            list(copy(postgres(), tmp_path / "back.db"))
    told = copied(life, postgres())
    assert told.written < sum(each.rows for each in told.tables)
    copied(postgres(), tmp_path / "back.db")
    assert rows_of(tmp_path / "back.db") == rows_of(life)


def test_a_space_is_added_beside_that_of_a_team(life: Path, tmp_path: Path, postgres: Address) -> None:
    with open_one(postgres(), "team") as memory:
        ids = [outcome.record.id for outcome in memory.add_many(["Ours.", "Theirs."]) if outcome.record]
        memory.link(ids[0], "near", ids[1])
    told = copied(life, postgres(), spaces=["default"])
    assert not told.people
    with open_one(life) as source, open_one(postgres()) as target, open_one(postgres(), "team") as team:
        assert list(target.records()) == list(source.records())
        assert [(each.kind, each.target, each.after) for each in target.log()] == [
            (each.kind, each.target, each.after) for each in source.log()
        ]
        assert hits(target) == hits(source)
        assert [record.text for record in team.records()] == ["Ours.", "Theirs."]
        assert target.check().ok
        target.link(next(target.records()).id, "near", list(target.records())[1].id)
    with pytest.raises(InputError, match='holds the space "default" already'):
        list(copy(life, postgres(), spaces=["default"]))
    copied(life, postgres("other"), spaces=["work"])


def test_one_database_under_one_address_is_no_target_of_itself(postgres: Address) -> None:
    with open_one(postgres()) as memory:
        memory.add("Ours.")
    with pytest.raises(InputError, match="is the source itself"):
        copy(postgres(), postgres())
