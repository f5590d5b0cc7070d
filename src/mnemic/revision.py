"""Cascading belief revision: when something changes, what was made from it is worked out again.

A record knows its sources (`derived_from`). When a source is corrected, ended, replaced or forgotten, everything
made from it, directly or through others, is looked at once, sources first, in the transaction of the change:

corrected    it is derived again in place, and stays as it is when it comes out the same
ended        it ends with its source; where the source has a successor, it gets one too, derived from that
forgotten    it is derived from the sources that are left
no deriver   it goes stale, with the reason; likewise when the deriver says that it does not follow any more

A record names its deriver in its metadata ({"deriver": "rules"}); a deriver is a function of the record and its
sources, so no language model is needed. After Doyle, "A Truth Maintenance System", Artificial Intelligence 12, 1979,
who keeps for every belief the reasons it rests on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

from mnemic.db.changes import uuid7
from mnemic.db.rows import digest, state_of
from mnemic.db.store import Store
from mnemic.errors import InputError
from mnemic.filter import Filter
from mnemic.gate.trust import KEY, PERSON, UNTRUSTED, Trust
from mnemic.limits import record_in
from mnemic.moment import moment, now
from mnemic.record import Hit, Operation, Record
from mnemic.seams import Retriever, View

if TYPE_CHECKING:
    from mnemic.commit import Step

REPLACES = "replaces"  # the link from a record to the one that it took the place of
MEANING = ("text", "time", "until")  # when one of these changes, what was made from the record is looked at again


class Deriver(Protocol):
    """How a record follows from its sources."""

    def __call__(self, record: Record, sources: Sequence[Record]) -> Mapping[str, Any] | None:
        """The fields that the record has now (text, time, metadata, ...), or None when it does not follow any more.

        record    as it stands
        sources   its sources as they are now, in the order of `derived_from`; those that are gone are left out
        """


@dataclass
class Plan:
    """What follows from some changes.

    operations   to be applied after them, in this order
    looked_at    ids of everything that was made from what changed
    """

    operations: list[Operation] = field(default_factory=list)
    looked_at: set[str] = field(default_factory=set)


def successor(store: Store, space: str, id: str) -> str | None:
    """Id of the record that took the place of this one, directly; None when nothing did."""
    return _linked(store, space, "head", "tail", id)


def predecessor(store: Store, space: str, id: str) -> str | None:
    """Id of the record that this one took the place of, directly; None when it took none."""
    return _linked(store, space, "tail", "head", id)


def _linked(store: Store, space: str, wanted: str, known: str, id: str) -> str | None:
    rows = store.read(
        f"SELECT {wanted} FROM edge WHERE source IS NULL AND space = ? AND relation = ? AND {known} = ? "
        "ORDER BY n DESC LIMIT 1",
        (space, REPLACES, id),
    )
    return str(rows[0][0]) if rows else None


def succession(old: Record, text: str, time: str, fields: Mapping[str, Any]) -> list[Operation]:
    """Operations that put a new record in the place of one that no longer holds; the second inserts it."""
    state = {"kind": old.kind, "source": old.source, "speaker": old.speaker, "metadata": dict(old.metadata),
             **fields, "text": text, "time": time}  # fmt: skip
    new = uuid7()
    return [
        Operation("update", old.id, after={"until": time}),
        Operation("insert", new, after=state),
        Operation("link", new, after={"edge": [new, REPLACES, old.id, 1.0]}),
    ]


class Cascade:
    """Works out what follows from the steps of one call, on top of the memory as it stands. Writes nothing."""

    def __init__(self, store: Store, space: str, deriver: Callable[[Any], Deriver | None]) -> None:
        self.store, self.space, self.deriver = store, space, deriver
        self._now: dict[str, Record | None] = {}  # what the steps and we make of records
        self._next: dict[str, str] = {}  # links to successors that are not written yet
        self._reasons: dict[str, str] = {}  # what has changed, and what is said of it to those made from it
        self._was: dict[str, Record] = {}  # what has changed, as it was
        self._plan = Plan()

    def plan(self, steps: Sequence[Step]) -> Plan:
        """Everything that the steps bring about beside themselves."""
        for step in steps:
            self._take(step)
        if not self._reasons:
            return self._plan
        given = set(self._was)  # what the call itself says of a record stands
        order = self._sources_first([*self._reasons, *self.store.derived(list(self._reasons))])
        self._plan.looked_at = set(order)
        for id in order:
            record = self._get(id)
            if record is not None and id not in given:
                self._look_at(record)
        return self._plan

    def _take(self, step: Step) -> None:
        old, new, operation = step.old, step.new, step.operation
        if operation.kind == "link":
            head, relation, tail, _ = (operation.after or {})["edge"]
            if relation == REPLACES:
                self._next[tail] = head
                self._reasons.setdefault(tail, f"source {tail} was replaced")
        elif old is None and new is not None:
            self._now[new.id] = new
        elif old is not None and new is None:
            self._now[old.id] = None
            self._reasons[old.id] = f"source {old.id} was forgotten"
        elif old is not None and new is not None:
            self._now[new.id] = new
            if any(getattr(old, name) != getattr(new, name) for name in (*MEANING, "stale")):
                self._was[new.id] = old
                self._reasons[new.id] = f"source {new.id} {_verb(old, new)}"

    def _get(self, id: str) -> Record | None:
        if id not in self._now:
            found = self.store.find(id, self.space)
            self._now[id] = found[1] if found else None
        return self._now[id]

    def _sources_first(self, ids: Sequence[str]) -> list[str]:
        """The records so that each stands behind those it was made from; what goes in circles comes last."""
        left = dict.fromkeys(ids)
        order: list[str] = []
        while left:
            free = [id for id in left if not any(source in left for source in self._sources_of(id))]
            for id in free or list(left):
                del left[id]
                order.append(id)
        return order

    def _sources_of(self, id: str) -> Sequence[str]:
        record = self._get(id)
        return record.derived_from if record else ()

    def _look_at(self, record: Record) -> None:
        reason = next((self._reasons[id] for id in record.derived_from if id in self._reasons), None)
        if reason is None:
            return  # its sources came out as they were
        deriver = self.deriver(record.metadata.get("deriver"))
        sources = [source for id in record.derived_from if (source := self._get(id))]
        if deriver is None or any(source.stale for source in sources):
            self._mark(record, reason)
        elif any(source.until for source in sources if source.id in self._reasons):
            self._end(record, sources, deriver, reason)
        else:
            self._correct(record, sources, deriver, reason)

    def _mark(self, record: Record, reason: str) -> None:
        if record.stale is None:
            self._update(record, {"stale": reason}, reason)

    def _correct(self, record: Record, sources: Sequence[Record], deriver: Deriver, reason: str) -> None:
        state = deriver(record, sources)
        if state is None:
            self._mark(record, reason)
            return
        ended_with = [self._was[source.id].until for source in sources if source.id in self._was]
        until = None if record.until in ended_with else record.until  # what ended with a source comes back with it
        ids = [source.id for source in sources]
        self._update(record, {"until": until, **state, "stale": None, "derived_from": ids}, reason)

    def _end(self, record: Record, sources: Sequence[Record], deriver: Deriver, reason: str) -> None:
        """A source has ended: the record ends with the first, and goes on in a new one if the successors bear it."""
        ends = min((source.until for source in sources if source.until), key=lambda until: moment(until).start)
        current = [now_true for source in sources if (now_true := self._current(source))]
        state = deriver(record, current) if len(current) == len(sources) else None
        if state is not None and state.get("text", record.text) == record.text and not record.until:
            self._update(record, {"derived_from": [source.id for source in current]}, reason)
            return
        if record.until is None:
            if record.time and moment(ends).end <= moment(record.time).start:  # it never was true
                self._mark(record, reason)
                return
            self._update(record, {"until": ends}, reason)
        if state is not None and self._successor(record.id) is None:
            self._go_on(record, state, current, reason)

    def _go_on(self, old: Record, state: Mapping[str, Any], sources: Sequence[Record], reason: str) -> None:
        """A new record in the place of one that has ended."""
        begins = [source.time for source in sources if source.time]
        values = {**_carried(old), "time": max(begins, key=lambda time: moment(time).start, default=None), **state}
        values["derived_from"] = [source.id for source in sources]
        state = self._no_more_trusted(old, values)
        new = record_in({"written": now().text, **state}, uuid7(), self.space)
        same = self.store.find_same(digest(new))
        if same is None:
            self._add("insert", new.id, state_of(new), reason)
        else:
            new = same[1]
        self._now[new.id], self._next[old.id] = new, new.id
        self._add("link", new.id, {"edge": [new.id, REPLACES, old.id, 1.0]}, reason)

    def _current(self, record: Record) -> Record | None:
        """The record that holds now in the place of this one; None when it ended and nothing came after it."""
        seen = {record.id}
        while record.until:
            id = self._successor(record.id)
            after = self._get(id) if id and id not in seen else None
            if after is None:
                return None
            seen.add(after.id)
            record = after
        return None if record.stale else record

    def _successor(self, id: str) -> str | None:
        return self._next.get(id) or successor(self.store, self.space, id)

    def _update(self, record: Record, given: Mapping[str, Any], reason: str) -> None:
        given = self._no_more_trusted(record, given)
        new = _changed(record, given)
        if new == record:
            return
        self._add("update", record.id, dict(given), reason)
        self._now[record.id], self._was[record.id] = new, record
        if any(getattr(new, name) != getattr(record, name) for name in (*MEANING, "stale")):
            self._reasons[record.id] = reason  # the root of it all, also for those further down

    def _no_more_trusted(self, old: Record, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """What is derived again keeps the mark of what others wrote: nobody but the person takes one away.

        The record itself says how it is derived, so its text may be of whoever wrote it, whatever its sources are.
        """
        moved = list(given.get("derived_from", old.derived_from)) != list(old.derived_from)
        if not moved and "metadata" not in given:
            return given
        if Trust().of(old, cast(View, _Stored(self.store, self.space))) == PERSON:
            return given
        return {**given, "metadata": {**given.get("metadata", old.metadata), KEY: UNTRUSTED}}

    def _add(self, kind: Any, target: str, after: Mapping[str, Any], reason: str) -> None:
        self._plan.operations.append(Operation(kind, target, after=after, who="cascade", why=reason))


@dataclass(frozen=True)
class _Stored:
    """Records as they stand before the call, for trust to look at."""

    store: Store
    space: str

    def get(self, id: str) -> Record:
        return self.store.named(id, self.space)[1]


def _verb(old: Record, new: Record) -> str:
    if new.stale and not old.stale:
        return "went stale"
    return "was ended" if new.until and not old.until else "was corrected"


def _carried(old: Record) -> dict[str, Any]:
    """What a successor takes over from the record before it, unless its deriver says otherwise."""
    return {name: getattr(old, name) for name in ("kind", "text", "source", "speaker", "metadata", "importance")}


def _changed(record: Record, given: Mapping[str, Any]) -> Record:
    from mnemic.commit import changed  # which needs us

    try:
        return changed(record, given)
    except InputError as error:
        name = record.metadata.get("deriver")
        raise InputError(f'the deriver "{name}" made of record {record.id} what cannot be kept: {error}') from None


# ---- recall


def find(retriever: Retriever, store: Store, space: str, query: str, k: int, where: Filter) -> list[Hit]:
    """What a retriever finds, so that what holds now stands before what it replaced."""
    hits = retriever.search(query, k, where)
    if outdated(hits, where):
        more = retriever.search(query, 2 * k, where)  # what is stale makes room for what is not
        hits = current_first(store, space, more, where)[:k]
    return hits


def outdated(hits: Sequence[Hit], where: Filter) -> bool:
    """True when some of the hits no longer hold and the asker did not ask for certain ones."""
    asked_for = where.current or where.stale is not None or where.time is not None
    return not asked_for and any(hit.record.until or hit.record.stale for hit in hits)


def current_first(store: Store, space: str, hits: Sequence[Hit], where: Filter) -> list[Hit]:
    """Hits so that what holds now stands before what it replaced, and what is stale behind the rest.

    A hit that has ended brings its successor along, unless a filter asks for certain records alone.
    """
    found = {hit.record.id: hit for hit in hits}
    order: dict[str, Hit] = {}
    for hit in hits:
        after = _holding(store, space, hit.record) if hit.record.until else None
        if after is not None and after.id not in order and (after.id in found or where.open):
            order[after.id] = found.get(after.id) or Hit(
                after, hit.score, {REPLACES: hit.score}, after.text, (0, len(after.text))
            )
        order.setdefault(hit.record.id, hit)
    return sorted(order.values(), key=lambda hit: hit.record.stale is not None)


def _holding(store: Store, space: str, record: Record) -> Record | None:
    """What came after a record and holds now."""
    seen = {record.id}
    while record.until:
        id = successor(store, space, record.id)
        found = store.find(id, space) if id and id not in seen else None
        if found is None:
            return None
        record = found[1]
        seen.add(record.id)
    return record


def lineage(store: Store, space: str, record: Record) -> Iterator[Record]:
    """A record and those that it took the place of, newest first."""
    seen = set()
    while record.id not in seen:
        seen.add(record.id)
        yield record
        id = predecessor(store, space, record.id)
        found = store.find(id, space) if id else None
        if found is None:
            return
        record = found[1]
