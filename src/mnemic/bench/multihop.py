"""MuSiQue: questions that need two to four passages, to be found among 1,890.

Source   Trivedi, Balasubramanian, Khot, Sabharwal, "MuSiQue: Multihop Questions via Single-hop Question Composition",
         TACL 2022; the hundred questions, passages and ready triples of HippoRAG's repository (data set "musique")
Measure  recall@k: the share of a question's supporting passages among the first k, averaged over questions
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mnemic import data
from mnemic.choose import RetrieverChoice
from mnemic.memory import Memory
from mnemic.store.hipporag2 import HippoRAG2, Triple, keep_all, keep_lexical
from mnemic.store.hipporag2.triples import whole

CUTS = (2, 5, 10)
METHODS: dict[str, RetrieverChoice] = {
    "BM25": "lexical",
    "MiniLM": "dense",
    "hybrid": "hybrid",
    "HippoRAG 2, no filter": partial(HippoRAG2, triple_filter=keep_all),
    "HippoRAG 2": partial(HippoRAG2, triple_filter=keep_lexical),
}


@dataclass(frozen=True)
class Question:
    """A question and the passages that it needs, by number."""

    text: str
    gold: frozenset[int]


@dataclass(frozen=True)
class Task:
    """Passages (title, newline, body) with their triples, questions, and the single hops they are made of."""

    passages: list[str]
    triples: list[list[Triple]]
    questions: list[Question]
    hops: list[Question]

    def among(self, limit: int) -> Task:
        """The first questions with their hops, and all passages of those questions' own paragraphs."""
        questions = self.questions[:limit]
        kept = sorted(set().union(*(question.gold for question in questions)) | set(range(0, len(self.passages), 8)))
        number = {old: new for new, old in enumerate(kept)}

        def moved(some: Sequence[Question]) -> list[Question]:
            return [Question(q.text, frozenset(number[g] for g in q.gold)) for q in some if q.gold <= number.keys()]

        hops = moved(self.hops)
        return Task([self.passages[n] for n in kept], [self.triples[n] for n in kept], moved(questions), hops)


def load() -> Task:
    """The task; raises DataMissing when the data set is not here."""
    questions, corpus = (json.loads(data.read("musique", part)) for part in ("questions", "corpus"))
    ready = {doc["passage"]: doc["extracted_triples"] for doc in json.loads(data.read("musique", "triples"))["docs"]}
    passages = [f"{passage['title']}\n{passage['text']}" for passage in corpus]
    number = {text: n for n, text in enumerate(passages)}
    asked, hops = [], []
    for question in questions:
        of = {part["idx"]: number.get(f"{part['title']}\n{part['paragraph_text']}") for part in question["paragraphs"]}
        gold = {of[part["idx"]] for part in question["paragraphs"] if part["is_supporting"]}
        asked.append(Question(question["question"], frozenset(n for n in gold if n is not None)))
        for hop in question["question_decomposition"]:
            home = of.get(hop["paragraph_support_idx"])
            if "#" not in hop["question"] and home is not None:  # "#1" stands for the answer of an earlier hop
                hops.append(Question(hop["question"].replace(" >> ", " "), frozenset({home})))
    return Task(passages, [whole(ready[text]) for text in passages], asked, hops)


def remember(memory: Memory, task: Task, numbers: Sequence[int] | None = None) -> None:
    """Add passages, each with its triples, under their number as the place."""
    chosen = range(len(task.passages)) if numbers is None else numbers
    memory.add_many(
        {"text": task.passages[n], "source": "musique", "place": str(n), "episode": task.passages[n].split("\n")[0],
         "metadata": {"triples": [list(triple) for triple in task.triples[n]]}}
        for n in chosen
    )  # fmt: skip


@dataclass(frozen=True)
class Scores:
    """What a memory found: recall per question at each cut, and the median wait."""

    recall: dict[int, list[float]]
    wait_ms: float

    def mean(self, cut: int) -> float:
        return statistics.fmean(self.recall[cut])


def asked(memory: Memory, questions: Sequence[Question], cuts: Sequence[int] = CUTS) -> Scores:
    """Recall of every question, one after the other."""
    found: dict[int, list[float]] = {cut: [] for cut in cuts}
    waits = []
    for question in questions:
        start = time.perf_counter()
        hits = memory.recall(question.text, k=max(cuts))
        waits.append(1000 * (time.perf_counter() - start))
        places = [int(hit.record.place or -1) for hit in hits]
        for cut in cuts:
            found[cut].append(len(question.gold.intersection(places[:cut])) / len(question.gold))
    return Scores(found, statistics.median(waits))


def run(*, limit: int | None = None) -> list[dict[str, Any]]:
    """A row for each method, on one file; `limit` keeps the first questions (all passages stay)."""
    task = load()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "musique.db"
        with Memory(file) as memory:
            remember(memory, task)
        for name, retriever in METHODS.items():
            with Memory(file, retriever=retriever) as memory:
                list(memory.index())
                memory.recall("warm up")
                scores = asked(memory, task.questions[:limit])
            recalls = {f"recall@{cut}": scores.mean(cut) for cut in CUTS}
            rows.append({"method": name, **recalls, "query ms": scores.wait_ms})
    return rows
