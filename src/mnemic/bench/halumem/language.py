"""What a sentence of a SlotWorld says: facts, read from any text by values and cue words.

A value tells its attribute, since no value stands in two. Whom it is about is told by a name, a pronoun (whoever was
named last) or I and you. A sentence that has a value and a word that people use for its attribute states the fact; in a
question or behind "so you think" it states it with a hedge, behind "no longer" it says that the fact has ended.
Judge, answering reader and tests share this: none of them sees a slot, only text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from mnemic.bench.halumem.attributes import (
    EVENTS,
    FIRST,
    FOLLOWS,
    HE,
    LAST,
    OF_EVENTS,
    OF_PEOPLE,
    RELATION,
    SHE,
    Attribute,
)  # fmt: skip
from mnemic.recall.terms import STOPWORDS, terms

Mode = Literal["is", "was", "maybe"]
USER = "user"  # the subject behind "I", "you", "the user" and the user's full name


@dataclass(frozen=True)
class Fact:
    """Whose (None: a pronoun without a name before it), what, which value; as it is, was, or with a hedge."""

    subject: str | None
    attribute: str
    value: str
    mode: Mode = "is"

    @property
    def field(self) -> tuple[str | None, str]:
        return self.subject, self.attribute


ATTRIBUTES: Mapping[str, Attribute] = {each.name: each for each in (*OF_PEOPLE, *OF_EVENTS, RELATION)}
_EVENT = {each.name for each in OF_EVENTS}
_VALUE_OF = {value.lower(): name for name, each in ATTRIBUTES.items() for value in each.values if value}
_ITEM_OF = {item.lower(): name for name, (_, items) in FOLLOWS.items() for item in items.values()}
_PEOPLE = {name.lower(): name for name in (*SHE, *HE)}
_EVENT_NAMES = {name.removeprefix("the ").lower(): name for name in EVENTS}
_CASED = {value.lower(): value for each in ATTRIBUTES.values() for value in each.values} | _PEOPLE


def _any_of(words: Sequence[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_VALUES = re.compile(rf"(?<![\w-])(?:{_any_of(list(_VALUE_OF))})(?![\w-])", re.IGNORECASE)
_ITEMS = re.compile(rf"(?<![\w-])(?:{_any_of(list(_ITEM_OF))})(?![\w-])", re.IGNORECASE)
_NAMES = re.compile(rf"\b(?:{_any_of([*_PEOPLE, *_EVENT_NAMES])})\b", re.IGNORECASE)
_FULL = re.compile(rf"\b(?:{_any_of(FIRST)}) (?:{_any_of(LAST)})\b")  # only the user has a last name
_SELF = re.compile(r"\b(?:i|me|my|mine|i'm|i've|you|your|user|user's)\b", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_SPEAKER = re.compile(r"^\s*(?:user|assistant)\s*:\s*", re.IGNORECASE)
_ENDED = re.compile(
    r"(?:no longer(?: \w+){0,3}|not(?: an?| the)?|instead of(?: an?| the)?|used to be(?: an?| the)?"
    r"|after years of|goodbye|rather than|formerly|previously)\s+$",
    re.IGNORECASE,
)
_ENDS = re.compile(r"^\s+(?:is history|did not last|is over|no more)", re.IGNORECASE)
_HEDGE = re.compile(
    r"\b(?:so you think|or so you say|you keep telling me|perhaps|maybe|might|possibly)\b", re.IGNORECASE
)
_WORDS = re.compile(r"\{\w+\}")


def _cues(attribute: Attribute) -> frozenset[str]:
    """Stems that people use when they say this: the words of its name and of all its templates."""
    said = " ".join((attribute.name, *attribute.train, *attribute.held_out))
    said = _WORDS.sub(" ", said).replace("|", " ")
    stop = set(terms(" ".join(STOPWORDS)))
    kept = {
        "relation": {"my", "your", "is"},
        "verdict": {"was"},
        "pet": {"have", "has", "owns"},
        "home city": {"resides", "based"},
        "profession": {"job"},
    }.get(attribute.name, set())  # "Nora is my cousin"
    return frozenset(term for term in terms(said) if term not in stop) | set(terms(" ".join(kept)))


CUES: Mapping[str, frozenset[str]] = {name: _cues(each) for name, each in ATTRIBUTES.items()}


def sentences(text: str) -> list[str]:
    """The sentences of a text, without the name of who says it."""
    return [part for part in (each.strip() for each in _SENTENCE.split(_SPEAKER.sub("", text))) if part]


@lru_cache(maxsize=100_000)
def facts(text: str) -> tuple[Fact, ...]:
    """All that a text says, in order; pronouns are looked up within the text."""
    return told([text])


def told(texts: Sequence[str]) -> tuple[Fact, ...]:
    """What texts say that are read one after the other: "she" may be named in an earlier one."""
    found: list[Fact] = []
    last: dict[str, str] = {}  # pronoun -> who it means now
    for text in texts:
        for sentence in sentences(text):
            found += _in_sentence(sentence, last)
    return tuple(found)


def _in_sentence(sentence: str, last: dict[str, str]) -> list[Fact]:
    plain = _FULL.sub("the user", sentence)
    spots = [(match.start(), match.end(), match[0].lower()) for match in _VALUES.finditer(plain)]
    names = [_PEOPLE.get(match[0].lower()) or _EVENT_NAMES[match[0].lower()] for match in _NAMES.finditer(plain)]
    people, events = [name for name in names if name in _CASED.values()], [name for name in names if name[:4] == "the "]
    here = set(terms(plain))
    hedged = bool(_HEDGE.search(plain)) or plain.rstrip().endswith("?")
    found = []
    for start, end, value in spots:
        attribute = _VALUE_OF[value]
        if not here & CUES[attribute] and not _ENDS.match(plain[end:]) and not _ENDED.search(plain[:start]):
            continue
        subject = _subject(attribute, plain, people, events, last)
        found.append(Fact(subject, attribute, _CASED[value], _mode(plain, start, end, hedged)))
    event = events[-1] if events else last.get("it")
    if people and (events or last.get("it")) and here & CUES["companion"] and _is_about_event(plain, events):
        found.append(Fact(event, "companion", people[-1], "maybe" if hedged else "is"))
    _remember(people, events, last)
    return found


def _is_about_event(plain: str, events: Sequence[str]) -> bool:
    return bool(events) or bool(re.search(r"\bit\b", plain, re.IGNORECASE))


def _subject(attribute: str, plain: str, people: Sequence[str], events: Sequence[str],
             last: Mapping[str, str]) -> str | None:  # fmt: skip
    if attribute in _EVENT:
        return events[-1] if events else last.get("it")
    if people:
        return people[-1]
    for pronoun, forms in (("she", r"\b(?:she|her|hers)\b"), ("he", r"\b(?:he|him|his)\b")):
        if re.search(forms, plain, re.IGNORECASE):
            return last.get(pronoun)
    return USER if _SELF.search(plain) else None


def _mode(plain: str, start: int, end: int, hedged: bool) -> Mode:
    if _ENDED.search(plain[:start]) or _ENDS.match(plain[end:]):
        return "was"
    return "maybe" if hedged else "is"


def _remember(people: Sequence[str], events: Sequence[str], last: dict[str, str]) -> None:
    for name in people:
        last["she" if name in SHE else "he"] = name
    for name in events:
        last["it"] = name


def values_in(text: str, attribute: str) -> tuple[list[str], list[str]]:
    """Values of an attribute that a short answer gives, and those that it denies ("Oslo, not Bergen")."""
    given: list[str] = []
    denied: list[str] = []
    finder, home = (_NAMES, {}) if attribute == "companion" else (_VALUES, _VALUE_OF)
    for match in finder.finditer(text):
        value = match[0].lower()
        if home.get(value, attribute) == attribute and value in _CASED:
            ended = _ENDED.search(text[: match.start()]) or _ENDS.match(text[match.end() :])
            (denied if ended else given).append(_CASED[value])
    return given, denied


def items_in(text: str) -> list[str]:
    """What follows from a value (a gift, a dish, ...), named in a text."""
    return [match[0].lower() for match in _ITEMS.finditer(text)]


def values_of(attribute: str) -> tuple[str, ...]:
    """What an attribute can be; a companion is a person."""
    return (*SHE, *HE) if attribute == "companion" else ATTRIBUTES[attribute].values


def attribute_of(value: str) -> str | None:
    """Whose value it is: "Oslo" -> "home city"; a person is a companion."""
    return _VALUE_OF.get(value.lower()) or ("companion" if value.lower() in _PEOPLE else None)
