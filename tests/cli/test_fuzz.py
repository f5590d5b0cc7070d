"""Whatever is typed and whatever the file holds: a known exit code, no traceback, and an error changes nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mnemic.cli import main
from mnemic.cli.failing import BUG, CODES
from mnemic.errors import MnemicError
from mnemic.memory import Memory

FINE = CODES - {BUG}
MAY_CHANGE = {0, 1, 8}  # everything else is an error

LOOKING = ("recall", "ask", "log", "show", "stats", "export", "systems", "bench", "completion")
CHANGING = ("add", "forget", "erase", "undo", "check", "load", "reembed")

letters = st.characters(exclude_characters="\0")
text = st.text(letters, max_size=30) | st.sampled_from(["tea", "Ana", "", " ", "\x1b[31m", "\udcff", "🦊", "a" * 3000])
word = text.filter(lambda each: not each.startswith("-") and "/" not in each and each not in (".", "..", "~"))
moment = st.sampled_from(["2026", "2026-05", "2026-13", "0000", "9999-12-31T23:59:59+00:00", "0001-01-01T00:00+14:00",
                          "2026..2027", "..", "operation:2", "operation:-1", "-"]) | text  # fmt: skip
number = st.sampled_from(["0", "1", "2", "-1", "3.5", "99999999999999999999999", "NaN"]) | text
pair = st.sampled_from(["n=3", "n", "=", "n=[[", "n=1e999", "n=NaN", 'n="x"', "n=" + "[" * 2000]) | text
amount = st.sampled_from(["2000 tokens", "1 tokens", "0 MB", "1 records", "9" * 400 + " MB", "50 kB"]) | text
name = st.sampled_from(["hash-8", "dense", "lexicl", "mem1", "none", "openai:"]) | word

OPTIONS: dict[str, st.SearchStrategy[str]] = {
    **dict.fromkeys(("--kind", "--source", "--speaker", "--episode", "--space", "--text", "--why"), text),
    **dict.fromkeys(("--since", "--until", "--written", "--as-of", "--time", "--changed"), moment),
    **dict.fromkeys(("-k", "--last", "--limit"), number),
    **dict.fromkeys(("--where", "--metadata"), pair),
    **dict.fromkeys(("--budget", "--prompt"), amount),
    **dict.fromkeys(("--retriever", "--policy", "--embedder", "--lm", "--record"), name),
}
FLAGS = ("--json", "--current", "--yes", "--repair", "--derived", "--built")
TAKES = {
    "recall": ("-k", "--kind", "--source", "--speaker", "--since", "--until", "--written", "--where", "--as-of",
               "--retriever", "--budget"),
    "ask": ("-k", "--prompt", "--kind", "--since", "--where", "--lm"),
    "log": ("--last", "--record", "--changed", "--kind", "--source", "--speaker", "--since", "--written", "--where"),
    "show": ("--kind", "--source", "--until", "--where", "--as-of"),
    "forget": ("--kind", "--source", "--speaker", "--since", "--written", "--where", "--why"),
    "add": ("--text", "--time", "--speaker", "--source", "--kind", "--metadata", "--budget", "--policy", "--space"),
    "erase": ("--why",), "load": ("--budget", "--embedder", "--space"), "bench": ("--limit",),
}  # fmt: skip


@st.composite
def lines(draw: st.DrawFn, commands: tuple[str, ...]) -> list[str]:
    """A command with words and options, most of them its own."""
    command = draw(st.sampled_from(commands))
    known = TAKES.get(command, ())
    options = draw(st.lists(st.sampled_from([*known * 3, *OPTIONS]), max_size=3))
    words = draw(st.lists(st.sampled_from(["file", "ID", "1", "4"]) | word, max_size=2))
    flags = draw(st.lists(st.sampled_from(FLAGS), max_size=2))
    return [command, *words, *(part for each in options for part in (each, draw(OPTIONS[each]))), *flags]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A memory to copy from."""
    from mnemic.lm.doubles import HashEmbedder

    path = tmp_path_factory.mktemp("sound") / "life.db"
    with Memory(path, embedder=HashEmbedder(), retriever="dense") as memory:
        first = memory.add("Ana moved to Lisbon.", time="2026-05-03", speaker="Ana", source="a.txt", metadata={"n": 3})
        memory.add("Ana lives in Portugal.", kind="fact", derived_from=[first.id])
        memory.forget(memory.add("Ben drinks green tea.").id)
    return path


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Words that name files name files in here."""
    with tempfile.TemporaryDirectory() as name:
        monkeypatch.chdir(name)
        yield Path(name)


def mnemic(words: list[str], db: Path) -> Result:
    result = CliRunner().invoke(main, ["--db", str(db), *words])
    assert isinstance(result.exception, SystemExit | None), words
    assert result.exit_code in FINE, (words, result.output)
    assert "Traceback" not in result.output
    if result.exit_code not in MAY_CHANGE:
        assert result.output.strip(), words
    return result


def content(db: Path) -> Any:
    """All that a memory holds; None when it cannot be read."""
    try:
        with Memory(db) as memory:
            return list(memory.records()), list(memory.log()), sorted(memory.stats()["spaces"])
    except MnemicError:
        return db.read_bytes() if db.is_file() else None


few = settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])


@few
@given(line=lines(LOOKING))
@example(line=["recall", "tea", "--since", "0001-01-01T00:00+14:00"])
@example(line=["recall", "tea", "--as-of", "9999"])
@example(line=["ask", "x", "--prompt", "9" * 400 + " tokens"])
@example(line=["show", "--where", "n=" + "[" * 100_000])
def test_looking_changes_nothing(line: list[str], sound: Path, folder: Path) -> None:
    db = folder / "life.db"
    shutil.copy(sound, db)
    before = content(db)
    mnemic([_with_id(part, before) for part in line], db)
    assert content(db) == before


@few
@given(line=lines(CHANGING), data=st.binary(max_size=200) | text.map(lambda each: each.encode("utf-8", "replace")))
@example(line=["add", "missing", "--text", "x"], data=b"")
@example(line=["show", "\ud800"], data=b"")
@example(line=["add", "file"], data=b"\xff\xfe\x00")
def test_an_error_changes_nothing(line: list[str], data: bytes, sound: Path, folder: Path) -> None:
    db = folder / "life.db"
    shutil.copy(sound, db)
    (folder / "file").write_bytes(data)
    before = content(db)
    result = mnemic([_with_id(part, before) for part in line], db)
    if result.exit_code not in MAY_CHANGE:
        assert content(db) == before
    assert CliRunner().invoke(main, ["--db", str(db), "check"]).exit_code == 0


BROKEN = {
    "not a mapping": b"[]",
    "a field of a wrong type": b'{"record": {"id": 3, "text": 4, "kind": null}}',
    "sources that are no list": b'{"record": {"id": "x", "text": "y", "kind": "fact", "derived_from": 3}}',
    "a record without its text": b'{"record": {"id": "x", "kind": "fact", "derived_from": []}}',
    "an operation that is none": b'{"operation": {"n": "x"}}',
    "an edge without ends": b'{"edge": {}}',
    "a ledger that is none": b'{"ledger": []}',
}


@pytest.mark.parametrize("line", BROKEN.values(), ids=BROKEN)
def test_an_export_with_a_broken_line(line: bytes, sound: Path, folder: Path) -> None:
    shutil.copy(sound, folder / "life.db")
    (folder / "file").write_bytes(b'{"mnemic": 1}\n' + line + b"\n")
    for space in ("default", "new"):
        assert mnemic(["load", "file", "--space", space], folder / "life.db").exit_code == 2


def _with_id(part: str, before: Any) -> str:
    return str(before[0][0].id) if part == "ID" else part


@few
@given(
    line=lines((*LOOKING, *CHANGING)),
    garbage=st.binary(max_size=300) | st.binary(max_size=100).map(b"SQLite format 3\0".__add__),
)
def test_a_file_of_garbage_is_not_touched(line: list[str], garbage: bytes, folder: Path) -> None:
    db = folder / "life.db"
    db.write_bytes(garbage)
    result = mnemic(line, db)
    if garbage and line[0] not in ("systems", "bench", "completion"):
        assert result.exit_code in (1, 2, 3, 4)
    assert not garbage or db.read_bytes() == garbage


@few
@given(line=lines((*LOOKING, *CHANGING)), at=st.integers(0, 2**16), size=st.integers(0, 2**12), seed=st.integers(0, 99))
def test_a_damaged_memory_is_a_sentence(
    line: list[str], at: int, size: int, seed: int, sound: Path, folder: Path
) -> None:
    db = folder / "life.db"
    whole = bytearray(sound.read_bytes())
    at = 100 + at % (len(whole) - 100)
    whole[at : at + size] = (bytes([seed]) * size)[: len(whole) - at]
    db.write_bytes(whole)
    mnemic(line, db)


@few
@given(
    words=st.lists(word | st.sampled_from([*OPTIONS, *FLAGS, "claims", "list", "--", "demo-", "--help"]), max_size=4)
)
def test_any_words(words: list[str], sound: Path, folder: Path) -> None:
    db = folder / "life.db"
    shutil.copy(sound, db)
    mnemic(words, db)


def test_what_is_no_file(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for db in (tmp_path, tmp_path / "none" / "life.db", Path("/dev/null")):
        for words in (["recall", "x"], ["add", "--text", "x"], ["check"]):
            mnemic(words, db)
