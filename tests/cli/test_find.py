"""`mnemic recall`, `ask`, `show`, `log`, `stats`, `check`: looking, never changing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mnemic.cli.log import line, what
from mnemic.cli.printing import counted, hit_lines, origin_of
from mnemic.lm.scripted import ScriptedLM
from mnemic.memory import Memory
from mnemic.record import Hit, Operation, Record

ALL = {"Ana moved to Lisbon.", "Ben drinks green tea.", "The boat is called Heron."}


def found(result: Any) -> list[str]:
    return [hit["record"]["text"] for hit in json.loads(result.stdout)["hits"]]


def test_recall_for_people(call: Callable[..., Any], ids: list[str]) -> None:
    result = call("recall", "who", "moved", "to", "Lisbon", "-k", 1)
    assert result.exit_code == 0
    first, origin, score = result.stdout.splitlines()
    assert first == " 1. Ana: Ana moved to Lisbon."
    assert origin == "    2026-05-03 · chat/1.txt"
    assert score.startswith("    score 0.")
    assert score.endswith(f"id {ids[0]}")


def test_recall_as_json(call: Callable[..., Any], life: Path) -> None:
    hit = json.loads(call("recall", "green tea", "-k", 1, "--json").stdout)["hits"][0]
    assert hit["record"]["speaker"] == "Ben"
    assert hit["passage"] == "Ben drinks green tea."
    assert hit["span"] == [0, 21]
    assert set(hit["parts"]) == {"dense"}


@pytest.mark.parametrize(
    ("words", "texts"),
    [(("--kind", "fact"), {"The boat is called Heron."}),
     (("--kind", "fact", "--kind", "episode"), ALL),
     (("--source", "chat/*"), {"Ana moved to Lisbon.", "Ben drinks green tea."}),
     (("--speaker", "ANA"), {"Ana moved to Lisbon."}),
     (("--since", "2026-05-10"), {"Ben drinks green tea."}),
     (("--until", "2026-05"), {"Ana moved to Lisbon."}),
     (("--where", "n=3"), {"Ana moved to Lisbon."}),
     (("--where", 'n="3"'), set()),
     (("--written", "1990..2000"), set()),
     (("--written", "2020.."), ALL),
     (("--current",), ALL)],
)  # fmt: skip
def test_filters_mean_the_same_everywhere(
    call: Callable[..., Any], life: Path, words: tuple[str, ...], texts: set[str]
) -> None:
    code = 0 if texts else 1
    recalled = call("recall", "boat tea Lisbon", *words, "--json")
    listed = call("show", *words, "--json")
    logged = call("log", *words, "--json")
    assert (recalled.exit_code, listed.exit_code, logged.exit_code) == (code, code, code)
    assert set(found(recalled)) == texts
    assert {row["record"]["text"] for row in json.loads(listed.stdout)} == texts
    assert {json.loads(row)["after"]["text"] for row in logged.stdout.splitlines()} == texts


@pytest.mark.parametrize(
    ("words", "says"),
    [((), "Missing argument"), ((" ",), "there is no question"), (("x", "-k", "0"), "-k"),
     (("x", "--since", "someday"), 'cannot read the time "someday"'),
     (("x", "--since", "2027", "--until", "2026"), "ends before it starts"),
     (("x", "--where", "n"), "is no pair"), (("x", "--retriever", "mem1"), "planned and not built yet"),
     (("x", "--as-of", "operation:x"), "names no operation")],
)  # fmt: skip
def test_recall_refuses(call: Callable[..., Any], life: Path, words: tuple[str, ...], says: str) -> None:
    result = call("recall", *words)
    assert result.exit_code == 2
    assert says in result.stderr


def test_recall_as_of(call: Callable[..., Any], life: Path) -> None:
    assert found(call("recall", "boat", "--as-of", "operation:1", "--json")) == ["Ana moved to Lisbon."]
    assert call("recall", "boat", "--as-of", "2001").exit_code == 1


def test_ask_without_a_model(call: Callable[..., Any], life: Path) -> None:
    result = call("ask", "who drinks green tea?")
    assert result.exit_code == 0
    assert result.stdout.startswith("No language model is configured")
    assert "[1] Ben: Ben drinks green tea. (2026-06, chat/2.txt)" in result.stdout


def test_ask_with_a_model(call: Callable[..., Any], life: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnemic.choose.language_model", lambda spec: ScriptedLM(lambda request: "Ben does [1]."))
    answer = call("ask", "who drinks green tea?").stdout.splitlines()
    assert answer[0] == "Ben does [1]."
    assert answer[1].startswith("[1] ")


def test_ask_says_when_the_memory_does_not_hold_it(
    call: Callable[..., Any], life: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnemic.choose.language_model", lambda spec: ScriptedLM(lambda request: "NOT IN MEMORY"))
    result = call("ask", "who is the king of Spain?", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["answer"]["known"] is False


@pytest.mark.parametrize("words", [("x", "--prompt", "5 MB"), ("x", "--lm", "hal"), ("x", "--prompt", "much"), (" ",)])
def test_ask_refuses(call: Callable[..., Any], life: Path, words: tuple[str, ...], monkeypatch: Any) -> None:
    monkeypatch.setenv("MNEMIC_LLM_MODEL", "m")
    monkeypatch.setenv("MNEMIC_LLM_BASE_URL", "http://localhost:9")
    assert call("ask", *words).exit_code == 2


def test_ask_a_model_that_is_down(call: Callable[..., Any], life: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNEMIC_LLM_BASE_URL", "http://localhost:9")
    before = life.read_bytes()
    result = call("ask", "who drinks tea?", "--lm", "openai:m", "--json")
    assert result.exit_code == 5
    assert json.loads(result.stderr)["error"] == "ModelError"
    assert life.read_bytes() == before


def test_show_one(call: Callable[..., Any], life: Path, ids: list[str]) -> None:
    output = call("show", ids[0]).stdout
    assert output.startswith("Ana: Ana moved to Lisbon.\n  2026-05-03 · chat/1.txt\n")
    assert "metadata   n=3" in output
    assert f"insert  {ids[0]}" in output


def test_show_as_json(call: Callable[..., Any], life: Path, ids: list[str]) -> None:
    shown = json.loads(call("show", *ids, "--json").stdout)
    assert [each["record"]["id"] for each in shown] == ids
    assert [each["log"][0]["kind"] for each in shown] == ["insert"] * 3


def test_show_the_past(call: Callable[..., Any], life: Path, ids: list[str]) -> None:
    with Memory(life) as memory:
        memory.update(ids[2], text="The boat is called Tern.")
        before = memory.position - 1
    assert "Tern" in call("show", ids[2]).stdout.splitlines()[0]
    assert call("show", ids[2], "--as-of", f"operation:{before}").stdout.startswith("The boat is called Heron.")


@pytest.mark.parametrize(("words", "code"), [((), 2), (("x", "--kind", "fact"), 2), (("no-such-id",), 3)])
def test_show_refuses(call: Callable[..., Any], life: Path, words: tuple[str, ...], code: int) -> None:
    assert call("show", *words).exit_code == code


def test_log(call: Callable[..., Any], life: Path, ids: list[str]) -> None:
    lines = call("log").stdout.splitlines()
    assert [each.split()[0] for each in lines] == ["#1", "#2", "#3"]
    assert call("log", "--last", 1).stdout.splitlines() == lines[-1:]
    assert call("log", "--record", ids[1]).stdout.splitlines() == lines[1:2]
    assert call("log", "--kind", "episode", "--last", 1).stdout.splitlines() == lines[1:2]
    assert call("log", "--changed", "2001").exit_code == 1
    assert call("log", "--changed", "2020..").stdout.splitlines() == lines


def test_a_line_of_the_log() -> None:
    change = Operation("update", "id", {"text": "old", "time": "2026", "stale": None}, {"text": "new", "time": "2026"},
                       why="a slip", when="2026-05-03T10:00:00.5+00:00", n=7)  # fmt: skip
    assert str(line(change)) == '#7     2026-05-03 10:00:00  person     update  id  text: "old" -> "new"  (a slip)'
    assert what(Operation("link", "a", after={"edge": ["a", "knows", "b", 1.0]})) == "a knows b"
    assert what(Operation("update", "a", {"stale": None}, {"stale": "why"})) == 'stale: none -> "why"'
    assert what(Operation("erase", "a")) == ""


def test_stats(call: Callable[..., Any], life: Path) -> None:
    assert json.loads(call("stats", "--json").stdout)["kinds"] == {"episode": 2, "fact": 1}
    assert "kinds       episode 2, fact 1\n" in call("stats").stdout


def test_check_and_repair(call: Callable[..., Any], life: Path) -> None:
    assert call("check").stdout == "3 records, 3 operations: all is well.\n"
    with sqlite3.connect(life) as db:
        db.execute("DELETE FROM vector")
    result = call("check")
    assert result.exit_code == 1
    assert "wrong   vectors: 3 records have no vectors of hash-64" in result.stdout
    assert json.loads(call("check", "--json").stdout)["problems"][0]["mendable"] is True
    assert call("check", "--repair").exit_code == 0
    assert json.loads(call("check", "--json").stdout)["ok"] is True


def test_check_tells_what_cannot_be_mended(call: Callable[..., Any], life: Path) -> None:
    with sqlite3.connect(life) as db:
        db.execute("DELETE FROM operation WHERE n = 1")
    result = call("check", "--repair")
    assert result.exit_code == 1
    assert "needs a backup" in result.stdout


def test_the_passage_is_marked() -> None:
    text = "a " * 400 + "needle here " + "b " * 400
    start = text.index("needle")
    record = Record("id", "default", "episode", text, time="2026-05")
    shown = hit_lines(1, Hit(record, 1.0, {"dense": 1.0}, text[start : start + 6], (start, start + 6)))[0]
    assert " needle " in shown.plain
    assert shown.plain.startswith(" 1. ... ")
    assert shown.plain.endswith(" ...")
    assert [shown.plain[s.start : s.end] for s in shown.spans if "yellow" in str(s.style)] == ["needle"]


def test_control_characters_never_reach_the_terminal(call: Callable[..., Any], db: Path) -> None:
    call("add", "--text", "tea \x1b[31mred\x07", "--speaker", "\x1b]0;x\x07Eve", "--db", db)
    for words in (("recall", "tea"), ("ask", "tea"), ("log",), ("show", "--kind", "episode")):
        assert not set(call(*words, "--db", db).output) & {"\x1b", "\x07"}


def test_where_a_record_is_from() -> None:
    record = Record("id", "default", "fact", "x", time="2026-05", until="2026-06", source="s.md", place="# A",
                    episode="s.md#1", stale="source was corrected")  # fmt: skip
    assert origin_of(record) == "2026-05 to 2026-06 · s.md · # A · fact · STALE: source was corrected"
    assert origin_of(Record("id", "d", "episode", "x", written="2026-05-03T")) == "no date (written 2026-05-03)"


@pytest.mark.parametrize(("many", "says"), [(1, "1 record"), (0, "0 records"), (2000, "2,000 records")])
def test_counted(many: int, says: str) -> None:
    assert counted(many, "record") == says
