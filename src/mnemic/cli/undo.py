"""`mnemic undo`: take back an operation of the log."""

from __future__ import annotations

import click

from mnemic.cli.options import MOST, Place, memory_options
from mnemic.cli.printing import emit, show


@click.command()
@click.argument("n", type=click.IntRange(1, MOST))
@memory_options
def undo(n: int, place: Place, as_json: bool) -> None:
    """Take back operation N of the log, and the stale marks that it caused; `mnemic log` shows the numbers."""
    with place.open() as memory:
        done = memory.undo(n)
    if as_json:
        emit({"undone": n, "operations": done})
        return
    from mnemic.cli.log import line

    show(*map(line, done))
