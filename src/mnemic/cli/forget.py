"""`mnemic forget`: let records go, by id or by filter; the log keeps them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from mnemic.cli.failing import NOTHING, leave
from mnemic.cli.options import Place, filter_options, memory_options, why_option, yes_option
from mnemic.cli.printing import counted, emit, one_line
from mnemic.errors import InputError

if TYPE_CHECKING:
    from mnemic.filter import Filter
    from mnemic.memory import Memory

_SAMPLE = 5  # records shown before the question


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@filter_options
@why_option
@yes_option
@memory_options
def forget(ids: tuple[str, ...], where: Filter, why: str | None, yes: bool, place: Place, as_json: bool) -> None:
    """Let the records with these IDs go, or all that pass the filters (asks first; --yes does not).

    The log keeps them: `mnemic undo` brings them back, `mnemic erase` does away with them for good. Exit code 1
    when nothing passes the filters.
    """
    if bool(ids) != where.open:
        raise InputError("say what to forget: either ids or filters, like --source old.txt (see `mnemic show`).")
    with place.open() as memory:
        chosen = [memory.get(id).id for id in ids] if ids else _chosen(memory, where, ask=not yes)
        if chosen:
            memory.forget(where={"id": chosen}, why=why or "forget")
    if as_json:
        emit({"forgotten": chosen})
    else:
        click.echo(
            f"Forgot {counted(len(chosen), 'record')}." if chosen else "No record passes; nothing was forgotten."
        )
    if not chosen:
        leave(NOTHING)


def _chosen(memory: Memory, where: Filter, *, ask: bool) -> list[str]:
    records = list(memory.records(where))
    if records and ask:
        for record in records[:_SAMPLE]:
            click.echo(f"  {one_line(record.text, 100)}", err=True)
        if len(records) > _SAMPLE:
            click.echo(f"  ... and {len(records) - _SAMPLE:,} more", err=True)
        confirm(f"Forget {counted(len(records), 'record')}?")
    return [record.id for record in records]


def confirm(question: str) -> None:
    """Ask on stderr, and end the command on a no; raises InputError when there is nobody to ask."""
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise  # Ctrl-C
        click.echo(err=True)
        raise InputError("nobody answered, so nothing was done: say --yes to do it without being asked.") from None
    if not agreed:
        click.echo("Nothing was done.", err=True)
        leave(NOTHING)
