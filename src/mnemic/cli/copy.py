"""`mnemic copy`: one memory into another place."""

from __future__ import annotations

import time as clock
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from mnemic.cli.failing import PARTIAL, leave
from mnemic.cli.options import json_option
from mnemic.cli.printing import counted, emit
from mnemic.cli.progress import track

if TYPE_CHECKING:
    from mnemic.copying import Copied


@click.command()
@click.argument("source", metavar="SOURCE")
@click.argument("target", metavar="TARGET")
@click.option("--space", "spaces", multiple=True, metavar="NAME", help="Only this space (may be repeated).")
@json_option
def copy(source: str, target: str, spaces: tuple[str, ...], as_json: bool) -> None:
    """Copy the memory SOURCE to TARGET, whole: files (life.db) or databases (postgresql://...).

    TARGET is new, or has other spaces. Stopped at any moment, the same command goes on where it was; given again
    later, it fetches what has changed. Exit code 8 when SOURCE was written to meanwhile and not all of that came along.
    """
    from mnemic.copying import copy as copy_memory

    start, copied = clock.perf_counter(), None
    with track("copying", unit="row", quiet=as_json) as moved:
        for progress in copy_memory(source, target, spaces=spaces or None):
            moved(progress.done, progress.total)
            copied = progress.copied
    assert copied is not None
    if as_json:
        emit({**asdict(copied), "seconds": round(clock.perf_counter() - start, 3)})
    else:
        _print(copied, clock.perf_counter() - start)
    if copied.behind:
        leave(PARTIAL)


def _print(copied: Copied, seconds: float) -> None:
    what = f"{counted(copied.rows('record'), 'record')} and {counted(copied.rows('operation'), 'operation')}"
    click.echo(f"Copied {what} in {seconds:.1f} s: {copied.written:,} rows written, {copied.removed:,} taken out.")
    for each in copied.tables:
        if each.rows:
            click.echo(f"  {each.table:<12}{each.rows:>12,}  {each.digest}")
    click.echo("Every row of the copy was read again and is that of the source (rows and digests of both above).")
    if not copied.people:
        click.echo("Principals, tokens and permissions stayed behind: they go with all spaces into a new memory only.")
    if copied.traces:
        click.echo(f"Something was taken out, and {copied.traces}.", err=True)
    if copied.behind:
        click.echo(f"{counted(copied.behind, 'operation')} came to the source meanwhile: run the same command again.",
                   err=True)  # fmt: skip
