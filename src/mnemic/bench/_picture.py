"""Methods side by side: quality up, the tokens they read and the bytes they keep to the right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mnemic.errors import MissingExtra
from mnemic.meter import readable

_WIDE = 20  # from this ratio between most and least on, powers of ten
_TICKS = 4  # that still stand apart with "100.0 kB" below each
_LEAST = 0.2  # of quality from bottom to top: a hundredth must not look like a world
_SIZE, _RING = 8, 5  # of a mark, and what it grows by where others lie on it


def draw(rows: Sequence[Mapping[str, Any]], title: str, file: Path, *, quality: str = "") -> Path:
    """Draw the rows of a benchmark as PNG; returns the file.

    rows      each with "method", "tokens", "bytes" and columns of quality from 0 to 1
    quality   the column that is drawn; the first one that all rows have otherwise
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingExtra("the picture of a benchmark", "plot") from None
    quality = quality or next(name for name in rows[0] if _is_quality(name, rows))
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2, sharey=True)
    for panel, unit in zip(axes, ("tokens", "bytes"), strict=True):
        at = [(float(row[unit]), float(row[quality])) for row in rows]
        for place, (row, size) in enumerate(zip(rows, _sizes(at), strict=True)):
            mark = "osD^v"[place // 10 % 5]
            panel.plot(*at[place], mark, color=f"C{place % 10}", label=row["method"], markersize=size)
        _axis(panel, unit, [amount for amount, _ in at])
    axes[0].set_ylabel(quality)
    low, high = axes[0].get_ylim()
    if high - low < _LEAST:
        axes[0].set_ylim((low + high - _LEAST) / 2, (low + high + _LEAST) / 2)
    handles, names = axes[0].get_legend_handles_labels()
    legend = figure.legend(handles, names, loc="outside right upper", fontsize=9)
    marks: list[Any] = legend.legend_handles
    for handle in marks:
        handle.set_markersize(_SIZE)
    figure.suptitle(title, fontsize=10)
    figure.savefig(file, dpi=150, metadata={"Software": "mnemic"})
    return file


def _sizes(at: Sequence[tuple[float, float]]) -> list[float]:
    """Sizes of marks: one that others are drawn upon stands out as a ring around them."""
    across = max(max(amount for amount, _ in at) - min(amount for amount, _ in at), 1e-9)

    def same(one: tuple[float, float], other: tuple[float, float]) -> bool:
        return abs(one[0] - other[0]) < across / 50 and abs(one[1] - other[1]) < 0.01

    return [_SIZE + _RING * sum(same(at[place], later) for later in at[place + 1 :]) for place in range(len(at))]


def _is_quality(name: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    values = [row.get(name) for row in rows]
    return name not in ("tokens", "bytes") and all(isinstance(value, float) and 0 <= value <= 1 for value in values)


def _axis(panel: Any, unit: Any, amounts: Sequence[float]) -> None:
    if min(amounts) > 0 and max(amounts) / min(amounts) >= _WIDE:
        panel.set_xscale("log")
    else:
        panel.locator_params(axis="x", nbins=_TICKS)
    panel.xaxis.set_major_formatter(lambda amount, _: f"{amount:,.0f}" if unit == "tokens" else readable(amount, unit))
    panel.set_xlabel("prompt tokens" if unit == "tokens" else "memory")
    panel.margins(0.15)
    panel.grid(alpha=0.3)
