"""Answering from what a search returned: by rule on a SlotWorld, by a language model on anything."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mnemic.bench.halumem.attributes import EVENTS, FOLLOWS, HE, SHE
from mnemic.bench.halumem.contract import Found
from mnemic.bench.halumem.language import ATTRIBUTES, USER, facts
from mnemic.bench.halumem.prompts import ANSWER, quoted_memories
from mnemic.bench.halumem.questions import UNKNOWN
from mnemic.quote import neutral
from mnemic.seams import LanguageModel


def _either(words: Sequence[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_FIELD = re.compile(rf"\b(?P<whose>my|(?:{_either([*SHE, *HE, *EVENTS])})'s) (?P<what>{_either(list(ATTRIBUTES))})\b")
_GUEST = re.compile(
    rf"the (?P<what>{_either(list(ATTRIBUTES))}) of the person who was my companion at (?P<event>{_either(EVENTS)})"
)
_PREMISE = re.compile(r"^Since .+? is (?P<premise>.+?), what should I keep in mind")
_SUITS = re.compile(r"^Which \w+ would suit ")

Field = tuple[str, str]


class RuleReader:
    """Reads the memories, takes what is newest about the field that a question names, or says that it is unknown."""

    def answer(self, question: str, memories: Sequence[Found]) -> str:
        now = current(memories)
        guest = _GUEST.search(question)
        if guest:
            return now.get((now.get((guest["event"], "companion"), ""), guest["what"]), UNKNOWN)
        field = asked_field(question)
        value = now.get(field) if field else None
        if field is None or value is None:
            return UNKNOWN
        if _SUITS.match(question):
            return FOLLOWS[field[1]][1].get(value, UNKNOWN)
        premise = _PREMISE.match(question)
        return f"{value}, not {premise['premise']}" if premise and premise["premise"] != value else value


def asked_field(question: str) -> Field | None:
    """Whose what a question asks for."""
    match = _FIELD.search(question)
    if match is None:
        return None
    return (USER if match["whose"] == "my" else match["whose"].removesuffix("'s")), match["what"]


def current(memories: Sequence[Found]) -> dict[Field, str]:
    """What memories say now, by field: the newest wins, of equally old ones the better ranked. Hedges do not count."""
    newest: dict[Field, tuple[str, str]] = {}
    ended: set[tuple[Field, str, str]] = set()
    for found in memories:
        time = found.time or ""
        for fact in facts(found.text):
            if fact.subject is None or fact.mode == "maybe":
                continue
            field = (fact.subject, fact.attribute)
            if fact.mode == "was":
                ended.add((field, fact.value, time))
            elif field not in newest or time > newest[field][0]:
                newest[field] = (time, fact.value)
    over = {(field, value) for field, value, time in ended if field in newest and time >= newest[field][0]}
    return {field: value for field, (_, value) in newest.items() if (field, value) not in over}


class LLMReader:
    """Answers with a language model at temperature 0, the memories quoted as data. One prompt for all systems."""

    def __init__(self, lm: LanguageModel, *, max_tokens: int = 60) -> None:
        self.lm, self.max_tokens = lm, max_tokens

    def answer(self, question: str, memories: Sequence[Found]) -> str:
        asked = f"{quoted_memories(memories)}\n\nQuestion: {neutral(question)}"
        messages = ({"role": "system", "content": ANSWER}, {"role": "user", "content": asked})
        return self.lm.complete(messages, max_tokens=self.max_tokens, temperature=0.0).text.strip()
