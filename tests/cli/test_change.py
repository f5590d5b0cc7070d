"""`mnemic forget`, `erase`, `undo`, `export`, `load`, `reembed`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mnemic.memory import Memory


def texts(db: Path) -> list[str]:
    with Memory(db) as memory:
        return [record.text for record in memory.records()]


def test_forget_by_id_and_undo(call: Callable[..., Any], life: Path, ids: list[str]) -> None:
    assert call("forget", ids[0], ids[1], "--why", "too much").stdout == "Forgot 2 records.\n"
    assert texts(life) == ["The boat is called Heron."]
    last = json.loads(call("log", "--last", 1, "--json").stdout)
    assert last["why"] == "too much"
    undone = json.loads(call("undo", last["n"], "--json").stdout)
    assert [operation["undoes"] for operation in undone["operations"]] == [last["n"]]
    assert "Ben drinks green tea." in texts(life)
    assert "undo of operation 4" in call("undo", last["n"] - 1).stdout


def test_forget_by_filter_asks(call: Callable[..., Any], life: Path) -> None:
    no = call("forget", "--kind", "episode", input="n\n")
    assert (no.exit_code, len(texts(life))) == (1, 3)
    assert "  Ana moved to Lisbon.\n" in no.stderr
    assert "Forget 2 records?" in no.stderr
    nobody = call("forget", "--kind", "episode", input="")
    assert (nobody.exit_code, len(texts(life))) == (2, 3)
    assert "say --yes" in nobody.stderr
    assert call("forget", "--kind", "episode", input="y\n").exit_code == 0
    assert texts(life) == ["The boat is called Heron."]


def test_forget_by_filter_without_asking(call: Callable[..., Any], life: Path, ids: list[str]) -> None:
    result = call("forget", "--speaker", "ana", "--yes", "--json")
    assert json.loads(result.stdout) == {"forgotten": [ids[0]]}
    assert call("forget", "--speaker", "ana", "--yes").exit_code == 1


@pytest.mark.parametrize(("words", "code"), [((), 2), (("x",), 3), (("x", "--kind", "fact"), 2)])
def test_forget_refuses(call: Callable[..., Any], life: Path, words: tuple[str, ...], code: int) -> None:
    assert call("forget", *words, "--yes").exit_code == code
    assert len(texts(life)) == 3


def test_forget_is_all_or_nothing(call: Callable[..., Any], life: Path, ids: list[str]) -> None:
    assert call("forget", ids[0], "no-such-id").exit_code == 3
    assert len(texts(life)) == 3


def test_erase_asks_and_leaves_no_trace(call: Callable[..., Any], life: Path, ids: list[str]) -> None:
    assert call("erase", ids[1], input="").exit_code == 2
    assert call("erase", ids[1], input="n\n").exit_code == 1
    assert b"green tea" in life.read_bytes()
    result = call("erase", ids[1], input="y\n")
    assert (result.exit_code, result.stdout) == (0, f"Erased {ids[1]} (operation 4).\n")
    assert b"green tea" not in life.read_bytes()
    assert "erase" in call("log", "--last", 1).stdout


def test_erase_what_was_derived(call: Callable[..., Any], life: Path, ids: list[str]) -> None:
    with Memory(life) as memory:
        made = memory.add("Ana lives in Portugal.", kind="fact", derived_from=[ids[0]])
        more = memory.add("Ana needs a dictionary.", kind="fact", derived_from=[made.id])
    told = call("erase", ids[0], "--yes").stdout
    assert f"may repeat its text: {made.id} {more.id} (--derived" in told
    erased = json.loads(call("erase", made.id, "--derived", "--yes", "--json").stdout)["erased"]
    assert [receipt["id"] for receipt in erased] == [made.id, more.id]
    assert all(receipt["complete"] for receipt in erased)


def test_erase_refuses(call: Callable[..., Any], life: Path, ids: list[str]) -> None:
    assert call("erase", "--yes").exit_code == 2
    assert call("erase", ids[0], "no-such-id", "--yes").exit_code == 3
    assert len(texts(life)) == 3


@pytest.mark.parametrize(("n", "code"), [("99", 3), ("0", 2), ("x", 2), ("99999999999999999999", 2)])
def test_undo_refuses(call: Callable[..., Any], life: Path, n: str, code: int) -> None:
    assert call("undo", n).exit_code == code


def test_export_and_load(call: Callable[..., Any], life: Path, tmp_path: Path) -> None:
    file, other = tmp_path / "all.jsonl", tmp_path / "other.db"
    assert call("export", file).stdout == f"Wrote 3 records to {file}.\n"
    assert call("load", file, "--db", other).stdout == "Loaded 3 records, updated 0, 0 were there, 0 refused.\n"
    assert texts(other) == texts(life)
    again = json.loads(call("load", file, "--db", other, "--json").stdout)
    assert again == {"unchanged": 3, "refused": []}


def test_export_and_load_through_a_pipe(call: Callable[..., Any], life: Path, tmp_path: Path) -> None:
    piped = call("export", "-").stdout
    assert json.loads(piped.splitlines()[0])["mnemic"] == 1
    assert call("load", "-", "--db", tmp_path / "other.db", input=piped).exit_code == 0
    assert texts(tmp_path / "other.db") == texts(life)


def test_export_refuses(call: Callable[..., Any], life: Path, tmp_path: Path) -> None:
    assert call("export", tmp_path).exit_code == 2
    assert call("export", tmp_path / "none" / "x.jsonl").exit_code == 2


@pytest.mark.parametrize("content", ["my diary", '{"mnemic": 99}', '{"mnemic": 1}\n{broken', "[1]", "\x00"])
def test_load_refuses(call: Callable[..., Any], life: Path, tmp_path: Path, content: str) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text(content)
    result = call("load", file)
    assert result.exit_code == 2
    assert result.stderr.startswith("mnemic: x.jsonl")
    assert len(texts(life)) == 3


def test_load_a_file_that_is_not_there(call: Callable[..., Any], life: Path) -> None:
    assert call("load", "none.jsonl").exit_code == 2


def test_reembed(call: Callable[..., Any], life: Path) -> None:
    assert call("reembed", "hash-16").stdout == "3 records now have vectors of hash-16.\n"
    assert json.loads(call("stats", "--json").stdout)["embedder"] == "hash-16"
    assert json.loads(call("reembed", "hash-8", "--json").stdout) == {"embedder": "hash-8", "records": 3}
    mixed = call("add", "--text", "x", "--embedder", "hash-16")
    assert mixed.exit_code == 4
    assert "never mixed" in mixed.stderr
