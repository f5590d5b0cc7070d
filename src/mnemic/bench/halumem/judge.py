"""SlotJudge: exact verdicts on texts of a SlotWorld, worked out from what sentences say. No model, no slot ids."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from mnemic.bench.halumem.contract import Found, Outcome, Score
from mnemic.bench.halumem.language import Fact, attribute_of, facts, items_in, told, values_in
from mnemic.bench.halumem.questions import UNKNOWN
from mnemic.bench.halumem.records import MemoryPoint, Question, Turn
from mnemic.errors import InputError

# How people and models say that they do not know.
_UNKNOWN = re.compile(
    r"\bunknown\b|\b(?:do(?:es)? not|don't|dont) know\b|\bnot (?:mentioned|stated|known|in memory|sure|provided)\b"
    r"|\bno (?:information|idea|record)\b|\bcannot (?:say|tell)\b",
    re.IGNORECASE,
)

Reading = Callable[[str], Sequence[Fact]]


class SlotJudge:
    """Compares facts. What only the assistant says about the user is supported by nobody.

    read    text -> facts; language.facts unless you have texts of another kind (profiles.state_facts)
    """

    name = "slots"

    def __init__(self, read: Reading = facts) -> None:
        self._read = read

    def integrity(self, memories: Sequence[str], point: MemoryPoint) -> Score | None:
        gold = {(fact.subject, fact.attribute, fact.value) for fact in self._gold(point)}
        seen = [fact for memory in memories for fact in self._read(memory)]
        sure = {(fact.subject, fact.attribute, fact.value) for fact in seen if fact.mode == "is"}
        if gold <= sure:
            return 2
        hedged = {(fact.subject, fact.attribute, fact.value) for fact in seen if fact.mode == "maybe"}
        nameless = {(fact.attribute, fact.value) for fact in seen if fact.subject is None and fact.mode != "was"}
        partly = gold & (sure | hedged) or {fact[1:] for fact in gold} & nameless
        return 1 if partly else 0

    def _gold(self, point: MemoryPoint) -> list[Fact]:
        found = [fact for fact in self._read(point.text) if fact.mode == "is"]
        if not found:
            raise InputError(f'SlotJudge reads no fact in "{point.text[:60]}": it judges texts of a SlotWorld; '
                             "for other texts use LLMJudge.")  # fmt: skip
        return found

    def accuracy(self, dialogue: Sequence[Turn], points: Sequence[MemoryPoint],
                 memory: str) -> tuple[Score, bool] | None:  # fmt: skip
        claims = list(self._read(memory))
        fields = {fact.field for point in points for fact in self._gold(point)}
        included = any(claim.field in fields for claim in claims)
        if not claims:
            plain = memory.split(": ", 1)[-1]
            return (2 if any(plain in turn.content for turn in dialogue) else 0), False
        true = self._true(tuple(turn.content for turn in dialogue if turn.role == "user"))
        true |= {fact for point in points for fact in self._read(point.text)}
        nameless = {Fact(None, fact.attribute, fact.value, fact.mode) for fact in true}
        good = [claim in true or claim in nameless for claim in claims]
        return (2 if all(good) else 1 if any(good) else 0), included

    def _true(self, said: tuple[str, ...]) -> set[Fact]:
        return set(_told(said)) if self._read is facts else {fact for text in said for fact in self._read(text)}

    def update(self, memories: Sequence[Found], point: MemoryPoint) -> Outcome | None:
        """What is newest about the field decides: memories that stand side by side without times are no update."""
        new = self._gold(point)[0]
        about = [
            (found.time or "", fact)
            for found in memories
            for fact in self._read(found.text)
            if fact.field == new.field and fact.mode == "is"
        ]
        if not about:
            return "Omission"
        newest = max(time for time, _ in about)
        values = {fact.value for time, fact in about if time == newest}
        if values == {new.value}:
            return "Correct"
        if new.value in values:
            return "Other"
        old = {fact.value for text in point.original for fact in self._read(text)}
        return "Omission" if values <= old else "Hallucination"

    def answer(self, question: Question, response: str) -> Outcome | None:
        unknown = bool(_UNKNOWN.search(response)) or not response.strip()
        if question.answer.strip().lower() == UNKNOWN:
            return "Correct" if unknown else "Hallucination"
        items = items_in(question.answer)
        if items:
            return _verdict(set(items), set(items_in(response)), unknown)
        expected = question.answer.split(", not ")[0].strip()
        attribute = attribute_of(expected)
        if attribute is None:
            raise InputError(f'SlotJudge knows no value in the answer "{expected[:60]}": for other texts use LLMJudge.')
        given, _ = values_in(response, attribute)
        return _verdict({expected}, set(given), unknown)


@lru_cache(maxsize=4096)
def _told(said: tuple[str, ...]) -> frozenset[Fact]:
    return frozenset(told(said))


def _verdict(expected: set[str], given: set[str], unknown: bool) -> Outcome:
    """Anything given that is not expected is made up, whatever else is said."""
    if given - expected:
        return "Hallucination"
    return "Correct" if given == expected and not unknown else "Omission"
