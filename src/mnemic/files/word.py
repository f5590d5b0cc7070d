"""Word documents (.docx): a section for each heading; a table's row is a line. Needs python-docx (extra `files`).

Headers, footers, footnotes and comments are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from mnemic.errors import MissingExtra
from mnemic.files.bad import Item
from mnemic.files.file import File
from mnemic.files.outline import Block, Document, Heading, sections
from mnemic.files.package import library, package, without_media
from mnemic.files.paragraphs import blocks
from mnemic.files.places import Places
from mnemic.files.times import time_in_name

_HEADING = re.compile(r"heading (\d)", re.I)


def read_word(file: File) -> Iterator[Item]:
    open_document = _library()
    with package(file) as archive, library("Word document"):
        content = open_document(without_media(archive))
        title = (content.core_properties.title or "").strip()
        events = list(_events(content))
    document = Document(file.source, file.source, title=title, name=file.stem, time=time_in_name(file.stem))
    yield from sections(events, document, Places())


def _events(content: Any) -> Iterator[Heading | Block]:
    """Paragraphs and tables in their order, those inside content controls too."""
    from docx.oxml.ns import qn
    from docx.text.paragraph import Paragraph

    row_text: list[str] = []
    for element in content.element.body.iter(qn("w:p"), qn("w:tr")):
        if element.tag == qn("w:tr"):
            row_text = ["".join(_texts(cell)) for cell in element.iterchildren(qn("w:tc"))]
            yield from blocks(" | ".join(text.strip() for text in row_text if text.strip()), "\n")
        elif next(element.iterancestors(qn("w:tc"), qn("w:txbxContent")), None) is None:
            paragraph = Paragraph(element, content)
            text = "".join(_texts(element)).strip()
            level = _level(paragraph)
            if level is not None and text:
                yield Heading(level, " ".join(text.split()))
            else:
                yield from blocks(text, "\n" if _is_item(paragraph) else "\n\n")


def _texts(element: Any) -> Iterator[str]:
    """The text of all runs, links and content controls below; deleted text is another element and stays out."""
    from docx.oxml.ns import qn

    marks = {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}
    paragraphs = 0
    for part in element.iter(qn("w:t"), qn("w:p"), *marks):
        if part.tag == qn("w:t"):
            yield part.text or ""
        elif part.tag == qn("w:p"):
            yield " " if paragraphs else ""
            paragraphs += part is not element
        elif next(part.iterancestors(qn("w:pPr")), None) is None:  # a tab stop is no tab
            yield marks[part.tag]


def _level(paragraph: Any) -> int | None:
    name = (paragraph.style.name if paragraph.style is not None else None) or ""
    match = _HEADING.match(name)
    return int(match.group(1)) if match else 0 if name.lower() == "title" else None


def _is_item(paragraph: Any) -> bool:
    return "list" in ((paragraph.style.name if paragraph.style is not None else None) or "").lower()


def _library() -> Any:
    try:
        from docx import Document
    except ImportError:
        raise MissingExtra("reading Word documents", "files") from None
    return Document
