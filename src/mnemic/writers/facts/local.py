"""Facts without a model: clauses in which a person, or a thing of theirs, does or is something, in the third person.

Known relations (relations.py) get their own name; of other clauses those with a verb that tells of an event or a habit
are kept. What rules cannot tell is refused with the reason: a mood, a wish, an "it" that points elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mnemic.writers.facts.candidate import Candidate, Passage, Reading, Refusal, content
from mnemic.writers.facts.clauses import Clause, clauses, unresolved
from mnemic.writers.facts.relations import ENDINGS, LIKING, STATES, bare, family, functional, sentence
from mnemic.writers.facts.times import dated
from mnemic.writers.facts.verbs import FEELINGS, MOODS, PRESENT, is_past, third_person

_MOST = 24  # words of an object: beyond, a clause was not understood
_PREPOSITIONS = (
    "about after against around as at by down for from in into of off on onto out over through to under up with"
)
_GENERIC = re.compile(
    r"(?P<r>(?:(?:is|was|are|were|has|have|had|been|not|no longer|does|did|do|never|used to|going to|plans to|wants to|"
    rf"planning to) )*(?!(?:an?|the|some|many|so|such)\b)[\w'-]+(?: (?:{_PREPOSITIONS.replace(' ', '|')})(?= ))?) "
    r"(?P<o>.+)$"
)
_NO_LONGER = re.compile(r"\b(?:no longer|not)\s+(?=\w)|\s*\b(?:anymore|any more|any longer)$", re.IGNORECASE)
_GONE = re.compile(r"\bno longer\b|\b(?:anymore|any more|any longer)$", re.IGNORECASE)
_PLAN = re.compile(r"is (?:going to|planning to|about to)\b|(?:plans|wants) to\b")
_DOING = re.compile(r"(?:is|are|has been|have been|was|were) (?P<v>\w+ing)\b")
_OF_A_KIND = re.compile(r"(?:is|was|are|were) (?:an?|the|one of|part of|in charge of|[A-Z\d])(?= |\b)")
_HAVING = re.compile(
    r"(?:has|owns|had|got) (?:(?:a|an|the|my|some|many|several|no|lots of|one|two|three|four|five|six|seven|\d+)\b)"
)
_LIKING = re.compile(rf"(?:{'|'.join(LIKING)}|loved|hated|like|love|enjoy) \w")

# Objects that say nothing: "a great time", "a lot", "some things".
_VAGUE = frozenset(
    content(
        """amazing anything away awesome back best better big bit blast chance day days experience feel feeling
        feelings few first fun good got great home idea kind know last life little long look lot lots many
        moment month much new next nice one ones place really some something stuff sure thing things time times
        together way ways week weekend work year"""
    )
)


class LocalExtractor:
    """Rules over sentences; quick, no model, English. The same text always gives the same facts."""

    name = "local"
    calls = 0

    def read(self, passages: Sequence[Passage]) -> list[Reading]:
        return [_read(passage) for passage in passages]


def _read(passage: Passage) -> Reading:
    found: dict[tuple[str, str, str, bool], Candidate] = {}
    refused: list[Refusal] = []
    for each in passage.sentences:
        items = list(_of_sentence(each, passage))
        candidates = [item for item in items if isinstance(item, Candidate)]
        for candidate in candidates:
            found.setdefault((*candidate.key, candidate.ended), candidate)
        if not candidates:
            refused.append(next((i for i in items if isinstance(i, Refusal)), Refusal(each, "no statement rules know")))
    return Reading(tuple(found.values()), tuple(refused))


def _of_sentence(said: str, passage: Passage) -> Iterator[Candidate | Refusal]:
    for clause in clauses(said, passage.speaker):
        timed = dated(clause.predicate, passage.time)
        over = list(_ended(clause, timed.text))
        holds = [] if _GONE.search(timed.text) else list(_state(clause, timed.text))
        for candidate in (*over, *holds):
            yield _finished(candidate, timed.time, said)
        if holds or _GONE.search(timed.text):
            continue
        if why := _reason(clause, timed.text):
            yield Refusal(said, why)
        else:
            yield _finished(_generic(clause, timed.text), timed.time, said)


def _finished(candidate: Candidate, time: str | None, said: str) -> Candidate:
    return Candidate(
        candidate.text, candidate.subject, candidate.relation, candidate.object, time, candidate.ended, said
    )


def _candidate(clause: Clause, relation: str, object: str, *, ended: bool = False) -> Candidate:
    object = object.strip(" ,.;:!\"'")
    return Candidate(sentence(clause.subject, relation, object), clause.subject, relation, object, ended=ended)


# ---- what no longer holds


def _ended(clause: Clause, predicate: str) -> Iterator[Candidate]:
    if _GONE.search(predicate):
        known = next(_state(clause, _affirmed(predicate)), None) or _generic(clause, _affirmed(predicate))
        for relation in family(known.relation):
            yield _candidate(clause, relation, known.object, ended=True)
        return
    for state in ENDINGS:
        if match := state.pattern.match(predicate):
            groups = match.groupdict()
            for relation in state.ends or (groups["r"],):
                yield _candidate(clause, relation, bare(groups.get("o") or ""), ended=True)


def _affirmed(predicate: str) -> str:
    """ "does not live in Berlin anymore" -> "lives in Berlin" """
    plain = " ".join(_NO_LONGER.sub("", predicate).split())
    verb, _, rest = plain.partition(" ")
    if verb in ("does", "do", "did"):
        verb, _, rest = rest.partition(" ")
    return f"{third_person(verb) if verb in PRESENT else verb} {rest}"


# ---- what holds


def _state(clause: Clause, predicate: str) -> Iterator[Candidate]:
    """The relations that a predicate says, of those that rules know."""
    seen: set[str] = set()
    for state in STATES:
        match = None if state.relation in seen else state.pattern.match(predicate)
        object = bare(match["o"]) if match else ""
        if object and not unresolved(object) and len(object.split()) <= _MOST and set(content(object)) - _VAGUE:
            seen.add(state.relation)
            yield _candidate(clause, state.relation, object)


def _generic(clause: Clause, predicate: str) -> Candidate:
    match = _GENERIC.match(predicate)
    relation, object = (match["r"], match["o"]) if match else (predicate, "")
    if functional(clause.subject, relation):
        object = bare(object)
    return _candidate(clause, relation, object)


def _reason(clause: Clause, predicate: str) -> str:
    """Why a clause without a known relation is not worth keeping; empty when it is."""
    words = predicate.split()
    rest = " ".join(words[1:])
    if words[-1].lower() in _PREPOSITIONS.split():
        return "goes on in a way that rules cannot follow"
    if len(words) > _MOST:
        return "longer than rules can follow"
    if open := unresolved(rest):
        return f'"{open}" points at something outside of the sentence'
    object = _generic(clause, predicate).object
    if not set(content(object)) - _VAGUE - set(content(clause.subject)):
        return "says nothing that could be asked for"
    return _of_verb(clause, predicate)


def _of_verb(clause: Clause, predicate: str) -> str:
    verb = clause.verb
    if verb in ("am", "is", "are", "was", "were", "have", "has", "had", "got", "do", "does", "did"):
        return _of_auxiliary(clause, predicate)
    if _LIKING.match(predicate):
        return ""
    if _PLAN.match(predicate):
        return ""
    if verb in MOODS or verb in FEELINGS:
        return "a thought or a mood"
    if verb in PRESENT or is_past(verb) or (verb.endswith("s") and verb not in FEELINGS):
        return ""
    return f'the verb "{verb}" tells rules nothing'


def _of_auxiliary(clause: Clause, predicate: str) -> str:
    words = predicate.split()
    if words[0] == "is" and functional(clause.subject, "is"):
        return ""
    if _PLAN.match(predicate) or _HAVING.match(predicate):
        return ""
    if doing := _DOING.match(predicate):
        return "a thought or a mood" if doing["v"] in FEELINGS or doing["v"] in MOODS else ""
    if words[0] in ("has", "have", "had") and len(words) > 1 and is_past(words[1]):
        return "a thought or a mood" if words[1] in MOODS else ""
    if words[0] in ("is", "was", "are", "were"):
        if len(words) > 1 and (words[1].lower() in FEELINGS or words[1] == "not"):
            return "a thought or a mood"
        return "" if _OF_A_KIND.match(predicate) or is_past(words[1]) else "a mood, or nothing that rules know"
    return "nothing that rules know"
