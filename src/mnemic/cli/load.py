"""`mnemic load`: read what `mnemic export` wrote."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnemic.cli.failing import PARTIAL, leave
from mnemic.cli.options import Place, budget_option, embedder_option, memory_options
from mnemic.cli.printing import counted, emit, one_line

if TYPE_CHECKING:
    from mnemic.memory import Memory
    from mnemic.record import Outcome


@click.command()
@click.argument("path", type=click.Path(path_type=Path, allow_dash=True))
@embedder_option
@budget_option
@memory_options
def load(path: Path, embedder: str | None, budget: str | None, place: Place, as_json: bool) -> None:
    """Read an export from PATH ("-" is the input): into an empty space with its log, into another as new records.

    Exit code 8 when some records were refused.
    """
    with place.open(make=True, embedder=embedder, budget=budget) as memory:
        outcomes = _load(memory, path)
    states = Counter(outcome.state for outcome in outcomes)
    reasons = [outcome.reason for outcome in outcomes if outcome.state == "refused"]
    if as_json:
        emit({**states, "refused": reasons})
    else:
        click.echo(f"Loaded {counted(states['added'], 'record')}, updated {states['updated']:,}, "
                   f"{states['unchanged']:,} were there, {states['refused']:,} refused.")  # fmt: skip
        for reason in reasons:
            click.echo(f"  {one_line(reason)}", err=True)
    if reasons:
        leave(PARTIAL)


def _load(memory: Memory, path: Path) -> list[Outcome]:
    if str(path) != "-":
        return memory.load(path)
    with tempfile.TemporaryDirectory() as folder:  # an export is read more than once
        with open(Path(folder, "input"), "wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        return memory.load(Path(folder, "input"))
