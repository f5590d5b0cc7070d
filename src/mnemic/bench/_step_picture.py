"""A bar per method, made of what its training step keeps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mnemic.bench.step_bytes import Row
from mnemic.errors import MissingExtra
from mnemic.meter import readable

_COLOURS = {"weights": "C7", "gradients": "C1", "optimizer": "C2", "saved": "C0"}


def draw(rows: Sequence[Row], title: str, file: Path) -> Path:
    """Draw the steps as PNG, the largest at the bottom; returns the file."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingExtra("the picture of a training step", "plot") from None
    measured = [(row.method, row.used) for row in rows if row.used is not None]
    figure = Figure(figsize=(7, 1.2 + 0.7 * len(measured)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for place, (_, used) in enumerate(measured):
        left = 0
        for part, colour in _COLOURS.items():
            label = part if place == 0 else None
            axes.barh(place, used.parts[part], left=left, color=colour, label=label, height=0.6)
            left += used.parts[part]
        axes.annotate(f" {used}", (left, place), va="center", fontsize=9)
    axes.set_yticks(range(len(measured)), [name for name, _ in measured])
    axes.invert_yaxis()
    axes.margins(x=0.15)  # room for the sums
    axes.xaxis.set_major_formatter(lambda amount, _: readable(amount, "bytes"))
    axes.set_title(title, fontsize=10)
    axes.legend(fontsize=8, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.12), frameon=False)
    figure.savefig(file, dpi=150, metadata={"Software": "mnemic"})
    return file
