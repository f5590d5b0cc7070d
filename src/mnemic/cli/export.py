"""`mnemic export`: the memory as JSON lines."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import click

from mnemic.cli.options import Place, memory_options
from mnemic.cli.printing import counted, emit


@click.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@memory_options
def export(path: Path, place: Place, as_json: bool) -> None:
    """Write the space to PATH as JSON lines: records, log, links. `mnemic load` reads it back, nothing is lost.

    "-" writes to the output; the file is there as a whole or not at all.
    """
    with place.open() as memory:
        if str(path) != "-":
            many = memory.export(path)
        else:
            with tempfile.TemporaryDirectory() as folder:  # complete before the first line leaves
                memory.export(Path(folder, "export"))
                with open(Path(folder, "export"), encoding="utf-8") as file:
                    shutil.copyfileobj(file, sys.stdout)
            return
    if as_json:
        emit({"records": many, "path": path})
    else:
        click.echo(f"Wrote {counted(many, 'record')} to {path}.")
