"""Relations that rules know: how people say them, which have one value at a time, and what ends them.

Patterns are matched against a predicate whose verb is in the third person ("lives in Lisbon with two cats").
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mnemic.writers.facts.candidate import plain

# An object that is called something: Lisbon, Portugal; the Bank of England; 5 Elm Street.
_NAME = r"(?P<o>(?:the |an? )?(?-i:[A-Z\d])\S*(?:(?: (?:of|de|da|do|la|le|the|and|&|van|von))* (?-i:[A-Z\d])\S*)*)"
_ANY = r"(?P<o>[^,]+)"
_MONTH = "January|February|March|April|May|June|July|August|September|October|November|December"
_DATE = (
    r"(?:in|on)(?: the (?:week|weekend|night|morning) of)?(?: \d{1,2})?"
    rf"(?: (?:{_MONTH}|spring|summer|fall|autumn|winter))? \d{{4}}"
)
_TAIL = re.compile(
    rf"\s+(?:{_DATE}|since\b.*|until\b.*|because\b.*|as an?\b.*|these days|nowadays|now|again|at the moment|right now|"
    r"lately|recently|so much|a lot|very much|too|already|anymore|for now|instead)$", re.IGNORECASE
)  # fmt: skip


@dataclass(frozen=True)
class State:
    """One way to say a relation.

    pattern    group "o" is the object
    relation   what stands between subject and object in the fact's sentence
    ends       relations of which this says that they no longer hold, of the object or (no group "o") of any
    """

    pattern: re.Pattern[str]
    relation: str = ""
    ends: tuple[str, ...] = ()


def _state(pattern: str, relation: str) -> State:
    return State(re.compile(pattern, re.IGNORECASE), relation)


def _end(pattern: str, *relations: str) -> State:
    return State(re.compile(pattern, re.IGNORECASE), ends=relations)


LIKING = ("likes", "loves", "enjoys", "prefers", "hates", "dislikes")
_FAMILIES = (frozenset({"likes", "loves", "enjoys", "prefers", "is a fan of", "is into", "is interested in"}),
             frozenset({"hates", "dislikes", "is afraid of"}))  # fmt: skip
_WORKING = r"(?:works|is working|has been working|has worked|started working|began working)"

_GOT = r"(?:has )?(?:got|gotten|landed|found|started|took) (?:a|the|my)(?: new)? job"

STATES = (
    _state(rf"(?:lives|is living|has been living|has lived|resides|is based|settled)(?: down)? in {_NAME}", "lives in"),
    _state(rf"(?:lives|is living|has been living) at {_NAME}", "lives at"),
    _state(rf"(?:has )?(?:moved|relocated)(?: back| over| out| from [^,]+?)? to {_NAME}", "lives in"),
    _state(rf"{_WORKING}(?: full-time| part-time)? (?:at|for) {_ANY}", "works at"),
    _state(rf"{_WORKING}(?: full-time| part-time)? as {_ANY}", "works as"),
    _state(rf"{_WORKING}(?: full-time| part-time)? (?:at|for) [^,]+? as (?P<o>an? [^,]+)", "works as"),
    _state(rf"{_GOT} (?:at|with) {_NAME}", "works at"),
    _state(rf"{_GOT} as {_ANY}", "works as"),
    _state(rf"was born on {_ANY}", "was born on"),
    _state(rf"was born in {_ANY}", "was born in"),
    _state(rf"grew up in {_ANY}", "grew up in"),
    _state(rf"(?:is|comes|came|hails)(?: originally)? from {_NAME}", "is from"),
    _state(rf"(?:is|got|has been) married to {_ANY}", "is married to"),
    _state(rf"(?:has )?married {_NAME}", "is married to"),
    _state(rf"(?:is|got) engaged to {_ANY}", "is engaged to"),
    _state(rf"(?:is dating|started dating|is going out with|has been dating) {_ANY}", "is dating"),
    _state(r"(?:is|got|has been) (?P<o>single|married|divorced|widowed|separated|engaged)(?! to\b| with\b)(?= |$)",
           "is by marital status"),
    _state(r"(?:is|turned|just turned) (?P<o>\d{1,3})(?: years old)?(?= (?:on|in) |$)", "is aged"),
    _state(rf"goes to (?:school|college|university|high school) (?:at|in) {_NAME}", "studies at"),
    _state(rf"(?:studies|is studying) at {_NAME}", "studies at"),
    _state(rf"is (?:a |such a )?(?:big |huge |great |real )?fan of {_ANY}", "is a fan of"),
    _state(rf"is allergic to {_ANY}", "is allergic to"),
    _state(rf"is (?:afraid|scared|terrified) of {_ANY}", "is afraid of"),
    _state(rf"is (?:interested in|keen on|passionate about) {_ANY}", "is interested in"),
    _state(rf"is into {_ANY}", "is into"),
    _state(rf"is called {_NAME}", "is called"),
    *(_state(rf"{one} (?!it\b|how\b|that\b|when\b|what\b|to (?:hear|see)\b){_ANY}", one) for one in LIKING),
)  # fmt: skip

ENDINGS = (
    _end(r"(?:has )?(?:left|quit|resigned from|retired from|(?:was|got) (?:fired|laid off) from) "
         rf"(?:[\w']+(?: old)? job (?:at|with) )?{_NAME}", "works at"),
    _end(rf"(?:has )?lost [\w']+ (?:old )?job (?:at|with) {_NAME}", "works at"),
    _end(r"(?:has )?(?:lost|quit|left) [\w']+ (?:old )?job\b(?! at| with)", "works at", "works as"),
    _end(r"(?:was|got) (?:fired|laid off)$|(?:has )?retired$", "works at", "works as"),
    _end(rf"(?:has )?(?:broke|broken|split) up with {_ANY}", "is dating", "is engaged to", "is married to"),
    _end(r"(?:has )?(?:got|gotten) (?:divorced|separated)|(?:is|was) (?:divorced|widowed|single)(?= |$)",
         "is married to", "is engaged to", "is dating"),
    _end(rf"(?:has )?(?:moved|moving) (?:out of|away from) {_NAME}", "lives in", "lives at"),
    _end(rf"(?:has )?(?:sold|lost|gave away|given away|returned) (?:[\w-]+'s |the |an? )?(?!job\b){_ANY}",
         "has", "owns", "drives"),
    _end(rf"(?:has )?(?:stopped|quit|gave up|given up) (?P<r>\w+ing(?: (?:at|in|for|with|on|to))?) {_ANY}"),
)  # fmt: skip

# What a person, or a thing of theirs, has one of at a time.
_ONE_AT_A_TIME = frozenset(
    plain(relation)
    for relation in (
        "lives in",
        "lives at",
        "works at",
        "works as",
        "was born on",
        "was born in",
        "grew up in",
        "is from",
        "is married to",
        "is engaged to",
        "is dating",
        "is by marital status",
        "is aged",
        "studies at",
        "is called",
    )
)
_ONE_OF_A_KIND = re.compile(
    r"(?:'s|’s) (?:favou?rite .+|(?:.+ )?(?:name|birthday|address|number|email|e-mail|password|code|boss|job|"
    r"salary|rent|age|height|weight|size|goal|nickname|title|hometown|major|deadline|appointment|flight|"
    r"status|plan))$", re.I
)  # fmt: skip


def functional(subject: str, relation: str) -> bool:
    """True when a new value takes the place of the old one."""
    return plain(relation) in _ONE_AT_A_TIME or (
        plain(relation) in ("is", "be") and bool(_ONE_OF_A_KIND.search(subject))
    )


def family(relation: str) -> tuple[str, ...]:
    """Relations that end together: who no longer likes jazz does not love it either."""
    found = next((each for each in _FAMILIES if relation in each), frozenset({relation}))
    return tuple(sorted(found, key=lambda one: (one != relation, one)))


def bare(object: str) -> str:
    """An object without what is said of it besides: since when, how much."""
    while (shorter := _TAIL.sub("", object)) != object:
        object = shorter
    return object.strip(" ,.;:!\"'")


def sentence(subject: str, relation: str, object: str) -> str:
    """The sentence of a fact. Two relations do not read as they are called."""
    if relation == "is aged":
        return f"{subject} is {object} years old."
    said = "is" if relation == "is by marital status" else relation
    return f"{subject} {said} {object}."
