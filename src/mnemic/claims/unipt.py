"""UniPT: at most 0.4 of what a ladder saves for backward, at its accuracy.

MiniLM on TREC: every arm trains the same 512 questions for ten epochs. Frozen features depend on the backbone alone, so
probes and UniPT are trained on features that were computed once; ladder and LoRA run the backbone in every step.
Bytes are measured on the whole of each arm, backbone included, in one step on 32 x 32 tokens. A second part takes maps:
EfficientNet-Lite0 on sign digits.

The control lets UniPT read another sample's features in every layer but the last.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from mnemic.bench import baselines
from mnemic.bench.transfer import Batch, Recipe, Task, correct, fit, image_task, minilm, text_task
from mnemic.claims import Check, Claim, Point, Scale, Verdict, better, measured, uses_at_most, within
from mnemic.footprint._head import Output, masked_mean, output
from mnemic.footprint.lst import Ladder
from mnemic.footprint.unipt import UniPT, states
from mnemic.meter import training_bytes
from mnemic.nets.efficientnet import efficientnet_lite0
from mnemic.nets.inverted_residual import InvertedResidualNet

SEEDS = (0, 1, 2)

_PROBE, _ALL, _LADDER, _LORA = "last-layer probe", "all-layer probe", "LST r=4", "LoRA r=8"
_UNIFORM, _NARROW, _METHOD = "UniPT r=2, uniform confidence", "UniPT r=4", "UniPT r=2"
_SIGNS = "signs: "


@dataclass(frozen=True)
class Size:
    """How much of everything.

    train    questions
    shape    texts and tokens of the batch that bytes are measured on, short and long
    more     whether LoRA and a narrower UniPT are trained too
    images   training images per class; 0: without that part
    close    how near to the all-layer probe the accuracy must come
    """

    train: int
    recipe: Recipe
    shape: tuple[tuple[int, int], tuple[int, int]]
    more: bool
    images: int
    close: float = 0.0


SIZES: Mapping[Scale, Size] = {
    "smoke": Size(256, Recipe(epochs=12, batch=32, lr=3e-3), ((32, 16), (8, 64)), more=False, images=0, close=0.02),
    "laptop": Size(512, Recipe(epochs=10, lr=1e-3), ((32, 32), (2, 512)), more=True, images=40),
    "full": Size(5000, Recipe(epochs=10, lr=1e-3), ((32, 32), (2, 512)), more=True, images=170),
}
_FASTER = {_PROBE: 10.0, _ALL: 10.0, _LADDER: 3.0, _LORA: 3.0}  # x the recipe's rate, as in benchmarks/footprint.py


def run(scale: Scale, seed: int, *, sabotage: bool = False) -> Claim:
    """Train every arm on the same examples, for the same steps."""
    size = SIZES[scale]
    if scale == "smoke":
        make, task = tiny, tiny_task(size.train, seed)
    else:
        make, task = minilm, text_task("trec", train=size.train, seed=seed)
    points, ours = _texts(make, task, size, seed, lookup=strange if sabotage else own)
    holds = _bars(size) + _mechanism(make, task, size, ours)
    if size.images:
        points = _images(size, seed, lookup=strange if sabotage else own) + points
        holds.append(better(_SIGNS + "UniPT", than=_SIGNS + _PROBE))
    return Claim(
        says="attending in parallel to all frozen layers saves at most 0.4 of a ladder's bytes, at its accuracy",
        points=points,
        holds=holds,
        quality="accuracy",
        baseline=_LADDER,
        method=_METHOD,
        setting="paper: CLIP, BERT, ResNeXt and MDETR on retrieval, question answering and grounding, on 2 to 4 GPUs; "
        "here MiniLM on TREC and EfficientNet-Lite0 on sign digits, ten epochs",
    )


def _bars(size: Size) -> list[Check | Verdict]:
    return [
        uses_at_most(_METHOD, 0.4, of=_LADDER, part="saved"),
        within(_METHOD, of=_LADDER, by=0.01),
        within(_METHOD, of=_ALL, by=size.close),
    ]


# ---- texts


def _texts(
    make: Callable[[], nn.Module], task: Task, size: Size, seed: int, *, lookup: Lookup
) -> tuple[list[Point], UniPT]:  # fmt: skip
    """All arms; the last of the models is handed out."""
    found = cached(make(), task)
    _, layers, width = found.train[0][0].shape
    dims, batch = [width] * layers, random_batch(make(), task.classes, size.shape[0])
    live: dict[str, Callable[[nn.Module], nn.Module]] = {
        _PROBE: lambda net: baselines.Probe(net, task.classes),
        _ALL: lambda net: baselines.Probe(net, task.classes, layers="all"),
        _LADDER: lambda net: ladder(net, task),
        _LORA: lambda net: baselines.lora(net, task.classes),
        _UNIFORM: lambda net: uniform(UniPT(net, classes=task.classes)),
        _NARROW: lambda net: UniPT(net, classes=task.classes, reduction=4),
        _METHOD: lambda net: UniPT(net, classes=task.classes),
    }  # fmt: skip
    stored: dict[str, Callable[[], nn.Module]] = {
        _PROBE: lambda: Means(dims, task.classes, layers=1),
        _ALL: lambda: Means(dims, task.classes, layers=len(dims)),
        _UNIFORM: lambda: uniform(UniPT(lookup, dims=dims, classes=task.classes)),
        _NARROW: lambda: UniPT(lookup, dims=dims, classes=task.classes, reduction=4),
        _METHOD: lambda: UniPT(lookup, dims=dims, classes=task.classes),
    }
    points = []
    for name, arm in live.items():
        if name in (_LORA, _NARROW) and not size.more:
            continue
        torch.manual_seed(seed)
        model: nn.Module
        if name == _LADDER:  # at its best: its weights are chosen by the Fisher information of the training questions
            model, on = ladder(make(), task, task.batches(32, seed)), task
        else:
            model, on = (stored[name](), found) if name in stored else (arm(make()), task)
        fit(model, on, size.recipe.with_lr(size.recipe.lr * _FASTER.get(name, 1.0)), seed)
        right = correct(model, on)
        used = training_bytes(arm(make()).train(), batch)
        points.append(Point(name, used, float(np.mean(right)), seed, {}, right))
    assert isinstance(model, UniPT)
    return points, model


def ladder(net: nn.Module, task: Task, data: list[Batch] | None = None) -> Ladder:
    return Ladder(net, reduction=4, classes=task.classes, data=data, samples=128)


def uniform(model: UniPT) -> UniPT:
    """The same without a learned confidence: each layer counts as much as any other."""
    for parameter in model.fusions[0].gate.parameters():  # type: ignore[union-attr]
        nn.init.zeros_(parameter).requires_grad_(False)
    return model


Lookup = Callable[..., list[tuple[Tensor, Tensor | None]]]


def own(states: list[Tensor], attention_mask: Tensor | None = None) -> list[tuple[Tensor, Tensor | None]]:
    """Features that were computed before, as UniPT takes them."""
    return [(state, attention_mask) for state in states]


def strange(states: list[Tensor], attention_mask: Tensor | None = None) -> list[tuple[Tensor, Tensor | None]]:
    """The control: the layers before the last are those of the next sample."""
    mask = None if attention_mask is None else attention_mask.roll(1, 0)
    return [*((state.roll(1, 0), mask) for state in states[:-1]), (states[-1], attention_mask)]


class Means(nn.Module):
    """baselines.Probe on features that were computed before: means of the last layers, of length 1 if several."""

    def __init__(self, dims: Sequence[int], classes: int, *, layers: int) -> None:
        super().__init__()
        self.layers, self.head = layers, nn.Linear(sum(dims[-layers:]), classes)

    def forward(
        self, states: list[Tensor], attention_mask: Tensor | None = None, labels: Tensor | None = None
    ) -> Output:  # fmt: skip
        means = [masked_mean(_tokens(state), attention_mask) for state in states[-self.layers :]]
        if self.layers > 1:
            means = [functional.normalize(mean, dim=-1) for mean in means]
        return output(self.head(torch.cat(means, -1)), labels)


def _tokens(state: Tensor) -> Tensor:
    return state.flatten(2).mT if state.dim() == 4 else state  # [b t d]


@dataclass(frozen=True)
class Stored(Task):
    """A task whose inputs are features of a frozen backbone, in the order of the task that they come from.

    inputs   texts: [t layers d] for each; images: a tuple of maps [c h w]
    """

    def batch(self, inputs: Sequence[Any], classes: np.ndarray[Any, Any], rows: Sequence[int]) -> Batch:
        labels = torch.as_tensor(np.asarray(classes)[list(rows)], dtype=torch.long)
        if not self.is_text:
            return {
                "states": [torch.stack(maps) for maps in zip(*(inputs[n] for n in rows), strict=True)],
                "labels": labels,
            }
        padded = nn.utils.rnn.pad_sequence([inputs[n] for n in rows], batch_first=True)  # [b t layers d]
        ones = [torch.ones(len(inputs[n]), dtype=torch.long) for n in rows]
        mask = nn.utils.rnn.pad_sequence(ones, batch_first=True)
        return {"states": list(padded.unbind(2)), "attention_mask": mask, "labels": labels}


def cached(net: nn.Module, task: Task) -> Stored:
    """The features of all examples, computed once."""
    parts = [(_features(net, task, *part), part[1]) for part in (task.train, task.test)]
    return Stored(task.name, task.classes, parts[0], parts[1])


def _features(net: nn.Module, task: Task, inputs: Sequence[Any], labels: np.ndarray[Any, Any]) -> list[Any]:
    """In batches of texts of like length; the largest map is left out: it costs most and says least."""
    order = sorted(range(len(labels)), key=lambda n: len(inputs[n]))
    found: dict[int, Any] = {}
    for start in range(0, len(order), 64):
        rows = order[start : start + 64]
        batch = task.batch(inputs, labels, rows)
        made = [state for state, _ in states(net, **{name: value for name, value in batch.items() if name != "labels"})]
        for row, n in enumerate(rows):
            each = [state[row] for state in made]
            found[n] = torch.stack(each, 1)[: len(inputs[n])] if task.is_text else tuple(each[1:])
    return [found[n] for n in range(len(labels))]


def random_batch(net: nn.Module, classes: int, shape: tuple[int, int]) -> Batch:
    """Texts x tokens without padding."""
    words, own = net.get_input_embeddings().num_embeddings, torch.Generator().manual_seed(0)  # type: ignore[operator]
    ids = torch.randint(1, words, shape, generator=own)
    labels = torch.randint(0, classes, shape[:1], generator=own)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}


# ---- what else must be true of it


def _mechanism(make: Callable[[], nn.Module], task: Task, size: Size, trained: UniPT) -> list[Verdict]:
    """The trained module beside the backbone itself: same answers, long texts, one layer at a time, confidence."""
    net, (_, long) = make(), size.shape
    live = UniPT(net, classes=task.classes).eval()
    live.load_state_dict(trained.small_part(), strict=False)
    batch = task.test_batches()[0]
    with torch.no_grad():
        answer = live(**batch, return_info=True)
        right = trained.eval()(**cached_batch(make(), batch))["logits"]

    def saved(model: nn.Module, shape: tuple[int, int]) -> int:
        return training_bytes(model.train(), random_batch(net, task.classes, shape)).parts["saved"]

    whole, other = baselines.full(make(), task.classes), ladder(make(), task)
    short = cached_batch(net, random_batch(net, task.classes, size.shape[0]))
    one_by_one, at_once = (_peak(short["states"], live, streamed) for streamed in (True, False))
    confidence = answer["confidence"]
    return [
        measured("features computed once give the same logits as the whole model: largest difference",
                 float((answer["logits"] - right).abs().max()), at_most=1e-3),
        measured("saved bytes as a share of full fine-tuning's",
                 saved(live, size.shape[0]) / saved(whole, size.shape[0]), at_most=0.25),
        measured(f"{long[0]} x {long[1]} tokens: saved bytes as a share of LST's",
                 saved(live, long) / saved(other, long), at_most=0.4),
        measured("layers one at a time: peak bytes of inference as a share of all at once",
                 one_by_one / at_once, at_most=0.9),
        measured("mean of the largest confidence: it is not stuck at one layer",
                 float(confidence.amax(-1).mean()), at_most=0.9),
        measured("standard deviation of confidence between texts", float(confidence.std(0).mean()), at_least=1e-4),
    ]  # fmt: skip


def cached_batch(net: nn.Module, batch: Batch) -> Batch:
    """A batch of texts as a batch of their features."""
    found = states(net, **{name: value for name, value in batch.items() if name != "labels"})
    return {"states": [state for state, _ in found], "attention_mask": found[0][1]}


def _peak(states: Sequence[Tensor], model: UniPT, streamed: bool) -> int:
    """Peak bytes of features and all that the module makes of them, the features coming one after the other."""
    fusion: Any = model.fusions[0]
    with torch.no_grad(), Alive() as alive:
        made = (state.clone() for state in states)
        if streamed:
            targets = [fusion.shrink(n, state) for n, state in zip(range(len(states) - 1), made, strict=False)]
            fusion.fuse(next(made), targets, None, [None] * len(targets))
        else:
            fusion(list(made))
        peak: int = alive.peak
    return peak


class Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that a block of code makes, for as long as they live."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for each in result if isinstance(result, tuple | list) else [result]:
            if isinstance(each, Tensor):
                self._count(each.untyped_storage())
        return result

    def _count(self, storage: Any) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


# ---- maps


def _images(size: Size, seed: int, *, lookup: Lookup) -> list[Point]:
    """Sign digits: the same for the maps of a convolutional network."""
    net = efficientnet_lite0()
    task = image_task("sign_digits", train_per_class=size.images, test_per_class=30, seed=seed)
    found, batch = cached(net, task), task.batch(*task.train, range(8))
    dims = [len(each) for each in found.train[0][0]]
    arms: Mapping[str, tuple[nn.Module, Callable[[InvertedResidualNet], nn.Module], float]] = {
        _PROBE: (Means(dims, 10, layers=1), lambda net: baselines.Probe(net, 10), 10.0),
        _ALL: (Means(dims, 10, layers=len(dims)), lambda net: baselines.Probe(net, 10, layers="all"), 10.0),
        "fine-tuning of five blocks": (Upper(copy.deepcopy(net), 10), lambda net: Upper(net, 10), 1.0),
        "UniPT": (UniPT(lookup, dims=dims, variant="maps", classes=10), lambda net: UniPT(net, classes=10), 1.0),
    }
    points = []
    for name, (model, live, faster) in arms.items():
        torch.manual_seed(seed)
        fit(model, found, size.recipe.with_lr(faster * size.recipe.lr), seed)
        right = correct(model, found)
        used = training_bytes(live(copy.deepcopy(net)).train(), batch)
        points.append(Point(_SIGNS + name, used, float(np.mean(right)), seed, {}, right))
    return points


class Upper(nn.Module):
    """The blocks above the last map but one, the head and a classifier are trained, on images or on stored maps."""

    def __init__(self, net: InvertedResidualNet, classes: int) -> None:
        super().__init__()
        self.below = nn.Sequential(net.stem, *net.blocks[: net.ends[4] + 1]).requires_grad_(False)
        self.above = nn.Sequential(*net.blocks[net.ends[4] + 1 :], net.head)
        self.linear = nn.Linear(net.width, classes)

    def forward(
        self, states: list[Tensor] | None = None, pixel_values: Tensor | None = None, labels: Tensor | None = None
    ) -> Output:  # fmt: skip
        x = self.below(pixel_values) if states is None else states[-2]
        return output(self.linear(self.above(x).mean((2, 3))), labels)


# ---- a tiny backbone and task for the tests


def tiny() -> nn.Module:
    """A random encoder whose last layer has forgotten all but two of its features."""
    from transformers import BertConfig, BertModel

    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = BertConfig(vocab_size=40, hidden_size=64, intermediate_size=128, num_hidden_layers=6,
                            num_attention_heads=2, max_position_embeddings=64)  # fmt: skip
        net: nn.Module = BertModel(config, add_pooling_layer=False)
    with torch.no_grad():
        norm: Any = net.encoder.layer[-1].output.LayerNorm  # type: ignore[index, union-attr]
        norm.weight[2:] = 0
    return net


def tiny_task(train: int, seed: int) -> Task:
    """Six classes: which of six groups of words three words of a text are of."""
    rng = np.random.default_rng(seed)

    def part(n: int) -> tuple[list[list[int]], np.ndarray[Any, Any]]:
        labels = rng.integers(0, 6, n)
        texts = []
        for label in labels:
            text = rng.integers(20, 40, rng.integers(6, 13))
            text[rng.choice(len(text), 3, replace=False)] = rng.integers(2 + 3 * label, 5 + 3 * label, 3)
            texts.append(text.tolist())
        return texts, labels

    return Task("trec", 6, part(train), part(200))
