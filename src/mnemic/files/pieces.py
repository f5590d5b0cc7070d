"""A text that is too long for one record, whatever it came from: a pasted book in a chat, a cell of a table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from mnemic.files.outline import LONG, Block, joined, parts
from mnemic.files.paragraphs import blocks
from mnemic.record import Chunk

_HEADINGS = 1000  # characters that a section of LONG may have on top
_GAP = re.compile(r"\n\s*\n")


def pieces(chunk: Chunk) -> Iterator[Chunk]:
    """The chunk, or parts of it that share its fields; the second one stands at "line 17, piece 2"."""
    if len(chunk.text) <= LONG + _HEADINGS:
        yield chunk
        return
    for n, part in enumerate(parts(list(_paragraphs(chunk.text))), 1):
        place = chunk.place if n == 1 else f"{chunk.place or 'text'}, piece {n}"
        yield replace(chunk, text=joined(part), place=place)


def _paragraphs(text: str) -> Iterator[Block]:
    at, joint = 0, ""
    for gap in _GAP.finditer(text):
        yield from blocks(text[at : gap.start()], joint)
        at, joint = gap.end(), gap.group()
    yield from blocks(text[at:], joint)
