"""Triplets: what one is, how it is cleaned, and how the two lists that a language model writes are read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_ALIASES = {"I": "inventory", "P": "player"}
_STRIPPED = "\"'. `;:"
_IGNORED = frozenset({"free"})  # a relation of the games' own fact tables: an exit that nothing blocks
# Only what heads a list is dropped, not all before a colon: "cooking: a modern approach" is the name of a book.
_HEAD = re.compile(r"^\s*(?:[\w ]*(?:triplets?|facts?)\s*:|step \d+\s*:)?\s*(?:\d+[.)]\s|[-*]\s)?\s*", re.IGNORECASE)


class Triplet(NamedTuple):
    """A fact. Kept as three texts: joined by commas only to be shown or embedded."""

    subject: str
    relation: str
    object: str

    def __str__(self) -> str:
        return ", ".join(self)


class Replacement(NamedTuple):
    """What a refiner proposes: a fact that is out of date, and what holds instead."""

    old: Triplet
    new: Triplet


def clean(subject: str, relation: str, object: str) -> Triplet:
    """Lower case, without quotes, dots, backticks, colons and semicolons at the ends; I is inventory, P is player."""
    named = (_ALIASES.get(subject.strip(), subject), relation, _ALIASES.get(object.strip(), object))
    return Triplet(*(" ".join(part.lower().split()).strip(_STRIPPED) for part in named))


def facts(triplets: Iterable[tuple[str, str, str]]) -> list[Triplet]:
    """Cleaned triplets without repetitions; one with an empty part, or with a relation that is ignored, is none."""
    cleaned = (clean(*triplet) for triplet in triplets)
    return list(dict.fromkeys(each for each in cleaned if all(each) and each.relation not in _IGNORED))


def read_triplets(reply: str) -> list[Triplet]:
    """ "s, r, o; s, r, o": parts with exactly two commas; a list number or a heading before the subject is dropped."""
    found = []
    for part in reply.split(";"):
        pieces = part.split(",")
        if len(pieces) == 3:
            subject, relation, object = pieces
            found.append((_HEAD.sub("", subject), relation, object))
    return facts(found)


def read_replacements(reply: str) -> list[Replacement]:
    """ "[[old -> new], ...]" as a list; pairs whose left side is no triplet are left out.

    A right side that is no triplet keeps its words in the object: only the left side is acted on.
    """
    inner = re.split(r"\[\s*\[", reply)[-1].strip().rstrip("]").replace("[", "")
    found = []
    for pair in re.split(r"\]\s*,", inner):
        sides = [side.strip(" \n\"'") for side in pair.split("->")]
        if len(sides) == 2 and sides[0].count(",") == 2:
            old = clean(*(part.strip(" \n\"'") for part in sides[0].split(",")))
            parts = sides[1].split(",")
            new = clean(*parts) if len(parts) == 3 else Triplet("", "", sides[1].lower().strip(_STRIPPED))
            if all(old):
                found.append(Replacement(old, new))
    return found
