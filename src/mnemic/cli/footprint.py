"""`mnemic footprint`: what a training step takes, before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mnemic.cli.options import key_value
from mnemic.cli.printing import console, emit
from mnemic.errors import InputError, MissingExtra
from mnemic.meter import Budget, readable

if TYPE_CHECKING:
    from mnemic.bench.step_bytes import Row

PICTURE = Path("footprint.png")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--method", default="lst", show_default=True, help="A system of level footprint: lst, unipt, s2a, ...")
@click.option("--batch", default="32x128", show_default=True, help="Texts x tokens, or images x pixels a side.")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="An option of the method: reduction=8.")
@click.option("--budget", metavar="AMOUNT", help='Take the largest size of the method that fits: "200 MB".')
@click.option("--classes", type=click.IntRange(1), default=2, show_default=True, help="Of the head of a bare encoder.")
@click.option("--modules", type=click.IntRange(0), default=0, metavar="N", help="Also the N modules that keep most.")
@click.option("--device", default="cpu", show_default=True, help="Where the step is measured: cpu, cuda.")
@click.option("--out", type=click.Path(path_type=Path), default=PICTURE, show_default=True, help="The picture.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def footprint(
    folder: Path, method: str, batch: str, pairs: tuple[str, ...], budget: str | None, classes: int, modules: int,
    device: str, out: Path, as_json: bool,
) -> None:  # fmt: skip
    """Show what a training step of the model in FOLDER keeps, with METHOD, LoRA and full fine-tuning.

    FOLDER needs a config.json of Hugging Face; weights are not read, and nothing is trained: each method makes one
    step on a batch of that shape, and its bytes are counted.
    """
    rows = _measured(folder, method, batch, pairs, budget, classes, device)
    files = _drawn(rows, f"{folder.resolve().name}, one step on {batch}", out)
    if as_json:
        emit({"rows": [_plain(row) for row in rows], "picture": files})
    else:
        _print(rows, modules)
        for file in files:
            click.echo(file)
    if rows[0].used is None:
        raise InputError(rows[0].refused)


def _measured(
    folder: Path, method: str, batch: str, pairs: tuple[str, ...], budget: str | None, classes: int, device: str
) -> list[Row]:  # fmt: skip
    try:
        from mnemic.bench.step_bytes import Shape, steps
    except ModuleNotFoundError:
        raise MissingExtra("measuring a training step", "torch") from None
    options = dict(key_value(pair, "--set") for pair in pairs)
    allowed = None if budget is None else Budget.of(budget)
    measuring = steps(folder, method, Shape.of(batch), options=options, budget=allowed, classes=classes, device=device)
    rows: list[Row] = []
    with console(err=True).status(f"measuring {method}, LoRA, full fine-tuning") as status:
        for row in measuring:
            rows.append(row)
            status.update(f"{row.method} is measured")
    return rows


def _print(rows: list[Row], modules: int) -> None:
    from rich.table import Table

    parts = ("weights", "gradients", "optimizer", "saved")
    largest = max((row.used.amount for row in rows if row.used), default=1)
    table = Table("method", *parts, "together", "ratio")
    for row in rows:
        if row.used is None:
            table.add_row(row.method, *[""] * 4, "not on this model", "")
            continue
        sizes = [readable(row.used.parts[part], "bytes") for part in parts]
        table.add_row(row.method, *sizes, str(row.used), f"{row.used.amount / largest:.2f} x")
    console().print(table)
    chosen = ", ".join(f"{name}={value}" for name, value in rows[0].options.items())
    if chosen:
        click.echo(f"{rows[0].method}: {chosen}")
    for row in rows[1:]:
        if row.refused:
            click.echo(f"{row.method}: {row.refused}")
    if modules and rows[0].used:
        _print_modules(rows[0].used.modules, modules)


def _print_modules(kept: dict[str, dict[str, int]], most: int) -> None:
    """The modules that keep most beside their weights."""
    from rich.table import Table

    heaviest = sorted(kept, key=lambda name: kept[name]["weights"] - sum(kept[name].values()))[:most]
    table = Table("module", "gradients", "optimizer", "saved")
    for name in heaviest:
        sizes = (readable(kept[name][part], "bytes") for part in ("gradients", "optimizer", "saved"))
        table.add_row(name or "(outside of all)", *sizes)
    console().print(table)


def _plain(row: Row) -> dict[str, Any]:
    used = row.used
    return {
        "method": row.method, "options": dict(row.options), "refused": row.refused,
        "bytes": used and used.amount, "parts": used and used.parts, "modules": used and used.modules,
    }  # fmt: skip


def _drawn(rows: list[Row], title: str, out: Path) -> list[str]:
    """The picture, or a line on stderr about what is missing to draw it: the numbers must not be lost for that."""
    from mnemic.bench._step_picture import draw

    if not any(row.used for row in rows):
        return []
    try:
        return [str(draw(rows, title, out))]
    except MissingExtra as error:
        click.echo(str(error), err=True)
    except OSError as error:
        click.echo(f"the picture could not be written: {error}", err=True)
    return []
