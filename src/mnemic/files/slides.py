"""Slides (.pptx): a record a slide, with its title, texts, tables and speaker notes.

Needs python-pptx (the extra `files`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mnemic.errors import MissingExtra
from mnemic.files.bad import Item
from mnemic.files.file import File
from mnemic.files.package import library, package, without_media
from mnemic.files.times import time_in_name
from mnemic.record import Chunk

_DEEPEST = 20  # groups within groups


def read_slides(file: File) -> Iterator[Item]:
    open_slides = _library()
    with package(file) as archive, library("presentation"):
        deck = open_slides(without_media(archive))
        title = (deck.core_properties.title or "").strip()
        texts = [_text(slide) for slide in deck.slides]
    silent = [n for n, text in enumerate(texts, 1) if not text]
    for n, text in enumerate(texts, 1):
        if text:
            yield Chunk(text, time_in_name(file.stem), source=file.source, place=f"slide {n}", episode=file.source,
                        metadata={"title": title or file.stem})  # fmt: skip
    if silent:
        yield file.bad("", f"{len(silent)} of {len(texts)} slides hold no text.")


def _text(slide: Any) -> str:
    head = slide.shapes.title
    title = head.text_frame.text.strip() if head is not None and head.has_text_frame else ""
    others = [shape for shape in slide.shapes if head is None or shape.shape_id != head.shape_id]
    parts = [part for shape in others for part in _parts(shape)]
    notes = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
    said = notes.text.strip() if notes is not None else ""
    return "\n\n".join(filter(None, [title, *parts, said and f"Notes: {said}"]))


def _parts(shape: Any, depth: int = 0) -> Iterator[str]:
    if shape.has_text_frame:
        yield shape.text_frame.text.strip()
    elif getattr(shape, "has_table", False):
        rows = ([cell.text.strip() for cell in row.cells] for row in shape.table.rows)
        yield "\n".join(" | ".join(filter(None, row)) for row in rows)
    elif depth < _DEEPEST:
        for inner in getattr(shape, "shapes", ()):
            yield from _parts(inner, depth + 1)


def _library() -> Any:
    try:
        from pptx import Presentation
    except ImportError:
        raise MissingExtra("reading slides", "files") from None
    return Presentation
