"""PDF: a record a page. Needs pypdfium2 (the extra `files`).

PDFium reads pages from disk as they are asked for, so a long document needs little memory.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from mnemic.errors import MissingExtra
from mnemic.files.bad import Item, Unreadable
from mnemic.files.file import File
from mnemic.files.places import Places
from mnemic.files.times import time_in_name
from mnemic.record import Chunk

_PDFIUM = threading.Lock()  # PDFium is not made for threads


def read_pdf(file: File) -> Iterator[Item]:
    """Pages without text (scans) are counted in one Bad at the end."""
    pdfium = _library()
    document, title = _open(pdfium, file)
    try:
        count, empty, size = len(document), 0, file.path.stat().st_size
        places = Places()
        for n in range(1, count + 1):
            try:
                text = _page(document, n)
            except pdfium.PdfiumError as error:
                yield file.bad(f"page {n}", f"cannot be read: {error}.")
                continue
            file.done = size * n // count
            empty += not text.strip()
            if text.strip():
                yield Chunk(text, time_in_name(file.stem), source=file.source, place=places.claim(f"page {n}"),
                            episode=file.source, metadata={"title": title or file.stem})  # fmt: skip
        if empty:
            yield file.bad("", f"{empty} of {count} pages hold no text: scans need text recognition (OCR) first.")
    finally:
        with _PDFIUM:
            document.close()


def _open(pdfium: Any, file: File) -> tuple[Any, str]:
    with _PDFIUM:
        try:
            document = pdfium.PdfDocument(file.path)
            return document, str(document.get_metadata_dict().get("Title") or "").strip()[:300]
        except pdfium.PdfiumError as error:
            if "password" in str(error).lower():
                raise Unreadable("is protected by a password: save a copy without one.") from None
            raise Unreadable("is no PDF that can be read; it may be cut off or damaged.") from None


def _page(document: Any, n: int) -> str:
    with _PDFIUM:
        page = document[n - 1]
        try:
            text = page.get_textpage()
            try:
                # a hyphen at a line's end comes as \ufffe; the word goes on in the next line
                return str(text.get_text_bounded()).replace("\ufffe\r\n", "").replace("\ufffe", "")
            finally:
                text.close()
        finally:
            page.close()


def _library() -> Any:
    try:
        import pypdfium2  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        raise MissingExtra("reading PDF", "files") from None
    return pypdfium2
