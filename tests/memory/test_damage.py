"""A row that was changed behind mnemic's back: `check` says so, and `check --repair` mends what can be worked out."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnemic.lm.doubles import HashEmbedder
from mnemic.memory import Memory

# Worked out of rows or log: mended.
CACHES = [
    "DELETE FROM vector WHERE record = :n",
    "UPDATE vector SET windows = :blob WHERE record = :n",
    "UPDATE vector SET record = :n + 100 WHERE record = :n",
    "UPDATE vector SET embedder = 7 WHERE record = :n",
    "UPDATE embedder SET dimensions = :n + 20",
    "DELETE FROM meta WHERE key = 'embedder'",
    "INSERT INTO words (rowid, terms) VALUES (:n, 'ghost')",
    "INSERT INTO words (rowid, terms) VALUES (:n + 100, 'ghost')",
    "INSERT INTO words (words) VALUES ('delete-all')",
    "DELETE FROM words_data WHERE id > 10",
    "UPDATE words_data SET block = :blob WHERE id > 10",
    "DELETE FROM words_data WHERE id = 10",
    "DELETE FROM words_config",
    *(f"UPDATE record SET {column} = 123456 WHERE n = :n" for column in
      ("begins", "ends", "written_s", "words", "asks", "digest")),
    "UPDATE operation SET record = 77 WHERE n = (SELECT max(operation.n) FROM operation JOIN record ON target = id "
    "WHERE record.n = :n AND operation.kind != 'link')",
    "DELETE FROM derivation",
    "INSERT INTO derivation VALUES ('x', 'y')",
    *(f"UPDATE edge SET {change} WHERE n = :edge" for change in
      ("head = 'x'", "relation = 'x'", "tail = 'x'", "weight = 9", "space = 'x'", "source = 'x'")),
    "DELETE FROM edge WHERE n = :edge",
    "INSERT INTO access VALUES (:n + 100, 1, 1)",
    *(f"UPDATE ledger SET {column} = '{value}'" for column in ("fingerprint", "report", "at")
      for value in ("", "[]", "{}", "null", "9")),
]  # fmt: skip

# Said once, or twice with nobody to tell which is right: a backup is needed.
LASTING = [
    *(f"UPDATE record SET {column} = {column} || '1' WHERE n = :n AND {column} IS NOT NULL" for column in
      ("id", "space", "kind", "text", "written", "speaker", "source", "place")),
    "INSERT INTO edge (space, head, relation, tail, weight, source) SELECT space, id, 'b', 'c', 1, id FROM record "
    "WHERE n = :n",
    "INSERT INTO edge (space, head, relation, tail, weight) SELECT space, id, 'b', 'c', 1 FROM record WHERE n = :n",
    "UPDATE record SET time = '1999' WHERE n = :n",
    "UPDATE record SET time = 'soon' WHERE n = :n",
    "UPDATE record SET text = '' WHERE n = :n",
    "UPDATE record SET text = x'ff' WHERE n = :n",
    "UPDATE record SET text = CAST(x'ff41' AS TEXT) WHERE n = :n",
    "UPDATE record SET metadata = '{\"x\": 1}' WHERE n = :n",
    "UPDATE record SET metadata = '{' WHERE n = :n",
    "UPDATE record SET derived_from = '[\"x\"]' WHERE n = :n",
    "UPDATE record SET derived_from = '3' WHERE n = :n",
    "UPDATE record SET pinned = 1, importance = 0.5 WHERE n = :n",
    "UPDATE record SET importance = -1 WHERE n = :n",
    "DELETE FROM record WHERE n = :n",
    # One whose text was erased is no loss that anything could tell: the operations have no numbers without gaps,
    # as the log of a space among others, or of a byte budget, has none.
    "DELETE FROM operation WHERE n = :op AND (before IS NOT NULL OR after IS NOT NULL)",
    *(f"UPDATE operation SET {column} = {value} WHERE n = :op" for column, value in
      (("kind", "'dream'"), ("kind", "7"), ("target", "'x'"), ("undoes", "99"), ("at_s", "5.0"),
       ("at", "'1999'"), ("at", "'soon'"), ("why", "CAST(x'ff' AS TEXT)"))),
    # Likewise one whose text was erased: nothing is left that could belong to a space.
    "UPDATE operation SET space = 'x' WHERE n = :op AND kind NOT IN ('link', 'erase')"
    " AND (before IS NOT NULL OR after IS NOT NULL)",
    *(f"UPDATE operation SET {column} = {value} WHERE n = :op AND {column} IS NOT NULL" for column in
      ("before", "after") for value in ("'{'", "'[]'", "'3'", "NULL", "x'ff'",
                                        "replace({column}, 'text', 'taxt')", "replace({column}, ' ', 'x')")),
]  # fmt: skip
LASTING = [sql.replace("{column}", "before" if "SET before" in sql else "after") for sql in LASTING]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A memory with a bit of everything, to copy from."""
    folder = tmp_path_factory.mktemp("sound")
    (folder / "a.txt").write_text("Tea is in the left cupboard.")
    with Memory(folder / "life.db", embedder=HashEmbedder(16), retriever="dense") as memory:
        first = memory.add("Ana moved to Lisbon?", time="2026-05-03", speaker="Ana", source="a", place="1")
        fact = memory.add("Ana lives in Portugal.", kind="fact", derived_from=[first.id], metadata={"n": 3})
        memory.update(first.id, text="Ana moved to Porto.")
        memory.update(fact.id, edges=[["Ana", "lives in", "Portugal", 1.0], ["Ana", "is", "happy", 0.5]])
        memory.link(first.id, "supports", fact.id, weight=2)
        memory.forget(memory.add("Ben drinks green tea.").id)
        memory.undo(memory.position)
        memory.erase(memory.add("Nobody needs to know.").id)
        list(memory.ingest([folder / "a.txt"]))
        assert memory.check().ok
    return folder / "life.db"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "copy.db"


def open_it(path: Path) -> Memory:
    return Memory(path, embedder=HashEmbedder(16), retriever="dense")


def damage(sound: Path, copy: Path, sql: str, values: dict[str, Any]) -> bool:
    """A damaged copy; False when the statement changed nothing."""
    for path in copy.parent.glob("copy.db*"):
        path.unlink(missing_ok=True)
    shutil.copy(sound, copy)
    db = sqlite3.connect(copy)
    with db:
        before = db.total_changes
        db.execute(sql, {name: value for name, value in values.items() if f":{name}" in sql})
        changed = db.total_changes > before
    db.close()
    return changed


def content(memory: Memory) -> Any:
    links = sorted([json.dumps([e.head, e.relation, e.tail, e.weight, e.source]) for e in memory.edges()])
    found = [(hit.record.text, round(hit.score, 4)) for hit in memory.recall("Where is the tea?", k=9)]
    return list(memory.records()), list(memory.log()), links, found, memory.store.postings("tea")[0].tolist()


def kept(path: Path) -> list[Any]:
    """What no repair may touch."""
    with sqlite3.connect(path) as db:
        db.text_factory = bytes
        return [
            db.execute("SELECT id, space, kind, text, time, until, written, source, metadata FROM record").fetchall(),
            db.execute("SELECT n, kind, target, space, before, after, who, why, at, at_s FROM operation").fetchall(),
        ]


values = st.fixed_dictionaries(
    {"n": st.integers(1, 3), "op": st.integers(1, 12), "edge": st.integers(1, 4), "blob": st.binary(max_size=60)}
)
often = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])


@often
@given(sql=st.sampled_from(CACHES), values=values)
def test_what_can_be_worked_out_is_mended(sound: Path, copy: Path, sql: str, values: dict[str, Any]) -> None:
    with open_it(sound) as memory:
        before = content(memory)
    if not damage(sound, copy, sql, values):
        return
    with open_it(copy) as memory:
        found = memory.check()
        assert found.problems
        assert all(problem.mendable for problem in found.problems)
        mended = memory.check(repair=True)
        assert mended.ok, mended.problems
        assert mended.mended
        assert content(memory) == before


@often
@given(sql=st.sampled_from(LASTING), values=values)
def test_what_cannot_be_mended_is_said_and_left(sound: Path, copy: Path, sql: str, values: dict[str, Any]) -> None:
    if not damage(sound, copy, sql, values):
        return
    before = kept(copy)
    with open_it(copy) as memory:
        assert not memory.check().ok
        left = memory.check(repair=True)
        assert any(not problem.mendable for problem in left.problems), left
    assert kept(copy) == before


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("UPDATE record SET text = 'Ana moved to Paris.' WHERE n = 1", r"record \S+ differs from .* \(text\)"),
        ("UPDATE record SET importance = 3, kind = 'x' WHERE n = 1", r"\(kind, importance\)"),
        ("DELETE FROM operation WHERE n = 2", "operation 4 does not go on"),
        ("UPDATE record SET metadata = '[' WHERE n = 1", r"record \S+ cannot be read"),
        ("UPDATE record SET speaker = CAST(x'ff' AS TEXT)", "4 rows of the table record hold bytes"),
        ("UPDATE operation SET after = '{' WHERE n = 1", "operation 1 cannot be read"),
    ],
)
def test_a_problem_says_where(sound: Path, copy: Path, sql: str, says: str) -> None:
    damage(sound, copy, sql, {})
    with open_it(copy) as memory:
        told = " / ".join(f"{problem.where}: {problem.what}" for problem in memory.check().problems)
    assert re.search(says, told), told


def test_an_index_with_holes_is_found_out(sound: Path, copy: Path) -> None:
    """Words that are in the pages of the index and that its directory no longer leads to."""
    shutil.copy(sound, copy)
    with open_it(copy) as memory:
        memory.add_many(" ".join(f"w{(n * 37 + i * 11) % 9001}" for i in range(60)) for n in range(300))
        memory.store.db.execute("DELETE FROM words_idx")
    with open_it(copy) as memory:
        assert "cannot be found" in str(memory.check().problems)
        assert memory.check(repair=True).ok
