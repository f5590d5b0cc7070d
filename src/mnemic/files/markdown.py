"""Markdown: a section for each heading. Front matter is metadata; headings inside code are code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

from mnemic.files.bad import Item
from mnemic.files.file import File
from mnemic.files.outline import Block, Document, Heading, sections
from mnemic.files.paragraphs import Paragraphs, lines
from mnemic.files.places import Places
from mnemic.files.times import read_time, time_in_name

_ATX = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_NO_TITLE = re.compile(r"\s*([-*+>|]|\d+[.)]|`{3}|~{3}|    )")  # what cannot be the text of an underlined heading
_PAIR = re.compile(r"([\w][\w -]{0,60}?)\s*[:=]\s*(.*)")
_LONGEST_HEADER = 200  # lines


def read_markdown(file: File) -> Iterator[Item]:
    with file.text() as text:
        source = lines(text)
        about, first = _front_matter(source)
        title = about.pop("title", None)
        time = next((t for key in ("date", "created") if (t := read_time(about.get(key)))), None)
        document = Document(file.source, file.source, title=title if isinstance(title, str) else "",
                            name=file.stem, time=time or time_in_name(file.stem), metadata=about)  # fmt: skip
        yield from sections(_events(chain(first, source)), document, Places())


def _front_matter(source: Iterator[str]) -> tuple[dict[str, str | list[str]], list[str]]:
    """The simple keys of YAML or TOML between --- or +++ lines, and the lines that turned out to be text."""
    first = next(source, "")
    if first.rstrip() not in ("---", "+++"):
        return {}, [first]
    read = [first]
    about: dict[str, str | list[str]] = {}
    key = ""
    for line in source:
        read.append(line)
        if line.rstrip() == first.rstrip() or line.rstrip() == "...":
            return {key: value for key, value in about.items() if value}, []
        if len(read) > _LONGEST_HEADER:
            break
        if match := _PAIR.fullmatch(line.rstrip()):
            key = match.group(1).strip().lower()
            about[key] = _value(match.group(2))
        elif line.lstrip().startswith("- ") and key:  # a list, an item a line
            before = about[key]
            about[key] = [*(before if isinstance(before, list) else []), line.strip()[2:].strip("\"' ")]
    return {}, read  # never closed: it was a rule and text


def _value(written: str) -> str | list[str]:
    if written.startswith("[") and written.endswith("]"):
        return [item.strip("\"' ") for item in written[1:-1].split(",") if item.strip("\"' ")]
    return written.strip("\"' ")


def _events(source: Iterator[str]) -> Iterator[Heading | Block]:
    paragraphs = Paragraphs()
    fence = ""
    for line in source:
        if fence:  # only its own kind closes a fence
            yield from paragraphs.line(line)
            if line.strip().startswith(fence) and not line.strip(" `~\t"):
                fence = ""
                yield from paragraphs.end()
        elif match := _ATX.match(line):
            yield from paragraphs.end()
            yield Heading(len(match.group(1)), match.group(2))
        elif (match := _UNDERLINE.match(line)) and _titled(paragraphs):
            title = paragraphs.waiting.pop()
            yield from paragraphs.end()
            yield Heading(1 if "=" in match.group(1) else 2, title.strip())
        elif not line.strip():
            yield from paragraphs.end()
        else:
            match = _FENCE.match(line)
            fence = match.group(1) if match else ""
            yield from paragraphs.line(line)
    yield from paragraphs.end()


def _titled(paragraphs: Paragraphs) -> bool:
    """An underline makes a heading of a paragraph of one line, not of a list, a table or a quotation."""
    return len(paragraphs.waiting) == 1 and not _NO_TITLE.match(paragraphs.waiting[0])
