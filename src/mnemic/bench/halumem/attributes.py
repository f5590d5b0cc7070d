"""The vocabulary of a SlotWorld: what people and events have, in which words it is said, and what follows from it.

It stands in vocabulary.json. A template is a sentence with {S} the subject ("I", "you", "Nora", "she"), {P} its
possessive, {S2} the subject as an object, {v} the value and {a} its article; {I}, {me} and {M} are the one who speaks,
or is spoken to. A word of two forms is chosen for first and second person | third; of three for I | you | third. No
value stands in two attributes, so a value tells its attribute; no template holds a value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Attribute:
    """One thing that a subject has.

    name        as gold texts and questions call it
    values      what it can be; none for a companion, who is a person
    train       templates that an extractor may be written against
    held_out    paraphrases that it has never seen
    importance  of a memory point about it
    changes     True when an event can change it
    """

    name: str
    values: tuple[str, ...]
    train: tuple[str, ...]
    held_out: tuple[str, ...]
    importance: float = 0.5
    changes: bool = True


def _made(row: Mapping[str, Any]) -> Attribute:
    texts = {name: tuple(row[name]) for name in ("values", "train", "held_out")}
    return Attribute(row["name"], **texts, importance=row["importance"], changes=row["changes"])


_WORDS: Mapping[str, Any] = json.loads(Path(__file__).with_name("vocabulary.json").read_text(encoding="utf-8"))

OF_PEOPLE: tuple[Attribute, ...] = tuple(_made(row) for row in _WORDS["people"])
OF_EVENTS: tuple[Attribute, ...] = tuple(_made(row) for row in _WORDS["events"])
RELATION: Attribute = _made(_WORDS["relation"])

# Names that people know a person or an event by; a name tells who "she" or "he" can be. Only a user has a last name.
SHE: tuple[str, ...] = tuple(_WORDS["names"]["she"])
HE: tuple[str, ...] = tuple(_WORDS["names"]["he"])
EVENTS: tuple[str, ...] = tuple(f"the {name}" for name in _WORDS["names"]["events"])
FIRST: tuple[str, ...] = tuple(_WORDS["names"]["first"])
LAST: tuple[str, ...] = tuple(_WORDS["names"]["last"])

# What follows from a value, for questions that apply a fact: attribute -> (what is asked for, value -> it)
FOLLOWS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    each.name: (row["asked"], dict(zip(each.values, row["items"], strict=True)))
    for each in OF_PEOPLE
    if (row := _WORDS["follows"].get(each.name))
}

# How a change is said: around the sentence with the new value; {old} is the value that ended.
CHANGES: tuple[str, ...] = tuple(_WORDS["changes"])
CHANGES_HELD_OUT: tuple[str, ...] = tuple(_WORDS["changes_held_out"])
# How a person repeats what an assistant claimed, without saying that it is so.
HEDGES: tuple[str, ...] = tuple(_WORDS["hedges"])
