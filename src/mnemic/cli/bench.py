"""`mnemic bench`: the benchmarks that ship with mnemic.

A benchmark is a module of mnemic.bench with `run(*, limit=None) -> rows`: each row a mapping of column to value, one
for every method that was measured; it raises DataMissing with one sentence when its data is not here. One that can
compare chosen methods at a budget also takes `methods`, `budget` and `seed`; its rows then have "tokens" and "bytes".
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mnemic.cli.options import MOST, json_option
from mnemic.cli.printing import console, emit
from mnemic.errors import InputError, MissingExtra, NotFound
from mnemic.meter import Budget, readable

if TYPE_CHECKING:
    from rich.table import Table

BENCHMARKS = {
    "locomo": "Evidence recall on LoCoMo, beside BM25, MiniLM and rank fusion.",
    "documents": "Paragraph recall on XQuAD, questions that one paragraph of an encyclopedia answers.",
    "multihop": "Passage recall on MuSiQue, questions that need several passages.",
    "revision": "Does recall still say what followed from facts that have changed? Generated worlds.",
    "attacks": "Instructions planted in memories: how many are obeyed, with the gate and without.",
    "writing": "What writers keep of a conversation: facts that are supported, junk, what is found again.",
    "halumem": "Where a memory goes wrong: extraction, update and answers scored apart. Generated lives.",
    "memory_agent_bench": "Four competencies: retrieval, learning, the whole of it, conflicts.",
    "streams": "Streams of tasks: does experience make the next one easier, at one memory budget?",
    "exploration": "Mazes played from memory: graph, history, summary, retrieval.",
    "cheatsheet": "A stream of puzzles with and without a memory that the model rewrites.",
    "tools": "Right calls of APIs whose documentation misleads; the paper's table from its recorded predictions.",
}
RESULTS = Path("results/bench")

Rows = Sequence[Mapping[str, Any]]


class NamedFirst(click.Group):
    """`mnemic bench locomo` is `mnemic bench run locomo`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            args = ["run", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=NamedFirst, invoke_without_command=True)
@json_option
@click.pass_context
def bench(context: click.Context, as_json: bool) -> None:
    """List the benchmarks, or run one: `mnemic bench run NAME`, or `mnemic bench NAME` for short."""
    if context.invoked_subcommand is None:
        _list(as_json)


@bench.command("list")
@json_option
def list_benchmarks(as_json: bool) -> None:
    """List the benchmarks and the methods that each can compare."""
    _list(as_json)


@bench.command("run")
@click.argument("name")
@click.option("--methods", metavar="A,B,...", help="Only these, with commas between; all of them otherwise.")
@click.option("--budget", metavar="AMOUNT", help='What every method may use, like "2000 tokens"; each has a default.')
@click.option("--limit", type=click.IntRange(1, MOST), metavar="N", help="Only the first N questions.")
@click.option("--seed", type=int, help="For what is generated.")
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS, show_default=True, help="For JSON and PNG.")
@json_option
def run_one(name: str, methods: str | None, budget: str | None, limit: int | None, seed: int | None, out: Path,
            as_json: bool) -> None:  # fmt: skip
    """Run the benchmark NAME and print a row for each method.

    Where tokens and bytes are measured, the rows and a picture of quality against both are written to --out.
    """
    module = _module(name)
    given = {
        "methods": _methods(methods, getattr(module, "METHODS", ())) if methods is not None else None,
        "budget": Budget.of(budget) if budget is not None else None,
        "seed": seed,
    }
    if "budget" in signature(module.run).parameters:
        _folder(out)  # before minutes of work
    rows = _run(module, name, limit, {option: value for option, value in given.items() if value is not None})
    files = (
        _written(name, rows, getattr(module, "QUALITY", ""), out) if rows and {"tokens", "bytes"} <= {*rows[0]} else []
    )
    if as_json:
        emit(rows)
        return
    _print(rows)
    for file in files:
        click.echo(str(file))


def _list(as_json: bool) -> None:
    rows = [{"name": one, "measures": what, "methods": _known(one)} for one, what in BENCHMARKS.items()]
    if as_json:
        emit(rows)
        return
    for row in rows:
        click.echo(f"{row['name']}: {row['measures']}")
        if row["methods"]:
            click.echo(f"    {'; '.join(row['methods'])}")


def _known(name: str) -> list[str]:
    """What --methods of a benchmark may name; nothing where it compares the same ones each time."""
    module = import_module(f"mnemic.bench.{name}")
    return list(module.METHODS) if "methods" in signature(module.run).parameters else []


def _module(name: str) -> Any:
    if name not in BENCHMARKS:
        close = get_close_matches(name, BENCHMARKS, 1)
        hint = f' Did you mean "{close[0]}"?' if close else ""
        raise NotFound(f'there is no benchmark "{name}": there are {", ".join(BENCHMARKS)}.{hint}')
    dotted = f"mnemic.bench.{name}"
    try:
        return import_module(dotted)
    except ModuleNotFoundError as error:
        if error.name != dotted:
            raise
        raise NotFound(f'the benchmark "{name}" is planned and not built yet.') from None


def _methods(given: str, known: Collection[str]) -> tuple[str, ...]:
    """Names with commas between; some names have one themselves."""
    words = [word.strip() for word in given.split(",")]
    if not all(words):
        raise InputError("--methods has an empty name: write --methods A,B, or leave it out for all of them.")
    names: list[str] = []
    while words:
        most = next((n for n in range(len(words), 1, -1) if ", ".join(words[:n]) in known), 1)
        names.append(", ".join(words[:most]))
        del words[:most]
    return tuple(names)


def _folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot hold the results ({error.strerror}): give --out another folder.") from None


def _run(module: Any, name: str, limit: int | None, given: Mapping[str, Any]) -> Rows:
    takes = signature(module.run).parameters
    for option in given:
        if option not in takes:
            raise InputError(f'the benchmark "{name}" has no --{option}: leave it out.')
    rows: Rows = module.run(limit=limit, **given)
    return [{name: _measured(value) for name, value in row.items()} for row in rows]


def _measured(value: Any) -> Any:
    """None for what could not be measured: JSON has no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _written(name: str, rows: Rows, quality: str, out: Path) -> list[Path]:
    """The files with the rows and their picture; what is missing to draw it is said and the rows are kept."""
    from mnemic.bench._picture import draw

    file = out / f"{name}.json"
    file.write_text(json.dumps([dict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    try:
        return [file, draw(rows, name, out / f"{name}.png", quality=quality)]
    except MissingExtra as error:
        click.echo(str(error), err=True)
        return [file]


def _print(rows: Rows) -> None:
    """A line for each method; where that is too wide for the terminal, a column for each, as many as fit."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    cells = [columns, *([_shown(column, row.get(column)) for column in columns] for row in rows)]
    if not _fits(cells) and len(columns) > 2:
        name, *methods = cells
        while methods:
            many = next((n for n in range(len(methods), 1, -1) if _fits(_turned([name, *methods[:n]]))), 1)
            console().print(_table(_turned([name, *methods[:many]])))
            del methods[:many]
    else:
        console().print(_table(cells))


def _turned(cells: Sequence[Sequence[str]]) -> list[list[str]]:
    return [list(line) for line in zip(*cells, strict=True)]


def _fits(cells: Sequence[Sequence[str]]) -> bool:
    out = console()
    unbroken = out.options.update(width=10**6)  # what it would take, not what it is squeezed into
    return bool(out.measure(_table(cells), options=unbroken).maximum <= out.width)


def _table(cells: Sequence[Sequence[str]]) -> Table:
    from rich.table import Table

    head, *lines = cells
    table = Table(*head)
    for line in lines:
        table.add_row(*line)
    return table


def _shown(column: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {count}" for name, count in value.items())
    if column in ("tokens", "bytes") and isinstance(value, int | float):
        return readable(value, "bytes") if column == "bytes" else f"{value:,.0f}"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
