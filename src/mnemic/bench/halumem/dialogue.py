"""Facts put into words: sentences from templates, turns of two people, interference that only the assistant voices."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mnemic.bench.halumem.attributes import CHANGES, CHANGES_HELD_OUT, EVENTS, HEDGES, SHE
from mnemic.bench.halumem.language import ATTRIBUTES, USER, Fact
from mnemic.bench.halumem.records import Turn

_MARKS = re.compile(r"\{\w+\}")
_FORMS = re.compile(r"\w+(?:\|\w+)+")
_OPENERS = ("Good to be back.", "Quick note.", "Here is some news.", "One more thing.", "While I think of it.",
            "Let me tell you something.", "It has been a busy week.", "Just so that it is said.")  # fmt: skip
_REPLIES = ("Thanks for telling me.", "Good to hear.", "Noted, I will keep it in mind.", "Sounds like a full week.",
            "I see.", "Tell me more whenever you like.", "That makes sense.", "How interesting.")  # fmt: skip
_ECHOES = ("Noted: {core}.", "So {core}, got it.", "Good to know that {core}.")
_CLAIMS = (
    "As you told me, {core}.",
    "I have it on file that {core}.",
    "We both know that {core}.",
    "Remember, {core}.",
)


@dataclass(frozen=True)
class Statement:
    """A fact that is said in a session; `old` is the value it replaces."""

    fact: Fact
    old: str | None = None


@dataclass(frozen=True)
class Voice:
    """How a dialogue is made: share of held-out templates, of pronouns across turns, of echoed claims."""

    held_out: float
    pronouns: float
    traps: float


def core(template: str, subject: str, value: str, person: int, pronoun: bool = False) -> str:
    """A template as a clause: person 1 is the user speaking, 2 speaking to the user, 3 about somebody."""
    ours = ("you", "your", "you") if person == 2 else ("I", "my", "me")
    if subject != USER:
        person = 3
    nominative, possessive, objective = _words_for(subject, person, pronoun)
    text = _FORMS.sub(lambda match: _form(match[0].split("|"), person), template)
    article = "an" if value[0].lower() in "aeiou" else "a"
    words = {"{S2}": objective, "{S}": nominative, "{P}": possessive, "{a}": article, "{v}": value}
    words |= dict(zip(("{I}", "{M}", "{me}"), ours, strict=True))
    return _MARKS.sub(lambda match: words[match[0]], text)


def _form(forms: Sequence[str], person: int) -> str:
    return forms[person - 1] if len(forms) == 3 else forms[person == 3]


def _words_for(subject: str, person: int, pronoun: bool) -> tuple[str, str, str]:
    if subject == USER:
        return (("I", "my", "me"), ("you", "your", "you"), ("the user", "the user's", "the user"))[person - 1]
    if not pronoun:
        return subject, f"{subject}'s", subject
    if subject in EVENTS:
        return "it", "its", "it"
    return ("she", "her", "her") if subject in SHE else ("he", "his", "him")


def sentence(text: str) -> str:
    """A clause with a capital letter and an end."""
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")


def stated(statement: Statement, rng: random.Random, voice: Voice, pronoun: bool) -> str:
    """One sentence that says a fact, and what it replaces."""
    fact, attribute = statement.fact, ATTRIBUTES[statement.fact.attribute]
    unseen = rng.random() < voice.held_out
    template = rng.choice(attribute.held_out if unseen else attribute.train)
    clause = core(template, str(fact.subject), fact.value, 1, pronoun)
    if statement.old is None:
        return sentence(clause)
    frame = rng.choice(CHANGES_HELD_OUT if unseen else CHANGES)
    return sentence(frame.format(core=clause, old=statement.old))


def told(facts: Sequence[Fact], rng: random.Random, line: str, person: int) -> str:
    """Facts that somebody repeats or claims, each in the words of a training template."""
    said = []
    for fact in facts:
        template = rng.choice(ATTRIBUTES[fact.attribute].train)
        said.append(sentence(line.format(core=core(template, str(fact.subject), fact.value, person))))
    return " ".join(said)


def spoken(statements: Sequence[Statement], false: Sequence[tuple[int, Fact]], exchanges: int, rng: random.Random,
           voice: Voice) -> list[Turn]:  # fmt: skip
    """The turns of a session.

    statements   what the user says, in order, spread evenly over the exchanges
    false        (number of the exchange, claim): the assistant makes it there, confidently
    """
    turns: list[Turn] = []
    before: str | None = None  # whom the user spoke about last
    for n in range(exchanges):
        part = statements[n * len(statements) // exchanges : (n + 1) * len(statements) // exchanges]
        echo = [fact for at, fact in false if at == n - 1 and rng.random() < voice.traps]
        turns.append(Turn("user", _user_turn(part, echo, rng, voice, before)))
        before = part[-1].fact.subject if part else before
        claims = [fact for at, fact in false if at == n]
        turns.append(Turn("assistant", _assistant_turn(part, claims, rng)))
    return turns


def _user_turn(part: Sequence[Statement], echo: Sequence[Fact], rng: random.Random, voice: Voice,
               before: str | None) -> str:  # fmt: skip
    lines = [rng.choice(_OPENERS)] if not part or rng.random() < 0.4 else []
    if echo:
        lines.append(told(echo, rng, rng.choice(HEDGES), 1))
    for n, statement in enumerate(part):
        subject = statement.fact.subject
        again = subject == (part[n - 1].fact.subject if n else before) and subject != USER
        across = n == 0  # the name stands in an earlier turn: only now and then
        pronoun = again and (not across or (rng.random() < voice.pronouns and not echo))
        lines.append(stated(statement, rng, voice, pronoun))
    return " ".join(lines)


def _assistant_turn(part: Sequence[Statement], claims: Sequence[Fact], rng: random.Random) -> str:
    lines = [rng.choice(_REPLIES)]
    if part and rng.random() < 0.25:
        lines.append(told([rng.choice(part).fact], rng, rng.choice(_ECHOES), 2))
    if claims:
        lines.append(told(claims, rng, rng.choice(_CLAIMS), 2))
    return " ".join(lines)
