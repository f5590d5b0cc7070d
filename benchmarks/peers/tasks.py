"""The two tasks that every package is given, and what its answers are worth.

locomo    find the turns of a long conversation that a question is answered by; each conversation its own memory
musique   find the passages that a question of two to four hops needs, among 1,890; ready triples come with them
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from statistics import mean
from typing import Any

from mnemic import data

DEV = ["conv-26", "conv-30", "conv-41", "conv-42", "conv-43", "conv-44", "conv-47"]  # locomo_dev: 7 of the 10
CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}


@dataclass(frozen=True)
class Task:
    """Collections of items and queries, and for every query the positions it should find.

    gold   per collection, per query
    kinds  per collection, per query: what sort of question it is
    cuts   recall is counted at these
    """

    name: str
    collections: list[dict[str, Any]]
    gold: list[list[set[int]]]
    kinds: list[list[str]]
    cuts: tuple[int, ...]

    @property
    def items(self) -> int:
        return sum(len(collection["items"]) for collection in self.collections)

    @property
    def queries(self) -> int:
        return sum(len(collection["queries"]) for collection in self.collections)


def load(name: str, limit: int | None) -> Task:
    """A task; `limit` keeps the first so many conversations (the questions of musique are few, all stay)."""
    return locomo(limit) if name == "locomo" else musique()


def locomo(limit: int | None) -> Task:
    """locomo_dev. Questions without a piece of evidence that exists (2 of 1,347) are left out."""
    collections, gold, kinds = [], [], []
    samples = {sample["sample_id"]: sample for sample in json.loads(data.read("locomo"))}
    for sample in (samples[name] for name in DEV[:limit]):
        items = turns(sample["conversation"])
        row = {item["place"]: n for n, item in enumerate(items)}
        asked = [(qa, evidence(qa, row)) for qa in sample["qa"]]
        asked = [(qa, found) for qa, found in asked if found]
        collections.append(
            {"name": sample["sample_id"], "items": items, "queries": [qa["question"] for qa, _ in asked]}
        )
        gold.append([found for _, found in asked])
        kinds.append([CATEGORIES[qa["category"]] for qa, _ in asked])
    return Task("locomo", collections, gold, kinds, (5, 10, 20))


def turns(conversation: dict[str, Any]) -> list[dict[str, Any]]:
    """All turns in order. The text is the same for every package: who said it, what, and the picture's caption."""
    items = []
    sessions = (int(key.split("_")[1]) for key in conversation if re.fullmatch(r"session_\d+", key))
    for n in sorted(sessions):
        when = datetime.strptime(conversation[f"session_{n}_date_time"], "%I:%M %p on %d %B, %Y")
        for turn in conversation[f"session_{n}"]:
            caption = f" [image: {turn['blip_caption']}]" if turn.get("blip_caption") else ""
            items.append(
                {
                    "text": f"{turn['speaker']}: {turn['text']}{caption}",
                    "speaker": turn["speaker"],
                    "episode": f"session {n}",
                    "place": turn["dia_id"],
                    "time": when.isoformat(timespec="minutes"),
                }
            )
    return items


def evidence(qa: dict[str, Any], row: dict[str, int]) -> set[int]:
    """Rows of the turns that answer a question; some entries name two turns, some none that exists."""
    names = re.findall(r"D\d+:\d+", " ".join(qa["evidence"]))
    return {row[name] for name in names if name in row}


def musique() -> Task:
    questions, corpus = (json.loads(data.read("musique", part)) for part in ("questions", "corpus"))
    triples = {doc["passage"]: doc for doc in json.loads(data.read("musique", "triples"))["docs"]}
    passages = [f"{passage['title']}\n{passage['text']}" for passage in corpus]
    row = {text: n for n, text in enumerate(passages)}
    items = [
        {
            "text": text,
            "speaker": "",
            "episode": passage["title"],
            "place": str(n),
            "time": "",
            "entities": triples[text]["extracted_entities"],
            "triples": triples[text]["extracted_triples"],
        }
        for n, (text, passage) in enumerate(zip(passages, corpus, strict=True))
    ]
    needed = [[part for part in question["paragraphs"] if part["is_supporting"]] for question in questions]
    gold = [{row[f"{part['title']}\n{part['paragraph_text']}"] for part in parts} for parts in needed]
    asked = [question["question"] for question in questions]
    kinds = [f"{len(found)} hops" for found in gold]
    return Task("musique", [{"name": "musique", "items": items, "queries": asked}], [gold], [kinds], (5, 10, 20))


def recall(task: Task, found: list[list[list[int]]]) -> dict[str, dict[str, float]]:
    """Share of a question's gold among the first 5, 10, ..., averaged over questions: {"all": {"5": .41}, ...}."""
    parts: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for gold, kinds, answers in zip(task.gold, task.kinds, found, strict=True):
        for wanted, kind, rows in zip(gold, kinds, answers, strict=True):
            for cut in task.cuts:
                share = len(wanted & set(rows[:cut])) / len(wanted)
                parts["all"][cut].append(share)
                parts[kind][cut].append(share)
    return {kind: {str(cut): mean(shares) for cut, shares in by_cut.items()} for kind, by_cut in sorted(parts.items())}
