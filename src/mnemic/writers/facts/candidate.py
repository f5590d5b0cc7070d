"""What a writer of facts reads and what it finds: passages, candidates, refusals, and who reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mnemic.recall.terms import STOPWORDS, terms, words


@dataclass(frozen=True)
class Passage:
    """A chunk as an extractor reads it.

    sentences  those that the gate let through, in order
    speaker    who says "I"
    time       when it was said, ISO 8601; None when nobody knows
    """

    sentences: tuple[str, ...]
    speaker: str
    time: str | None = None


@dataclass(frozen=True)
class Candidate:
    """A fact that may be worth keeping: one sentence that can be read alone, and what it is made of.

    time      when it became true; None for when it was said
    ended     True when the sentence says that it no longer holds
    sentence  what it was read from
    """

    text: str
    subject: str
    relation: str
    object: str
    time: str | None = None
    ended: bool = False
    sentence: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """Equal for two candidates that say the same."""
        return plain(self.subject), plain(self.relation), plain(self.object)


@dataclass(frozen=True)
class Refusal:
    """What was looked at and not kept, and why."""

    text: str
    reason: str


@dataclass(frozen=True)
class Reading:
    """What an extractor found in one passage."""

    candidates: tuple[Candidate, ...] = ()
    refused: tuple[Refusal, ...] = ()


class Extractor(Protocol):
    """Reads candidates out of passages, one reading each, in order.

    name   what stands in a fact's metadata as its "rule"
    calls  language model calls so far
    """

    name: str
    calls: int

    def read(self, passages: Sequence[Passage]) -> list[Reading]: ...


def plain(phrase: str) -> str:
    """A phrase as it is compared: stemmed, without articles."""
    return " ".join(term for term in terms(phrase) if term not in ("a", "an", "the"))


# Stop words that turn a sentence into another one.
_TURNING = {"no", "not", "nor", "off", "out", "up", "down", "never", "again", "should", "could", "if"}


def content(text: str) -> list[str]:
    """Stemmed words that carry the meaning of a text, in order: no stop words, but every "not"."""
    kept = [word for word in words(text) if word not in STOPWORDS or word in _TURNING]
    return terms(" ".join(kept))


def within(few: Sequence[str], many: Sequence[str]) -> bool:
    """True when the words of one text stand in the other, in the same order."""
    rest = iter(many)
    return all(word in rest for word in few)
