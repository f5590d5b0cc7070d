"""From proposals to committed operations: the only way into a memory.

Slow work first (checking, embedding, reading triples), then one short transaction that looks again at
everything it relies on, writes all or nothing, revises what was derived (see revision.py) and keeps the budget.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby
from typing import Any

from mnemic.budgeting import enforce
from mnemic.db.changes import Changes, uuid7
from mnemic.db.connection import Connection
from mnemic.db.rows import digest, dumps, edges_from, embedder_number, write_embedder
from mnemic.db.store import Store
from mnemic.errors import Conflict, EmbedderMismatch, InputError
from mnemic.limits import FIELDS, checked, checked_edge, checked_edges, encodable, is_id, record_in
from mnemic.meter import Budget
from mnemic.moment import moment, now, shown
from mnemic.recall.packed import pack
from mnemic.record import Chunk, Edge, Operation, Outcome, Record
from mnemic.revision import MEANING, Cascade, Deriver
from mnemic.seams import Embedder, Enricher, Policy, View

_TRIES = 5  # other processes may write while a cascade is worked out; then it is worked out again

Read = tuple[str, str | None, str]  # what edges are read from


@dataclass(frozen=True)
class Step:
    """One operation, resolved against the memory: what it would change.

    n, old    the record as it stands, None for a new one
    new       the record as it shall be, None when it goes
    """

    operation: Operation
    n: int | None = None
    old: Record | None = None
    new: Record | None = None

    @property
    def idle(self) -> bool:
        if self.operation.kind == "update" and "edges" in (self.operation.after or {}):
            return False  # what was read from the record changes, not the record
        return self.old == self.new and self.operation.kind not in ("link", "unlink")


class Committer:
    """Commits operations to one space of a store."""

    def __init__(self, store: Store, space: str, embedder: Embedder, *, budget: Budget | None, policy: Policy,
                 view: View, enricher: Enricher | None, deriver: Callable[[Any], Deriver | None]) -> None:  # fmt: skip
        self.store, self.space, self.embedder = store, space, embedder
        self.budget, self.policy, self.view, self.enricher = budget, policy, view, enricher
        self.deriver = deriver

    def commit(self, operations: Sequence[Operation], *, who: str, why: str, read_at: int | None = None,
               undoes: Mapping[int, int] | None = None) -> list[Outcome]:  # fmt: skip
        """Write all operations in one transaction; one outcome per operation.

        read_at   log position that the proposals were made from; raises Conflict when the memory has moved on
        undoes    index of an operation -> n of the logged operation it takes back
        """
        for word in (who, why):
            if not isinstance(word, str) or not encodable(word):
                raise InputError(f"who and why of a change must be text, got {shown(word)}.")
        for _ in range(_TRIES):
            outcomes = self._commit(operations, who, why, read_at, undoes or {})
            if outcomes is not None:
                return outcomes
        raise Conflict("the memory keeps changing while this is being written; nothing was written, try again.")

    def _commit(self, operations: Sequence[Operation], who: str, why: str, read_at: int | None,
                undoes: Mapping[int, int]) -> list[Outcome] | None:  # fmt: skip
        """One try; None when the memory changed after a cascade was worked out."""
        position = self.store.position()
        steps = list(self._resolved(operations))
        cascade = Cascade(self.store, self.space, self.deriver).plan(steps)
        together = [*operations, *cascade.operations]
        windows, edges = self._prepared(list(self._resolved(together)))
        first = self.store.embedder() is None  # two spaces must not begin with two embedders at once
        with self.store.transaction(whole=first) as db:
            if read_at is not None and self.store.position() != read_at:
                raise Conflict("the memory changed while the writer was looking at it; nothing was written, try again.")
            if cascade.looked_at and self.store.position() != position:
                return None
            changes = Changes(self.store, db, self.space, who=who, why=why)
            number = self.embedder_number(db) if windows else None
            outcomes = []
            for i, step in enumerate(self._resolved(together)):  # again: another process may have been faster
                if i >= len(operations):
                    changes.who = step.operation.who
                data = _given(step, windows)
                outcomes.append(_apply(changes, step, data, number, _edges(step, edges), undoes.get(i),
                                       cascade.looked_at))  # fmt: skip
            evicted = enforce(self.store, changes, self.budget, self.policy, self.view) if self.budget else set()
        return [after_eviction(outcome, evicted) for outcome in outcomes[: len(operations)]]

    def _prepared(self, steps: Sequence[Step]) -> tuple[dict[str, bytes], dict[Read, list[Edge]]]:
        """The slow work: vectors of new texts, edges read from records."""
        records = [step.new for step in steps if step.new and (step.old is None or step.old.text != step.new.text)]
        windows = windows_of(self.embedder, [record.text for record in records])
        edges = self._enrich([step.new for step in steps if step.new and _to_be_read(step)])
        if windows and self.store.embedder() is None:
            _ = self.embedder.dimensions  # a server may have to be asked: now, not inside the transaction
        return windows, edges

    def _resolved(self, operations: Sequence[Operation]) -> Iterator[Step]:
        """The steps in order; what one makes, or was there under another id, those after it can name."""
        made: dict[str, Record] = {}
        names = self._names(operations)
        for operation in operations:
            if not is_id(operation.target):
                raise InputError(f"an operation names its record by an id, got {shown(operation.target)}.")
            operation = _renamed(operation, names)
            fresh = made.get(operation.target)
            changes = operation.kind in ("update", "merge")
            if fresh is not None and changes and not self.store.find(fresh.id, self.space):
                step = Step(operation, None, fresh, changed(fresh, operation.after or {}))
            else:
                step = self.resolve(operation)
            if step.new is not None:
                made[step.new.id] = step.new
            yield step

    def _names(self, operations: Sequence[Operation]) -> dict[str, str]:
        """Ids that the call gives to what is there already -> their own, whichever operation comes first."""
        names = {}
        for operation in operations:
            if operation.kind == "insert" and operation.target and is_id(operation.target):
                there = self.resolve(operation).old
                if there is not None and there.id != operation.target:
                    names[operation.target] = there.id
        return names

    def _enrich(self, records: Sequence[Record]) -> dict[Read, list[Edge]]:
        """Edges read from records, by what they were read from: ids may change when the steps are resolved again."""
        if self.enricher is None or not records:
            return {}
        read_from = {record.id: _read_from(record) for record in records}
        found: dict[Read, list[Edge]] = {read: [] for read in read_from.values()}
        seen: set[Read] = set()
        for id, edges in groupby(self.enricher.enrich(records), key=lambda edge: edge.source):
            read = read_from.get(id or "")
            if read is not None and read not in seen:  # two records that say the same have the same edges
                seen.add(read)
                found[read] = list(edges)
        return found

    def embedder_number(self, db: Connection) -> int:
        """Within a transaction: the number of our embedder in the file; the first one becomes the file's embedder.

        Raises EmbedderMismatch when another process has made the memory's vectors with another one meanwhile.
        """
        active = self.store.embedder()
        if active is not None:
            if active[1] != self.embedder.name:
                raise EmbedderMismatch(f"{self.store.path}: its vectors are of {active[1]} by now, not of "
                                       f"{self.embedder.name}; nothing was written: open it again.")  # fmt: skip
            return active[0]
        number = embedder_number(db, self.embedder.name, self.embedder.dimensions)
        write_embedder(db, number)
        return number

    def resolve(self, operation: Operation) -> Step:
        if not is_id(operation.target):
            raise InputError(f"an operation names its record by an id, got {shown(operation.target)}.")
        if operation.kind == "insert":
            return self._resolve_insert(operation)
        if operation.kind in ("link", "unlink"):
            checked_edge((operation.after or operation.before or {}).get("edge"))
            return Step(operation)
        if operation.kind not in ("update", "merge", "delete"):
            raise InputError(f"{shown(operation.kind)} cannot be proposed: use insert, update, merge, delete or link.")
        n, old = self.store.named(operation.target, self.space)
        if operation.kind == "delete":
            return Step(operation, n, old, None)
        return Step(operation, n, old, changed(old, operation.after or {}))

    def _resolve_insert(self, operation: Operation) -> Step:
        state = {"written": now().text, **(operation.after or {})}
        record = record_in(state, operation.target or uuid7(), self.space)
        same = self.store.find_same(digest(record))
        if same is None and operation.target:
            same = self.store.find(operation.target, self.space)
            if same is None:
                self._refuse_taken(operation.target)
        if same is not None:
            return Step(operation, same[0], same[1], same[1])
        if record.source is not None and record.place is not None:
            slot = self.store.find_slot(self.space, record.source, record.place)
            if slot is not None:
                n, old = slot
                new = replace(record, id=old.id, written=old.written, pinned=old.pinned, importance=old.importance)
                return Step(operation, n, old, new)
        return Step(operation, None, None, record)

    def _refuse_taken(self, id: str) -> None:
        """An id names one record of the file, whatever its space."""
        with self.store.everywhere():
            taken = self.store.read("SELECT space FROM record WHERE id = ? AND space != ?", (id, self.space))
        if taken:
            raise InputError(f'record {id} is in the space "{taken[0][0]}" of this file: load it into another file.')


def windows_of(embedder: Embedder, texts: Sequence[str]) -> dict[str, bytes]:
    """Packed vectors of each distinct text, all its windows (see recall/packed.py)."""
    distinct = list(dict.fromkeys(texts))
    spans = [embedder.windows(text) for text in distinct]
    parts = [text[start:end] for text, cut in zip(distinct, spans, strict=True) for start, end in cut]
    vectors = embedder.embed(parts)
    packed, at = {}, 0
    for text, cut in zip(distinct, spans, strict=True):
        packed[text] = pack(cut, vectors[at : at + len(cut)])
        at += len(cut)
    return packed


def _renamed(operation: Operation, names: Mapping[str, str]) -> Operation:
    """An operation that names records by the ids they have: an insert may have found its record there already."""
    if not names:
        return operation

    def known(id: Any) -> Any:
        return names.get(id, id) if isinstance(id, str) else id  # what is no id is refused later, with a reason

    after = dict(operation.after or {})
    if isinstance(after.get("derived_from"), list | tuple):
        after["derived_from"] = [known(id) for id in after["derived_from"]]
    if isinstance(after.get("edge"), list | tuple) and len(after["edge"]) == 4:
        head, relation, tail, weight = after["edge"]
        after["edge"] = [known(head), relation, known(tail), weight]
    target = operation.target if operation.kind == "insert" else known(operation.target)
    return replace(operation, target=target, after=after or operation.after)


def _given(step: Step, windows: Mapping[str, bytes]) -> bytes | None:
    """The vectors of a step's text; raises Conflict when they were not made because the step was another then."""
    new = step.new
    data = windows.get(new.text) if new else None
    if new and data is None and (step.old is None or step.old.text != new.text):
        raise Conflict("the memory changed while this was being written; nothing was written, try again.")
    return data


def _read_from(record: Record) -> Read:
    """All that an enricher reads edges from."""
    return record.text, record.speaker, dumps(dict(record.metadata))


def _to_be_read(step: Step) -> bool:
    """True for a record that is new or reads differently now, unless its edges are given."""
    assert step.new is not None
    given = "edges" in (step.operation.after or {})
    return not given and (step.old is None or _read_from(step.old) != _read_from(step.new))


def _edges(step: Step, read: Mapping[Read, list[Edge]]) -> list[Edge] | None:
    """The edges that a record has now: those given with it, else those read from it; None when neither is."""
    if step.new is None:
        return None
    given = step.operation.after or {}
    found = edges_from(given, step.new.id) if "edges" in given else read.get(_read_from(step.new))
    return None if found is None else [replace(edge, source=step.new.id) for edge in found]


def _apply(changes: Changes, step: Step, windows: bytes | None, embedder: int | None, edges: Sequence[Edge] | None,
           undoes: int | None, revised: Container[str]) -> Outcome:  # fmt: skip
    """Write one step. What was derived from its record and is not `revised` by the call itself goes stale."""
    operation, n, old, new = step.operation, step.n, step.old, step.new
    if operation.kind in ("link", "unlink"):
        state = operation.after or operation.before or {}
        head, relation, tail, weight = state["edge"]
        changes.link(Edge(head, relation, tail, weight), kind=operation.kind, undoes=undoes, why=operation.why or None)
        return Outcome("added" if operation.kind == "link" else "updated")
    if step.idle:
        return Outcome("unchanged", old)
    if new is None:
        assert n is not None
        assert old is not None
        changes.delete(n, old, undoes=undoes, why=operation.why or None)
        changes.mark_stale([old.id], f"source {old.id} was forgotten", beside=revised)
        return Outcome("updated", old)
    if old is None or n is None:
        changes.insert(new, windows, embedder, edges or (), undoes=undoes, why=operation.why or None)
        return Outcome("added", new)
    kind = "merge" if operation.kind == "merge" else "update"
    changes.update(n, old, new, windows, embedder, edges, kind=kind, undoes=undoes,  # type: ignore[arg-type]
                   why=operation.why or None)  # fmt: skip
    if any(getattr(old, name) != getattr(new, name) for name in MEANING):
        verb = "ended" if new.until and not old.until else "corrected"
        changes.mark_stale([old.id], f"source {old.id} was {verb}", beside=revised)
    return Outcome("updated", new)


def after_eviction(outcome: Outcome, evicted: set[str]) -> Outcome:
    """What became of an item once the budget was kept."""
    if outcome.record is not None and outcome.record.id in evicted:
        return Outcome(
            "refused", None, "the budget holds nothing more: the record was let go at once; see `mnemic log`"
        )
    return outcome


# ---- from what people give to records


def state_of_chunk(chunk: Chunk) -> dict[str, Any]:
    """A chunk as the state of the record it becomes, times read, written now."""
    state: dict[str, Any] = {field.name: getattr(chunk, field.name) for field in fields(Chunk)}
    state["time"] = moment(chunk.time).text if chunk.time is not None else None
    state["until"] = moment(chunk.until).text if chunk.until is not None else None
    state["written"] = now().text
    return state


def changed(old: Record, given: Mapping[str, Any]) -> Record:
    """A record with some fields changed; raises InputError for a field that cannot change, or to what is given."""
    known = sorted(name for name in FIELDS if name != "written")
    for name in given:
        if name not in known and name != "edges":
            raise InputError(f'a record has no "{name}" that could be changed: use one of {", ".join(known)}.')
    checked_edges(given.get("edges", ()))
    values = {name: value for name, value in given.items() if name != "edges"}
    for name in ("time", "until"):
        if values.get(name) is not None:
            values[name] = moment(values[name]).text
    return checked(replace(old, **values))
