"""Classification learned from a stream: real sentences with numbers for classes.

Names of classes would let a model answer from what it knows, so they are numbers in random order. Every class has
equally many examples; no question stands among the examples.
"""

from __future__ import annotations

import csv
import io
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache

from mnemic import data
from mnemic.bench.memory_agent_bench.contexts import Context, Question
from mnemic.errors import InputError

Labelled = tuple[str, str]  # text, name of its class
_EXAMPLE = re.compile(r"(.*?) \| label: (\d+)")


@lru_cache(maxsize=1)
def banking77() -> tuple[tuple[Labelled, ...], tuple[Labelled, ...]]:
    """Training and test sentences of BANKING77; raises DataMissing."""
    train, test = (
        tuple((" ".join(row["text"].split()), row["category"]) for row in csv.DictReader(io.StringIO(text)))
        for text in (data.read("banking77", "train"), data.read("banking77", "test"))
    )
    return train, test


@lru_cache(maxsize=1)
def trec() -> tuple[tuple[Labelled, ...], tuple[Labelled, ...]]:
    """Training and test questions of TREC in six coarse classes; raises DataMissing."""

    def rows(part: str) -> tuple[Labelled, ...]:
        lines = data.read("trec", part, encoding="latin-1").splitlines()
        return tuple((line.partition(" ")[2].strip(), line.partition(" ")[0]) for line in lines if " " in line)

    return rows("train"), rows("test")


def stream(name: str, train: Iterable[Labelled], test: Iterable[Labelled], seed: int, *, shots: int = 77,
           questions: int = 300, classes: int | None = None) -> Context:  # fmt: skip
    """Numbered, balanced examples in random order, and questions that are not among them.

    shots     examples of a class, at most (a class that has fewer gives all of its own)
    classes   only so many of them, for a small run
    """
    if shots < 1 or questions < 1:
        raise InputError(f"{shots} shots and {questions} questions: give at least one of each.")
    rng = random.Random(f"{name}:{seed}")
    by_class: dict[str, list[str]] = defaultdict(list)
    for text, label in dict.fromkeys(train):
        by_class[label].append(text)
    kept = sorted(by_class)[:classes]
    numbers = dict(zip(kept, rng.sample(range(len(kept)), len(kept)), strict=True))
    # Which examples are kept does not depend on the seed: only their order does, so that vectors can be kept.
    chosen = [
        (text, numbers[label])
        for label in kept
        for text in random.Random(label).sample(by_class[label], min(shots, len(by_class[label])))
    ]
    rng.shuffle(chosen)
    asked = _unseen([(text, label) for text, label in test if label in numbers], {text for text, _ in chosen})
    asked = rng.sample(asked, min(questions, len(asked)))
    return Context(
        f"icl_{name}_{len(chosen)}shot",
        "\n".join(example(text, number) for text, number in chosen),
        tuple(Question(text, (f"label: {numbers[label]}",), f"{name}-{n}") for n, (text, label) in enumerate(asked)),
    )


def _unseen(test: Sequence[Labelled], seen: set[str]) -> list[Labelled]:
    lower = {text.lower() for text in seen}
    return [(text, label) for text, label in test if text.lower() not in lower]


def example(text: str, number: int) -> str:
    """A line of the stream."""
    return f"{text} | label: {number}"


@lru_cache(maxsize=200_000)
def read_example(line: str) -> tuple[str, str] | None:
    """Text and number of a line of the stream; None for any other line."""
    found = _EXAMPLE.fullmatch(line)
    return (found[1], found[2]) if found else None
