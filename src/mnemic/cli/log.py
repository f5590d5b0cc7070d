"""`mnemic log`: every operation that changed the memory, who did it and why."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import click

from mnemic.cli.failing import NOTHING, leave
from mnemic.cli.options import MOST, Place, filter_options, memory_options, range_of
from mnemic.cli.printing import console, emit, one_line

if TYPE_CHECKING:
    from rich.text import Text

    from mnemic.filter import Filter, Span
    from mnemic.record import Operation, Record

_CONTENT = 70  # characters of a text in a line of the log
_QUIET = frozenset(
    ("written", "stale", "derived_from")
)  # what changes with something else is not worth words of its own


@click.command()
@click.option("--record", metavar="ID", help="Only what happened to this record.")
@click.option("--last", type=click.IntRange(1, MOST), metavar="N", help="Only the newest N.")
@click.option("--changed", metavar="TIME", help="Only what was done then; FROM..TO for a range.")
@filter_options
@memory_options
def log(record: str | None, last: int | None, changed: str | None, where: Filter, place: Place, as_json: bool) -> None:
    """Show what changed the memory, oldest first, and why.

    The other filters look at the record as the operation left it (or found it, when it took it out). With --json
    a line for each operation. Exit code 1 when there is none.
    """
    from mnemic.filter import span

    during = span(range_of(changed)) if changed else None
    with place.open() as memory:
        if where.open and during is None:
            chosen: Iterable[Operation] = memory.log(record=record, last=last)
        else:
            passing = _passing(memory.log(record=record), where, during)
            chosen = deque(passing, maxlen=last) if last else passing
        if not _print(chosen, as_json):
            leave(NOTHING)


def _print(operations: Iterable[Operation], as_json: bool) -> int:
    out = None if as_json else console()
    many = 0
    for operation in operations:
        many += 1
        if out is None:
            emit(operation)
        else:
            out.print(line(operation))
    if not many and out is not None:
        click.echo("Nothing in the log fits.", err=True)
    return many


def line(operation: Operation) -> Text:
    """#12 2026-05-03 10:00:00 person update ID time: 2026-05 -> 2026-06 (why)"""
    from rich.text import Text

    when = operation.when[:19].replace("T", " ")
    told = Text.assemble((f"#{operation.n:<5} ", "bold"), (when, "dim"), f"  {one_line(operation.who, 30):10} ",
                         (f"{operation.kind:7}", "cyan"), (f" {operation.target}  ", "dim"),
                         what(operation))  # fmt: skip
    if operation.why and operation.why != operation.kind:
        told.append(f"  ({one_line(operation.why, 120)})", style="green")
    return told


def what(operation: Operation) -> str:
    """The text that came or went, or the fields that changed."""
    before, after = operation.before or {}, operation.after or {}
    if "edge" in (after or before):
        head, relation, tail, *_ = (after or before)["edge"]
        return one_line(f"{head} {relation} {tail}", _CONTENT * 2)
    if before and after:
        names = [name for name in after if after[name] != before.get(name)]
        loud = [name for name in names if name not in _QUIET] or names
        return ", ".join(f"{name}: {_value(before.get(name))} -> {_value(after[name])}" for name in loud)
    text = (after or before).get("text")
    return f'"{one_line(str(text), _CONTENT)}"' if text else ""


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, str):
        return f'"{one_line(value, _CONTENT)}"'
    return one_line(json.dumps(value, ensure_ascii=False), _CONTENT)


def _passing(operations: Iterable[Operation], where: Filter, during: Span | None) -> Iterator[Operation]:
    from mnemic.moment import moment

    for operation in operations:
        at = moment(operation.when)
        if _overlap(during, at.start, at.end) and (where.open or _concerns(operation, where)):
            yield operation


def _concerns(operation: Operation, where: Filter) -> bool:
    """True when the record of an operation passes a filter: the filter's meaning, over a state in the log."""
    from mnemic.db.rows import record_from, validity
    from mnemic.moment import moment

    state = operation.after or operation.before or {}
    if "text" not in state:  # a link, or what was erased
        return False
    record = record_from(state, operation.target, "")
    written = moment(record.written)
    return (
        _fits(record, where)
        and (where.time is None or (record.time is not None and _overlap(where.time, *validity(record))))
        and _overlap(where.written, written.start, written.end)
    )


def _fits(record: Record, where: Filter) -> bool:
    """All of a filter but its times."""
    source, speaker = record.source or "", (record.speaker or "").casefold()
    return (
        (not where.kind or record.kind in where.kind)
        and (not where.source or any(fnmatchcase(source, name.replace("[", "[[]")) for name in where.source))
        and (not where.speaker or speaker in {name.casefold() for name in where.speaker})
        and (not where.episode or record.episode in where.episode)
        and (where.stale is None or bool(record.stale) == where.stale)
        and (not where.current or record.until is None)
        and all(key in record.metadata and record.metadata[key] == value for key, value in where.metadata.items())
    )


def _overlap(wanted: Span | None, start: float | None, end: float | None) -> bool:
    """Do two spans of seconds share a moment? An end that is None is open."""
    return wanted is None or ((start is None or start < wanted[1]) and (end is None or end > wanted[0]))
