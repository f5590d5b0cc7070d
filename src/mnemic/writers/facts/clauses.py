"""Clauses of a sentence without a parser: who does it, and what is said of them, both ready to be read alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mnemic.recall.terms import STOPWORDS
from mnemic.writers.facts.verbs import FILLERS, MOODS, PRESENT, is_past, third_person

_SHORT = {
    "i'm": "I am", "i've": "I have", "i'd": "I would", "i'll": "I will", "we're": "we are", "we've": "we have",
    "we'll": "we will", "we'd": "we would", "don't": "do not", "doesn't": "does not", "didn't": "did not",
    "can't": "cannot", "won't": "will not", "isn't": "is not", "wasn't": "was not", "aren't": "are not",
    "haven't": "have not", "hasn't": "has not", "gonna": "going to", "wanna": "want to", "name's": "name is",
}  # fmt: skip
_SHORTENED = re.compile(r"\b(?:" + "|".join(_SHORT) + r")\b", re.IGNORECASE)

_LEADS = """yeah|yep|yes|yup|no|nope|wow|oh|ah|aw|aww|hey|hi|hello|well|so|and|but|also|plus|actually|honestly|anyway
haha|lol|ok|okay|cool|great|nice|awesome|amazing|sure|btw|by the way|you know|i mean|to be honest|for sure|unfortunately
luckily|fortunately|thankfully|thanks|thank you|sorry|absolutely|totally|definitely|exactly|right|currently|lately
recently|these days|nowadays|of course|in fact|guess what|good news|bad news|apparently|as for me|personally"""
_LEAD = re.compile(rf"^(?:(?:{'|'.join(_LEADS.splitlines())})\b[\s,!:.-]*)+", re.IGNORECASE)
_VOCATIVE = re.compile(r"^[A-Z]\w+[,!]\s+(?=I\b|[Mm]y\b|[Ww]e\b)")
_WHEN = re.compile(
    r"^(?P<when>(?:last|this|next|yesterday|today|tonight|tomorrow|on|in|at|two|three|a few|\d+|the other)\b"
    r"(?:(?!\b(?:was|were|is|has|had)\b)[^.,!?–-]){0,40}?|[^.,!?]{0,20} ago),?\s+(?=(?:I|we|my|our)\b)", re.IGNORECASE
)  # fmt: skip
_ASIDE = re.compile(r"^(?:since|after|when|while|as|if|once|before|because|although|even though)\b[^,]{0,80},\s+", re.I)
_CUT = re.compile(
    r"\s+[-–—]+\s+.*$|\s*[;:(].*$|\.\.+.*$|,?\s+(?:because|'?cause|since|although|though|while|which|who|whose|where|if|unless|"
    r"so that|but)\b.*$|,\s+(?:it|that|this|you|he|she|they|so|as|not|especially|right|huh|really)\b.*$|"
    r"\s+(?:and|so)\s+(?:it|that|this|you|he|she|they|there|how|what|then)\b.*$|\s+(?:when|as)\s+(?:I|we|it|he|she|they|you)\b.*$"
)  # fmt: skip
_JOINT = re.compile(r",?\s+(?:and|but|so|then|plus)\s+|,\s+")
_AUX = frozenset(
    "am are is was were have has had do does did will would can could should may might must cannot".split()
)
_THIRD = frozenset(third_person(verb) for verb in PRESENT) | {"is", "was", "has", "are", "were", "have", "had"}
_NOBODY = STOPWORDS | frozenset(
    """anyone anything congrats everybody everyone everything glad god happy here's hopefully it's let's life looks
    lots love maybe music nobody nothing one others painting people perhaps seems somebody someone something
    sometimes sounds that's there's thing things today tomorrow what's whoever yesterday""".split()
)

_THE = ("that", "this", "those", "these")  # "I painted that lake": a thing, unlike "I learned that people change"
_SAYING = frozenset(
    "showed taught learned learnt found heard read saw felt means proved show teach learn read say".split()
)

_ME = re.compile(r"\b(my|our|mine|ours|me|us|myself|ourselves|I|we)\b", re.IGNORECASE)
_I_DO = re.compile(r"\b(?:I|we) (\w+)")
_OPEN = re.compile(
    r"\b(?:it|its|this|that|these|those|them|they|their|theirs|him|his|her|hers|he|she|you|your|yours|here|there|one|ones|"
    r"it's|that's|ya|u|y'all)\b", re.IGNORECASE
)  # fmt: skip


@dataclass(frozen=True)
class Clause:
    """One statement.

    subject    "Ana", "Ana's sister"
    verb       the predicate's first word, as it was said ("live"), for judging it
    predicate  in the third person, with its own speaker named: "lives in Lisbon with Ana's sister"
    """

    subject: str
    verb: str
    predicate: str


def clauses(sentence: str, speaker: str) -> Iterator[Clause]:
    """What is said in a sentence of the speaker, of what is theirs, or of somebody named."""
    text = _SHORTENED.sub(lambda match: _SHORT[match[0].lower()], sentence.replace("’", "'"))
    text = _VOCATIVE.sub("", _LEAD.sub("", text)).strip(" \"'")
    text = _ASIDE.sub("", text)
    when = ""
    if found := _WHEN.match(text):
        when, text = found["when"], text[found.end() :]
    subject: str | None = None
    for part in _parts(text.rstrip(".!… \"'")):
        head = subject_of(part, speaker)
        if head is not None:
            subject, part = head
        elif not _is_verb(part):
            subject = None
        if subject is None:
            continue
        clause = _clause(subject, part, when, speaker)
        if clause is not None:
            yield clause
            when = ""


def _parts(text: str) -> Iterator[str]:
    """Pieces that begin with a subject or a verb; what only lists more things stays with the piece before it."""
    text = _CUT.sub("", text)
    start = 0
    for joint in _JOINT.finditer(text):
        piece, rest = text[start : joint.start()], text[joint.end() :]
        if subject_of(rest, "x") is not None or (_is_verb(rest) and not _is_listed(piece, rest)):
            yield piece
            start = joint.end()
    yield text[start:]


def _is_verb(text: str) -> bool:
    word = _first_words(text)
    return bool(word) and word[0] != "like" and (word[0] in PRESENT | _AUX | MOODS or is_past(word[0]))


def _is_listed(piece: str, rest: str) -> bool:
    """True when a base form goes on with "to" or is a noun: "wants to meet people and learn", "warmth, love"."""
    if is_past(_first_words(rest)[0]) or _first_words(rest)[0] in _AUX:
        return False
    head = subject_of(piece, "x")
    verb = _first_words(head[1] if head else piece)[:1]
    return " to " in piece or not verb or verb[0] not in PRESENT


def _first_words(text: str) -> list[str]:
    words = [word.lower().strip(",") for word in text.split()[:6]]
    while words and words[0] in FILLERS:
        words = words[1:]
    return words


def subject_of(text: str, speaker: str) -> tuple[str, str] | None:
    """Who a piece is about, and the rest of it; None when that cannot be told."""
    words = text.split()
    if len(words) < 2:
        return None
    if words[0] in ("I", "We", "we"):
        return speaker, " ".join(words[1:])
    mine = words[0].lower() in ("my", "our")
    if not mine and _names_nobody(re.split(r"['-]", words[0])[0].lower().rstrip(",")):
        return None
    for end in range(1 + mine, min(5 + mine, len(words))):
        if not mine and not words[end - 1][0].isupper():
            return None
        name = " ".join(words[int(mine) : end])
        if _fits(name, words[end].lower(), mine=mine):
            return (f"{speaker}'s {name}" if mine else name), " ".join(words[end:])
    return None


def _names_nobody(word: str) -> bool:
    """A capital begins every sentence: this word is no name for it."""
    return word in _NOBODY | MOODS | FILLERS | PRESENT or word.endswith("ing")


def _fits(name: str, verb: str, *, mine: bool) -> bool:
    """Could this verb be said of this name? A noun in the plural takes the base form."""
    if "," in name or name.endswith("'s"):
        return False
    return verb in _THIRD or is_past(verb) or (mine and name.endswith("s") and verb in PRESENT)


def _clause(subject: str, text: str, when: str, speaker: str) -> Clause | None:
    words = text.split()
    while len(words) > 1 and words[0].lower().strip(",") in FILLERS:
        words = words[1:]
    if len(words) < 2:
        return None
    verb = words[0].lower()
    own = verb in PRESENT or verb in ("am", "are", "have", "do", "were")
    plural = subject != speaker and subject.endswith("s")
    first = third_person(verb) if own and not plural else verb
    rest = [word for n, word in enumerate(words[1:]) if not (n < 2 and word.lower() in FILLERS)]
    if (
        len(rest) > 1
        and rest[0] in _THE
        and rest[1][0].islower()
        and rest[1] not in STOPWORDS
        and verb not in _SAYING
        and not _is_verb(rest[1])
    ):
        rest[0] = "the"
    predicate = " ".join([first, *rest, *([when] if when else [])])
    return Clause(subject, verb, _named(predicate, speaker))


def _named(text: str, speaker: str) -> str:
    """The speaker's name for "my" and "me"."""
    text = _I_DO.sub(lambda match: f"{speaker} {_after_name(match[1])}", text)
    owns = ("my", "our", "mine", "ours")
    return _ME.sub(lambda match: f"{speaker}'s" if match[0].lower() in owns else speaker, text)


def _after_name(verb: str) -> str:
    return third_person(verb) if verb in PRESENT or verb in ("am", "are", "have", "do", "were") else verb


def unresolved(text: str) -> str:
    """A word that points at something outside of the text; empty when there is none."""
    found = _OPEN.search(text)
    return found[0] if found else ""
