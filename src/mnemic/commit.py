"""From proposals to committed operations: the only way into a memory.

Slow work first (checking, embedding, reading triples), then one short transaction that looks again at
everything it relies on, writes all or nothing, marks what was derived as stale and keeps the budget.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from mnemic.budgeting import enforce
from mnemic.db.changes import Changes, uuid7
from mnemic.db.rows import digest, dumps, edges_from, record_from
from mnemic.db.store import Store
from mnemic.errors import Conflict, InputError, NotFound
from mnemic.meter import Budget
from mnemic.moment import moment, now
from mnemic.recall.packed import pack
from mnemic.record import Chunk, Edge, Operation, Outcome, Record
from mnemic.seams import Embedder, Enricher, Policy, View

_LONGEST_TEXT = 50_000_000  # characters of one record: beyond, it is a file that wants to be split
_MEANING = ("text", "time", "until")  # when one of these changes, what was derived from the record goes stale


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
        return self.old == self.new and self.operation.kind not in ("link", "unlink")


class Committer:
    """Commits operations to one space of a store."""

    def __init__(self, store: Store, space: str, embedder: Embedder, *, budget: Budget | None, policy: Policy,
                 view: View, enricher: Enricher | None) -> None:  # fmt: skip
        self.store, self.space, self.embedder = store, space, embedder
        self.budget, self.policy, self.view, self.enricher = budget, policy, view, enricher

    def commit(self, operations: Sequence[Operation], *, who: str, why: str, read_at: int | None = None,
               undoes: Mapping[int, int] | None = None) -> list[Outcome]:  # fmt: skip
        """Write all operations in one transaction; one outcome per operation.

        read_at   log position that the proposals were made from; raises Conflict when the memory has moved on
        undoes    index of an operation -> n of the logged operation it takes back
        """
        steps = [self.resolve(operation) for operation in operations]
        records = [step.new for step in steps if step.new and (step.old is None or step.old.text != step.new.text)]
        windows = windows_of(self.embedder, [record.text for record in records])
        edges = self._enrich(records)
        with self.store.transaction() as db:
            if read_at is not None and self.store.position() != read_at:
                raise Conflict("the memory changed while the writer was looking at it; nothing was written, try again.")
            changes = Changes(self.store, db, self.space, who=who, why=why)
            number = self.embedder_number(db) if windows else None
            outcomes = []
            for i, step in enumerate(steps):
                step = self.resolve(step.operation)  # another process may have been faster
                new = step.new
                data = windows.get(new.text) if new else None
                if new and data is None and (step.old is None or step.old.text != new.text):
                    raise Conflict("the memory changed while this was being written; nothing was written, try again.")
                read = edges_from(step.operation.after or {}, new.id) if new else []
                read = read or (edges.get(new.text, []) if new else [])
                read = [replace(edge, source=new.id) for edge in read] if new else []
                outcomes.append(_apply(changes, step, data, number, read, (undoes or {}).get(i)))
            evicted = enforce(self.store, changes, self.budget, self.policy, self.view) if self.budget else set()
        return [_after_eviction(outcome, evicted) for outcome in outcomes]

    def _enrich(self, records: Sequence[Record]) -> dict[str, list[Edge]]:
        """Edges read from new texts, by text: ids may change when the steps are resolved again."""
        if self.enricher is None or not records:
            return {}
        text_of = {record.id: record.text for record in records}
        found: dict[str, list[Edge]] = {}
        for edge in self.enricher.enrich(records):
            found.setdefault(text_of.get(edge.source or "", ""), []).append(edge)
        return found

    def embedder_number(self, db: sqlite3.Connection) -> int:
        """Within a transaction: the number of our embedder in the file; the first one becomes the file's embedder."""
        active = self.store.embedder()
        if active is not None:
            return active[0]
        db.execute("INSERT OR IGNORE INTO embedder (name, dimensions) VALUES (?, ?)",
                   (self.embedder.name, self.embedder.dimensions))  # fmt: skip
        number: int = db.execute("SELECT id FROM embedder WHERE name = ?", (self.embedder.name,)).fetchone()[0]
        db.execute("INSERT OR REPLACE INTO meta VALUES ('embedder', ?)", (str(number),))
        return number

    def resolve(self, operation: Operation) -> Step:
        if operation.kind == "insert":
            return self._resolve_insert(operation)
        if operation.kind in ("link", "unlink"):
            return Step(operation)
        found = self.store.find(operation.target, self.space)
        if found is None:
            raise NotFound(
                f"no record {operation.target} in this memory: it may have been forgotten; see `mnemic log`."
            )
        n, old = found
        if operation.kind == "delete":
            return Step(operation, n, old, None)
        return Step(operation, n, old, changed(old, operation.after or {}))

    def _resolve_insert(self, operation: Operation) -> Step:
        record = checked(record_from(operation.after or {}, operation.target or uuid7(), self.space))
        same = self.store.find_same(digest(record))
        if same is None and operation.target:
            same = self.store.find(operation.target, self.space)
        if same is not None:
            return Step(operation, same[0], same[1], same[1])
        if record.source is not None and record.place is not None:
            slot = self.store.find_slot(self.space, record.source, record.place)
            if slot is not None:
                n, old = slot
                new = replace(record, id=old.id, written=old.written, pinned=old.pinned, importance=old.importance)
                return Step(operation, n, old, new)
        return Step(operation, None, None, record)


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


def _apply(changes: Changes, step: Step, windows: bytes | None, embedder: int | None, edges: Sequence[Edge],
           undoes: int | None) -> Outcome:  # fmt: skip
    operation, n, old, new = step.operation, step.n, step.old, step.new
    if operation.kind in ("link", "unlink"):
        state = operation.after or operation.before or {}
        head, relation, tail, weight = state["edge"]
        changes.link(Edge(head, relation, tail, weight), kind=operation.kind, undoes=undoes)
        return Outcome("added" if operation.kind == "link" else "updated")
    if step.idle:
        return Outcome("unchanged", old)
    if new is None:
        assert n is not None
        assert old is not None
        changes.delete(n, old, undoes=undoes)
        changes.mark_stale([old.id], f"source {old.id} was forgotten")
        return Outcome("updated", old)
    if old is None or n is None:
        changes.insert(new, windows, embedder, edges, undoes=undoes)
        return Outcome("added", new)
    kind = "merge" if operation.kind == "merge" else "update"
    changes.update(n, old, new, windows, embedder, edges, kind=kind, undoes=undoes)  # type: ignore[arg-type]
    if any(getattr(old, name) != getattr(new, name) for name in _MEANING):
        verb = "ended" if new.until and not old.until else "corrected"
        changes.mark_stale([old.id], f"source {old.id} was {verb}")
    return Outcome("updated", new)


def _after_eviction(outcome: Outcome, evicted: set[str]) -> Outcome:
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
    """A record with some fields changed; raises InputError for a field that cannot change."""
    fixed = {"id", "space", "written"}
    known = {field.name for field in fields(Record)} - fixed
    for name in given:
        if name not in known and name != "edges":
            raise InputError(f'a record has no "{name}" that could be changed: use one of {", ".join(sorted(known))}.')
    values = {name: value for name, value in given.items() if name != "edges"}
    for name in ("time", "until"):
        if values.get(name) is not None:
            values[name] = moment(values[name]).text
    if "derived_from" in values:
        values["derived_from"] = tuple(values["derived_from"])
    return checked(replace(old, **values))


def checked(record: Record) -> Record:
    """The record, or InputError that says which field cannot be kept."""
    if not isinstance(record.text, str) or not record.text.strip():
        raise InputError("there is no text to remember: give at least one word.")
    if len(record.text) > _LONGEST_TEXT:
        raise InputError(f"a text of {len(record.text):,} characters is too long for one record: split it.")
    for name in ("kind", "source", "place", "episode", "speaker", "stale"):
        value = getattr(record, name)
        if value is not None and not isinstance(value, str):
            raise InputError(f'"{name}" must be text, got {value!r}.')
    if not record.kind:
        raise InputError('"kind" must not be empty: leave it out for "episode".')
    if (
        isinstance(record.importance, bool)
        or not isinstance(record.importance, int | float)
        or not record.importance > 0
    ):
        raise InputError(f'"importance" must be a number above 0, got {record.importance!r}.')
    try:
        dumps(dict(record.metadata))
        "".join(filter(None, (record.text, record.source, record.place, record.episode, record.speaker))).encode()
    except UnicodeEncodeError:
        raise InputError("the text holds half a character (a lone surrogate) and cannot be stored: clean it.") from None
    except (TypeError, ValueError) as error:
        raise InputError(f'"metadata" must be a mapping that JSON can hold ({error}).') from None
    if record.time and record.until and moment(record.until).end <= moment(record.time).start:
        raise InputError(f'"until" ({record.until}) lies before "time" ({record.time}).')
    return record
