"""Facts taken from what the user says, by patterns written against the training templates; values are open.

A paraphrase that is held out fits no pattern, so its fact is missed: a score on training templates alone would be a
score of the generator.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from mnemic.bench.halumem.attributes import EVENTS, HE, OF_EVENTS, OF_PEOPLE, RELATION, SHE, Attribute
from mnemic.bench.halumem.dialogue import core
from mnemic.bench.halumem.language import USER, sentences

_ALL: tuple[Attribute, ...] = (*OF_PEOPLE, *OF_EVENTS, RELATION)
_VALUE, _NAME = "VVV", "NNN"  # stand-ins while a template becomes a pattern
_HOLE = r"(?P<value>[^,.:;!?]+?)"
_TAIL = r"(?: now| these days)?(?=\s*[,.:;!?]|\s*$)"
_FRAME_START = r"(?:^|[,:] (?:but )?)"


@dataclass(frozen=True)
class Extracted:
    """A fact as a system understood it. A text is made of it at once: nothing else leaves the system."""

    subject: str
    attribute: str
    value: str

    @property
    def text(self) -> str:
        whose = "The user's" if self.subject == USER else f"{self.subject[0].upper()}{self.subject[1:]}'s"
        return f"{whose} {self.attribute} is {self.value}."


def _pattern(template: str, form: str) -> re.Pattern[str]:
    """A training template as a pattern, in the form of one kind of subject: "user", "name", "she", "he", "it"."""
    subject = {"user": USER, "she": SHE[0], "he": HE[0], "it": EVENTS[0]}.get(form, _NAME)
    clause = core(template, subject, _VALUE, 1, form in ("she", "he", "it"))
    made = re.escape(clause).replace(re.escape(_VALUE), _HOLE, 1)
    made = re.sub(r"\\ an?\\ (?=\(\?P<value>)", r"\\ an?\\ ", made)
    made = re.sub(r"^an?\\ (?=\(\?P<value>)", "an? ", made)
    made = made.replace(_NAME, r"(?P<name>the \w+ \w+|\w+)", 1).replace(_NAME, "(?P=name)")
    return re.compile(f"{_FRAME_START}{made}{_TAIL}", re.IGNORECASE)


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    """(form, attribute, pattern) of every training template."""
    made = []
    for attribute in _ALL:
        forms = ("name", "it") if attribute in OF_EVENTS else ("user", "name", "she", "he")
        for form in forms if attribute is not RELATION else ("name",):
            made += [(form, attribute.name, _pattern(template, form)) for template in attribute.train]
    return tuple(made)


_NAMES = {name.lower(): name for name in (*SHE, *HE, *EVENTS)}
_NAMED = re.compile(rf"\b(?:{'|'.join(_NAMES)})\b", re.IGNORECASE)


@lru_cache(maxsize=50_000)
def _matched(sentence: str) -> tuple[str, str, str, str] | None:
    """(form, name, attribute, value) of the pattern that leaves the shortest value; None when none fits."""
    best: tuple[str, str, str, str] | None = None
    for form, attribute, pattern in _patterns():
        for match in pattern.finditer(sentence):
            value, name = match["value"].strip(), match.groupdict().get("name") or ""
            if form == "name" and name.lower() not in _NAMES:
                continue
            if best is None or len(value) < len(best[3]):
                best = (form, name, attribute, value)
    return best


@lru_cache(maxsize=20_000)
def extracted(texts: tuple[str, ...]) -> tuple[Extracted, ...]:
    """Facts of texts that were said one after the other; a pronoun means whoever was named last."""
    found: list[Extracted] = []
    last: dict[str, str] = {"user": USER}
    for sentence in (each for text in texts for each in sentences(text)):
        match = _matched(sentence)
        if match is not None:
            form, name, attribute, value = match
            subject = _NAMES[name.lower()] if form == "name" else last.get(form)
            if subject:
                found.append(Extracted(subject, attribute, value))
        for spot in _NAMED.findall(sentence):
            name = _NAMES[spot.lower()]
            last["it" if name in EVENTS else "she" if name in SHE else "he"] = name
    return tuple(found)
