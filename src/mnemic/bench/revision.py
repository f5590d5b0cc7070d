"""Belief revision: after facts have changed and ended, does recall still say what follows from the old ones?

A generated world of people, firms, towns, regions, countries and currencies; what follows over one to four steps is
written down as facts too (mnemic.rules). Then people change their firm, firms their town, towns their region, and some
things end without a successor. The questions ask for what holds now: directly, over 1-4 steps, and for what nothing
holds any more. No language model: the reader takes the first memory found that says the asked relation of the asked
person, and believes it unless it is marked as ended or out of date. After the data sets of belief revision for agents'
memories, whose truth is a language model's; here it is the world's own.
"""

from __future__ import annotations

import random
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from mnemic.bench._methods import chosen
from mnemic.errors import BudgetError
from mnemic.memory import Memory
from mnemic.meter import Budget
from mnemic.quote import excerpt, quoted
from mnemic.record import Hit, Record
from mnemic.rules import Rule, conclude
from mnemic.seams import Embedder

QUALITY = "all"
METHODS: Mapping[str, str] = {
    "append": "every new fact beside the old ones; the best hit is believed",
    "newest": "the same, what follows is worked out again and the newest hit is believed",
    "stale marks": "facts are ended and replaced, what was derived goes stale",
    "revision": "facts are ended and replaced, what was derived follows (mnemic.revision)",
}
KINDS = ("direct", "1 step", "2 steps", "3 steps", "4 steps", "absent", "untouched")
TOKENS = Budget(200, "tokens")  # of memories that the reader sees per question

# Who -> firm -> town -> region -> country -> currency: (relation, what it is asked with).
_CHAIN = (("works at", "Which firm does {} work at?"), ("is in", ""), ("belongs to", ""), ("is part of", ""),
          ("pays with", ""))  # fmt: skip
_FOLLOWS = (
    ("works in the town of", "In which town does {} work?"),
    ("works in the region of", "In which region does {} work?"),
    ("works in the country of", "In which country does {} work?"),
    ("is paid in", "In which currency is {} paid?"),
)
_SAID = ("works at", *(relation for relation, _ in _FOLLOWS))  # of a person, step by step
RULES = [
    Rule(f"step {n}", [("?who", _SAID[n - 1], "?it"), ("?it", _CHAIN[n][0], "?to")], ("?who", _SAID[n], "?to"),
         says=f"{{who}} {_SAID[n]} {{to}}.")
    for n in range(1, len(_SAID))
]  # fmt: skip
_SYLLABLES = ("ba", "do", "fi", "gu", "ka", "le", "mo", "ni", "pu", "ra", "se", "ti", "vo", "wa", "ze")


@dataclass(frozen=True)
class Question:
    """What is asked after all changes.

    relation   asked of `who`; answer None when nothing holds any more
    kind       of KINDS
    """

    who: str
    relation: str
    text: str
    answer: str | None
    kind: str


@dataclass
class World:
    """What is true, level by level: layers[0] people -> firm, layers[1] firm -> town, ...; names of each level."""

    layers: list[dict[str, str]]
    names: list[list[str]] = field(default_factory=list)
    changed: dict[str, int] = field(default_factory=dict)  # who -> lowest layer that changed under them
    gone: set[str] = field(default_factory=set)

    @classmethod
    def made(cls, people: int, rng: random.Random) -> World:
        taken: set[str] = set()
        levels = [[_name(rng, taken) for _ in range(max(3, people // share))] for share in (1, 2, 3, 4, 6, 6)]
        return cls([{name: rng.choice(below) for name in level} for level, below in pairwise(levels)], levels)

    def answer(self, who: str, depth: int) -> str | None:
        """Where `who` stands `depth` steps behind the direct fact; None when a link is gone."""
        at: str | None = who
        for layer in self.layers[: depth + 1]:
            at = layer.get(at) if at is not None else None
        return at

    def touched(self, layer: int, name: str) -> list[str]:
        """People whose chain goes through a name of a layer."""
        return [who for who in self.layers[0] if (who if layer == 0 else self.answer(who, layer - 1)) == name]


def run(*, limit: int | None = None, methods: Sequence[str] = (), budget: Budget | None = None, seed: int = 0,
        embedder: Embedder | None = None) -> list[dict[str, Any]]:  # fmt: skip
    """A row per method: accuracy by kind of question, tokens read per question, bytes of the memory.

    limit    people of the world (24)
    budget   tokens of memories that the reader sees per question
    """
    names, budget = chosen(methods, METHODS), budget or TOKENS
    if budget.unit != "tokens":
        raise BudgetError(f'a reader is given tokens, not {budget.unit}: write it like "200 tokens".')
    rows = []
    for name in names:
        with Memory(":memory:", embedder=embedder) as memory:
            questions = live(memory, name, people=limit or 24, seed=seed)
            rows.append(_row(name, memory, questions, budget))
    return rows


def live(memory: Memory, method: str, *, people: int, seed: int) -> list[Question]:
    """Let a world happen to a memory; returns what to ask of it."""
    rng = random.Random(seed)
    world = World.made(people, rng)
    facts = {(name, layer): _add(memory, name, layer, to, "2020")
             for layer, links in enumerate(world.layers) for name, to in links.items()}  # fmt: skip
    conclude(memory, RULES)
    if method == "stale marks":
        _without_derivers(memory)
    for n in range(people):
        _change(memory, world, facts, method, rng, f"2021-{n // 28 + 1:02}-{n % 28 + 1:02}")
    return _questions(world)


def _change(memory: Memory, world: World, facts: dict[tuple[str, int], Record], method: str, rng: random.Random,
            time: str) -> None:  # fmt: skip
    """Something happens: mostly to a person or a firm, now and then to a town or a region; one in five just ends."""
    layer = rng.choices(range(4), weights=(4, 3, 2, 1))[0]
    if not world.layers[layer]:
        return  # all of it has ended
    name = rng.choice(sorted(world.layers[layer]))
    old, ends = facts[name, layer], rng.random() < 0.2
    for who in world.touched(layer, name):
        world.changed[who] = min(world.changed.get(who, layer), layer)
    if ends:
        del world.layers[layer][name]
        del facts[name, layer]
        if method in ("append", "newest"):
            memory.add(f"{name} no longer {_CHAIN[layer][0]} {old.metadata['object']}.", kind="fact", time=time)
        else:
            memory.update(old.id, until=time)
    else:
        to = rng.choice([each for each in world.names[layer + 1] if each != world.layers[layer][name]])
        world.layers[layer][name] = to
        facts[name, layer] = (
            _add(memory, name, layer, to, time) if method in ("append", "newest") else _replace(memory, old, to, time)
        )
    if method in ("newest", "revision"):
        conclude(memory, RULES)


def _add(memory: Memory, name: str, layer: int, to: str, time: str) -> Record:
    relation = _CHAIN[layer][0]
    metadata = {"subject": name, "relation": relation, "object": to}
    return memory.add(f"{name} {relation} {to}.", kind="fact", time=time, metadata=metadata)


def _replace(memory: Memory, old: Record, to: str, time: str) -> Record:
    metadata = {**old.metadata, "object": to}
    return memory.supersede(old.id, f"{metadata['subject']} {metadata['relation']} {to}.", time=time, metadata=metadata)


def _without_derivers(memory: Memory) -> None:
    """The control: conclusions no longer say how they follow, so all that is left is to mark them."""
    for record in list(memory.records({"metadata": {"deriver": "rules"}})):
        memory.update(record.id, metadata={name: record.metadata[name] for name in ("subject", "relation", "object")})


def _questions(world: World) -> list[Question]:
    questions = []
    for who in sorted({*world.layers[0], *world.changed}):
        for depth, (relation, text) in enumerate((_CHAIN[0], *_FOLLOWS)):
            answer = world.answer(who, depth)
            changed = world.changed.get(who)
            if answer is None:
                kind = "absent"
            elif changed is None or changed > depth:
                kind = "untouched"
            else:
                kind = "direct" if depth == 0 else f"{depth - changed or 1} step{'s' if depth - changed > 1 else ''}"
            questions.append(Question(who, relation, text.format(who), answer, kind))
    return questions


def _row(method: str, memory: Memory, questions: Sequence[Question], budget: Budget) -> dict[str, Any]:
    right: dict[str, list[float]] = {kind: [] for kind in KINDS}
    tokens = []
    for question in questions:
        hits, used = _within(memory, question.text, budget)
        tokens.append(used)
        right[question.kind].append(float(answer(question, hits, newest=method == "newest") == question.answer))
    accuracy = {kind: statistics.fmean(each) for kind, each in right.items() if each}
    everything = statistics.fmean(each for kind in right.values() for each in kind)
    used = memory.used("bytes").amount
    return {"method": method, "tokens": statistics.fmean(tokens), "bytes": used, "all": everything, **accuracy}


def _within(memory: Memory, text: str, budget: Budget) -> tuple[list[Hit], int]:
    """The best hits that fit the budget as they would be quoted, and their tokens."""
    kept: list[Hit] = []
    used = 0
    for hit in memory.recall(text, k=10):
        cost = memory.embedder.count(quoted(len(kept) + 1, hit, excerpt(hit)))
        if used + cost > budget.amount:
            break
        kept.append(hit)
        used += cost
    return kept, used


def answer(question: Question, hits: Sequence[Hit], *, newest: bool = False) -> str | None:
    """What a reader believes: the first hit (or the newest) that says what is asked; None when it has ended."""
    pattern = re.compile(rf"{re.escape(question.who)} {re.escape(question.relation)} (\w+)\.")
    said = [(hit.record, match[1]) for hit in hits if (match := pattern.fullmatch(hit.record.text))]
    if newest:
        said.sort(key=lambda pair: pair[0].time or "", reverse=True)
    if not said or said[0][0].until or said[0][0].stale:
        return None
    return said[0][1]


def _name(rng: random.Random, taken: set[str]) -> str:
    while True:
        name = "".join(rng.choice(_SYLLABLES) for _ in range(3)).capitalize()
        if name not in taken:
            taken.add(name)
            return name
