"""`mnemic log`: every operation that changed the memory, who did it and why."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from mnemic.cli.failing import NOTHING, leave
from mnemic.cli.options import MOST, Place, filter_options, memory_options, range_of
from mnemic.cli.printing import console, emit, one_line

if TYPE_CHECKING:
    from rich.text import Text

    from mnemic.filter import Filter
    from mnemic.record import Operation

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
    during = range_of(changed) if changed else None
    with place.open() as memory:
        if not _print(memory.log(record=record, last=last, where=where, during=during), as_json):
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
