"""Triples: what one is, how it is normalised, and who reads them out of a passage."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Triple = tuple[str, str, str]  # subject, relation, object

_NO_LETTER = re.compile(r"[^\w]|_")
_END = re.compile(r"\n\s*\n|(?<=[.!?])\s+|\n")  # where a long text may be cut: paragraph, sentence, line


@dataclass(frozen=True)
class Passage:
    """What an extractor reads.

    speaker   who says "I" in it
    """

    text: str
    speaker: str | None = None


@dataclass(frozen=True)
class Reading:
    """What an extractor read in one passage.

    failure   why there is nothing, or not everything; empty when all went well
    """

    triples: tuple[Triple, ...] = ()
    failure: str = ""


class Extractor(Protocol):
    """Reads triples out of passages, one reading each, in order."""

    def read(self, passages: Sequence[Passage]) -> list[Reading]: ...


def normalise(phrase: str) -> str:
    """Lower case; everything but letters and digits becomes a space; runs of spaces become one."""
    return " ".join(_NO_LETTER.sub(" ", phrase.lower()).split())


def facts(triples: Iterable[Sequence[str]]) -> list[Triple]:
    """Distinct normalised triples in order; one without a subject or an object is no fact."""
    plain = ((normalise(s), normalise(p), normalise(o)) for s, p, o in triples)
    return list(dict.fromkeys(fact for fact in plain if fact[0] and fact[2]))


def whole(items: Any) -> list[Triple]:
    """Of what a model or a person gave, the entries that are three texts (or numbers), without repetitions."""
    found = [item for item in items if isinstance(item, list | tuple) and len(item) == 3]
    plain = [item for item in found if all(isinstance(part, str | int | float) for part in item)]
    return list(dict.fromkeys((str(s), str(p), str(o)) for s, p, o in plain))


def spoken(fact: Triple) -> str:
    """The one text form of a fact: what is embedded, and what a filter's reply is matched against."""
    return str(fact)


def pieces(text: str, longest: int) -> Iterator[str]:
    """Cut a text into parts of at most `longest` characters, at the last end of a sentence that fits."""
    start = 0
    while len(text) - start > longest:
        window = text[start : start + longest]
        end = max((cut.end() for cut in _END.finditer(window)), default=longest)
        yield text[start : start + end]
        start += end
    if text[start:].strip():
        yield text[start:]
