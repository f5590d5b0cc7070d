"""The gate: decides, before anything is read, which sentences of a chunk may hold a fact.

Nothing that came out of the memory goes in as a fact again: a chunk that says so ({"recalled": true}, or made from
records), a quoted memory in it, a sentence that a record already holds word for word.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from mnemic.ask import EMPTY, NO_MODEL, UNKNOWN
from mnemic.moment import moment
from mnemic.recall.terms import terms
from mnemic.record import Chunk, Hit
from mnemic.seams import View
from mnemic.writers.facts.candidate import Refusal, content, within
from mnemic.writers.facts.sentences import idle, sentences

_CITATION = re.compile(r"\[\d+\][.!]?$")  # how `ask` ends a sentence
_LOOK = 6  # records that a chunk is compared with: what it repeats is what it is most like
_BEGINNING = 2000  # characters of a chunk that are looked for
_MONTHS = "january february march april may june july august september october november december".split()


class Gate:
    """Of one call: it also knows what the chunks before have said.

    programs   speakers whose statements are no facts about anybody
    """

    def __init__(self, view: View, programs: Collection[str]) -> None:
        self.view, self.programs = view, programs
        self._said: set[tuple[str, ...]] = set()

    def open(self, chunk: Chunk, *, but: str = "") -> tuple[list[str], list[Refusal]]:
        """The sentences that may hold a fact, and the others with the reason.

        but   id of a record that the chunk may repeat: it is written over it
        """
        whole = self._closed(chunk)
        if whole:
            return [], [Refusal(_short(chunk.text), whole)]
        passed: list[str] = []
        refused: list[Refusal] = []
        for sentence in sentences(chunk.text):
            why = "it cites a memory" if _CITATION.search(sentence) else idle(sentence)
            if why:
                refused.append(Refusal(sentence, why))
            else:
                passed.append(sentence)
        return self._new(passed, chunk, but, refused), refused

    def _closed(self, chunk: Chunk) -> str:
        """Why a chunk as a whole yields no facts; empty when it may."""
        if chunk.metadata.get("recalled"):
            return "it came out of recall"
        if chunk.derived_from:
            return "it was made from memories"
        if (chunk.speaker or "").strip().lower() in self.programs:
            return "a program said it"
        if any(said in chunk.text for said in (EMPTY, NO_MODEL, UNKNOWN)):
            return "it is an answer of a memory"
        if not sentences(chunk.text):
            return "it quotes memories"
        return ""

    def _new(self, passed: list[str], chunk: Chunk, but: str, refused: list[Refusal]) -> list[str]:
        """Sentences that neither a record nor an earlier chunk of this call holds, in the same words and order."""
        if not passed:
            return []
        hits = self.view.recall(chunk.text[:_BEGINNING], k=_LOOK)
        known = [
            (hit.record.id, _words_of(hit)) for hit in hits if but not in (hit.record.id, *hit.record.derived_from)
        ]
        new: list[str] = []
        for sentence in passed:
            words = content(sentence)
            echo = next((id for id, said in known if within(words, said)), "")
            key = ((chunk.speaker or "").lower(), *words)
            if echo or key in self._said:
                refused.append(Refusal(sentence, f"repeats {echo}" if echo else "repeats what was said just before"))
            else:
                self._said.add(key)
                new.append(sentence)
        return new


def _words_of(hit: Hit) -> list[str]:
    """What a record holds: who, what it says, and when, in words and in numbers."""
    record = hit.record
    when: list[str] = []
    if record.time:
        year, *rest = record.time[:10].split("-")
        month = [_MONTHS[int(rest[0]) - 1]] if rest and moment(record.time) else []
        when = terms(" ".join([*month, year, *rest]))
    return [*terms(record.speaker or ""), *content(record.text), *when, *terms(record.source or "")]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else line[:77] + "..."
