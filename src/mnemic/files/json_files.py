"""JSON files and files of JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO

from mnemic.files.bad import Item, Unreadable
from mnemic.files.file import File
from mnemic.files.items import Items
from mnemic.files.json_stream import LONGEST, items

_LOOK = 1 << 16  # characters of the first lines that tell whether a file is one value or a value a line


def read_json(file: File) -> Iterator[Item]:
    with file.text() as text:
        by_line = _by_line(text)
        text.seek(0)
        yield from _lines(file, text) if by_line else _whole(file, text)


def read_json_lines(file: File) -> Iterator[Item]:
    with file.text() as text:
        first = text.readline(_LOOK).strip()
        text.seek(0)
        pretty = first in ("[", "{", "[{")  # somebody named an indented JSON file .jsonl
        yield from _whole(file, text) if pretty else _lines(file, text)


def _by_line(text: IO[str]) -> bool:
    """True for lines that are objects by themselves: then one broken line need not stop the others."""
    first = text.readline(_LOOK)
    second = text.readline(_LOOK)
    try:
        return isinstance(json.loads(first), dict) and second.lstrip().startswith("{")
    except (ValueError, RecursionError):
        return False


def _whole(file: File, text: IO[str]) -> Iterator[Item]:
    reader = Items(file)
    for place, value in items(text):
        yield from reader.read(value, place)


def _lines(file: File, text: IO[str]) -> Iterator[Item]:
    reader = Items(file)
    n = 0
    while line := text.readline(LONGEST):
        n += 1
        place = f"line {n}"
        if len(line) == LONGEST and not line.endswith("\n"):
            _skip_line(text)
            yield file.bad(place, f"is longer than {LONGEST // 1_000_000} million characters.")
        elif line := line.strip(" \t\r\n\0\ufeff"):
            try:
                value = json.loads(line)
            except RecursionError:
                yield file.bad(place, "is nested too deeply.")
            except ValueError as error:
                yield file.bad(place, f"is no JSON: {error}.")
            else:
                if n == 1 and isinstance(value, dict) and {"mnemic", "space"} <= value.keys():
                    raise Unreadable("is an export of mnemic: read it with `mnemic load`.")
                yield from reader.read(value, place)


def _skip_line(text: IO[str]) -> None:
    while (piece := text.readline(_LOOK)) and not piece.endswith("\n"):
        pass
