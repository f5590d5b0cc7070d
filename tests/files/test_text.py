"""Plain text and Markdown: sections, days, places, encodings."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from mnemic.files import read
from mnemic.files.outline import LONG, PART
from mnemic.record import Chunk

Write, Chunks, Reasons = Callable[..., Path], Callable[[Path], list[Chunk]], Callable[[Path], list[str]]

NOTES = """---
title: Move
tags: [home, lisbon]
date: 2026-05-03
---
# Setup

Boxes first.

Then the bed.

## Keys

Ana has them.

```
# not a heading
```

Costs
-----

Too much.
"""


def test_markdown_section_is_a_record(write: Write, chunks: Chunks) -> None:
    found = chunks(write("notes/move.md", NOTES))
    assert [(c.place, c.text) for c in found] == [
        ("# Setup", "Setup\n\nBoxes first.\n\nThen the bed."),
        ("# Setup > ## Keys", "Setup > Keys\n\nAna has them.\n\n```\n# not a heading\n```"),
        ("# Setup > ## Costs", "Setup > Costs\n\nToo much."),
    ]
    first = found[0]
    assert (first.source, first.episode, first.time) == ("notes/move.md", "notes/move.md", "2026-05-03")
    assert first.metadata == {"title": "Move", "tags": ["home", "lisbon"], "date": "2026-05-03"}


def test_front_matter_that_is_never_closed_is_text(write: Write, chunks: Chunks) -> None:
    assert [c.text for c in chunks(write("a.md", "---\nkey: value\n\nText."))] == ["a\n\n---\nkey: value\n\nText."]


def test_headings_of_one_name_keep_apart(write: Write, chunks: Chunks) -> None:
    found = chunks(write("a.md", "# Day\n\none\n\n# Day\n\ntwo\n"))
    assert [c.place for c in found] == ["# Day", "# Day (2)"]


def test_heading_that_is_a_day_dates_its_section(write: Write, chunks: Chunks) -> None:
    found = chunks(write("diary.md", "# 2026-05-03\n\nRain.\n\n# 4 May 2026\n\nSun.\n"))
    assert [(c.time, c.place) for c in found] == [("2026-05-03", "# 2026-05-03"), ("2026-05-04", "# 4 May 2026")]


def test_name_that_is_a_day_dates_the_file(write: Write, chunks: Chunks) -> None:
    assert [c.time for c in chunks(write("2026-05-03 lunch.txt", "With Ana."))] == ["2026-05-03"]


def test_text_of_a_page_or_two_is_one_record(write: Write, chunks: Chunks) -> None:
    text = "\n\n".join(f"Paragraph {n} says little." for n in range(200))
    assert [c.text for c in chunks(write("a.txt", text))] == [text]


def test_long_text_is_cut_between_paragraphs(write: Write, chunks: Chunks) -> None:
    paragraphs = [f"Paragraph {n} says this. " + "word " * 80 for n in range(300)]
    found = chunks(write("a.txt", "\n\n".join(paragraphs)))
    assert all(PART // 4 < len(c.text) <= PART + 200 for c in found[:-1])
    bodies = [c.text for c in found]
    assert "\n\n".join(bodies) == "\n\n".join(paragraph.strip() for paragraph in paragraphs)  # nothing lost, no seam


def test_cuts_stay_where_they_are_when_text_is_put_in_front(write: Write, chunks: Chunks) -> None:
    paragraphs = [f"Paragraph {n} says this. " + "word " * 80 for n in range(300)]
    before = {c.place: c.text for c in chunks(write("a.txt", "\n\n".join(paragraphs)))}
    after = {c.place: c.text for c in chunks(write("a.txt", "\n\n".join(["Put in front.", *paragraphs])))}
    assert len(after.items() - before.items()) <= 3


def test_one_paragraph_without_end_is_cut_too(write: Write, chunks: Chunks) -> None:
    words = " ".join(f"w{n}" for n in range(40_000))
    found = chunks(write("a.txt", words))
    assert max(len(c.text) for c in found) <= PART + 200
    assert " ".join(c.text for c in found).split() == words.split()


def test_cut_depends_on_length_not_on_how_it_came(write: Write, chunks: Chunks) -> None:
    # A message of more than LONG characters is cut like a document, a shorter one is not.
    import json

    lines = [{"role": "user", "content": "short words " * n} for n in (100, LONG // 12 + 100)]
    found = chunks(write("chat.jsonl", "\n".join(map(json.dumps, lines))))
    assert [c.place for c in found[:3]] == ["line 1", "line 2", "line 2, piece 2"]
    assert {c.speaker for c in found} == {"user"}


def test_dated_lines_are_a_day_each(write: Write, chunks: Chunks) -> None:
    log = "2026-05-03 10:00 up\n2026-05-03 11:00 down\n2026-05-04 09:00 up\n"
    assert [(c.time, c.text) for c in chunks(write("ship.log", log))] == [
        ("2026-05-03T10:00:00", "2026-05-03 10:00 up\n2026-05-03 11:00 down"),
        ("2026-05-04T09:00:00", "2026-05-04 09:00 up"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_in_any_form(write: Write, chunks: Chunks, encoding: str) -> None:
    text = "Grüße aus Łódź, 日本 и Москвы."
    assert chunks(write("a.txt", text, encoding))[0].text == text


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-16-le", "Grüße from Bonn, with no mark at the start."),
        ("utf-16-be", "Grüße from Bonn, with no mark at the start."),
        ("latin-1", "Der Fluß fließt über große Brücken nach Köln und weiter nach Düsseldorf."),
        ("cp1252", "“Café” costs 3 € – déjà vu, señor."),
        ("cp1251", "Мы встретили Анну в Лиссабоне в мае, и она рассказала нам о новом доме у реки."),
        ("koi8-r", "Мы встретили Анну в Лиссабоне в мае, и она рассказала нам о новом доме у реки."),
        ("cp932", "私たちは五月にリスボンでアナに会いました。とても楽しかったです。"),
    ],
)
def test_old_encodings_are_told_and_noted(write: Write, encoding: str, text: str) -> None:
    chunk, note = list(read(write("a.txt", text, encoding)))
    assert isinstance(chunk, Chunk)
    assert chunk.text == text
    assert "which is a guess" in str(note)


def test_one_bad_byte_does_not_change_the_rest(write: Write, chunks: Chunks) -> None:
    text = ("Grüße aus Köln. " * 20).encode() + b"caf\xe9"
    assert chunks(write("a.txt", text))[0].text.endswith("Grüße aus Köln. café")


def test_line_ends_and_control_characters(write: Write, chunks: Chunks) -> None:
    assert chunks(write("a.txt", "one and more\r\ntwo\x07\rthree"))[0].text == "one and more\ntwo\nthree"


def test_gz_is_read_like_what_is_in_it(write: Write, chunks: Chunks) -> None:
    plain = chunks(write("move.md", NOTES))
    packed = chunks(write("move.md.gz", gzip.compress(NOTES.encode())))
    assert [(c.text, c.place, c.time) for c in packed] == [(c.text, c.place, c.time) for c in plain]


def test_gz_that_is_cut_off_gives_what_was_before(write: Write, reasons: Reasons) -> None:
    packed = gzip.compress("\n\n".join(f"# Day {n}\n\nWords of day {n}" for n in range(20_000)).encode())
    path = write("a.md.gz", packed[: len(packed) // 2])
    assert sum(isinstance(item, Chunk) for item in read(path)) > 1000
    assert "could not be read on" in reasons(path)[-1]


def test_gz_bomb_is_refused(write: Write, reasons: Reasons) -> None:
    path = write("a.txt.gz", gzip.compress((b"word " * 200 + b"\n") * 70_000, 9))
    assert "unpacks to more than 200 times its size" in reasons(path)[-1]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.txt", b"", "is empty."),
        ("a.md", b" \n\n ", "holds no text."),
        ("a.txt", b"\x00\x01\x02\x03" * 100, "is not text"),
        ("a.mp3", b"\xff\xfb\x00\x00" * 100, "write down what it says"),
        ("a.xlsx", b"PK\x03\x04" + b"\0" * 100, "save its sheets as .csv"),
        ("a.zip", b"PK\x03\x04" + b"\0" * 100, "unpack it"),
        ("a.doc", b"\xd0\xcf\x11\xe0" + b"\0" * 100, "save it as .docx"),
    ],
)
def test_what_cannot_be_read_says_what_to_do(write: Write, reasons: Reasons, name: str, content: bytes,
                                             reason: str) -> None:  # fmt: skip
    (told,) = reasons(write(name, content))
    assert told.startswith(f"{name}: ")
    assert reason in told


def test_an_unknown_name_is_read_by_its_content(write: Write, chunks: Chunks) -> None:
    assert chunks(write("README", "Read me."))[0].text == "Read me."
    assert chunks(write("chat.backup", '[{"role": "user", "content": "Hi"}]'))[0].speaker == "user"
