"""`mnemic reembed`: make all vectors again with another embedder."""

from __future__ import annotations

import click

from mnemic.cli.options import Place, memory_options
from mnemic.cli.printing import counted, emit
from mnemic.cli.progress import track


@click.command()
@click.argument("embedder")
@memory_options
def reembed(embedder: str, place: Place, as_json: bool) -> None:
    """Make all vectors of the file again with EMBEDDER, and search with it from then on.

    Can be stopped at any moment: the old vectors serve until the new ones are complete, and the next call goes on
    where this one stopped.
    """
    total = 0
    with place.open() as memory, track("embedding", unit="record", quiet=as_json) as moved:
        for done, total in memory.reembed(embedder):
            moved(done, total)
        name = memory.embedder.name
    if as_json:
        emit({"embedder": name, "records": total})
    else:
        click.echo(f"{counted(total, 'record')} now have vectors of {name}.")
