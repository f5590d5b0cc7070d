"""Memories of any size for the benchmarks: their records are made up, as like to real ones as can be had in bulk.

Texts      one to three pieces of a pool, and for every second record a name that the pool does not have. The pool is
           the demo's turns and, with MNEMIC_DATA, turns of LoCoMo and sentences of Pepys. So a word stands in the
           same share of records as in the pool, however many there are, and the names follow Zipf's law, so that the
           vocabulary grows with the records
Vectors    three quarters the mean of the pieces' (made by the shipped embedder), two thirds a random one as wide as
           the pool in each dimension, scaled to length 1: questions find what they would find, and no million texts
           have to be embedded
Shape      talks of twenty records between two of 200 people, spread over ten years
Questions  LoCoMo's; without MNEMIC_DATA the demo's questions and turns

The file is written through Memory.add_many and is an ordinary one: it opens with the shipped embedder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mnemic import Memory, data
from mnemic.demo import conversation
from mnemic.errors import DataMissing
from mnemic.lm.minilm import MiniLM
from mnemic.record import Chunk

POOL = 4000  # pieces: as many words as a book has, embedded in less than a minute
BATCH = 10_000  # records written at once
TALK, PEOPLE = 20, 200
START, YEARS = datetime(2016, 1, 1), 10
_SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
_SENTENCE = re.compile(r"(?<=[.!?])\s+")

Watch = Callable[[int, int], None]  # done, of all


class Drawn:
    """Stands for the shipped embedder while records are written whose vectors are drawn."""

    name, dimensions, window = MiniLM.name, MiniLM.dimensions, MiniLM.window

    def __init__(self) -> None:
        self.vectors: dict[str, npt.NDArray[np.float32]] = {}

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return np.stack([self.vectors[text] for text in texts])

    def windows(self, text: str) -> list[tuple[int, int]]:
        return [(0, len(text))]

    def count(self, text: str) -> int:
        return len(text.split())


def build(path: Path, records: int, watch: Watch = lambda done, total: None) -> None:
    """Write a memory of so many records; one that is there already is gone on with, or left as it is."""
    embedder = Drawn()
    with Memory(path, embedder=embedder) as memory:
        there = memory.used("records").amount
        if there >= records:
            return
        pieces = pool(min(POOL, records))
        vectors = MiniLM().embed(pieces)  # [pieces d]
        for at in range(there, records, BATCH):
            watch(at, records)
            chunks, drawn = draw(pieces, vectors, at, min(BATCH, records - at), records)
            embedder.vectors = dict(zip((chunk.text for chunk in chunks), drawn, strict=True))
            memory.add_many(chunks)
    watch(records, records)


def draw(pieces: Sequence[str], vectors: npt.NDArray[np.float32], at: int, count: int, records: int
         ) -> tuple[list[Chunk], npt.NDArray[np.float32]]:  # fmt: skip
    """Records number `at` and following of so many, and their vectors, float32 [count d]; the same ones each time."""
    rng = np.random.default_rng(at)
    chosen = rng.integers(len(pieces), size=(count, 3))
    used = np.arange(3) < rng.choice([1, 2, 3], size=(count, 1), p=[0.6, 0.3, 0.1])  # [count 3]
    ranks = rng.zipf(1.1, count) * rng.integers(0, 2, count)  # 0 for none
    topic = np.einsum("cp,cpd->cd", used / used.sum(1, keepdims=True), vectors[chosen])
    apart = rng.normal(0, vectors.std(0), (count, vectors.shape[1]))  # each dimension as wide as in the pool
    drawn = 0.75 * topic / np.linalg.norm(topic, axis=1, keepdims=True) + 0.66 * apart
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    texts = [
        " ".join([*(pieces[piece] for piece in row[has]), *([name(int(rank)) + "."] if rank else [])])
        for row, has, rank in zip(chosen, used, ranks, strict=True)
    ]
    step = timedelta(days=365 * YEARS) / (records // TALK + 1)
    return [_turn(text, at + i, step) for i, text in enumerate(texts)], drawn.astype(np.float32)


def _turn(text: str, n: int, step: timedelta) -> Chunk:
    """Turn n of all, as a file of talks would give it."""
    talk, turn = divmod(n, TALK)
    people = np.random.default_rng(talk).integers(PEOPLE, size=2)
    when = START + talk * step + timedelta(minutes=turn)
    return Chunk(text, time=when.isoformat(timespec="minutes"), source=f"talks/{talk}.jsonl", place=str(turn),
                 episode=f"talk {talk}", speaker=name(1000 + int(people[turn % 2])))  # fmt: skip


def name(rank: int) -> str:
    """A word that nothing else is called, short for small ranks."""
    said = ""
    while rank or not said:
        rank, syllable = divmod(rank, len(_SYLLABLES))
        said += _SYLLABLES[syllable]
    return said.capitalize()


def pool(count: int) -> list[str]:
    """So many pieces to make texts of, or all there are: the demo's turns, the rest half LoCoMo, half Pepys."""
    turns = [chunk.text for chunk in conversation()]
    try:
        talks = [turn for sample in json.loads(data.read("locomo")) for turn in turns_of(sample)]
        days = [json.loads(line)["text"] for line in data.read("pepys").splitlines()]
    except DataMissing:
        return turns[:count]
    sentences = [sentence for day in days for sentence in _SENTENCE.split(day) if 20 < len(sentence) < 400]
    rng, half = np.random.default_rng(0), max(count - len(turns), 0) // 2
    return [*turns, *_some(talks, half, rng), *_some(sentences, half, rng)][:count]


def _some(texts: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    return [texts[i] for i in rng.permutation(len(texts))[:count]]


def turns_of(sample: dict[str, Any]) -> list[str]:
    """What is said in a conversation of LoCoMo, in order."""
    talk = sample["conversation"]
    sessions = sorted((key for key in talk if re.fullmatch(r"session_\d+", key)), key=lambda key: int(key[8:]))
    return [turn["text"] for key in sessions for turn in talk[key] if turn.get("text", "").strip()]


def questions(count: int) -> list[str]:
    """So many different questions that people asked, or all there are."""
    try:
        asked = [row["question"] for sample in json.loads(data.read("locomo")) for row in sample["qa"]]
    except DataMissing:
        script = json.loads((files("mnemic.demo") / "questions.json").read_text(encoding="utf-8"))
        asked = [row["question"] for row in script["questions"]] + [chunk.text for chunk in conversation()]
    distinct = sorted(set(asked))
    return _some(distinct, count, np.random.default_rng(0))
