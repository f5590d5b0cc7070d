"""`mnemic bench`: the benchmarks that ship with mnemic.

A benchmark is a module of mnemic.bench with `run(*, limit=None) -> rows`: each row a mapping of column to value,
one for every method that was measured; it raises DataMissing with one sentence when its data is not here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from mnemic.cli.options import MOST, json_option
from mnemic.cli.printing import console, emit
from mnemic.errors import NotFound

BENCHMARKS = {
    "locomo": "Evidence recall on LoCoMo, beside BM25, MiniLM and rank fusion.",
    "documents": "Paragraph recall on XQuAD, questions that one paragraph of an encyclopedia answers.",
    "multihop": "Passage recall on MuSiQue, questions that need several passages.",
}


@click.command()
@click.argument("name", required=False)
@click.option("--limit", type=click.IntRange(1, MOST), metavar="N", help="Only the first N questions.")
@json_option
def bench(name: str | None, limit: int | None, as_json: bool) -> None:
    """List the benchmarks, or run the one called NAME and print a row for each method."""
    if name is None:
        rows: Sequence[Mapping[str, Any]] = [{"name": one, "measures": what} for one, what in BENCHMARKS.items()]
    else:
        rows = _run(name, limit)
    if as_json:
        emit(rows)
    else:
        _print(rows)


def _run(name: str, limit: int | None) -> Sequence[Mapping[str, Any]]:
    if name not in BENCHMARKS:
        close = get_close_matches(name, BENCHMARKS, 1)
        hint = f' Did you mean "{close[0]}"?' if close else ""
        raise NotFound(f'there is no benchmark "{name}": there are {", ".join(BENCHMARKS)}.{hint}')
    dotted = f"mnemic.bench.{name}"
    try:
        module = import_module(dotted)
    except ModuleNotFoundError as error:
        if error.name != dotted:
            raise
        raise NotFound(f'the benchmark "{name}" is planned and not built yet.') from None
    rows: Sequence[Mapping[str, Any]] = module.run(limit=limit)
    return rows


def _print(rows: Sequence[Mapping[str, Any]]) -> None:
    from rich.table import Table

    table = Table(*dict.fromkeys(column for row in rows for column in row))
    for row in rows:
        table.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()))
    console().print(table)
