"""The writer of facts: what a chunk says, compared with what is known, becomes operations.

    Memory("life.db", writer=FactWriter())              # rules, no model
    Memory("life.db", writer=FactWriter(LMExtractor(lm)))

A chunk is kept as it is, and every fact that is read from it names it as its source. Of a fact that is new: insert.
Known less precisely: update. A new value where there is one at a time: the old one ends, the new one replaces it.
No longer true: end. Known, trivial, a question, or come out of recall: nothing, and the reason is told.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from mnemic.commit import state_of_chunk
from mnemic.db.changes import uuid7
from mnemic.errors import InputError
from mnemic.limits import record_in
from mnemic.moment import moment, now
from mnemic.record import Chunk, Operation, Outcome, Proposal
from mnemic.revision import REPLACES
from mnemic.seams import View
from mnemic.writers.facts.candidate import Candidate, Extractor, Passage, Reading, Refusal, within
from mnemic.writers.facts.gate import Gate
from mnemic.writers.facts.known import KIND, Fact, Known, insert
from mnemic.writers.facts.local import LocalExtractor
from mnemic.writers.facts.relations import functional

_MOST_SOURCES = 8  # records that one fact names as its sources: said a hundred times, it is no truer


@dataclass
class Tally:
    """What a writer has done so far.

    chunks  that it was shown; read: of them, those with a sentence that came through the gate
    calls   of the language model
    """

    chunks: int = 0
    read: int = 0
    calls: int = 0
    inserted: int = 0
    updated: int = 0
    ended: int = 0
    refused: int = 0


@dataclass
class _Draft:
    """One chunk on its way: its record, and what is proposed and refused because of it.

    over   id of the record that it will be written over
    """

    chunk: Chunk
    id: str
    state: dict[str, Any]
    over: str = ""
    new: list[tuple[Fact, str]] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


class FactWriter:
    """Keeps chunks, and the facts that they state.

    extractor  who reads: LocalExtractor (rules), LMExtractor(lm), or your own
    episodes   False keeps the facts alone; they then have no source to be checked against
    me         who speaks when a chunk names nobody, or only a role
    programs   speakers whose own statements are no facts about anybody
    """

    name = "facts"

    def __init__(self, extractor: Extractor | None = None, *, episodes: bool = True, me: str = "The user",
                 programs: Collection[str] = ("assistant", "system", "tool", "function")) -> None:  # fmt: skip
        self.extractor: Extractor = extractor or LocalExtractor()
        self.episodes, self.me, self.programs = episodes, me, frozenset(programs)
        self.keeps_chunks = episodes
        self.tally = Tally()

    def observe(self, chunk: Chunk, view: View) -> list[Operation]:
        return list(self.observe_many([chunk], view)[0].operations)

    def observe_many(self, chunks: Sequence[Chunk], view: View) -> list[Proposal]:
        """One proposal per chunk, in order; later chunks know what was proposed for earlier ones."""
        gate, known = Gate(view, self.programs), Known(view)
        drafts: list[_Draft | Proposal] = [_draft(chunk) for chunk in chunks]
        read: list[tuple[_Draft, Passage]] = []
        for draft in drafts:
            if isinstance(draft, _Draft):
                old = known.corrected(draft.chunk, draft.state)
                draft.over = old.id if old else ""
                sentences, refused = gate.open(draft.chunk, but=draft.over)
                draft.refused += refused
                if sentences:
                    read.append((draft, Passage(tuple(sentences), self._speaker(draft.chunk), draft.state["time"])))
        before = self.extractor.calls
        readings = self.extractor.read([passage for _, passage in read]) if read else []
        for (draft, passage), reading in zip(read, readings, strict=True):
            _Comparing(draft, passage, known, self.extractor.name, self.episodes).take(reading)
        proposals = [self._proposal(draft) if isinstance(draft, _Draft) else draft for draft in drafts]
        self._count(drafts, len(read), self.extractor.calls - before)
        return proposals

    def _speaker(self, chunk: Chunk) -> str:
        name = (chunk.speaker or "").strip()
        return self.me if name.lower() in ("", "user", "human", "me", "i") else name

    def _proposal(self, draft: _Draft) -> Proposal:
        keep = [Operation("insert", draft.id, after=draft.state)] if self.episodes else []
        new = [insert(fact, why) for fact, why in draft.new]
        refused = tuple(Outcome("refused", None, f'"{each.text}": {each.reason}') for each in draft.refused)
        return Proposal((*keep, *new, *draft.operations), refused)

    def _count(self, drafts: Sequence[_Draft | Proposal], read: int, calls: int) -> None:
        tally, mine = self.tally, [draft for draft in drafts if isinstance(draft, _Draft)]
        tally.chunks, tally.read, tally.calls = tally.chunks + len(drafts), tally.read + read, tally.calls + calls
        tally.inserted += sum(len(draft.new) for draft in mine)
        changes = [
            operation.after or {} for draft in mine for operation in draft.operations if operation.kind == "update"
        ]
        tally.ended += sum("until" in after for after in changes)
        tally.updated += sum("until" not in after for after in changes)
        tally.refused += sum(len(draft.refused) for draft in mine)


def _draft(chunk: Chunk) -> _Draft | Proposal:
    """A chunk as a record; what no record can be is proposed as it stands, so that the memory says why not."""
    id = uuid7()
    try:
        state = state_of_chunk(chunk)
        record_in(state, id, "default")
    except InputError:
        return Proposal((Operation("insert", id, after={**vars(chunk), "written": now().text}),))
    return _Draft(chunk, id, state)


class _Comparing:
    """Candidates of one chunk against what is known."""

    def __init__(self, draft: _Draft, passage: Passage, known: Known, rule: str, episodes: bool) -> None:
        self.draft, self.passage, self.known, self.rule, self.episodes = draft, passage, known, rule, episodes

    def take(self, reading: Reading) -> None:
        self.draft.refused += reading.refused
        over: dict[str, list[Candidate]] = {}
        for candidate in reading.candidates:
            if candidate.ended:
                over.setdefault(candidate.sentence, []).append(candidate)
        for same in over.values():
            self._end(same)
        for candidate in reading.candidates:
            if not candidate.ended:
                self._compare(candidate)

    # ---- what no longer holds

    def _end(self, same: Sequence[Candidate]) -> None:
        """Facts that one sentence ends: what it says may have been told in several ways."""
        ended = 0
        for candidate in same:
            for fact in self.known.values(candidate):
                if fact.until is None and _about(candidate.key[2], fact.key[2]):
                    self._close(fact, candidate.time or self.passage.time, f'it ended: "{candidate.sentence}"')
                    ended += 1
        if not ended:
            self._refuse(same[0], "it says that this is over, and it was not known")

    def _close(self, fact: Fact, time: str | None, why: str) -> None:
        until = time or now().text
        if fact.time and moment(until).end <= moment(fact.time).start:
            until = fact.time
        self._change(fact, why, until=until)

    # ---- what holds

    def _compare(self, candidate: Candidate) -> None:
        one = functional(candidate.subject, candidate.relation)
        facts = self.known.values(candidate) if one else self.known.near(candidate)
        for fact in facts:
            rests = bool(self.draft.over) and self.draft.over in fact.state["derived_from"]
            if fact.until is not None and not (rests and fact.key == candidate.key):
                continue
            if fact.key[2] == candidate.key[2]:
                self._again(fact, candidate)
                return
            if _more_precise(fact.key[2], candidate.key[2]):
                self._refuse(candidate, f"known more precisely: {fact.id}")
                return
            if _more_precise(candidate.key[2], fact.key[2]):
                self._refine(fact, candidate)
                return
        if one and facts:
            self._succeed(facts, candidate)
        else:
            self._insert(candidate, f'read in "{candidate.sentence}"')

    def _again(self, fact: Fact, candidate: Candidate) -> None:
        """Said once more: no new fact, but one more source that it rests on."""
        sources = [*fact.state["derived_from"]]
        here = self.draft.id in sources or self.draft.over in sources
        full = len(sources) >= _MOST_SOURCES and not fact.state.get("stale")
        if here or full or not self.episodes:
            self._refuse(candidate, f"known already: {fact.id}")
            return
        sources = [*sources, self.draft.id][-_MOST_SOURCES:]
        self._change(fact, "said again", derived_from=sources, stale=None)

    def _refine(self, fact: Fact, candidate: Candidate) -> None:
        metadata = {**fact.state["metadata"], "object": candidate.object}
        self._change(fact, f'more precise: "{candidate.sentence}"', text=candidate.text, metadata=metadata,
                     derived_from=self._sources(fact), stale=None)  # fmt: skip

    def _sources(self, fact: Fact) -> list[str]:
        mine = [self.draft.id] if self.episodes else []
        return list(dict.fromkeys([*fact.state["derived_from"], *mine]))[-_MOST_SOURCES:]

    def _succeed(self, facts: Sequence[Fact], candidate: Candidate) -> None:
        """A new value of what has one at a time: it ends the one before it, or is ended by the one after it."""
        time = candidate.time or self.passage.time
        later = [fact for fact in facts if time and fact.time and moment(fact.time).start > moment(time).start]
        if later and later[0].key == candidate.key:
            self._refuse(candidate, f"known already: {later[0].id}")
        elif later:
            self._insert(candidate, f"an earlier value: {later[0].id} came after it", until=later[0].time)
        if later:
            return
        new = self._insert(candidate, f'read in "{candidate.sentence}"')
        for old in facts:
            if old.until is None:
                self._close(old, time, f"{new.id} replaces it: {candidate.text}")
                edge = [new.id, REPLACES, old.id, 1.0]
                self.draft.operations.append(Operation("link", new.id, after={"edge": edge}))

    def _insert(self, candidate: Candidate, why: str, *, until: str | None = None) -> Fact:
        chunk = self.draft.chunk
        state: dict[str, Any] = {
            "kind": KIND, "text": candidate.text, "time": candidate.time or self.passage.time, "until": until,
            "written": self.draft.state["written"], "source": chunk.source, "episode": chunk.episode,
            "derived_from": [self.draft.id] if self.episodes else [],
            "metadata": {"subject": candidate.subject, "relation": candidate.relation, "object": candidate.object,
                         "writer": "facts", "rule": self.rule, "deriver": "facts"},
        }  # fmt: skip
        fact = self.known.add(state)
        self.draft.new.append((fact, why))
        return fact

    def _change(self, fact: Fact, why: str, **fields: Any) -> None:
        """A fact that is only proposed so far is inserted as it ends up; one of the memory is changed."""
        fact.state |= fields
        if not fact.new:
            fields = {**fact.revised, **fields}
            self.draft.operations.append(Operation("update", fact.id, after=fields, why=why))

    def _refuse(self, candidate: Candidate, reason: str) -> None:
        self.draft.refused.append(Refusal(candidate.text, reason))


def _about(said: str, known: str) -> bool:
    """Does "no longer has a car" end "has a red car"? Every value, where none is named."""
    return not said or within(said.split(), known.split()) or within(known.split(), said.split())


def _more_precise(whole: str, part: str) -> bool:
    """ "lisbon portugal" says all that "lisbon" says, and more; "2 cats" is not "cats and dogs"."""
    return whole != part and f" {part} " in f" {whole} " and " and " not in f" {whole} "
