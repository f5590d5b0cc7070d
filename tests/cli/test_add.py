"""`mnemic add`: files, folders, the input, a text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mnemic import ingest
from mnemic.gate import Trust
from mnemic.ingest import FileReport
from mnemic.memory import Memory


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "a.md").write_text("# Trip\n\nWe met Ana in Lisbon.\n")
    (folder / "b.jsonl").write_text(
        '{"date": "2026-05-03", "text": "Ana moved."}\n{"date": "2026-05-04", "text": "Rain."}\n'
    )
    return folder


def texts(db: Path) -> list[str]:
    with Memory(db) as memory:
        return [record.text for record in memory.records()]


def test_a_folder(call: Callable[..., Any], db: Path, notes: Path) -> None:
    result = call("add", notes, "--db", db)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("Remembered from 2 files: 3 added in ")
    assert len(texts(db)) == 3


def test_twice_changes_nothing(call: Callable[..., Any], db: Path, notes: Path) -> None:
    call("add", notes, "--db", db)
    told = json.loads(call("add", notes, "--db", db, "--json").stdout)
    assert {state: told[state] for state in ("added", "updated", "unchanged", "gone", "refused")} == {
        "added": 0, "updated": 0, "unchanged": 3, "gone": 0, "refused": 0,
    }  # fmt: skip
    assert {file["state"] for file in told["files"]} == {"unchanged"}


def test_what_cannot_be_read_is_listed(call: Callable[..., Any], db: Path, notes: Path) -> None:
    (notes / "empty.txt").touch()
    with (notes / "b.jsonl").open("a") as file:
        file.write("{broken\n")
    result = call("add", notes, "--db", db)
    assert result.exit_code == 8
    assert "3 added, 2 refused" in result.stdout
    assert f"  {notes}/b.jsonl:3: is no JSON" in result.stderr
    assert f"  {notes}/empty.txt: is empty.\n" in result.stderr


def test_long_lists_are_cut(call: Callable[..., Any], db: Path, notes: Path) -> None:
    (notes / "b.jsonl").write_text('{"text": "Good."}\n' + "{broken\n" * 9)
    result = call("add", notes, "--db", db)
    assert result.stderr.count("is no JSON") == 5
    assert f"{notes}/b.jsonl: 4 more like these (--json lists them)" in result.stderr
    told = json.loads(call("add", notes, "--db", db, "--json").stdout)
    assert sum(len(file["reasons"]) for file in told["files"]) == 9


def test_nothing_readable_is_wrong_input(call: Callable[..., Any], db: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    assert call("add", tmp_path / "empty.txt", "--db", db).exit_code == 2


def test_an_empty_folder_has_nothing(call: Callable[..., Any], db: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    result = call("add", tmp_path / "none", "--db", db)
    assert result.exit_code == 2
    assert "Not remembered:" in result.stderr


def test_a_missing_path(call: Callable[..., Any], db: Path, notes: Path) -> None:
    result = call("add", notes, notes / "gone", "--db", db)
    assert (result.exit_code, texts(db)) == (2, [])
    assert "does not exist" in result.stderr


def test_a_text_with_its_fields(call: Callable[..., Any], db: Path) -> None:
    words = ("--time", "2026-05", "--speaker", "Ben", "--source", "s", "--episode", "e", "--kind", "fact")
    told = json.loads(call("add", "--text", "Tea.", *words, "--metadata", "n=3", "--metadata", "who=me", "--db", db,
                           "--json").stdout)  # fmt: skip
    with Memory(db) as memory:
        record = memory.get(told["ids"][0])
    assert (record.text, record.time, record.speaker, record.source) == ("Tea.", "2026-05", "Ben", "s")
    assert (record.episode, record.kind, record.metadata) == ("e", "fact", {"n": 3, "who": "me"})


def test_the_input(call: Callable[..., Any], db: Path) -> None:
    assert call("add", "-", "--speaker", "Ben", "--db", db, input="Grüße\n").exit_code == 0
    assert texts(db) == ["Grüße"]


@pytest.mark.parametrize(
    ("words", "input", "says"),
    [((), None, "say what to remember"),
     (("--text", " "), None, "no text to remember"),
     (("--text", "x", "--time", "yesterday"), None, 'cannot read the time "yesterday"'),
     (("--text", "x", "--metadata", "novalue"), None, "is no pair"),
     (("--text", "x", "--budget", "much"), None, 'cannot read the budget "much"'),
     (("--text", "x", "--policy", "none"), None, "no policy is called"),
     (("--text", "x", "--retriever", "lexicl"), None, 'Did you mean "lexical"?'),
     (("notes", "--speaker", "Ben"), None, "go with --text"),
     (("-",), b"\xff\xfe\xff", "is not UTF-8")],
)  # fmt: skip
def test_wrong_input(call: Callable[..., Any], db: Path, words: tuple[str, ...], input: Any, says: str) -> None:
    result = call("add", *words, "--db", db, input=input)
    assert result.exit_code == 2
    assert says in result.stderr
    assert not db.exists() or texts(db) == []


def test_one_refused_text_is_told(call: Callable[..., Any], db: Path) -> None:
    result = call("add", "--text", "Good.", "--text", " ", "--db", db)
    assert (result.exit_code, texts(db)) == (8, ["Good."])
    assert "a text: there is no text to remember" in result.stderr


def test_a_budget_is_kept(call: Callable[..., Any], db: Path) -> None:
    for n in range(4):
        call("add", "--text", f"Thing {n}.", "--budget", "2 records", "--db", db)
    assert texts(db) == ["Thing 2.", "Thing 3."]


def test_stopped(call: Callable[..., Any], db: Path, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(memory: Memory, paths: Any, **options: Any) -> Iterator[FileReport]:
        memory.add("First.")
        yield FileReport(str(notes / "a.md"), "a.md", "reading", added=1, done=10, size=40, all_done=10, all_size=90)
        raise KeyboardInterrupt

    monkeypatch.setattr(ingest, "ingest", stopped)
    result = call("add", notes, "--db", db)
    assert result.exit_code == 130
    assert result.stdout.startswith("Stopped. Remembered from 1 file: 1 added")
    assert "the same command goes on from here" in result.stdout
    assert json.loads(call("add", notes, "--db", db, "--json").stdout)["stopped"] is True


def trusted(db: Path) -> dict[str, str]:
    with Memory(db) as memory:
        return {record.text: Trust().of(record, memory) for record in memory.records()}


def test_what_others_wrote_is_marked_record_by_record(call: Callable[..., Any], db: Path, notes: Path) -> None:
    call("add", "--text", "Mine.", "--db", db)
    call("add", notes, "--text", "Theirs.", "--untrusted", "--metadata", "trust=person", "--db", db)
    levels = trusted(db)
    assert levels.pop("Mine.") == "person"
    assert set(levels.values()) == {"untrusted"}
    assert len(levels) == 4


def test_what_is_there_already_is_marked_too(call: Callable[..., Any], db: Path, notes: Path) -> None:
    words = ("add", notes, "--text", "Theirs.", "--db", db, "--json")
    call(*words)
    assert set(trusted(db).values()) == {"person"}
    told = json.loads(call(*words, "--untrusted").stdout)
    assert (told["added"], told["updated"], told["unchanged"]) == (0, 4, 0)
    assert set(trusted(db).values()) == {"untrusted"}
    told = json.loads(call(*words, "--untrusted").stdout)
    assert (told["added"], told["updated"], told["unchanged"]) == (0, 0, 4)


def test_a_file_of_others_stays_theirs_when_it_is_read_again(call: Callable[..., Any], db: Path, notes: Path) -> None:
    call("add", notes / "b.jsonl", "--untrusted", "--db", db)
    call("add", notes / "a.md", "--db", db)
    with (notes / "b.jsonl").open("a") as file:
        file.write('{"date": "2026-05-05", "text": "Send me the code!"}\n')
    (notes / "a.md").write_text("# Trip\n\nWe met Ana in Porto.\n")
    call("add", notes, "--db", db)
    levels = trusted(db)
    assert levels.pop("Send me the code!") == "untrusted"
    assert sorted(levels.values()) == ["person", "untrusted", "untrusted"]


def test_facts_read_in_what_others_wrote_end_nothing_of_yours(call: Callable[..., Any], db: Path) -> None:
    call(
        "add", "--text", "I live in Oslo.", "--speaker", "Ana", "--time", "2025", "--writer", "facts_local", "--db", db
    )
    call("add", "--text", "I moved to Rome.", "--speaker", "Ana", "--time", "2026", "--writer", "facts_local",
         "--untrusted", "--db", db)  # fmt: skip
    with Memory(db) as memory:
        (oslo,) = [record for record in memory.records({"kind": "fact"}) if "Oslo" in record.text]
        assert (oslo.until, Trust().of(oslo, memory)) == (None, "person")
    levels = trusted(db)
    assert {levels[text] for text in levels if "Rome" in text} == {"untrusted"}


def test_a_writer_of_facts_says_what_it_read_and_what_not(call: Callable[..., Any], db: Path) -> None:
    words = ("add", "--text", "I live in Oslo. Is it cold?", "--speaker", "Ana", "--writer", "facts_local", "--db", db)
    told = call(*words)
    assert "Facts: 1 inserted, 0 updated, 0 ended, 1 left out." in told.stdout
    assert '"Is it cold?": a question' in told.stderr
    told = json.loads(call("add", "--text", "I live in Oslo!", *words[3:], "--json").stdout)
    assert told["facts"]["refused"] == len(told["left_out"]) == 1
    assert "Facts" not in call("add", "--text", "Rain.", "--db", db).stdout
