"""`mnemic erase`: a record's text leaves rows, log, indexes and file pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mnemic.cli.failing import PARTIAL, leave
from mnemic.cli.forget import confirm
from mnemic.cli.options import Place, memory_options, why_option, yes_option
from mnemic.cli.printing import counted, emit, one_line
from mnemic.errors import NotFound

if TYPE_CHECKING:
    from mnemic.db.erasing import Erasure
    from mnemic.memory import Memory


@click.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--derived", is_flag=True, help="Also what was made from them: it may repeat the text.")
@why_option
@yes_option
@memory_options
def erase(ids: tuple[str, ...], derived: bool, why: str | None, yes: bool, place: Place, as_json: bool) -> None:
    """Take the text of these records out of everything, the log included. It cannot be undone (asks first).

    Forgotten records can be erased too. A tombstone keeps who, when and why. Exit code 8 when another process
    still reads an older state of the file.
    """
    from mnemic.db.erasing import made_from

    with place.open() as memory:
        for id in ids:
            _known(memory, id)  # all are there, or none is erased
        made = made_from(memory.store, memory.space, ids)
        chosen = list(dict.fromkeys((*ids, *made) if derived else ids))
        if not yes:
            confirm(f"Erase {counted(len(chosen), 'record')} for good?")
        receipts = [memory.erase(id, why=why or "erase") for id in chosen]
        left = [id for id in made if id not in chosen]
    if as_json:
        emit({"erased": receipts, "made_from_them": left})
    else:
        _print(receipts, left)
    if not all(receipt.complete for receipt in receipts):
        leave(PARTIAL)


def _known(memory: Memory, id: str) -> None:
    if next(iter(memory.log(record=id, last=1)), None) is None:
        raise NotFound(f"no record {one_line(id, 60)} in this memory or its log.")


def _print(receipts: list[Erasure], left: list[str]) -> None:
    for receipt in receipts:
        click.echo(f"Erased {receipt.id} (operation {receipt.operation}).")
        if receipt.reason:
            click.echo(f"mnemic: {receipt.reason}", err=True)
    if left:
        click.echo(f"Made from it, and may repeat its text: {' '.join(left)} (--derived erases them too).")
