"""Methods side by side: quality up, the tokens they read and the bytes they keep to the right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mnemic.errors import MissingExtra
from mnemic.meter import readable

_WIDE = 20  # from this ratio between most and least on, powers of ten


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
    for place, row in enumerate(rows):
        for panel, unit in zip(axes, ("tokens", "bytes"), strict=True):
            mark = "osD^v"[place // 10 % 5]
            panel.plot(row[unit], row[quality], mark, color=f"C{place % 10}", label=row["method"], markersize=8)
    for panel, unit in zip(axes, ("tokens", "bytes"), strict=True):
        _axis(panel, unit, [float(row[unit]) for row in rows])
    axes[0].set_ylabel(quality)
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right upper", fontsize=9)
    figure.suptitle(title, fontsize=10)
    figure.savefig(file, dpi=150, metadata={"Software": "mnemic"})
    return file


def _is_quality(name: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    values = [row.get(name) for row in rows]
    return name not in ("tokens", "bytes") and all(isinstance(value, float) and 0 <= value <= 1 for value in values)


def _axis(panel: Any, unit: Any, amounts: Sequence[float]) -> None:
    if min(amounts) > 0 and max(amounts) / min(amounts) >= _WIDE:
        panel.set_xscale("log")
    panel.xaxis.set_major_formatter(lambda amount, _: readable(amount, unit))
    panel.set_xlabel("prompt tokens" if unit == "tokens" else "memory")
    panel.margins(0.15)
    panel.grid(alpha=0.3)
