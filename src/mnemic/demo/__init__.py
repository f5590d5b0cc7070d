"""The demo: a conversation of twelve sessions, remembered and asked about.

Three friends talk through the year 2025. Things change (where Nadia lives, when Priya's defence is), something
that everybody believed turns out to be wrong (when the boat was built), and some things are never said. The
conversation and the questions ship with the package; their evidence stands beside them, so that the demo can
say whether recall found it. They were written for each other: this shows what mnemic does, it measures nothing.
How well recall finds things is measured on conversations that others wrote (mnemic.bench).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from mnemic.errors import InputError
from mnemic.memory import Memory
from mnemic.meter import Used
from mnemic.record import Answer, Chunk, Hit, Operation, Record

SOURCE = "demo conversation"
FOUND_WITHIN = 5  # hits among which the evidence must be

Watch = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    """A question, what was found for it, and whether that is where the answer stands.

    expected   the answer, as a person who read the conversation would give it
    evidence   places that say it; empty for what nobody ever says
    rank       of the first hit from there, counted from 1; None when it is not among the hits
    """

    question: str
    expected: str
    evidence: tuple[str, ...]
    hits: tuple[Hit, ...]
    rank: int | None
    answer: Answer


@dataclass(frozen=True)
class Correction:
    """A fact that turned out to be wrong, and the memory before and after it was put right.

    before, after   the best hits for `question` among the facts
    stale           what was concluded from the wrong fact, marked by the correction
    log             the operations on the fact and on what was concluded from it
    """

    question: str
    operation: int
    before: tuple[Hit, ...]
    after: tuple[Hit, ...]
    stale: tuple[Record, ...]
    log: tuple[Operation, ...]


@dataclass(frozen=True)
class Cost:
    """What it took. seconds: of remembering and of one question; tokens: embedded, and of the language model."""

    remember_seconds: float
    question_seconds: float
    disk: Used
    embedded_tokens: int
    model_tokens: int


@dataclass(frozen=True)
class Demo:
    messages: int
    sessions: int
    first: str
    last: str
    speakers: tuple[str, ...]
    asked: tuple[Asked, ...]
    unanswerable: Asked
    correction: Correction
    cost: Cost
    model: str | None

    @property
    def found(self) -> int:
        """Questions whose evidence is among the hits."""
        return sum(asked.rank is not None for asked in self.asked)


def conversation() -> list[Chunk]:
    """The messages, in their order."""
    turns = map(json.loads, _data("conversation.jsonl").splitlines())
    return [
        Chunk(turn["text"], time=turn["time"], source=SOURCE, place=f"{turn['session']}:{turn['turn']}",
              episode=f"session {turn['session']}", speaker=turn["speaker"])
        for turn in turns
    ]  # fmt: skip


@cache
def _data(name: str) -> str:
    return (files("mnemic.demo") / name).read_text(encoding="utf-8")


def run(memory: Memory, *, watch: Watch = lambda what: None) -> Demo:
    """Remember the conversation in an empty memory, ask the questions, put the wrong fact right.

    watch   is told what is being done. Raises InputError when the memory holds something already.
    """
    if next(iter(memory.records()), None) is not None:
        raise InputError(
            f"{memory.store.path}: holds memories already; name a new file for the demo, or another space."
        )
    chunks, script = conversation(), json.loads(_data("questions.json"))
    watch(f"remembering {len(chunks)} messages")
    start = time.perf_counter()
    places = _remember(memory, chunks)
    remembered = time.perf_counter() - start
    watch("putting a wrong fact right")
    correction = _correct(memory, script, places)
    watch("asking")
    start = time.perf_counter()
    asked = [_ask(memory, row) for row in [*script["questions"], script["unanswerable"]]]
    each = (time.perf_counter() - start) / len(asked)
    cost = Cost(remembered, each, memory.used("bytes"), sum(memory.embedder.count(chunk.text) for chunk in chunks),
                sum(one.answer.used.amount for one in asked))  # fmt: skip
    return Demo(
        messages=len(chunks),
        sessions=len({chunk.episode for chunk in chunks}),
        first=str(chunks[0].time)[:10],
        last=str(chunks[-1].time)[:10],
        speakers=tuple(dict.fromkeys(str(chunk.speaker) for chunk in chunks)),
        asked=tuple(asked[:-1]),
        unanswerable=asked[-1],
        correction=correction,
        cost=cost,
        model=memory.lm.name if memory.lm else None,
    )


def _remember(memory: Memory, chunks: list[Chunk]) -> dict[str, str]:
    """Place -> id of every message."""
    outcomes = memory.add_many(chunks, why="demo")
    return {str(o.record.place): o.record.id for o in outcomes if o.record is not None}


def _ask(memory: Memory, row: Mapping[str, Any]) -> Asked:
    hits = memory.recall(row["question"], k=FOUND_WITHIN)
    right = [number for number, hit in enumerate(hits, 1) if hit.record.place in row["evidence"]]
    return Asked(row["question"], row["answer"], tuple(row["evidence"]), tuple(hits), right[0] if right else None,
                 memory.ask(row["question"]))  # fmt: skip


def _correct(memory: Memory, script: Mapping[str, Any], places: Mapping[str, str]) -> Correction:
    """A fact is read out of a message, another concluded from it; then a later message shows it to be wrong."""
    first = memory.position
    given, concluded, right = script["fact"], script["conclusion"], script["correction"]
    fact = memory.add(given["text"], time=given["time"], kind="fact", derived_from=[places[given["from"]]])
    conclusion = memory.add(concluded["text"], time=concluded["time"], kind="fact",
                            derived_from=[fact.id, places[concluded["from"]]])  # fmt: skip
    before = memory.position
    memory.update(fact.id, text=right["text"], time=right["time"], derived_from=[places[right["from"]]],
                  why=right["why"])  # fmt: skip
    facts = {"kind": "fact"}
    return Correction(
        question=script["about"],
        operation=before + 1,
        before=tuple(memory.as_of(before).recall(script["about"], k=1, where=facts)),
        after=tuple(memory.recall(script["about"], k=1, where=facts)),
        stale=tuple(memory.records({"kind": "fact", "stale": True})),
        log=tuple(op for op in memory.log(after=first) if op.target in (fact.id, conclusion.id)),
    )
