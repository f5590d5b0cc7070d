"""What is found, for people and for programs.

JSON is one document a command (`log` prints a line for each operation). For people: colours and columns in a
terminal, plain lines when piped. Texts of a memory are data: control characters in them never reach a terminal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mnemic.quote import visible

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from mnemic.record import Hit, Record

_SHOWN = 480  # characters of a text in a list; `mnemic show` gives all of it
_UNBROKEN = 10_000  # columns of a pipe: nothing is wrapped there


def emit(document: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(document, ensure_ascii=False, default=_plain))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be printed as JSON")


def console(*, err: bool = False) -> Console:
    """Where people read: rich in a terminal, plain when piped."""
    from rich.console import Console

    class Piped(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would exit with 1

    stream = sys.stderr if err else sys.stdout
    width = None if stream.isatty() else _UNBROKEN
    return Piped(file=stream, width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)


def show(*lines: RenderableType) -> None:
    out = console()
    for line in lines:
        out.print(line)


def one_line(text: str, most: int = _SHOWN) -> str:
    """A text on one line, safe to print, cut where it gets long."""
    line = " ".join(visible(text).split())
    return line if len(line) <= most else line[: most - 3] + "..."


def hit_lines(number: int, hit: Hit) -> list[Text]:
    """A hit for people: what was found with its passage marked, where it is from, what its score is made of."""
    from rich.text import Text

    first = Text.assemble((f"{number:>2}. ", "bold"))
    if hit.record.speaker:
        first.append(f"{one_line(hit.record.speaker, 60)}: ", style="cyan")
    first.append_text(marked(hit))
    parts = "  ".join(f"{name} {value:.3f}" for name, value in hit.parts.items())
    score = f"score {hit.score:.3f}" + (f" = {parts}" if parts else "")
    origin = Text(f"    {origin_of(hit.record)}", style="green")
    return [first, origin, Text(f"    {score}  id {hit.record.id}", style="dim")]


def marked(hit: Hit) -> Text:
    """The text of a hit around the passage that matched; the passage stands out when it is not all of it."""
    from rich.text import Text

    text, (start, end) = hit.record.text, hit.span
    if not 0 <= start < end <= len(text) or (start, end) == (0, len(text)):
        return Text(one_line(text))
    room = max(0, _SHOWN - (end - start)) // 2
    before, after = text[max(0, start - room) : start], text[end : end + room]
    left, right = "... " if start > room else "", " ..." if end + room < len(text) else ""
    return Text.assemble(
        left + _spaced(before, 1), (one_line(text[start:end]), "bold yellow"), _spaced(after, 0) + right
    )


def _spaced(text: str, edge: int) -> str:
    """On one line; a space at its right (1) or left (0) edge stays."""
    line = one_line(text)
    if not line:
        return ""
    touching = text[-1:].isspace() if edge else text[:1].isspace()
    return (line + " " if edge else " " + line) if touching else line


def origin_of(record: Record) -> str:
    """When it was, where it came from, and whether it still holds."""
    when = record.time or f"no date (written {record.written[:10]})"
    parts = [f"{when} to {record.until}" if record.until else when]
    if record.source:
        parts.append(record.source)
    if record.place:
        parts.append(record.place)
    if record.episode and not record.episode.startswith(record.source or "\0") and record.episode != record.place:
        parts.append(record.episode)
    if record.kind != "episode":
        parts.append(record.kind)
    if record.metadata.get("trust", "person") != "person":
        parts.append("untrusted")
    if record.stale:
        parts.append(f"STALE: {record.stale}")
    return " · ".join(one_line(part, 120) for part in parts)


def counted(many: int, noun: str) -> str:
    """ "1 record", "2,000 records"."""
    return f"{many:,} {noun}" if many == 1 else f"{many:,} {noun[:-1] + 'ies' if noun.endswith('y') else noun + 's'}"
