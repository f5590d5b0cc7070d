"""`mnemic check`: is the file sound?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mnemic.cli.failing import NOTHING, leave
from mnemic.cli.options import Place, memory_options
from mnemic.cli.printing import counted, emit, one_line

if TYPE_CHECKING:
    from mnemic.db.checking import Problem, Report


@click.command()
@click.option("--repair", is_flag=True, help="Build the indexes again from the rows, and finish what an erase left.")
@memory_options
def check(repair: bool, place: Place, as_json: bool) -> None:
    """Check the file: pages, rows, log against rows, indexes against rows.

    Exit code 1 when something is wrong (and still is, after --repair).
    """
    with place.open() as memory:
        report = memory.check(repair=repair)
    if as_json:
        emit({"ok": report.ok, "records": report.records, "operations": report.operations,
              "problems": report.problems, "mended": report.mended})  # fmt: skip
    else:
        _print(report)
    if not report.ok:
        leave(NOTHING)


def _print(report: Report) -> None:
    for problem in report.mended:
        click.echo(f"mended  {_told(problem)}")
    for problem in report.problems:
        click.echo(f"wrong   {_told(problem)}")
    click.echo(f"{counted(report.records, 'record')}, {counted(report.operations, 'operation')}: "
               f"{'all is well' if report.ok else counted(len(report.problems), 'problem')}.")  # fmt: skip
    if any(problem.mendable for problem in report.problems):
        click.echo("`mnemic check --repair` builds the indexes again.")
    if any(not problem.mendable for problem in report.problems):
        click.echo("What cannot be mended needs a backup; `mnemic export` saves what can be read.")


def _told(problem: Problem) -> str:
    return f"{problem.where}: {one_line(problem.what)}"
