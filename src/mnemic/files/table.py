"""Tables (.csv, .tsv): a record a row. Columns that hold text, time and speaker are told by their heads."""

from __future__ import annotations

import csv
import itertools
from collections import Counter
from collections.abc import Iterator
from typing import IO

from mnemic.files.bad import Bad, Item, Unreadable
from mnemic.files.chats import place_of
from mnemic.files.entry import ID, SESSION, SPEAKER, TEXT, TIME, Entry, chunk_of, episode_of, name_of, time_of
from mnemic.files.file import File
from mnemic.files.places import Places
from mnemic.files.times import read_time

_LONGEST_CELL = 16_000_000  # characters; a quotation mark that is never closed swallows the rest of the file up to here
_LONGEST_HEAD = 80
_TEXT = [*TEXT, "description", "comment", "entry", "notes", "review", "tweet", "question"]


def read_table(file: File) -> Iterator[Item]:
    """Rows count as in a spreadsheet: the head is row 1."""
    # The limit is the csv module's own and global: we only ever raise it.
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_CELL))
    with file.text() as text:
        first = text.readline(1 << 16)
        text.seek(0)
        rows = _rows(file, text, _delimiter(first, file.suffix))
        head = next(rows, None)
        if head is None:
            raise Unreadable("is empty.")
        if not isinstance(head, tuple):
            raise Unreadable(head.reason, head.place)
        places = Places()
        named = _is_head(head[1])
        columns = [name.strip() if named and name.strip() else f"column {n}" for n, name in enumerate(head[1], 1)]
        for row in rows if named else itertools.chain([head], rows):
            yield _record(file, columns, row, places) if isinstance(row, tuple) else row


_Row = tuple[int, list[str]]


def _rows(file: File, text: IO[str], delimiter: str) -> Iterator[_Row | Bad]:
    """Rows that are not blank, with their numbers."""
    reader = csv.reader(text, delimiter=delimiter)
    for n in itertools.count(1):
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield file.bad(f"row {n}", f"cannot be read: {error}.")
            continue
        if any(cell.strip() for cell in cells):
            yield n, cells


def _record(file: File, columns: list[str], row: _Row, places: Places) -> Item:
    n, cells = row
    named = [*columns, *(f"column {n}" for n in range(len(columns) + 1, len(cells) + 1))]
    entry = _entry([(name, cell.strip()) for name, cell in zip(named, cells, strict=False) if cell.strip()])
    place = places.claim(place_of(entry, f"row {n}"), f"row {n}")
    return chunk_of(entry, source=file.source, place=place, episode=episode_of(entry, file.source))


def _entry(cells: list[tuple[str, str]]) -> Entry:
    """The text is the text column, then each other column that says something: "city: Lisbon"."""
    by_name = {name.casefold(): value for name, value in cells}
    key = next((name for name in _TEXT if name in by_name), None)
    found = {kind: next((by_name[name] for name in names if name in by_name), None)
             for kind, names in (("time", TIME), ("speaker", SPEAKER), ("id", ID), ("session", SESSION))}  # fmt: skip
    time, time_text = time_of(found["time"])
    used = {*TIME, *SPEAKER, *ID, *SESSION} if key else set()  # without a text column, the whole row is the text
    others = [f"{name}: {value}" for name, value in cells if name.casefold() != key and name.casefold() not in used]
    text = "\n".join(filter(None, [by_name[key] if key else "", "\n".join(others)]))
    if not text:
        text = "\n".join(f"{name}: {value}" for name, value in cells)
    speaker = name_of(found["speaker"]) if key else None
    return Entry(text, time, time_text, speaker, None, name_of(found["id"]), name_of(found["session"]))


def _delimiter(line: str, suffix: str) -> str:
    """The mark that the first line has most of, outside quotation marks."""
    if suffix in (".tsv", ".tab"):
        return "\t"
    counts = Counter("".join(line.split('"')[::2]))
    return max(",;\t|", key=lambda mark: counts[mark])


def _is_head(cells: list[str]) -> bool:
    """Names, not values: short, all different, no numbers and no dates."""
    names = [cell.strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    return len(set(names)) == len(names) and not any(
        len(name) > _LONGEST_HEAD or "\n" in name or _is_number(name) or read_time(name) for name in names
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
