"""Questions of a SlotWorld, of all six types, each with its answer and the points that it follows from."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mnemic.bench.halumem.attributes import EVENTS, FOLLOWS, OF_PEOPLE
from mnemic.bench.halumem.language import USER
from mnemic.bench.halumem.records import MemoryPoint, Question

RECALL, HOPS, DYNAMIC = "Basic Fact Recall", "Multi-hop Inference", "Dynamic Update"
BOUNDARY, APPLY, CONFLICT = "Memory Boundary", "Generalization & Application", "Memory Conflict"
TYPES = (RECALL, HOPS, DYNAMIC, BOUNDARY, APPLY, CONFLICT)
UNKNOWN = "unknown"
_INTRODUCTION = (RECALL, HOPS, BOUNDARY)  # an introduction has three types, a day four, a change all six
_DAY = (RECALL, HOPS, BOUNDARY, APPLY)
_PLAIN = ("What is {whose} {what}?", "Can you tell me {whose} {what}?", "Do you remember {whose} {what}?")
_NOW = ("What is {whose} {what} now, after the change?", "There was news: what is {whose} {what} today?")

Field = tuple[str, str]


@dataclass(frozen=True)
class Known:
    """What a user has said so far, and what the assistant made up about it."""

    points: Mapping[Field, MemoryPoint]
    values: Mapping[Field, str]
    past: Mapping[Field, list[str]]
    claimed: Mapping[Field, set[str]]


def asked(known: Known, stages: int, session: int, rng: random.Random) -> list[Question]:
    """The questions after a session: one on most days, round(2 + a (stages - 1)) with a in 0.5..1.5 after a change."""
    count = round(2 + rng.uniform(0.5, 1.5) * (stages - 1)) if stages else 1
    types = list(TYPES if stages else _DAY if session >= 4 else _INTRODUCTION)
    rng.shuffle(types)
    made: list[Question] = []
    for kind in (types * 2)[: len(types) + count]:
        if len(made) == count:
            break
        question = _MAKERS[kind](known, rng)
        if question is not None and question.text not in {each.text for each in made}:
            made.append(question)
    return made


def whose(subject: str) -> str:
    return "my" if subject == USER else f"{subject}'s"


def _pick(known: Known, fields: list[Field], rng: random.Random) -> Field | None:
    """One of the fields; rather one that has changed, since that is where memories differ."""
    changed = [field for field in fields if known.past.get(field)]
    pool = changed if changed and rng.random() < 0.7 else fields
    return rng.choice(pool) if pool else None


def _plain(known: Known, rng: random.Random, kind: str, frames: tuple[str, ...],
           fields: list[Field]) -> Question | None:  # fmt: skip
    field = _pick(known, fields, rng)
    if field is None:
        return None
    text = rng.choice(frames).format(whose=whose(field[0]), what=field[1])
    return Question(text, known.values[field], kind, "easy", (known.points[field],))


def _recall(known: Known, rng: random.Random) -> Question | None:
    return _plain(known, rng, RECALL, _PLAIN, list(known.values))


def _dynamic(known: Known, rng: random.Random) -> Question | None:
    return _plain(known, rng, DYNAMIC, _NOW, [field for field in known.values if known.past.get(field)])


def _boundary(known: Known, rng: random.Random) -> Question | None:
    """Something that was never said: a slot of somebody whose other slots are known."""
    people = sorted({subject for subject, _ in known.values if subject != USER and subject not in EVENTS})
    fields = [(person, each.name) for person in people for each in OF_PEOPLE if (person, each.name) not in known.values]
    fields += [(USER, each.name) for each in OF_PEOPLE if (USER, each.name) not in known.values]
    if not fields:
        return None
    subject, what = rng.choice(fields)
    text = rng.choice(_PLAIN).format(whose=whose(subject), what=what)
    return Question(text, UNKNOWN, BOUNDARY, "medium")


def _hops(known: Known, rng: random.Random) -> Question | None:
    """Whoever came along to an event, and something about that person: two points."""
    guests = {event: who for (event, what), who in known.values.items() if what == "companion"}
    paths = {(who, what): event for event, who in guests.items() for subject, what in known.values if subject == who}
    field = _pick(known, list(paths), rng)
    if field is None:
        return None
    event = paths[field]
    text = f"What is the {field[1]} of the person who was my companion at {event}?"
    return Question(text, known.values[field], HOPS, "hard", (known.points[event, "companion"], known.points[field]))


def _apply(known: Known, rng: random.Random) -> Question | None:
    """Something to choose that follows from a value."""
    field = _pick(known, [field for field in known.values if field[1] in FOLLOWS], rng)
    if field is None:
        return None
    asks, items = FOLLOWS[field[1]]
    text = f"Which {asks} would suit {whose(field[0])} {field[1]}?"
    return Question(text, items[known.values[field]], APPLY, "medium", (known.points[field],))


def _conflict(known: Known, rng: random.Random) -> Question | None:
    """A question built on something false: an old value, or one that the assistant made up."""
    false = {field: [*known.past.get(field, ()), *sorted(known.claimed.get(field, ()))] for field in known.values}
    field = _pick(known, [field for field, values in false.items() if values], rng)
    if field is None:
        return None
    premise = rng.choice(false[field])
    text = f"Since {whose(field[0])} {field[1]} is {premise}, what should I keep in mind?"
    answer = f"{known.values[field]}, not {premise}"
    return Question(text, answer, CONFLICT, "hard", (known.points[field],))


_MAKERS: Mapping[str, Callable[[Known, random.Random], Question | None]] = {
    RECALL: _recall, HOPS: _hops, DYNAMIC: _dynamic, BOUNDARY: _boundary, APPLY: _apply, CONFLICT: _conflict,
}  # fmt: skip
