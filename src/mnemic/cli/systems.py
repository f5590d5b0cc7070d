"""`mnemic systems`: the table of all systems, or one of them."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from mnemic import catalog


@click.command()
@click.argument("slug", required=False)
@click.option("--level", type=click.Choice(list(catalog.COUNTED)), help="Only this level.")
@click.option("--built", is_flag=True, help="Only those that are built.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def systems(slug: str | None, level: catalog.Level | None, built: bool, as_json: bool) -> None:
    """List all systems, or show the one called SLUG (exit code 3 when it is planned, not built yet)."""
    rows = (
        [catalog.system(slug)] if slug else [row for row in catalog.systems(level) if row.state == "built" or not built]
    )
    if as_json:
        click.echo(json.dumps([facts(row) for row in rows] if not slug else facts(rows[0]), ensure_ascii=False))
    elif slug:
        click.echo("\n".join(f"{name:8} {fact}" for name, fact in facts(rows[0]).items() if fact))
    else:
        _print(rows)
    if slug:
        catalog.built(slug)  # says that it is only planned, after what is known about it


def facts(row: catalog.System) -> dict[str, object]:
    """A row as people and programs read it."""
    told = asdict(row)
    told |= {"counted": row.counted, "module": row.module, "known_failures": dict(row.known_failures)}
    return told


def _print(rows: list[catalog.System]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("system", "level", "state", "year", "title")
    for column in table.columns[:-1]:
        column.no_wrap = True  # a slug is to be copied
    for row in rows:
        style = "" if row.state == "built" else "dim"
        table.add_row(row.slug, row.level, row.state, str(row.year), row.title, style=style)
    Console().print(table)
    ready = sum(row.state == "built" for row in rows)
    click.echo(f"{ready} built, {len(rows) - ready} planned. What is counted, paper and claim: mnemic systems SYSTEM")
