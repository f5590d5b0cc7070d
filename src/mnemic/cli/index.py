"""`mnemic index`: prepare what a retriever searches in."""

from __future__ import annotations

import click

from mnemic.cli.options import Place, lm_option, memory_options, retriever_option
from mnemic.cli.printing import counted, emit
from mnemic.cli.progress import track


@click.command()
@retriever_option
@lm_option
@memory_options
def index(retriever: str | None, lm: str | None, place: Place, as_json: bool) -> None:
    """Read what a retriever needs out of records that were written without it, and build its caches.

    For hipporag2: triples. Can be stopped at any moment; the next call goes on where this one stopped.
    """
    done = 0
    with place.open(retriever=retriever, lm=lm) as memory, track("reading", unit="record", quiet=as_json) as moved:
        for done, total in memory.index():
            moved(done, total)
        name = memory.retriever.name
    if as_json:
        emit({"retriever": name, "records": done})
    else:
        click.echo(f"{counted(done, 'record')} read for {name}.")
