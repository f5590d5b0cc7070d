"""`mnemic copy`: what it prints, how it ends, and that nothing needs an embedder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from mnemic import choose, copying
from mnemic.memory import Memory

Call = Callable[..., Result]


def test_a_file_is_copied_and_the_tables_are_shown(life: Path, call: Call, tmp_path: Path) -> None:
    told = call("copy", life, tmp_path / "copy.db")
    assert told.exit_code == 0
    lines = told.stdout.splitlines()
    assert lines[0].startswith("Copied 3 records and 3 operations in ")
    assert lines[0].endswith(": 10 rows written, 0 taken out.")
    assert [line.split()[:2] for line in lines[1:5]] == [
        ["embedder", "1"], ["record", "3"], ["vector", "3"], ["operation", "3"]]  # fmt: skip
    assert lines[5].startswith("Every row of the copy was read again")
    assert len(lines) == 6
    with Memory(tmp_path / "copy.db") as memory:
        assert next(record.text for record in memory.records()) == "Ana moved to Lisbon."


def test_json_and_a_second_run(life: Path, call: Call, tmp_path: Path) -> None:
    first = json.loads(call("copy", life, tmp_path / "copy.db", "--json").stdout)
    assert (first["written"], first["removed"], first["behind"], first["people"]) == (10, 0, 0, True)
    assert {each["table"]: each["rows"] for each in first["tables"]}["record"] == 3
    again = json.loads(call("copy", life, tmp_path / "copy.db", "--json").stdout)
    assert again["written"] == 0
    assert again["tables"] == first["tables"]


def test_the_vectors_are_not_made_again(
    life: Path, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(spec: Any = None) -> Any:
        raise AssertionError("an embedder was opened")

    monkeypatch.setattr(choose, "embedder", gone)
    assert call("copy", life, tmp_path / "copy.db").exit_code == 0


def test_one_space_leaves_the_people_behind(life: Path, call: Call, tmp_path: Path) -> None:
    with Memory(life, space="work") as memory:
        memory.add("The boat is called Heron.")
    told = call("copy", life, tmp_path / "copy.db", "--space", "work")
    assert told.stdout.startswith("Copied 1 record and 1 operation in ")
    assert "Principals, tokens and permissions stayed behind" in told.stdout


def test_what_came_to_the_source_meanwhile_makes_it_exit_8(
    life: Path, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = copying.copy

    def slow(*places: Any, **options: Any) -> Any:
        for progress in real(*places, **options):
            if progress.step == "checking" and progress.table == "operation" and not progress.copied:
                with Memory(life) as memory:
                    memory.add("Too late.")
            yield progress

    monkeypatch.setattr(copying, "copy", slow)
    told = call("copy", life, tmp_path / "copy.db")
    assert told.exit_code == 8
    assert "1 operation came to the source meanwhile: run the same command again." in told.stderr
    monkeypatch.undo()
    assert call("copy", life, tmp_path / "copy.db").exit_code == 0


@pytest.mark.parametrize(("words", "code", "says"), [
    (("none.db", "copy.db"), 3, "there is no memory at none.db"),
    (("life.db", "life.db"), 2, "is the source itself"),
    (("life.db", "copy.db", "--space", "wrok"), 3, 'no space "wrok"'),
    (("life.db",), 2, "TARGET"),
    (("life.db", "letter.txt"), 4, "is not a memory file"),
])  # fmt: skip
def test_mistakes_are_told_in_a_sentence(life: Path, call: Call, monkeypatch: pytest.MonkeyPatch,
                                         words: tuple[str, ...], code: int, says: str) -> None:  # fmt: skip
    monkeypatch.chdir(life.parent)
    Path("letter.txt").write_text("Dear Ana, " * 20)
    told = call("copy", *words)
    assert told.exit_code == code
    assert says in told.stderr
    assert not Path("copy.db").exists()
