"""Facts as they are worded: relations between typed things, their statements and questions, and the way back.

The generators write with these forms, and readers without a language model read with them: what a reader cannot find
was not among what its memory handed over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from mnemic import data
from mnemic.bench.memory_agent_bench.chunks import sentences
from mnemic.errors import DataMissing


@dataclass(frozen=True)
class Relation:
    """A functional relation: a subject has one object at a time.

    id                  Wikidata's number where there is one
    subject, object     types of what it relates
    forms               ways to state it, with {s} and {o}
    question            with {s}
    phrase              what stands for the object in a longer question, with {s}
    """

    id: str
    subject: str
    object: str
    forms: tuple[str, ...]
    question: str
    phrase: str = ""

    def state(self, subject: str, value: str, form: int = 0) -> str:
        return self.forms[form % len(self.forms)].format(s=subject, o=value)


@dataclass(frozen=True)
class Fact:
    """A statement as it was read; serial is the number before it, None without one."""

    subject: str
    relation: str
    object: str
    serial: int | None = None


def _relations(rows: str) -> tuple[Relation, ...]:
    parts = [[part.strip() for part in row.split("|")] for row in rows.strip().splitlines()]
    return tuple(Relation(i, s, o, (form,), asks, phrase) for i, s, o, form, asks, phrase in parts)


# Twenty relations of the fact pool; ids are those that MQuAKE uses too.
POOL = _relations("""
P50 | work | person | {s} was written by {o}. | By whom was {s} written? | the writer of {s}
P407 | work | language | {s} is written in the language {o}. | In which language is {s} written? | the language that {s} is written in
P495 | work | country | {s} comes from the country of {o}. | Which country does {s} come from? | the country that {s} comes from
P178 | work | company | {s} was brought out by {o}. | Which company brought out {s}? | the company that brought out {s}
P19 | person | city | {s} was born in the town of {o}. | In which town was {s} born? | the birthplace of {s}
P20 | person | city | {s} died in the town of {o}. | In which town did {s} die? | the place of death of {s}
P27 | person | country | {s} holds the citizenship of {o}. | Which citizenship does {s} hold? | the country of citizenship of {s}
P26 | person | person | {s} is the spouse of {o}. | Whose spouse is {s}? | the spouse of {s}
P69 | person | school | {s} studied at {o}. | Where did {s} study? | the school of {s}
P108 | person | company | {s} is employed at {o}. | Where is {s} employed? | the employer of {s}
P413 | person | team | {s} plays for {o}. | Which team does {s} play for? | the team of {s}
P140 | person | faith | {s} belongs to the faith of {o}. | To which faith does {s} belong? | the faith of {s}
P17 | city | country | {s} lies in the country of {o}. | In which country does {s} lie? | the country in which {s} lies
P6 | city | person | {s} has the mayor {o}. | Who is the mayor of {s}? | the mayor of {s}
P36 | country | city | {s} has the capital {o}. | Which capital does {s} have? | the capital of {s}
P35 | country | person | {s} has the head of state {o}. | Who is the head of state of {s}? | the head of state of {s}
P37 | country | language | {s} has the official language {o}. | Which official language does {s} have? | the official language of {s}
P169 | company | person | {s} has the chief executive {o}. | Who is the chief executive of {s}? | the chief executive of {s}
P159 | company | city | {s} has its seat in the town of {o}. | In which town does {s} have its seat? | the seat of {s}
P286 | team | person | {s} has the head coach {o}. | Who is the head coach of {s}? | the head coach of {s}
""")  # noqa: E501

# Facts about invented people, put into a real diary: each in three wordings, so that one question meets any of them.
_DIARY = """
horse | The name of the horse of {s} is {o}. | {s} came riding upon a horse that is called {o}. | I saw {o}, the horse of {s}, shod this day. | What is the name of the horse of {s}?
ship | The name of the ship of {s} is {o}. | {s} is gone to sea in a ship that is called {o}. | News came of {o}, the ship of {s}, being in the Downs. | What is the name of the ship of {s}?
dog | The name of the dog of {s} is {o}. | {s} hath a dog that is called {o}. | I was much pleased with {o}, the dog of {s}, which do many tricks. | What is the name of the dog of {s}?
inn | The inn of {s} is {o}. | {s} keeps an inn with the sign of {o}. | We drank at {o}, which belongs to {s}, very merry. | What is the inn of {s} called?
village | The village of {s} is {o}. | {s} comes from a village by the name of {o}. | I passed through {o}, where {s} was bred up. | What is the village of {s}?
debt | The debt of {s} is {o} pounds. | {s} owes me in all {o} pounds. | I reckoned {o} pounds as due from {s}, which troubles me. | How many pounds is the debt of {s}?
wife | The wife of {s} is {o}. | {s} is this year married to {o}. | I saluted {o}, the lady that {s} took to wife. | Who is the wife of {s}?
clerk | The clerk of {s} is {o}. | {s} hath taken for his clerk one {o}. | I spoke with {o}, that writes for {s}, about the papers. | Who is the clerk of {s}?
tune | The favourite tune of {s} is {o}. | {s} plays upon the viol no tune but {o}. | We sang {o}, which {s} loves above all tunes. | What is the favourite tune of {s}?
password | The password of {s} is {o}. | {s} will let in nobody that does not say {o}. | I whispered {o} at the gate, as {s} had bid me. | What is the password of {s}?
"""  # noqa: E501


def _diary() -> tuple[Relation, ...]:
    rows = [[part.strip() for part in row.split("|")] for row in _DIARY.strip().splitlines()]
    return tuple(Relation(f"diary:{name}", "person", name, (a, b, c), asks) for name, a, b, c, asks in rows)


DIARY = _diary()


def mquake() -> tuple[Relation, ...]:
    """MQuAKE's 44 relations in the words of its templates; raises DataMissing when they are not here.

    Those that the pool has too come first and have types and a phrase: facts can be generated with them.
    """
    cloze, asks = json.loads(data.read("mquake", "cloze")), json.loads(data.read("mquake", "questions"))
    ours = {relation.id: relation for relation in POOL}
    order = [*(id for id in ours if id in cloze), *(id for id in cloze if id not in ours)]
    return tuple(
        replace(
            ours.get(id, Relation(id, "", "", (), "")),
            forms=(cloze[id].replace("[X]", "{s}").replace("__", "{o}") + ".",),
            question=asks[id].replace("[X]", "{s}"),
        )
        for id in order
    )


def typed(relations: Iterable[Relation]) -> tuple[Relation, ...]:
    """Those whose types are known."""
    return tuple(relation for relation in relations if relation.subject)


class Vocabulary:
    """The forms that somebody can read: texts to facts, questions to a subject and the relations to follow.

    first    only the first form of each relation: what a store knows whose schema was fixed in advance
    """

    def __init__(self, relations: Iterable[Relation], *, first: bool = False) -> None:
        chosen = list(relations)
        self._forms = [
            (_literal(form), _pattern(form), relation.id)
            for relation in chosen
            for form in (relation.forms[:1] if first else relation.forms)
        ]
        self._questions = [(_literal(r.question), _pattern(r.question), r.id) for r in chosen]
        self._phrases = {r.phrase.partition("{s}")[0]: r.id for r in chosen if r.phrase}
        self.asks: Mapping[str, str] = {r.id: r.question for r in reversed(chosen)}  # the first wording of each
        self._sentence = lru_cache(maxsize=200_000)(self._read)
        self.facts = lru_cache(maxsize=50_000)(self._facts)

    def _facts(self, text: str) -> tuple[Fact, ...]:
        """Every statement of a text that a form fits, in order."""
        found = (self._sentence(sentence) for sentence in sentences(text))
        return tuple(fact for fact in found if fact)

    def _read(self, sentence: str) -> Fact | None:
        numbered = _SERIAL.match(sentence)
        body = sentence[numbered.end() :] if numbered else sentence
        found = _longest(self._forms, body)
        if found is None:
            return None
        match, relation = found
        return Fact(match["s"], relation, match["o"], int(numbered[1]) if numbered else None)

    def question(self, text: str) -> tuple[str, tuple[str, ...]] | None:
        """Subject, and the relations to follow from it, in order; None for a question that no form fits."""
        single = _longest(self._questions, text)
        nested = _NESTED.fullmatch(text)
        if nested and (path := self._path(nested[1])):
            return path
        return (single[0]["s"], (single[1],)) if single else None

    def _path(self, phrase: str) -> tuple[str, tuple[str, ...]] | None:
        relations: list[str] = []
        while opening := max((p for p in self._phrases if phrase.startswith(p)), key=len, default=""):
            relations.insert(0, self._phrases[opening])
            phrase = phrase[len(opening) :]
        # "the country in which X lies": a phrase may go on behind its subject
        return (_CLOSING.sub("", phrase), tuple(relations)) if relations else None


_SERIAL = re.compile(r"(\d+)\. ")
_NESTED = re.compile(r"Who or what is (.+)\?")
_CLOSING = re.compile(r"( lies| comes from| is written in)+$")


def serial(line: str) -> int | None:
    """The number that a line of a fact pool begins with."""
    found = _SERIAL.match(line)
    return int(found[1]) if found else None


def _pattern(form: str) -> re.Pattern[str]:
    return re.compile(re.escape(form).replace(r"\{s\}", "(?P<s>.+?)").replace(r"\{o\}", "(?P<o>.+?)"))


def _literal(form: str) -> str:
    """The longest piece of a form that is always there: looked for first, since that is quick."""
    return max(re.split(r"\{[so]\}", form), key=len)


def _longest(forms: Iterable[tuple[str, re.Pattern[str], str]], text: str) -> tuple[re.Match[str], str] | None:
    """The form that fits with the longest literal: "is located in the country of" before "is located in"."""
    fits = _fitting(forms, text)
    best = max(fits, key=lambda fit: fit[0], default=None)
    return (best[1], best[2]) if best else None


def _fitting(forms: Iterable[tuple[str, re.Pattern[str], str]], text: str) -> Iterator[tuple[int, re.Match[str], str]]:
    for literal, pattern, relation in forms:
        if literal in text and (match := pattern.fullmatch(text)):
            yield len(pattern.pattern), match, relation


@lru_cache(maxsize=1)
def known() -> tuple[Relation, ...]:
    """All relations that the readers know: of the pool, of MQuAKE where its templates are here, of the diary."""
    try:
        return (*POOL, *mquake(), *DIARY)
    except DataMissing:
        return (*POOL, *DIARY)


@lru_cache(maxsize=1)
def everything() -> Vocabulary:
    """What the readers know."""
    return Vocabulary(known())


@lru_cache(maxsize=1)
def schema() -> Vocabulary:
    """What a store with a fixed schema knows: the first form of each relation."""
    return Vocabulary(known(), first=True)
