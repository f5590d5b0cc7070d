"""A stream of one turn: the intent of what people ask their bank, with the intents' names in the instructions.

Source   Casanueva et al. 2020, "Efficient Intent Detection with Dual Sentence Encoders", arXiv:2003.04807; BANKING77
         (data set "banking77"), 10 of its 77 intents drawn by the seed, 150 utterances, none twice
Measure  accuracy by exact match; feedback is right or wrong, so a wrong answer never tells the right one
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from mnemic import data
from mnemic.bench.streams.evaluating import evaluate
from mnemic.bench.streams.methods import Embedded, open_agent
from mnemic.bench.streams.tasks import Task, TaskStream
from mnemic.errors import InputError
from mnemic.lm.minilm import MiniLM
from mnemic.seams import LanguageModel
from mnemic.store.evo_memory import Brief

INTENTS, UTTERANCES, COLD = 10, 150, 50  # the first 50 are not counted: every memory is empty then
COMPARED = ("Baseline", "ExpRecent", "ExpRAG", "ReMem")


def load(part: str = "train") -> list[tuple[str, str]]:
    """(utterance, intent) of a part; raises DataMissing when the data set is not here."""
    rows = csv.DictReader(io.StringIO(data.read("banking77", part)))
    return [(row["text"].strip(), row["category"]) for row in rows]


def intent_stream(pairs: Sequence[tuple[str, str]], seed: int, *, intents: int = INTENTS,
                  n: int = UTTERANCES) -> TaskStream:  # fmt: skip
    """Utterances of a few intents, drawn and put in order by the seed; raises InputError when there are too few."""
    rng = np.random.default_rng([seed, 22])
    names = sorted({intent for _, intent in pairs})
    chosen = sorted(names[k] for k in rng.permutation(len(names))[:intents])
    once = {" ".join(text.casefold().split()): (text, intent) for text, intent in pairs if intent in chosen}
    some = [*once.values()]
    if len(some) < n:
        raise InputError(f"{len(some)} different utterances of {intents} intents are there, {n} were asked for.")
    brief = Brief("Say which intent a bank customer's question has. The intents are: " + ", ".join(chosen) + ".")
    drawn = [some[k] for k in rng.permutation(len(some))[:n]]
    return TaskStream(
        "intents", tuple(Task(text, brief, intent, len(text.split()), gold=intent) for text, intent in drawn)
    )


def compare(lm: LanguageModel, *, methods: Sequence[str] = COMPARED, seed: int = 0, n: int = UTTERANCES,
            cold: int = COLD, prompt_tokens: int = 2048) -> list[dict[str, Any]]:  # fmt: skip
    """A row for each method on one intent stream with a model of yours; `cold` tasks at the start are not counted."""
    stream, embedder = intent_stream(load(), seed, n=n), Embedded(MiniLM())
    rows = []
    for name in methods:
        agent = open_agent(name, lm, embedder, max_inner=3, prompt_tokens=prompt_tokens, reply_tokens=48)
        report = evaluate(agent, stream)
        rows.append({
            "method": name, "accuracy": report.success, f"accuracy after {cold}": report.after(cold),
            "format kept": report.read_rate, "pruned": report.prune_rate, "calls": report.calls,
            "tokens": report.tokens, "bytes": report.used.amount,
        })  # fmt: skip
    return rows
