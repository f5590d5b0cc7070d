"""What is known of a subject: facts of the memory, changed by what this call has proposed so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mnemic.db.changes import uuid7
from mnemic.record import Chunk, Operation, Record
from mnemic.seams import View
from mnemic.writers.facts.candidate import Candidate, plain
from mnemic.writers.facts.revising import derive

KIND = "fact"
_LOOK = 12  # facts that recall shows of a candidate: an equal one is among the first, whatever else is near


@dataclass
class Fact:
    """A fact on its way: one of the memory with changes, or a new one.

    state    its fields as they shall be
    revised  of them, those that change because a source was corrected: any further change has to say them too
    """

    id: str
    state: dict[str, Any]
    new: bool
    revised: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str]:
        about: Mapping[str, Any] = self.state.get("metadata") or {}
        subject, relation, object = (plain(str(about.get(part, ""))) for part in ("subject", "relation", "object"))
        return subject, relation, object

    @property
    def time(self) -> str | None:
        return self.state.get("time")

    @property
    def until(self) -> str | None:
        return self.state.get("until")


class Known:
    """Facts to compare candidates with; later chunks of a call see what was proposed for earlier ones."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.facts: dict[str, Fact] = {}
        self._about: dict[tuple[str, str], list[Fact]] = {}  # of this call, by subject and relation
        self._places: dict[str, dict[str | None, Record]] = {}  # of a source, looked at once

    def add(self, state: dict[str, Any]) -> Fact:
        fact = Fact(uuid7(), state, new=True)
        self._keep(fact)
        return fact

    def corrected(self, chunk: Chunk, state: Mapping[str, Any]) -> Record | None:
        """The record that the chunk will be written over: it stands at the same place of the source, and says another.

        What rests on it is from now on known as it will be derived from the new text.
        """
        if chunk.source is None or chunk.place is None:
            return None
        if chunk.source not in self._places:
            found = self.view.records({"source": chunk.source})
            self._places[chunk.source] = {record.place: record for record in found if record.source == chunk.source}
        old = self._places[chunk.source].get(chunk.place)
        if old is None or old.text == chunk.text:
            return None
        new = replace(old, text=chunk.text, time=state["time"], speaker=chunk.speaker)
        for record in list(self.view.records({"kind": KIND})):
            if old.id in record.derived_from:
                self._revise(record, new)
        return old

    def _revise(self, record: Record, source: Record) -> None:
        sources = [source if id == source.id else self.view.get(id) for id in record.derived_from]
        now = derive(record, sources)
        if now is None:
            self.facts[record.id] = _fact(record)  # it will be stale: nothing is compared with it
        else:
            fact = _fact(record)
            fact.state |= now
            fact.revised = dict(now)
            self._keep(fact)

    def near(self, candidate: Candidate) -> list[Fact]:
        """Facts with the candidate's subject and relation, those that recall finds and ours."""
        hits = self.view.recall(candidate.text, k=_LOOK, where={"kind": KIND})
        for hit in hits:
            self._record(hit.record)
        return list(self._about.get(candidate.key[:2], ()))

    def values(self, candidate: Candidate) -> list[Fact]:
        """Every fact with the candidate's subject and relation, ended ones too, in the order of their time."""
        about = {"subject": candidate.subject, "relation": candidate.relation}
        for record in self.view.records({"kind": KIND, "metadata": about}):
            self._record(record)
        self.near(candidate)  # spelled differently, say
        return sorted(self._about.get(candidate.key[:2], ()), key=lambda fact: fact.time or "")

    def _record(self, record: Record) -> None:
        if record.id not in self.facts:
            self._keep(_fact(record))

    def _keep(self, fact: Fact) -> None:
        self.facts[fact.id] = fact
        self._about.setdefault(fact.key[:2], []).append(fact)


def _fact(record: Record) -> Fact:
    state = {"text": record.text, "time": record.time, "until": record.until, "stale": record.stale,
             "metadata": dict(record.metadata), "derived_from": list(record.derived_from)}  # fmt: skip
    return Fact(record.id, state, new=False)


def insert(fact: Fact, why: str) -> Operation:
    return Operation("insert", fact.id, after=fact.state, why=why)
