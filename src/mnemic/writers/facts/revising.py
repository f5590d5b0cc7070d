"""What a fact says now that its sources changed, worked out by rules alone (a deriver, see mnemic.revision)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mnemic.recall.terms import terms
from mnemic.record import Record
from mnemic.writers.facts.candidate import Candidate, Passage, content, plain
from mnemic.writers.facts.local import LocalExtractor
from mnemic.writers.facts.relations import functional
from mnemic.writers.facts.sentences import idle, sentences
from mnemic.writers.facts.times import dated


def derive(record: Record, sources: Sequence[Record]) -> Mapping[str, Any] | None:
    """The fields that the fact has now, or None when its sources no longer say it.

    A fact that rules can read in its sources is read again, whoever read it first: of a relation with one value at a
    time it takes the newest value. Any other fact stands while a source still holds all of its words.
    """
    said = [candidate for source in sources for candidate in _read(source, record)]
    now = _same_or_newer(record, [candidate for candidate in said if not candidate.ended])
    if now is not None:
        about = {"subject": now.subject, "relation": now.relation, "object": now.object}
        return {"text": now.text, "time": now.time, "metadata": {**record.metadata, **about}}
    ended = any(_says(record, candidate.key) for candidate in said if candidate.ended)
    if not ended and record.metadata.get("rule") != LocalExtractor.name and any(holds(record, one) for one in sources):
        return {"text": record.text, "time": record.time}
    return None


def holds(fact: Record, source: Record) -> bool:
    """True when every word of the fact that means something stands in the source, its speaker or its time."""
    return not set(content(fact.text)) - words_of(source)


def words_of(source: Record) -> set[str]:
    """Words that a fact from this source may have: the text, who spoke, and the dates that it counts up to."""
    when = dated(source.text, source.time).text
    return {*terms(source.text), *terms(when), *content(source.speaker or ""), *content(source.time or "")}


def _read(source: Record, fact: Record) -> Iterator[Candidate]:
    """What rules read in a source; times that no sentence names are the source's."""
    speaker = source.speaker or _speaker_of(fact)
    passed = tuple(sentence for sentence in sentences(source.text) if not idle(sentence))
    for candidate in LocalExtractor().read([Passage(passed, speaker, source.time)])[0].candidates:
        yield Candidate(candidate.text, candidate.subject, candidate.relation, candidate.object,
                        candidate.time or source.time, candidate.ended)  # fmt: skip


def _speaker_of(fact: Record) -> str:
    """Who "I" was when the fact was read: its subject, or the owner of its subject."""
    return str(fact.metadata.get("subject", "")).split("'s ")[0]


def _same_or_newer(record: Record, said: Sequence[Candidate]) -> Candidate | None:
    """The candidate that says the fact, more precisely if one does; else the newest value of its relation."""
    subject, relation, object = _key(record)
    about = [candidate for candidate in said if candidate.key[:2] == (subject, relation)]
    same = [candidate for candidate in about if f" {object} " in f" {candidate.key[2]} "]
    if same:
        return max(same, key=lambda candidate: len(candidate.key[2]))
    if about and functional(str(record.metadata.get("subject", "")), str(record.metadata.get("relation", ""))):
        return max(about, key=lambda candidate: candidate.time or "")
    return None


def _says(record: Record, key: tuple[str, str, str]) -> bool:
    subject, relation, object = _key(record)
    return key[:2] == (subject, relation) and (not key[2] or key[2] in object or object in key[2])


def _key(record: Record) -> tuple[str, str, str]:
    subject, relation, object = (
        plain(str(record.metadata.get(part, ""))) for part in ("subject", "relation", "object")
    )
    return subject, relation, object
