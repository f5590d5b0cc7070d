"""How tuning in few bytes is judged: small real tasks on pre-trained backbones, one loop, one meter for all methods.

Texts    TREC (six classes), SST-2 (two) on MiniLM: 6 layers x 384, 22 M parameters
Images   sign digits, CIFAR-10 (ten classes) on EfficientNet-Lite0; scikit-learn's digits where there is no data folder
Measure  accuracy on the test part after a fixed number of epochs, the last one counts; bytes of one training step
         (mnemic.meter) on one fixed batch

A batch is a mapping that a Hugging Face model takes: input_ids, attention_mask, labels for texts, pixel_values,
labels for images. Every random number of a run follows from its seed.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mnemic import data
from mnemic.errors import InputError, MissingExtra

if TYPE_CHECKING:
    from torch import Tensor, nn

Batch = dict[str, Any]
CLASSES = {"trec": 6, "sst2": 2, "sign_digits": 10, "cifar10": 10, "digits": 10}
_LONGEST = 64  # tokens; the longest question of TREC has 43
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as the backbones were trained


@dataclass(frozen=True)
class Task:
    """Examples with their classes.

    inputs   texts: lists of token ids; images: uint8 [n h w 3]
    """

    name: str
    classes: int
    train: tuple[Sequence[Any], np.ndarray[Any, Any]]
    test: tuple[Sequence[Any], np.ndarray[Any, Any]]

    @property
    def is_text(self) -> bool:
        return self.name in ("trec", "sst2")

    def batches(self, size: int, seed: int) -> list[Batch]:
        """The training part in a random order, in batches of texts of like length: less padding, fewer bytes."""
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(self.train[1]))
        if self.is_text:  # sorted within pools of eight batches, so that batches still differ from epoch to epoch
            pools = [order[n : n + 8 * size] for n in range(0, len(order), 8 * size)]
            order = np.concatenate([sorted(pool, key=lambda n: len(self.train[0][int(n)])) for pool in pools])
        cut = [order[n : n + size].tolist() for n in range(0, len(order), size)]
        return [self.batch(*self.train, cut[n]) for n in rng.permutation(len(cut))]

    def test_batches(self, size: int = 128) -> list[Batch]:
        """The test part, in its own order or, for texts, by length."""
        order = list(range(len(self.test[1])))
        if self.is_text:
            order.sort(key=lambda n: len(self.test[0][n]))
        return [self.batch(*self.test, order[n : n + size]) for n in range(0, len(order), size)]

    def batch(self, inputs: Sequence[Any], classes: np.ndarray[Any, Any], rows: Sequence[int]) -> Batch:
        """Some examples as a batch."""
        torch = _torch()
        labels = torch.as_tensor(np.asarray(classes)[list(rows)], dtype=torch.long)
        if not self.is_text:
            pixels = torch.as_tensor(np.stack([inputs[n] for n in rows])).permute(0, 3, 1, 2).float() / 255
            mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (_MEAN, _STD))
            return {"pixel_values": ((pixels - mean) / std).contiguous(), "labels": labels}
        longest = max(len(inputs[n]) for n in rows)
        ids, mask = (torch.zeros(len(rows), longest, dtype=torch.long) for _ in range(2))
        for row, n in enumerate(rows):
            ids[row, : len(inputs[n])] = torch.as_tensor(inputs[n])
            mask[row, : len(inputs[n])] = 1
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def text_task(name: str, *, train: int = 1024, test: int | None = None, seed: int = 0) -> Task:
    """TREC or SST-2, tokenized for MiniLM: so many training sentences, drawn with the seed; the published test part."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(data.read("minilm", "tokenizer"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(_LONGEST)

    def part(which: str) -> tuple[list[list[int]], np.ndarray[Any, Any]]:
        lines = [line for line in data.read(name, which, encoding="latin-1").split("\n") if line.strip()]
        labels, texts = zip(*(line.split(" ", 1) for line in lines), strict=True)
        return [each.ids for each in tokenizer.encode_batch(list(texts))], np.array([int(label) for label in labels])

    if name not in ("trec", "sst2"):
        raise InputError(f'"{name}" is no text task: use trec or sst2.')
    inputs, labels = part("train")
    rows = np.random.default_rng(seed).permutation(len(labels))[:train]
    tested, right = part("test")
    chosen = np.arange(len(right)) if test is None else np.random.default_rng(0).permutation(len(right))[:test]
    return Task(name, CLASSES[name], ([inputs[n] for n in rows], labels[rows]),
                ([tested[n] for n in chosen], right[chosen]))  # fmt: skip


def image_task(
    name: str, *, size: int = 96, train_per_class: int = 40, test_per_class: int = 30, seed: int = 0
) -> Task:
    """Sign digits, CIFAR-10 or scikit-learn's digits, scaled to size x size; examples per class drawn with the seed."""
    readers: Mapping[str, Callable[[], Iterator[tuple[Any, int, str]]]] = {
        "sign_digits": _sign_digits, "cifar10": _cifar10, "digits": _packaged_digits,
    }  # fmt: skip
    if name not in readers:
        raise InputError(f'"{name}" is no image task: use {", ".join(readers)}.')
    found = list(readers[name]())
    rng = np.random.default_rng(seed)
    drawn: dict[str, list[tuple[Any, int]]] = {"train": [], "test": []}
    for label in range(CLASSES[name]):
        for part, count in (("test", test_per_class), ("train", train_per_class)):
            own = [image for image, its, where in found if its == label and where in (part, "")]
            order = np.random.default_rng(label).permutation(len(own))  # of a set without parts: the same test for all
            if any(where == "" for *_, where in found):
                order = order[:test_per_class] if part == "test" else order[test_per_class:]
            chosen = rng.permutation(order)[:count] if part == "train" else order[:count]
            drawn[part] += [(_scaled(own[n], size), label) for n in chosen]
    parts = {part: ([image for image, _ in rows], np.array([label for _, label in rows])) for part, rows in
             drawn.items()}  # fmt: skip
    return Task(name, CLASSES[name], parts["train"], parts["test"])


def minilm() -> nn.Module:
    """all-MiniLM-L6-v2 as transformers' BertModel, in float32, without its pooler."""
    try:
        from safetensors.torch import load_file
        from transformers import BertConfig, BertModel
    except ModuleNotFoundError:
        raise MissingExtra("MiniLM as a torch model", "torch") from None
    config = BertConfig(**json.loads(data.read("minilm", "config")))
    model: nn.Module = BertModel(config, add_pooling_layer=False)
    weights = load_file(data.path("minilm", "weights"))
    model.load_state_dict({name: tensor for name, tensor in weights.items() if not name.startswith("pooler")},
                          strict=False)  # fmt: skip
    return model


# ---- one loop for all methods


@dataclass(frozen=True)
class Recipe:
    """How an arm is trained: AdamW, a linear warm-up over a tenth of the steps, then cosine to zero."""

    epochs: int = 10
    batch: int = 32
    lr: float = 1e-3
    weight_decay: float = 0.01

    def with_lr(self, lr: float) -> Recipe:
        return replace(self, lr=lr)


def fit(model: nn.Module, task: Task, recipe: Recipe, seed: int, *, watch: Callable[[int, int], None] | None = None
        ) -> None:  # fmt: skip
    """Train what needs a gradient. Scalars and one-dimensional parameters (gates, biases, norms) are not decayed.

    watch    called with the steps done and the steps in all
    """
    torch = _torch()
    torch.manual_seed(seed)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW([group for group in groups if group["params"]], lr=recipe.lr)
    steps = recipe.epochs * -(-len(task.train[1]) // recipe.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
    model.train()
    done = 0
    for epoch in range(recipe.epochs):
        for batch in task.batches(recipe.batch, seed * 1000 + epoch):
            optimizer.zero_grad(set_to_none=True)
            model(**batch)["loss"].backward()
            optimizer.step()
            schedule.step()
            done += 1
            if watch:
                watch(done, steps)


def _rate(step: int, steps: int) -> float:
    warm = max(1, steps // 10)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + float(np.cos(np.pi * (step - warm) / max(1, steps - warm))))


def correct(model: nn.Module, task: Task) -> list[float]:
    """1.0 or 0.0 for every test example, in the order of `test_batches`."""
    torch = _torch()
    model.eval()
    found: list[float] = []
    with torch.no_grad():
        for batch in task.test_batches():
            logits: Tensor = model(**batch)["logits"]
            found += (logits.argmax(-1) == batch["labels"]).float().tolist()
    return found


# ---- where images come from: (image, class, "train" | "test" | "" where the set has no parts)


def _sign_digits() -> Iterator[tuple[Any, int, str]]:
    with zipfile.ZipFile(data.path("sign_digits")) as packed:
        for name in sorted(packed.namelist()):
            if name.lower().endswith(".jpg"):
                yield packed.read(name), int(name.split("/")[-2]), ""


def _cifar10() -> Iterator[tuple[Any, int, str]]:
    with zipfile.ZipFile(data.path("cifar10")) as packed:
        names = sorted(name for name in packed.namelist() if name.lower().endswith((".jpg", ".png")))
        kinds = sorted({name.split("/")[-2] for name in names})
        for name in names:
            part, kind = name.split("/")[-3:-1]
            yield packed.read(name), kinds.index(kind), part


def _packaged_digits() -> Iterator[tuple[Any, int, str]]:
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError:
        raise MissingExtra("scikit-learn's digits", "torch") from None
    found = load_digits()
    for image, label in zip(found.images, found.target, strict=True):
        yield np.repeat((image * 255 / 16).astype(np.uint8)[..., None], 3, axis=2), int(label), ""


def _scaled(image: Any, size: int) -> np.ndarray[Any, Any]:
    """An image as bytes of a file or as an array: uint8 [size size 3]."""
    from PIL import Image

    opened = Image.open(io.BytesIO(image)) if isinstance(image, bytes) else Image.fromarray(image)
    return np.asarray(opened.convert("RGB").resize((size, size), Image.Resampling.BILINEAR))


def _torch() -> Any:
    try:
        import torch
    except ModuleNotFoundError:
        raise MissingExtra("training", "torch") from None
    return torch
