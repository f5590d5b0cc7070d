"""Many tasks on one backbone: their queries go through each layer side by side in one pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mnemic.errors import InputError
from mnemic.footprint.vqt.streams import read

if TYPE_CHECKING:
    from mnemic.footprint.vqt import VQT


class MultiTaskVQT(nn.Module):
    """The logits of several tasks from one pass of the backbone that they share.

    Queries see tokens and never each other, so the rows of all tasks are one longer set of queries: the logits are
    those of the models apart.
    """

    def __init__(self, tasks: Mapping[str, VQT]) -> None:
        super().__init__()
        if not tasks:
            raise InputError("there is no task: give at least one VQT, as {name: model}.")
        first = next(iter(tasks.values()))
        for name, task in tasks.items():
            if task.backbone is not first.backbone:
                raise InputError(f'"{name}" stands on another backbone than the rest: build all on the same object.')
            if task.keep == "graph" and task.options["adapted"]:
                raise InputError(f'"{name}" adapts its backbone, so that it cannot be shared: serve it by itself.')
        self.tasks = nn.ModuleDict(tasks)
        self.eval()

    @torch.no_grad()
    def forward(self, *inputs: Any, **batch: Any) -> dict[str, Tensor]:
        """A batch without labels -> name of a task -> its logits [b classes]."""
        tasks: dict[str, VQT] = dict(self.tasks.items())  # type: ignore[arg-type]
        first = next(iter(tasks.values()))
        rows: dict[int, list[Tensor]] = {}
        for task in tasks.values():
            for place, queries in zip(task.places, task.queries, strict=True):
                rows.setdefault(place, []).append(queries)
        together = {place: torch.cat(rows[place]) for place in sorted(rows)}  # place -> [sum of q, d]
        reading = read(first.backbone, first.stack, together, first.as_batch(inputs, batch), keep="nothing")
        parts = {
            place: iter(torch.split(reading.states[place], [len(each) for each in own], dim=1))
            for place, own in rows.items()
        }
        return {
            name: task.logits(reading.result, [next(parts[place]) for place in task.places], reading.visible)
            for name, task in tasks.items()
        }
