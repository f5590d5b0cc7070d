"""Plain text: paragraphs, grouped; a line that is a date begins a day, a line that begins with one is dated."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO

from mnemic.files.bad import Item
from mnemic.files.file import File
from mnemic.files.outline import Block, Document, Heading, sections
from mnemic.files.paragraphs import Paragraphs, lines
from mnemic.files.places import Places
from mnemic.files.times import read_time, time_in_name

_DATED = re.compile(r"\[?(\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?)?)(?=\W|$)")
_DAY = len("2026-05-03")  # a heading must name a day: a line that says 1984 may be a page number


def read_plain(file: File) -> Iterator[Item]:
    document = Document(file.source, file.source, time=time_in_name(file.stem))
    with file.text() as text:
        yield from sections(_events(text), document, Places())


def _events(text: IO[str]) -> Iterator[Heading | Block]:
    paragraphs = Paragraphs()
    blank = True
    for line in lines(text):
        bare = line.strip()
        if not bare:
            yield from paragraphs.end()
        elif blank and _is_day(bare):
            yield Heading(1, bare)
        else:
            if (match := _DATED.match(bare)) and (time := read_time(match.group(1))):
                joint = "\n\n" if blank else "\n"
                yield from paragraphs.end()
                paragraphs.time, paragraphs.joint = time, joint
            yield from paragraphs.line(line.rstrip())
        blank = not bare
    yield from paragraphs.end()


def _is_day(line: str) -> bool:
    time = read_time(line.rstrip(":")) if line[-1].isalnum() or line[-1] == ":" else None
    return time is not None and len(time) >= _DAY and not line.replace(".", "", 1).isdigit()
