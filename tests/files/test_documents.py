"""PDF, Word, slides, books and web pages, made here and read back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from mnemic.files import read
from mnemic.record import Chunk

Write, Chunks, Reasons = Callable[..., Path], Callable[[Path], list[Chunk]], Callable[[Path], list[str]]

for library in ("lxml", "pypdfium2", "docx", "pptx"):
    pytest.importorskip(library, reason=f'{library} is not installed: pip install "mnemic[files]"')


def test_html_is_what_a_reader_sees(made: ModuleType, write: Write, chunks: Chunks) -> None:
    found = chunks(write("move.html", made.HTML))
    assert [(c.place, c.text) for c in found] == [
        ("# Move", "Move\n\nBoxes first.\n- bed\n- books"),
        ("# Move > ## Costs", "Move > Costs\n\nvan | 90\n\nNever closed bold\n\nEnd & done. [image: our house]"),
    ]
    assert {c.time for c in found} == {"2026-05-03"}
    assert {c.metadata["title"] for c in found} == {"Move"}


def test_a_page_of_many_megabytes_has_no_seams(write: Write, chunks: Chunks) -> None:
    items = [
        f"<h2>Item {n}</h2><div><p>First of {n}.</p><ul><li>{'one of many words ' * 20}</li></ul></div>"
        for n in range(20_000)
    ]
    found = chunks(write("a.html", f"<html><body><div>{''.join(items)}</div></body></html>"))
    assert [c.place for c in found] == [f"## Item {n}" for n in range(20_000)]
    body = ("one of many words " * 20).strip()
    assert all(c.text == f"Item {n}\n\nFirst of {n}.\n- {body}" for n, c in enumerate(found))


def test_html_in_the_charset_that_it_declares(write: Write) -> None:
    page = '<html><head><meta charset="windows-1251"></head><body><p>Анна живёт в Лиссабоне</p></body></html>'
    chunk = next(iter(read(write("a.html", page, "cp1251"))))
    assert isinstance(chunk, Chunk)
    assert "Анна живёт в Лиссабоне" in chunk.text


def test_pdf_page_is_a_record(made: ModuleType, write: Write, chunks: Chunks) -> None:
    found = chunks(write("2026-05-03 plan.pdf", made.pdf(["Boxes first.", "Then the bed."])))
    assert [(c.place, c.text, c.time) for c in found] == [
        ("page 1", "Boxes first.", "2026-05-03"),
        ("page 2", "Then the bed.", "2026-05-03"),
    ]


def test_pages_without_text_are_counted(made: ModuleType, write: Write, reasons: Reasons) -> None:
    (told,) = reasons(write("scan.pdf", made.pdf(["", "Then the bed.", ""])))
    assert told == "scan.pdf: 2 of 3 pages hold no text: scans need text recognition (OCR) first."


def test_word_sections_lists_and_tables(made: ModuleType, write: Write, chunks: Chunks) -> None:
    found = chunks(write("move.docx", made.docx()))
    assert [(c.place, c.text) for c in found] == [
        ("# Setup", "Setup\n\nBoxes first.\nbed\nbooks"),
        ("# Setup > ## Costs", "Setup > Costs\n\nvan | 90"),
    ]
    assert found[0].metadata == {"title": "Move"}


def test_slide_is_a_record_with_its_notes(made: ModuleType, write: Write) -> None:
    first, last, silent = read(write("move.pptx", made.pptx()))
    assert isinstance(first, Chunk)
    assert isinstance(last, Chunk)
    assert (first.place, first.text) == ("slide 1", "Move\n\nBoxes first\n\nNotes: Ask Ana")
    assert (last.place, last.text) == ("slide 3", "Costs")
    assert "1 of 3 slides hold no text" in str(silent)


def test_book_chapters_in_reading_order(made: ModuleType, write: Write, chunks: Chunks) -> None:
    found = chunks(write("b.epub", made.epub(["<h1>One</h1><p>Boxes.</p>", "<h1>Two</h1><p>Bed.</p>"])))
    assert [(c.episode, c.place, c.text) for c in found] == [
        ("b.epub#OEBPS/c1.xhtml", "# One", "One\n\nBoxes."),
        ("b.epub#OEBPS/c2.xhtml", "# Two", "Two\n\nBed."),
    ]
    assert found[0].metadata == {"title": "Moving", "author": "Ana", "date": "2026-05-03"}


def test_kind_is_told_by_content_when_the_name_does_not(made: ModuleType, write: Write, chunks: Chunks) -> None:
    assert chunks(write("download", made.pdf(["Boxes first."])))[0].place == "page 1"
    assert chunks(write("download", made.docx()))[0].place == "# Setup"


@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.epub"])
def test_archive_of_something_else(made: ModuleType, write: Write, reasons: Reasons, name: str) -> None:
    (told,) = reasons(write(name, made.archive({"notes.txt": "Hi"})))
    assert told.startswith(f"{name}: ")
    assert "can be read" in told


@pytest.mark.parametrize("name", ["a.docx", "a.pptx"])
def test_document_with_a_password(write: Write, reasons: Reasons, name: str) -> None:
    (told,) = reasons(write(name, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)))
    assert "has a password" in told


@pytest.mark.parametrize("name", ["a.pdf.gz", "a.docx.gz"])
def test_packed_documents_are_refused(write: Write, reasons: Reasons, name: str) -> None:
    import gzip

    assert "unpack it first" in reasons(write(name, gzip.compress(b"x")))[0]


@pytest.mark.parametrize(
    ("name", "missing"),
    [("a.html", "lxml"), ("a.pdf", "pypdfium2"), ("a.docx", "docx"), ("a.pptx", "pptx"), ("a.epub", "lxml")],
)
def test_without_the_libraries_the_extra_is_named(write: Write, reasons: Reasons, monkeypatch: pytest.MonkeyPatch,
                                                  name: str, missing: str) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, missing, None)
    (told,) = reasons(write(name, "<p>Hi</p>"))
    assert 'pip install "mnemic[files]"' in told
