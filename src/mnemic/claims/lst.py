"""LST: a side network fed by a frozen backbone reaches LoRA's accuracy in a fraction of the bytes it saves.

MiniLM on 1,024 questions of TREC (mnemic.bench.transfer). The control puts noise of the same mean and spread in the
place of what the backbone's layers computed: the side network then has the embeddings alone.

The frozen backbone is deterministic, so its states are computed once for each question and replayed while arms that
leave it as it is are trained and tested; bytes are measured without that, on a step on 32 texts of 32 tokens. The
learning rates of LST and LoRA are the best of three on 500 questions that are neither trained on nor tested
(docs/systems/lst.md). At scale "smoke" a small encoder that was trained on a table of word pairs is transferred to
another labelling of them; nothing is loaded. At scale "full" as many questions of TREC and sentences of SST-2 are
trained on as there are, for longer, on MiniLM too: T5 on GLUE, the paper's setting, is no data set of mnemic.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mnemic.bench import baselines
from mnemic.bench.transfer import Batch, Recipe, Task, correct, fit, minilm, text_task
from mnemic.claims import Check, Claim, Point, Scale, Verdict, better, measured, uses_at_most, within
from mnemic.footprint._stacks import only_stack
from mnemic.footprint.lst import Ladder
from mnemic.meter import training_bytes

SEEDS = (0, 1, 2)
OURS, RANDOM, MAGNITUDE, HALF = "LST r=8", "LST r=8, random start", "LST r=8, by magnitude", "LST r=8, half the layers"
PROBE, ALL, LORA, FULL = "probe", "all-layer probe", "LoRA", "full"


@dataclass(frozen=True)
class Size:
    """How much is trained.

    train     questions
    epochs    of the arms that leave the backbone as it is; LoRA and full fine-tuning take fewer
    samples   for the Fisher information
    """

    tasks: tuple[str, ...]
    train: int
    epochs: int
    lora_epochs: int
    full_epochs: int
    samples: int
    bars: bool = True


SIZES: Mapping[Scale, Size] = {
    "smoke": Size(("pairs",), 256, 12, 12, 2, 32, bars=False),
    "laptop": Size(("trec",), 1024, 10, 5, 2, 128),
    "full": Size(("trec", "sst2"), 5000, 20, 10, 5, 1024),
}
# On other questions, of seed 0: the best of 1e-3, 3e-3, 1e-2 (LST) and of 5e-4, 1e-3, 3e-3 (LoRA); the probes' and full
# fine-tuning's are those that vqt's claim found on this task.
LR = {PROBE: 1e-2, ALL: 3e-2, LORA: 3e-3, FULL: 2e-4}
LR_LST = 3e-3


def run(scale: Scale, seed: int, *, sabotage: bool = False) -> Claim:
    """All arms on one draw of the questions."""
    size = SIZES[scale]
    trials = [Trial.of(name, size, seed, noise=sabotage) for name in size.tasks]
    for trial in trials:
        train(trial)
    points = [point for trial in trials for point in trial.points]
    holds: list[Check | Verdict] = []
    for trial in trials:
        ours, lora, full = (trial.prefix + name for name in (OURS, LORA, FULL))
        holds += [
            uses_at_most(ours, 0.35, of=full, part="saved"),
            uses_at_most(ours, 0.5, of=lora, part="saved"),
            within(ours, of=lora, by=0.015 if size.bars else 0.1),
            measured(f"{trial.prefix}nothing is saved inside the backbone's layers", trial.inside == 0),
        ]
    if size.bars:
        holds.append(better(trials[0].prefix + OURS, than=trials[0].prefix + PROBE, by=0.03))
    return Claim(
        says="a side network of an eighth of the width reaches LoRA's accuracy at half of its saved bytes or less",
        points=points,
        holds=holds,
        quality="accuracy",
        baseline=trials[0].prefix + LORA,
        method=trials[0].prefix + OURS,
        setting="paper: T5-base on GLUE, average of 8 tasks (full 85.2, LoRA 85.3, LST 84.1; 17.6, 12.6 and 5.5 GB); "
        "here MiniLM, 6 layers x 384, on 1,024 questions of TREC",
    )


@dataclass
class Trial:
    """One task with one seed: every arm starts from the same backbone and sees the same batches.

    fixed    the batch that bytes are measured on
    replay   the backbone's states
    prefix   what the names of the arms begin with, where there are several tasks
    inside   bytes that a step of LST saves inside the layers of the backbone
    """

    task: Task
    backbone: Callable[[], nn.Module]
    fixed: Batch
    size: Size
    seed: int
    replay: Replay
    prefix: str = ""
    points: list[Point] = field(default_factory=list)
    inside: int = -1

    @classmethod
    def of(cls, name: str, size: Size, seed: int, *, noise: bool) -> Trial:
        """The task of that name; with noise, side networks are fed with that instead of the backbone's states."""
        small = name == "pairs"
        task = pairs(size.train, seed) if small else text_task(name, train=size.train, seed=seed)
        make: Callable[[], nn.Module] = knows_pairs if small else minilm
        top = 30 if small else 30_000
        ids = torch.randint(4, top, (32, 32), generator=torch.Generator().manual_seed(0))
        mask, labels = torch.ones_like(ids), torch.arange(32) % task.classes
        fixed = {"input_ids": ids, "attention_mask": mask, "labels": labels}
        prefix = f"{name}: " if len(size.tasks) > 1 else ""
        return cls(task, make, fixed, size, seed, Replay(copy.deepcopy(make()), task, noise=noise, seed=seed), prefix)

    def arm(self, name: str, make: Callable[[nn.Module], nn.Module], lr: float, epochs: int, *, tuned: bool = False
            ) -> None:  # fmt: skip
        """Measure a step; train and test, a backbone that stays as it is from its replayed states."""
        backbone = copy.deepcopy(self.backbone())
        torch.manual_seed(self.seed)
        model = make(backbone).train()
        used = training_bytes(model, self.fixed)
        if isinstance(model, Ladder):
            stack = only_stack(backbone).name
            self.inside = max(self.inside, used.under(f"backbone.{stack}")["saved"])
        if not tuned:
            self.replay.into(backbone, noise=isinstance(model, Ladder))
        start = time.perf_counter()
        fit(model, self.task, Recipe(epochs=epochs, lr=lr), self.seed)
        trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        extra = {
            "train_s": time.perf_counter() - start,
            "saved_MB": used.parts["saved"] / 1e6,
            "trained_k": trained / 1e3,
        }
        each = correct(model, self.task)
        self.points.append(Point(self.prefix + name, used, float(np.mean(each)), self.seed, extra, each))

    def ladder(self, name: str, *, fisher: bool = False, **options: Any) -> None:
        """LST with a head on the mean of the tokens."""
        data = self.task.batches(32, self.seed) if fisher else None

        def make(backbone: nn.Module) -> Ladder:
            return Ladder(backbone, classes=self.task.classes, data=data, samples=self.size.samples, **options)

        self.arm(name, make, LR_LST, self.size.epochs)


def train(trial: Trial) -> None:
    """All arms; they differ in what is trained and in nothing else."""
    size, classes = trial.size, trial.task.classes
    trial.arm(PROBE, lambda model: baselines.Probe(model, classes), LR[PROBE], size.epochs)
    trial.arm(ALL, lambda model: baselines.Probe(model, classes, layers="all"), LR[ALL], size.epochs)
    trial.arm(FULL, lambda model: baselines.full(model, classes), LR[FULL], size.full_epochs, tuned=True)
    trial.arm(LORA, lambda model: baselines.lora(model, classes, targets=("query", "value")), LR[LORA],
              size.lora_epochs, tuned=True)  # fmt: skip
    if size.bars:
        trial.ladder(HALF, layers="half")
        trial.ladder(RANDOM, init="random")
        trial.ladder(MAGNITUDE, init="magnitude")
    trial.ladder(OURS, fisher=True)


class Replay:
    """States of a frozen BERT for every text of a task, computed once.

    noise    for side networks, states from the first layer on become noise of the same mean and spread
    """

    def __init__(self, backbone: nn.Module, task: Task, *, noise: bool, seed: int) -> None:
        self.noise, self.random = noise, torch.Generator().manual_seed(seed)
        self.states: dict[tuple[int, ...], Tensor] = {}  # ids of a text -> [layers+1 t d]
        for batch in [*task.batches(64, 0), *task.test_batches()]:
            ids, mask = batch["input_ids"], batch["attention_mask"]
            with torch.no_grad():
                found = backbone.eval()(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
            together = torch.stack(list(found), 1)  # [b layers+1 t d]
            for row, tokens, states in zip(ids.tolist(), mask.sum(1).tolist(), together, strict=True):
                self.states[tuple(row[:tokens])] = states[:, :tokens].clone()
        each = torch.cat(list(self.states.values()), 1)  # [layers+1 n d]
        self.mean, self.spread = each.mean(1, keepdim=True), each.std(1, keepdim=True)

    def into(self, backbone: Any, *, noise: bool) -> None:
        """Let a backbone's embeddings and layers give back what was computed; its hooks run as ever."""
        now: list[Tensor] = []

        def embed(input_ids: Tensor, **_: Any) -> Tensor:
            now[:] = list(self.padded(input_ids, noise=noise and self.noise))
            return now[0]

        backbone.embeddings.forward = embed
        for n, layer in enumerate(only_stack(backbone).layers, 1):
            layer.forward = lambda *_, n=n, **__: now[n]

    def padded(self, ids: Tensor, *, noise: bool) -> Tensor:
        """[b t] -> [layers+1 b t d]; padding is 0 in both."""
        rows = [self.states[tuple(token for token in row if token)] for row in ids.tolist()]
        made = torch.zeros(rows[0].shape[0], len(rows), ids.shape[1], rows[0].shape[-1])
        for n, row in enumerate(rows):
            made[:, n, : row.shape[1]] = row
        if noise:
            random = torch.randn(made[1:].shape, generator=self.random)
            made[1:] = self.mean[1:, None] + self.spread[1:, None] * random
        return made


# ---- the small task: a label for each pair of one of five words with one of five others, among words without meaning

_WORDS = 5
_FILL = 14  # first word without meaning


class Pairs(Task):
    """Texts of token ids, whatever their name."""

    @property
    def is_text(self) -> bool:
        return True


def pairs(train: int, seed: int) -> Task:
    """Four labels at random for the pairs; texts of eight words."""
    labels = np.random.default_rng(100 + seed).permutation(_WORDS**2) % 4
    rng = np.random.default_rng(seed)
    parts = [_texts(count, rng) for count in (train, 256)]
    (texts, kinds), (others, asked) = parts
    return Pairs("pairs", 4, (texts, labels[kinds]), (others, labels[asked]))


def _texts(count: int, rng: np.random.Generator) -> tuple[list[Any], np.ndarray[Any, Any]]:
    """Texts [n 8], and which pair each has [n]."""
    texts, words = rng.integers(_FILL, 30, (count, 8)), rng.integers(0, _WORDS, (count, 2))
    for text, (first, second) in zip(texts, words, strict=True):
        places = rng.permutation(8)[:2]
        text[places] = 4 + first, 4 + _WORDS + second
    return list(texts), words[:, 0] * _WORDS + words[:, 1]


@cache
def knows_pairs() -> nn.Module:
    """A small BERT that has learned to name the pair of a text: the backbone of the small task."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(vocab_size=30, hidden_size=64, intermediate_size=128, num_hidden_layers=3,
                        num_attention_heads=4, max_position_embeddings=32)  # fmt: skip
    model: nn.Module = BertModel(config, add_pooling_layer=False)
    texts, kinds = _texts(4096, np.random.default_rng(0))
    learner = baselines.full(model, _WORDS**2, dropout=False)
    fit(learner, Pairs("pairs", _WORDS**2, (texts, kinds), (texts, kinds)), Recipe(epochs=4, batch=64, lr=2e-3), 0)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.1
    return model.eval()
