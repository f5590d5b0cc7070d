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
    where this one stopped. The old embedder is not needed. All spaces of the file change.
    """
    from mnemic import choose
    from mnemic.reembed import reembed_file

    new = choose.embedder(embedder)
    total = 0
    with track("embedding", unit="record", quiet=as_json) as moved:
        for done, total in reembed_file(place.path, new):
            moved(done, total)
    if as_json:
        emit({"embedder": new.name, "records": total})
    else:
        click.echo(f"{counted(total, 'record')} now {'has' if total == 1 else 'have'} vectors of {new.name}.")
