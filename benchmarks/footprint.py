"""Tuning in few bytes, side by side: the systems of level footprint beside full fine-tuning, PEFT and probes.

python benchmarks/footprint.py                        MiniLM on TREC, EfficientNet-Lite0 on sign digits; 3 seeds
python benchmarks/footprint.py --tasks trec,sst2,sign_digits,cifar10
python benchmarks/footprint.py --only LoRA,"full" --seeds 1 --epochs 2
python benchmarks/footprint.py --json

All arms of a task share backbone, data, batch, steps and schedule. Each has its own learning rate: the one that the
arm's claim found on other questions, or for arms without a claim a usual one; `--search` prints the accuracy of four
rates around it on a seed that is not reported. Columns: accuracy (mean and spread over the seeds), trainable
parameters, bytes saved for backward and all that one step keeps (mnemic.meter, a fixed batch of 32 texts of 32 tokens,
or of 32 images), the peak of a fresh process that makes three steps, and the median time of a step as a ratio to full
fine-tuning, measured in turns in one process. A picture per task, quality up and bytes to the right, is written to
results/footprint/.

Without the text data there are only images: scikit-learn's digits where there is no data folder.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mnemic import catalog, data
from mnemic.cli.progress import track
from mnemic.errors import DataMissing, InputError, MissingExtra
from mnemic.meter import peak_of, readable

TASKS = ("trec", "sign_digits")
BATCH, TOKENS, PIXELS = 32, 32, 96
BN_MOMENTUM = 0.1  # torch's own; with EfficientNet's .01 the statistics lag far behind a hundred steps of training
PICTURES = Path("results/footprint")


@dataclass(frozen=True)
class Arm:
    """One way of tuning: how the model is made, and its learning rate."""

    make: Callable[[Any, int], Any]  # (backbone, classes) -> module
    lr: float


def checkpointed(make: Callable[[Any, int], Any]) -> Callable[[Any, int], Any]:
    """The same, with every layer's activations made again in the backward pass."""

    def made(backbone: Any, classes: int) -> Any:
        model = make(backbone, classes)
        if hasattr(backbone, "gradient_checkpointing_enable"):
            backbone.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        else:
            for block in backbone.blocks:
                _checkpoint(block)
        return model

    return made


def _checkpoint(block: Any) -> None:
    """A block that keeps its input alone. Batch norm sees every batch twice: its momentum counts double."""
    from torch.utils.checkpoint import checkpoint

    forward = block.forward
    block.forward = lambda x: checkpoint(forward, x, use_reentrant=False)


def text_arms() -> Mapping[str, Arm]:
    """Arms on an encoder, the trivial one first."""
    from mnemic.bench import baselines

    arms = {
        "linear probe": Arm(baselines.Probe, 1e-2),
        "all-layer probe": Arm(lambda b, c: baselines.Probe(b, c, layers="all"), 3e-2),
        "full": Arm(baselines.full, 2e-4),
        "full + checkpoints": Arm(checkpointed(baselines.full), 2e-4),
        "BitFit": Arm(baselines.bitfit, 3e-3),
        "LoRA": Arm(baselines.lora, 3e-3),
        "LoRA + checkpoints": Arm(checkpointed(baselines.lora), 3e-3),
        "IA3": Arm(baselines.ia3, 1e-2),
    }
    return arms | _systems({
        "LST r=8": ("lst", {"reduction": 8}, 3e-3),
        "LST r=4": ("lst", {"reduction": 4}, 3e-3),
        "UniPT": ("unipt", {}, 1e-3),
        "S2A": ("s2a", {}, 3e-3),
        "VQT": ("vqt", {"pool": "mean"}, 1e-1),
        "Greenformers": ("greenformers", {}, 3e-4),
    })  # fmt: skip


def image_arms() -> Mapping[str, Arm]:
    """Arms on a convolutional network."""
    from mnemic.bench import baselines

    pointwise = ["pw1", "pw2"]
    arms = {
        "linear probe": Arm(baselines.Probe, 1e-2),
        "all-layer probe": Arm(lambda b, c: baselines.Probe(b, c, layers="all"), 1e-2),
        "full": Arm(baselines.full, 1e-3),
        "full + checkpoints": Arm(checkpointed(baselines.full), 1e-3),
        "BitFit": Arm(baselines.bitfit, 3e-3),
        "LoRA": Arm(lambda b, c: baselines.lora(b, c, targets=pointwise), 3e-3),
        "IA3": Arm(lambda b, c: baselines.ia3(b, c, targets=pointwise, feedforward=pointwise), 1e-2),
    }
    return arms | _systems({
        "MobileTL k=3": ("mobiletl", {"top_blocks": 3}, 1e-3),
        "UniPT": ("unipt", {}, 1e-3),
        "S2A": ("s2a", {}, 3e-3),
        "Greenformers": ("greenformers", {"train_backbone": True}, 3e-3),  # norms keep no statistics of other layers
    })  # fmt: skip


def _systems(rows: Mapping[str, tuple[str, Mapping[str, Any], float]]) -> dict[str, Arm]:
    """Arms of those systems that are built."""

    def make(slug: str, options: Mapping[str, Any]) -> Callable[[Any, int], Any]:
        return lambda backbone, classes: catalog.load(slug)(backbone, classes=classes, **options)

    return {name: Arm(make(slug, options), lr) for name, (slug, options, lr) in rows.items() if slug in catalog.ready()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", help="trec, sst2, sign_digits, cifar10, digits, with commas between")
    parser.add_argument("--only", help="arms, with commas between")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--train", type=int, default=1024, help="training sentences; images are 40 a class")
    parser.add_argument("--rounds", type=int, default=7, help="of timed steps")
    parser.add_argument("--search", action="store_true", help="print the accuracy of four learning rates, on seed 9")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    only = set(given.only.split(",")) if given.only else None
    try:
        names = given.tasks.split(",") if given.tasks else _there()
        found = {name: measured(name, only, given) for name in names}
    except (DataMissing, MissingExtra, InputError) as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(json.dumps(found, indent=1)) if given.json else show(found)
    return 0


def _there() -> Sequence[str]:
    """The tasks that this machine has the data of."""
    found = []
    for name, part in (("trec", "train"), ("sign_digits", "images")):
        try:
            data.path(name, part)
            found.append(name)
        except DataMissing:
            continue
    return found or ("digits",)


def measured(task: str, only: set[str] | None, given: argparse.Namespace) -> list[dict[str, Any]]:
    """All arms of a task."""
    arms = {name: arm for name, arm in arms_of(task).items() if only is None or name in only}
    if not arms:
        raise InputError(f"no arm is called that: {task} has {', '.join(arms_of(task))}.")
    rows = []
    with track(task, unit="run", quiet=given.json) as moved:
        for n, name in enumerate(arms):
            rows.append(searched(task, name, given) if given.search else row(task, name, given))
            moved(n + 1, len(arms))
    if given.search:
        return rows
    for one, ratio in zip(rows, step_ratios(task, list(arms), given.rounds), strict=True):
        one["step_ratio"] = ratio
    return rows


def arms_of(task: str) -> Mapping[str, Arm]:
    return text_arms() if task in ("trec", "sst2") else image_arms()


def searched(task: str, name: str, given: argparse.Namespace) -> dict[str, Any]:
    """Accuracy at four learning rates around the one in use."""
    lr = arms_of(task)[name].lr
    rates = [lr * factor for factor in (1 / 10, 1 / 3, 1, 3)]
    return {"arm": name} | {f"{rate:.0e}": trained(task, name, 9, rate, given)[0] for rate in rates}


def row(task: str, name: str, given: argparse.Namespace) -> dict[str, Any]:
    from mnemic.meter import training_bytes

    lr = arms_of(task)[name].lr
    runs = [trained(task, name, seed, lr, given) for seed in range(given.seeds)]
    accuracies = [accuracy for accuracy, _ in runs]
    model = made(task, name, 0)
    used = training_bytes(model.train(), fixed_batch(task))
    return {
        "arm": name, "lr": lr, "accuracy": statistics.fmean(accuracies),
        "spread": statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        "trainable": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "saved": used.parts["saved"], "step_bytes": used.amount,
        "peak": peak_of(three_steps, task, name).used.amount, "train_s": statistics.median(s for _, s in runs),
    }  # fmt: skip


def the_task(task: str, seed: int, train: int) -> Any:
    from mnemic.bench.transfer import image_task, text_task

    return (
        text_task(task, train=train, seed=seed)
        if task in ("trec", "sst2")
        else image_task(task, size=PIXELS, seed=seed)
    )


def made(task: str, name: str, seed: int) -> Any:
    """The arm on a fresh backbone, its own part drawn with the seed."""
    import torch

    from mnemic.bench.transfer import CLASSES, minilm
    from mnemic.nets.efficientnet import efficientnet_lite0

    backbone = minilm() if task in ("trec", "sst2") else efficientnet_lite0()
    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = BN_MOMENTUM
    torch.manual_seed(seed)
    return arms_of(task)[name].make(backbone, CLASSES[task])


def trained(task: str, name: str, seed: int, lr: float, given: argparse.Namespace) -> tuple[float, float]:
    """(accuracy on the test part, seconds of training)."""
    from mnemic.bench.transfer import Recipe, correct, fit

    model, examples = made(task, name, seed), the_task(task, seed, given.train)
    start = time.perf_counter()
    fit(model, examples, Recipe(epochs=given.epochs, batch=BATCH, lr=lr), seed)
    return statistics.fmean(correct(model, examples)), time.perf_counter() - start


def fixed_batch(task: str) -> dict[str, Any]:
    """32 texts of 32 tokens, or 32 images."""
    import torch

    from mnemic.bench.transfer import CLASSES

    own = torch.Generator().manual_seed(0)
    labels = torch.randint(0, CLASSES[task], (BATCH,), generator=own)
    if task not in ("trec", "sst2"):
        return {"pixel_values": torch.randn(BATCH, 3, PIXELS, PIXELS, generator=own), "labels": labels}
    ids = torch.randint(1000, 20000, (BATCH, TOKENS), generator=own)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}


def three_steps(task: str, name: str) -> float:
    """What a fresh process does when its peak is measured."""
    model, batch = made(task, name, 0).train(), fixed_batch(task)
    return stepped(model, batch, 3)[-1]


def stepped(model: Any, batch: Mapping[str, Any], steps: int) -> list[float]:
    """Seconds of each step: forward, backward, AdamW."""
    import torch

    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-5)
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        model(**batch)["loss"].backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    return seconds


def step_ratios(task: str, names: Sequence[str], rounds: int) -> list[float]:
    """Median over the rounds of each arm's step, as a share of full fine-tuning's step of the same round."""
    batch = fixed_batch(task)
    models = {name: made(task, name, 0).train() for name in dict.fromkeys([*names, "full"])}
    for model in models.values():
        stepped(model, batch, 1)
    found: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(rounds):  # in turns: what else the machine does meets all of them
        seconds = {name: stepped(model, batch, 1)[0] for name, model in models.items()}
        for name in models:
            found[name].append(seconds[name] / seconds["full"])
    return [statistics.median(found[name]) for name in names]


def show(found: Mapping[str, list[dict[str, Any]]]) -> None:
    console = Console()
    for task, rows in found.items():
        if "accuracy" not in rows[0]:
            table = Table("arm", *(key for key in rows[0] if key != "arm"), title=task)
            for one in rows:
                table.add_row(one["arm"], *(f"{value:.3f}" for key, value in one.items() if key != "arm"))
            console.print(table)
            continue
        table = Table("arm", "accuracy", "trainable", "saved", "a step keeps", "process peak", "step time", title=task)
        for one in rows:
            spread = f" ± {one['spread']:.3f}" if one["spread"] is not None else ""
            table.add_row(one["arm"], f"{one['accuracy']:.3f}{spread}", f"{one['trainable']:,}",
                          *(readable(one[key], "bytes") for key in ("saved", "step_bytes", "peak")),
                          f"{one['step_ratio']:.2f} x")  # fmt: skip
        console.print(table)
        console.print(str(drawn(task, rows)))


def drawn(task: str, rows: Sequence[Mapping[str, Any]]) -> Path | str:
    """The frontier: accuracy up, saved bytes to the right; arms that nothing beats in both are joined."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return str(MissingExtra("the picture", "plot"))
    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for one in rows:
        ours = one["arm"].split()[0] in ("LST", "UniPT", "S2A", "VQT", "MobileTL", "Greenformers")
        axes.errorbar([one["saved"]], [one["accuracy"]], yerr=one["spread"], fmt="*" if ours else "o", capsize=3,
                      markersize=12 if ours else 6, color="C3" if ours else "C0")  # fmt: skip
        axes.annotate(
            one["arm"], (one["saved"], one["accuracy"]), xytext=(6, 5), textcoords="offset points", fontsize=8
        )
    front = frontier(rows)
    axes.plot([one["saved"] for one in front], [one["accuracy"] for one in front], color="C7", lw=1, zorder=0)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda amount, _: readable(amount, "bytes"))
    axes.margins(0.12)
    axes.set_xlabel("saved for backward, one step")
    axes.set_ylabel(f"accuracy, {task}")
    axes.grid(alpha=0.3)
    PICTURES.mkdir(parents=True, exist_ok=True)
    file = PICTURES / f"{task}.png"
    figure.savefig(file, dpi=150, metadata={"Software": "mnemic"})
    return file


def frontier(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Arms that no other beats with fewer bytes, from few bytes to many."""
    best: list[Mapping[str, Any]] = []
    for one in sorted(rows, key=lambda one: (one["saved"], -one["accuracy"])):
        if not best or one["accuracy"] > best[-1]["accuracy"]:
            best.append(one)
    return best


if __name__ == "__main__":
    sys.exit(main())
