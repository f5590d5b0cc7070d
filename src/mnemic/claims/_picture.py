"""The one picture of every comparison: quality up, memory to the right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnemic.claims._table import verdict
from mnemic.errors import MissingExtra
from mnemic.meter import readable

if TYPE_CHECKING:
    from mnemic.claims._run import Result

_WIDE = 20  # from this ratio between most and least on, memory is drawn in powers of ten
_MANY = 6  # from so many arms on, names beside the marks would lie on each other: they go into a legend


def picture(result: Result, file: Path) -> Path:
    """Draw a result as PNG: one mark per arm, with the spread over its seeds; returns the file."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingExtra("the picture of a claim", "plot") from None
    claim = result.claim
    many = len(claim.names) >= _MANY
    figure = Figure(figsize=(9.5 if many else 7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)  # draws without a screen and leaves pyplot's global state alone
    axes = figure.add_subplot()
    for place, name in enumerate(claim.names):
        _mark(axes, result, name, place if many else None)
    _axes(axes, result)
    if many:
        figure.legend(loc="outside right upper", fontsize=9)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=150, metadata={"Software": "mnemic"})
    return file


def _mark(axes: Any, result: Result, name: str, place: int | None) -> None:
    """One arm: named beside its mark, or told apart by the colour of its place in the legend."""
    claim = result.claim
    arm, ours = claim.arm(name), claim.arm().name == name
    amounts = [point.used.amount for point in claim.points if point.name == name]
    across = [[arm.used.amount - min(amounts)], [max(amounts) - arm.used.amount]]
    colour = ("C3" if ours else "C0") if place is None else f"C{place % 10}"
    mark = "*" if ours else "osD^v"[(place or 0) // 10 % 5]
    axes.errorbar(
        [arm.used.amount], [arm.quality], yerr=arm.spread or None, xerr=across if len(amounts) > 1 else None,
        fmt=mark, markersize=14 if ours else 7, capsize=3, color=colour, label=None if place is None else name,
    )  # fmt: skip
    if place is None:
        axes.annotate(name, (arm.used.amount, arm.quality), xytext=(8, 6), textcoords="offset points", fontsize=9)


def _axes(axes: Any, result: Result) -> None:
    claim = result.claim
    unit = claim.arm().used.unit
    amounts = [claim.arm(name).used.amount for name in claim.names]
    if min(amounts) > 0 and max(amounts) / min(amounts) >= _WIDE:
        axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda amount, _: readable(amount, unit))
    axes.margins(0.18)  # room for the names
    axes.set_xlabel("memory" if unit == "bytes" else unit)
    axes.set_ylabel(claim.quality)
    if claim.lower:
        axes.invert_yaxis()  # up is better, always
    axes.grid(alpha=0.3)
    seeds = f"{len(result.seeds)} seeds" if len(result.seeds) > 1 else f"seed {result.seeds[0]}"
    axes.set_title(f"{result.slug}, {result.scale}, {seeds}: {verdict(result)}", fontsize=10)
