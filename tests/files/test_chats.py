"""Chats, exports, lines and tables: who said what, when, and where it stands."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mnemic.files import Bad, read
from mnemic.record import Chunk

Write, Chunks, Reasons = Callable[..., Path], Callable[[Path], list[Chunk]], Callable[[Path], list[str]]
DataPath = Callable[..., Path]


def lines(*items: Any) -> str:
    return "\n".join(json.dumps(item) for item in items)


TALK = [{"role": "user", "content": "Where does Ana live?"}, {"role": "assistant", "content": "In Lisbon."}]


@pytest.mark.parametrize(
    ("name", "content", "places"),
    [
        ("chat.jsonl", lines(*TALK), ["line 1", "line 2"]),
        ("chat.json", json.dumps(TALK), ["item 1", "item 2"]),
        ("chat.json", json.dumps(TALK, indent=1), ["item 1", "item 2"]),
        ("chat.json", json.dumps({"messages": TALK}), ["message 1", "message 2"]),
        ("chat.jsonl", lines({"messages": TALK}), ["line 1, message 1", "line 1, message 2"]),
        ("chat.json", lines(*TALK), ["line 1", "line 2"]),
    ],
)
def test_messages_in_any_wrapping(write: Write, chunks: Chunks, name: str, content: str, places: list[str]) -> None:
    found = chunks(write(name, content))
    assert [(c.speaker, c.text) for c in found] == [("user", "Where does Ana live?"), ("assistant", "In Lisbon.")]
    assert [c.place for c in found] == places
    assert {c.source for c in found} == {name}
    assert len({c.episode for c in found}) == 1


def test_content_in_parts(write: Write, chunks: Chunks) -> None:
    parts = [{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {"url": "x"}}]
    calls = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    found = chunks(write("chat.jsonl", lines({"role": "user", "content": parts}, calls)))
    assert [c.text for c in found] == ["Look:\n[image]"]


def test_sessions_and_times(write: Write, chunks: Chunks) -> None:
    told = [{"speaker": "Ana", "text": "Hi", "session": "s1", "timestamp": 1777802400},
            {"speaker": "Ben", "text": "Hello", "session": "s2", "time": "3 May 2026, 10:05 am"}]  # fmt: skip
    assert [(c.episode, c.time) for c in chunks(write("c.jsonl", lines(*told)))] == [
        ("c.jsonl#s1", "2026-05-03T10:00:00+00:00"),
        ("c.jsonl#s2", "2026-05-03T10:05:00"),
    ]


def test_time_that_cannot_be_read_is_kept_as_written(write: Write) -> None:
    one, _, note = read(write("c.jsonl", lines({"text": "a", "date": "yesterday"}, {"text": "b", "date": "soon"})))
    assert isinstance(one, Chunk)
    assert isinstance(note, Bad)
    assert (one.time, one.metadata) == (None, {"time_text": "yesterday"})
    assert note.kept
    assert note.place == "line 1"
    assert 'the time is "yesterday" (and 1 more like it)' in note.reason


def test_a_diary_is_a_record_a_day(write: Write, chunks: Chunks) -> None:
    days = [{"date": "1660-01-01", "text": "Rose late."}, {"date": "1660-01-02", "text": "To church."}]
    assert [(c.time, c.place, c.episode, c.text) for c in chunks(write("d.jsonl", lines(*days)))] == [
        ("1660-01-01", "1660-01-01", "d.jsonl#1660-01-01", "Rose late."),
        ("1660-01-02", "1660-01-02", "d.jsonl#1660-01-02", "To church."),
    ]


def test_a_bad_line_is_told_and_the_rest_is_read(write: Write) -> None:
    items = list(read(write("chat.jsonl", '{"text": "one"}\n{"text": \n17\n{"text": "four"}\n')))
    assert [item.text for item in items if isinstance(item, Chunk)] == ["one", "four"]
    bad = [str(item) for item in items if isinstance(item, Bad)]
    assert bad[0].startswith("chat.jsonl:2: is no JSON")
    assert bad[1] == "chat.jsonl:3: holds no text."


def test_json_that_breaks_off_gives_what_was_before(write: Write) -> None:
    items = list(read(write("chat.json", json.dumps(TALK)[:-20])))
    assert [item.text for item in items if isinstance(item, Chunk)] == ["Where does Ana live?"]
    assert isinstance(items[-1], Bad)
    assert items[-1].stopped
    assert "is no JSON from here on" in items[-1].reason


def test_half_a_character_is_replaced(write: Write, chunks: Chunks) -> None:
    assert chunks(write("c.jsonl", '{"text": "a\\ud83d"}'))[0].text == "a�"


def test_chatgpt_export_is_the_branch_that_is_seen(write: Write, chunks: Chunks) -> None:
    def node(id: str, parent: str | None, role: str, text: str, **more: Any) -> dict[str, Any]:
        content = {"content_type": "text", "parts": [text]}
        message = {"id": id, "author": {"role": role}, "create_time": 1777802400, "content": content, **more}
        return {"id": id, "parent": parent, "children": [], "message": message}

    nodes = [node("a", None, "system", "hidden"), node("b", "a", "user", "Plan a trip"),
             node("c", "b", "assistant", "No."), node("d", "b", "assistant", "To Lisbon."),
             node("e", "d", "tool", "searching")]  # fmt: skip
    talk = {"title": "Trip", "conversation_id": "t1", "current_node": "e", "mapping": {n["id"]: n for n in nodes}}
    found = chunks(write("conversations.json", json.dumps([talk])))
    assert [(c.speaker, c.text) for c in found] == [("user", "Plan a trip"), ("assistant", "To Lisbon.")]
    assert found[0].episode == "conversations.json#t1"
    assert found[0].time == "2026-05-03T10:00:00+00:00"
    assert found[0].metadata["title"] == "Trip"


def test_claude_export_with_an_attachment(write: Write, chunks: Chunks) -> None:
    said = [{"uuid": "m1", "sender": "human", "text": "Read this", "created_at": "2026-05-03T10:00:00Z",
             "attachments": [{"file_name": "plan.txt", "extracted_content": "Step one."}]},
            {"uuid": "m2", "sender": "assistant", "text": "", "content": [{"type": "text", "text": "Done."}],
             "created_at": "2026-05-03T10:01:00Z"}]  # fmt: skip
    talk = {"uuid": "u1", "name": "Plan", "chat_messages": said}
    found = chunks(write("conversations.json", json.dumps([talk])))
    assert [(c.speaker, c.place, c.text) for c in found] == [
        ("user", "m1", "Read this"),
        ("user", "m1, plan.txt", "plan.txt\n\nStep one."),
        ("assistant", "m2", "Done."),
    ]


def test_locomo_turns_in_dated_sessions(write: Write, chunks: Chunks) -> None:
    turn = {"speaker": "Ana", "dia_id": "D1:1", "text": "I moved!", "blip_caption": "a photo of boxes"}
    talk = {"session_1_date_time": "1:56 pm on 8 May, 2023", "session_1": [turn]}
    (chunk,) = chunks(write("l.json", json.dumps([{"sample_id": "conv-1", "conversation": talk, "qa": []}])))
    assert chunk == Chunk(
        "I moved! [image: a photo of boxes]", "2023-05-08T13:56:00", source="l.json", place="conv-1 D1:1",
        episode="l.json#conv-1/session_1", speaker="Ana", metadata={"turn": "D1:1", "title": "conv-1"},
    )  # fmt: skip


def test_an_object_of_no_known_shape_is_its_fields(write: Write, chunks: Chunks) -> None:
    (chunk,) = chunks(write("me.json", '{"name": "Ana", "address": {"city": "Lisbon"}, "children": ["Eva", "Rui"]}'))
    assert chunk.text == "name: Ana\naddress > city: Lisbon\nchildren: Eva\nchildren: Rui"


def test_deep_json_is_told(write: Write, reasons: Reasons) -> None:
    assert "nested too deeply" in reasons(write("a.json", "[" * 200_000))[-1]
    assert "nested too deeply" in reasons(write("a.jsonl", "[" * 200_000))[-1]


def test_an_export_of_a_memory_is_for_load(write: Write, reasons: Reasons) -> None:
    (told,) = reasons(write("life.jsonl", '{"mnemic": 1, "space": "default"}\n{"record": {}}\n'))
    assert "mnemic load" in told


def test_table_rows(write: Write, chunks: Chunks) -> None:
    table = 'date,author,text,city\n2026-05-03,Ana,"Moved, at last",Lisbon\n\n2026-05-04,Ben,Rain,\n'
    assert [(c.time, c.speaker, c.text, c.place) for c in chunks(write("t.csv", table))] == [
        ("2026-05-03", "Ana", "Moved, at last\ncity: Lisbon", "row 2"),
        ("2026-05-04", "Ben", "Rain", "row 4"),
    ]


@pytest.mark.parametrize(("name", "mark"), [("t.csv", ";"), ("t.csv", "|"), ("t.tsv", "\t")])
def test_table_with_other_marks(write: Write, chunks: Chunks, name: str, mark: str) -> None:
    table = "\n".join(mark.join(row) for row in [("name", "city"), ("Ana", "Lisbon"), ("Ben", "Bonn, on the Rhine")])
    assert [c.text for c in chunks(write(name, table))] == [
        "name: Ana\ncity: Lisbon",
        "name: Ben\ncity: Bonn, on the Rhine",
    ]


def test_table_without_a_head(write: Write, chunks: Chunks) -> None:
    assert [c.text for c in chunks(write("t.csv", "1,Lisbon\n2,Bonn\n"))] == [
        "column 1: 1\ncolumn 2: Lisbon",
        "column 1: 2\ncolumn 2: Bonn",
    ]


def test_ids_are_places_that_stay(write: Write, chunks: Chunks) -> None:
    one, two = {"id": 7, "text": "a"}, {"id": 8, "text": "b"}
    before = {c.text: c.place for c in chunks(write("c.jsonl", lines(two)))}
    after = {c.text: c.place for c in chunks(write("c.jsonl", lines(one, two)))}
    assert before == {"b": "id 8"}
    assert after == {"a": "id 7", "b": "id 8"}


def test_pepys_is_3413_days(data_path: DataPath) -> None:
    found = list(read(data_path("pepys")))
    assert len(found) == 3413
    assert {type(item) for item in found} == {Chunk}


def test_locomo_is_all_turns(data_path: DataPath) -> None:
    path = data_path("locomo")
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        talks = [sample["conversation"] for sample in json.load(file)]
    turns = sum(len(talk[key]) for talk in talks for key in talk if re.fullmatch(r"session_\d+", key))
    found = [item for item in read(path) if isinstance(item, Chunk)]
    assert len(found) == turns
    assert all(c.time and c.speaker and c.metadata["turn"] for c in found)
