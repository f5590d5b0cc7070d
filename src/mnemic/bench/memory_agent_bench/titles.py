"""Recommendations: the titles of an answer, matched with a catalogue by edit distance.

The nearest title is always some title, so a made-up one can count as a hit; the share that is found word for word
is reported beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mnemic.errors import InputError

_NUMBER = re.compile(r"^\s*\d+\s*[.)]?\s*[-–—]?\s*")
_PARENTHESES = re.compile(r"\([^()]*\)")


@dataclass(frozen=True)
class Recall:
    """recall of the wanted titles among the first k: by nearest title, and by exact ones only."""

    nearest: float
    exact: float


def listed(text: str) -> list[str]:
    """Titles of a numbered list (else of lines, else between commas), without numbers and years."""
    _, first, rest = text.partition("1.")
    body = rest if first else text if "\n" in text.strip() else text.replace(",", "\n")
    titles = [" ".join(_PARENTHESES.sub("", _NUMBER.sub("", line)).split()) for line in body.splitlines()]
    return [title for title in titles if title]


def movie_title(name: str) -> str:
    """The title in a name or an address: ".../The_Long_Voyage_(1999_film)>" becomes "The Long Voyage"."""
    title = name.rsplit("/", 1)[-1].translate(str.maketrans("_->", "   "))
    return " ".join(_PARENTHESES.sub("", title).split())


def recall(text: str, wanted: Sequence[str], catalogue: Sequence[str], *, k: int = 5) -> Recall:
    """Recall@k of an answer; titles are compared without case and years.

    Raises InputError without a catalogue.
    """
    if not catalogue:
        raise InputError("recommendations are matched with a catalogue: give Context.titles.")
    known = {_plain(title): title for title in catalogue}
    gold = {_plain(title) for title in wanted}
    said = [_plain(title) for title in listed(text)[:k]]
    near = {nearest(title, list(known)) for title in said}
    return Recall(len(gold & near) / len(gold), len(gold & (set(said) & known.keys())) / len(gold))


def nearest(title: str, catalogue: Sequence[str]) -> str:
    """The title of the catalogue with the least edit distance; the first of equals."""
    if title in catalogue:
        return title
    best, least = catalogue[0], len(title) + len(catalogue[0])
    for other in catalogue:
        if abs(len(other) - len(title)) < least:
            distance = edits(title, other)
            best, least = (other, distance) if distance < least else (best, least)
    return best


def edits(a: str, b: str) -> int:
    """Levenshtein's distance: insertions, deletions and substitutions of characters."""
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1]


def _plain(title: str) -> str:
    return " ".join(_PARENTHESES.sub("", title).lower().split())
