"""One function per kind of error: each walks the records once and yields what it finds."""

from __future__ import annotations

import calendar
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from mnemic.ask import EMPTY, NO_MODEL, UNKNOWN
from mnemic.gate.trust import KEY, UNTRUSTED
from mnemic.moment import moment
from mnemic.recall.terms import STOPWORDS, words
from mnemic.record import Operation, Record
from mnemic.revision import REPLACES, Deriver
from mnemic.writers.facts.candidate import content
from mnemic.writers.facts.relations import functional
from mnemic.writers.facts.revising import words_of
from mnemic.writers.facts.sentences import idle, sentences

Kind = Literal["fabricated", "stale", "contradictory", "duplicate", "junk", "orphaned"]
KINDS: tuple[Kind, ...] = ("fabricated", "stale", "contradictory", "duplicate", "junk", "orphaned")

_NEW = 0.5  # share of its words that a derived record may have of its own: models paraphrase
_NUMBERS = frozenset(
    """two three four five six seven eight nine ten eleven twelve dozen twenty thirty forty fifty sixty
    seventy eighty ninety hundred thousand million""".split()
)
_ANSWERING = frozenset(
    """ok okay yes no yeah yep nope sure thanks thank hi hello hey bye goodbye lol haha hm hmm oh ah
    great cool nice wow please welcome right fine good alright""".split()
)
_NO_FACTS = {"a question", "small talk"}  # what the writer of facts says of a sentence that states nothing
_LETTERS = 0.5  # share of letters and digits below which a text is noise
_LONG_WORD = 60  # characters without a space that are no word of any language but data
_ISO = re.compile(r"\b(\d{4})-(\d\d)-(\d\d)\b")
_NAME = re.compile(r"(?<=[a-z,;:] )[A-Z][\w'’-]+|\d[\d.,:]*")  # what must not be made up: names, numbers


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    records   ids, the one that the repair changes first
    why       one sentence for people
    repair    operations that put it right; empty when a person has to decide
    """

    kind: Kind
    records: tuple[str, ...]
    why: str
    repair: tuple[Operation, ...] = ()

    @property
    def link(self) -> bool:
        """Is it a link that is wrong, and no record?"""
        return any(operation.kind == "unlink" for operation in self.repair)


class Shelf:
    """The records of a memory, as all checks look at them."""

    def __init__(self, records: Sequence[Record], links: Sequence[tuple[str, str, str, float]],
                 deriver: Any = None, untrusted: Callable[[Record], bool] = lambda record: False) -> None:  # fmt: skip
        self.records = records
        self.links = links
        self.untrusted = untrusted  # see mnemic.gate: no repair may raise what a record is trusted as
        self.by_id: Mapping[str, Record] = {record.id: record for record in records}
        self.made_from: dict[str, list[Record]] = defaultdict(list)
        for record in records:
            for id in record.derived_from:
                self.made_from[id].append(record)
        self._deriver = deriver

    def sources(self, record: Record) -> list[Record]:
        return [self.by_id[id] for id in record.derived_from if id in self.by_id]

    def deriver(self, record: Record) -> Deriver | None:
        found: Deriver | None = self._deriver(record.metadata.get("deriver")) if self._deriver else None
        return found


def fabricated(shelf: Shelf) -> Iterator[Finding]:
    """Derived records that no source bears: a name or number of their own, or mostly words of their own."""
    for record in shelf.records:
        sources = shelf.sources(record)
        if not sources or record.stale:  # nothing to hold it against, or known to be out of date
            continue
        deriver = shelf.deriver(record)
        if deriver is not None and _bears(deriver(record, sources), record):
            continue
        said = {word for source in sources for word in (*words_of(source), *content(source.text))}
        said |= {word for source in sources for value in source.metadata.values() for word in words(str(value))}
        text = _ISO.sub(_spoken, record.text)
        own = [word for word in content(text) if word not in said]
        telling = [*_NAME.findall(text), *(word for word in words(text) if word in _NUMBERS)]
        names = [name for name in telling if not set(content(name)) <= said]
        if names or len(own) > _NEW * len(content(text)):
            what = f"no source says {', '.join(names or own)}"
            yield Finding("fabricated", (record.id, *record.derived_from), what, (_let_go(record, what),))


def _spoken(date: re.Match[str]) -> str:
    """2026-05-02 as a source would say it."""
    year, month, day = date.groups()
    return f"{int(day)} {calendar.month_name[int(month)]} {year}" if 0 < int(month) < 13 else date[0]


def _bears(state: Mapping[str, Any] | None, record: Record) -> bool:
    return state is not None and state.get("text", record.text) == record.text


def stale(shelf: Shelf) -> Iterator[Finding]:
    """Records that are marked as out of date: derived again where that works, else let go."""
    for record in shelf.records:
        if not record.stale:
            continue
        deriver, sources = shelf.deriver(record), shelf.sources(record)
        state = deriver(record, sources) if deriver and not any(source.stale for source in sources) else None
        if state is not None:
            after = {**state, "stale": None}
            if shelf.untrusted(record):
                after["metadata"] = {**state.get("metadata", record.metadata), KEY: UNTRUSTED}
            repair = Operation("update", record.id, after=after, why="derived again")
        else:
            repair = _let_go(record, record.stale)
        yield Finding("stale", (record.id, *record.derived_from), record.stale, (repair,))


def contradictory(shelf: Shelf) -> Iterator[Finding]:
    """Facts of a relation with one value at a time that hold at once with different values: the older one ends."""
    said: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in shelf.records:
        about = [record.metadata.get(part) for part in ("subject", "relation", "object")]
        if all(isinstance(part, str) for part in about) and not record.until and not record.stale:
            subject, relation, _ = (str(part) for part in about)
            if functional(subject, relation):
                said[" ".join(words(subject)), " ".join(words(relation))].append(record)
    for records in said.values():
        records.sort(key=lambda record: (_begin(record), record.id))
        for old, new in pairwise(records):
            if words(str(old.metadata["object"])) != words(str(new.metadata["object"])):
                theirs = shelf.untrusted(new) and not shelf.untrusted(old)  # what others say ends nothing of yours
                yield Finding("contradictory", (old.id, new.id), f'"{old.text}" and "{new.text}" cannot both hold',
                              () if theirs else _ended_by(old, new))  # fmt: skip


def _ended_by(old: Record, new: Record) -> tuple[Operation, ...]:
    """The newer fact takes the place of the older; nothing where the order cannot be told."""
    if not old.time or not new.time or _begin(old) >= _begin(new):
        return ()
    why = f"{new.id} holds since {new.time}"
    return (
        Operation("update", old.id, after={"until": new.time}, why=why),
        Operation("link", new.id, after={"edge": [new.id, REPLACES, old.id, 1.0]}, why=why),
    )


def _begin(record: Record) -> float:
    return moment(record.time or record.written).start


def duplicate(shelf: Shelf) -> Iterator[Finding]:
    """Records that say the same words about the same time: the first one stays, and stands for the others.

    What others wrote stands for nothing of the person's, nor the other way round.
    """
    first: dict[tuple[Any, ...], Record] = {}
    for record in shelf.records:
        said = tuple(words(record.text))
        about = (record.kind, (record.speaker or "").lower(), record.time, record.until)
        key = (*about, shelf.untrusted(record), said or record.text)
        kept = first.setdefault(key, record)
        if kept is record or record.stale or kept.stale:
            continue
        why = f"{kept.id} says the same"
        moved = [Operation("update", heir.id, after={"derived_from": _swapped(heir, record.id, kept.id)}, why=why)
                 for heir in shelf.made_from.get(record.id, ())]  # fmt: skip
        yield Finding("duplicate", (record.id, kept.id), why, (*moved, _let_go(record, why)))


def _swapped(record: Record, old: str, new: str) -> list[str]:
    return list(dict.fromkeys(new if id == old else id for id in record.derived_from))


def junk(shelf: Shelf) -> Iterator[Finding]:
    """Records that answer no question anybody could ask."""
    for record in shelf.records:
        why = _worthless(record)
        if why and record.id not in shelf.made_from and not record.pinned:
            yield Finding("junk", (record.id,), why, (_let_go(record, why),))


def _worthless(record: Record) -> str:
    """Why a record is worth nothing; empty when it may be worth something."""
    text = record.text.strip()
    if record.metadata.get("recalled") or any(said in text for said in (EMPTY, NO_MODEL, UNKNOWN)):
        return "it came out of the memory itself"
    if sum(char.isalnum() or char.isspace() for char in text) < _LETTERS * len(text):
        return "it is mostly signs"
    if max((len(word) for word in text.split()), default=0) > _LONG_WORD and len(text.split()) < 3:
        return "it is data, not words"
    reasons = {idle(part) for part in sentences(text)} if record.kind == "fact" else set()
    if reasons and reasons <= _NO_FACTS:
        return reasons.pop()
    if not record.episode and not set(words(text)) - _ANSWERING - STOPWORDS:  # within a session it is context
        return "it says nothing"
    return ""


def orphaned(shelf: Shelf) -> Iterator[Finding]:
    """Records made from what is gone, and links that lead nowhere."""
    for record in shelf.records:
        gone = [id for id in record.derived_from if id not in shelf.by_id]
        if not gone or record.stale:  # what is stale is a finding of its own
            continue
        left = [id for id in record.derived_from if id in shelf.by_id]
        many = f"{len(gone)} {'is' if len(gone) == 1 else 'are'} gone"
        why = f"of the records that it was made from ({len(record.derived_from)}), {many}"
        after: dict[str, Any] = {"stale": why}
        if left:  # nobody can tell any more what was taken over from the others: it stays as little trusted as it is
            after = {"derived_from": left, "metadata": {**record.metadata, KEY: UNTRUSTED}}
        yield Finding("orphaned", (record.id, *gone), why, (Operation("update", record.id, after=after, why=why),))
    for head, relation, tail, weight in shelf.links:
        missing = [id for id in (head, tail) if id not in shelf.by_id]
        if missing:
            edge = {"edge": [head, relation, tail, weight]}
            why = f"the link {relation} leads to a record that is gone"
            yield Finding("orphaned", (head, tail), why, (Operation("unlink", head, before=edge, why=why),))


def _let_go(record: Record, why: str) -> Operation:
    return Operation("delete", record.id, why=why)
