"""`mnemic stats`: counts and sizes."""

from __future__ import annotations

from typing import Any

import click

from mnemic.cli.options import Place, memory_options
from mnemic.cli.printing import emit, one_line
from mnemic.meter import readable

_SIZES = ("bytes", "on_disk")


@click.command()
@memory_options
def stats(place: Place, as_json: bool) -> None:
    """Show counts and sizes: records by kind, stale ones, operations, links, bytes on disk."""
    with place.open() as memory:
        known = memory.stats()
    if as_json:
        emit(known)
        return
    for name, value in known.items():
        click.echo(f"{name.replace('_', ' '):11} {_told(name, value)}")


def _told(name: str, value: Any) -> str:
    if name == "bytes":
        return readable(value, "bytes")
    if isinstance(value, dict):
        size = name in _SIZES
        return ", ".join(f"{part} {readable(n, 'bytes') if size else f'{n:,}'}" for part, n in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(one_line(str(each), 80) for each in value) or "none"
    if value is None:
        return "none"
    return f"{value:,}" if isinstance(value, int) else one_line(str(value))
