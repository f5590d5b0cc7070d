"""`mnemic claims`: reproduce what the papers claim, next to the baselines."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from mnemic import catalog
from mnemic.claims import SCALES, Result, Scale, picture, report, run
from mnemic.claims._table import tables
from mnemic.cli.printing import console
from mnemic.errors import MissingExtra

RESULTS = Path("results/claims")


@click.group()
def claims() -> None:
    """Reproduce the papers' claims: list, run, report."""


@claims.command("list")
@click.option("--results", "folder", type=click.Path(path_type=Path), default=RESULTS, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_claims(folder: Path, as_json: bool) -> None:
    """List every system's claim, and what the newest run of it said."""
    rows = [_known(row, folder) for row in catalog.systems()]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    from rich.table import Table

    table = Table("system", "state", "claim", "measured")
    for row in rows:
        table.add_row(*row.values(), style=_style(row["measured"]))
    console().print(table)


@claims.command("run")
@click.argument("slug")
@click.option("--scale", type=click.Choice(SCALES), default="laptop", show_default=True, help="smoke takes seconds.")
@click.option("--seed", "seeds", type=int, multiple=True, help="Once per seed; the claim's own seeds otherwise.")
@click.option("--sabotage", is_flag=True, help="Take the idea out: the claim should fall.")
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS, show_default=True, help="For JSON and PNG.")
@click.option("--json", "as_json", is_flag=True, help="Print the JSON instead of tables.")
def run_one(slug: str, scale: Scale, seeds: tuple[int, ...], sabotage: bool, out: Path, as_json: bool) -> None:
    """Run the claim of SLUG. Exit code 1 when it does not hold (with --sabotage: when it still does)."""
    result = run(slug, scale, seeds, sabotage=sabotage, watch=_progress)
    files = [result.write(out), *_drawn(result, out)]
    if as_json:
        click.echo(json.dumps(result.as_json(), ensure_ascii=False))
    else:
        console().print(tables(result))
        click.echo("\n".join(str(file) for file in files))
    if result.claim.stands == sabotage:
        raise click.exceptions.Exit(1)


@claims.command("report")
@click.option("--results", "folder", type=click.Path(path_type=Path), default=RESULTS, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("CLAIMS.md"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def write_report(folder: Path, out: Path, as_json: bool) -> None:
    """Write CLAIMS.md from the results of all runs."""
    file = report(folder, out)
    click.echo(json.dumps({"report": str(file)}) if as_json else f"wrote {file}")


def _known(row: catalog.System, folder: Path) -> dict[str, str]:
    """A row of the list: the result of the largest scale that was run."""
    files = [folder / f"{row.slug}.{scale}.json" for scale in reversed(SCALES)]
    file = next((file for file in files if file.exists()), None)
    if file is None:
        measured = "not run" if row.state == "built" else "planned"
    else:
        result = Result.read(file)
        measured = f"{'holds' if result.claim.stands else 'does not hold'} ({result.scale}, {result.date})"
    return {"slug": row.slug, "state": row.state, "claim": row.claim, "measured": measured}


def _style(measured: str) -> str:
    if measured.startswith("does not hold"):
        return "red"
    return "" if measured.startswith("holds") else "dim"


def _progress(what: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"running {what}", err=True)


def _drawn(result: Result, out: Path) -> list[Path]:
    """The picture, or a line on stderr about what is missing to draw it: the numbers must not be lost for that."""
    try:
        return [picture(result, out / f"{result.name}.png")]
    except MissingExtra as error:
        click.echo(str(error), err=True)
        return []
