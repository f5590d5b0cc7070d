"""`mnemic show`: records with all that is known about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mnemic.cli.failing import NOTHING, leave
from mnemic.cli.options import Place, as_of, as_of_option, filter_options, memory_options
from mnemic.cli.printing import emit, one_line, origin_of
from mnemic.cli.printing import show as print_lines
from mnemic.errors import InputError
from mnemic.quote import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mnemic.filter import Filter
    from mnemic.memory import Memory
    from mnemic.record import Edge, Operation, Record
    from mnemic.snapshot import Snapshot


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@filter_options
@as_of_option
@memory_options
def show(ids: tuple[str, ...], where: Filter, moment: str | None, place: Place, as_json: bool) -> None:
    """Show the records with these IDs in full: text, fields, links, what it was made from, its history.

    With filters instead of IDs, list the records that pass, a line each: what `forget` would let go, say. Exit
    code 1 when there is none.
    """
    if bool(ids) != where.open:
        raise InputError("say what to show: either ids (`mnemic recall` prints them) or filters, like --kind fact.")
    with place.open() as memory:
        view = memory.as_of(as_of(moment)) if moment else memory
        if ids:
            _show_all(ids, view, memory, as_json)
        elif not _list(view.records(where), as_json):
            click.echo("No record passes.", err=True)
            leave(NOTHING)


def _show_all(ids: tuple[str, ...], view: Memory | Snapshot, memory: Memory, as_json: bool) -> None:
    records = [view.get(id) for id in ids]  # all are there, or none is shown
    full = [(record, list(view.edges(record.id)), list(memory.log(record=record.id))) for record in records]
    if as_json:
        emit([{"record": record, "edges": edges, "log": log} for record, edges, log in full])
        return
    for record, edges, log in full:
        _print(record, edges, log)


def _print(record: Record, edges: list[Edge], log: list[Operation]) -> None:
    from rich.text import Text

    from mnemic.cli.log import line

    speaker = f"{one_line(record.speaker, 60)}: " if record.speaker else ""
    print_lines(Text(f"{speaker}{visible(record.text)}"), Text(f"  {origin_of(record)}", style="green"))
    facts = {
        "id": record.id, "kind": record.kind, "written": record.written,
        "made from": ", ".join(record.derived_from),
        "metadata": ", ".join(f"{key}={value}" for key, value in record.metadata.items()),
        "pinned": "yes" if record.pinned else "",
        "importance": "" if record.importance == 1 else f"{record.importance:g}",
    }  # fmt: skip
    print_lines(*(Text(f"  {name:10} {one_line(fact)}") for name, fact in facts.items() if fact))
    print_lines(*(Text(f"  link       {one_line(f'{e.head} | {e.relation} | {e.tail}')}") for e in edges))
    print_lines(*(Text("  ") + line(operation) for operation in log))


def _list(records: Iterable[Record], as_json: bool) -> int:
    """Print a line for each record; with JSON, one document."""
    from rich.text import Text

    found = list(records)
    if as_json:
        emit([{"record": record} for record in found])
        return len(found)
    for record in found:
        speaker = f"{one_line(record.speaker, 60)}: " if record.speaker else ""
        text = f"{speaker}{one_line(record.text, 160)}"
        print_lines(Text.assemble((f"{record.id}  ", "dim"), text, (f"  {origin_of(record)}", "green")))
    return len(found)
