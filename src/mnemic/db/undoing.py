"""Taking an operation back: the operations that reverse it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from mnemic.db.rows import record_from, state_of
from mnemic.db.store import Store
from mnemic.errors import InputError, NotFound
from mnemic.record import Operation, Record

_FIXED = ("id", "space", "written")


def reversal(store: Store, space: str, n: int) -> list[tuple[Operation, int]]:
    """Operations that take operation n back, each with the n that it undoes.

    What n brought about in records made from its own is taken back with it, newest first. Raises NotFound for an
    operation that is not in the log, InputError for one that cannot be taken back, with the reason.
    """
    operation = store.operation(n, space)
    if operation is None:
        raise NotFound(f"no operation {n} in the log of this space: `mnemic log` shows what there is.")
    brought = [each for each in _call_of(store, space, operation) if each.who == "cascade" and each.n > n]
    back = [(reverse, each.n) for each in reversed(brought) if (reverse := _cascaded(store, space, each))]
    return [(_reverse(store, space, operation), n), *back]


def _call_of(store: Store, space: str, operation: Operation) -> list[Operation]:
    """The operations that were written together with one, itself left out if it came before."""
    together = []
    for each in store.operations(space, after=operation.n):
        if each.call != operation.call:
            break
        together.append(each)
    return together


def _cascaded(store: Store, space: str, operation: Operation) -> Operation | None:
    """What takes a part of a cascade back; None where its record has changed since and stays as it is."""
    found = store.find(operation.target, space)
    if operation.kind in ("link", "unlink"):
        return _reverse(store, space, operation)
    if found is None or operation.after is None:
        return None
    before, after = operation.before or {}, operation.after
    if {**before, "stale": None} == {**after, "stale": None}:  # a stale mark alone: the rest may have changed since
        stands = found[1].stale == after.get("stale")
        return Operation("update", operation.target, after={"stale": before.get("stale")}) if stands else None
    return _reverse(store, space, operation) if _same(found[1], after) else None


def _reverse(store: Store, space: str, operation: Operation) -> Operation:
    n, kind, target = operation.n, operation.kind, operation.target
    if kind in ("link", "unlink"):
        state = operation.after or operation.before
        return Operation("unlink" if kind == "link" else "link", target, after=state)
    if kind == "erase":
        raise InputError(f"operation {n} erased its record for good: there is nothing to bring back.")
    if kind in ("delete", "evict"):
        if operation.before is None:
            raise InputError(f"operation {n} let the text go for good: add it again from its source.")
        if store.find(target, space) is not None:
            raise InputError(f"record {target} of operation {n} is there again already.")
        return Operation("insert", target, after=operation.before)
    if operation.after is None:
        raise InputError(f"the content of operation {n} was erased: there is nothing to take back.")
    found = store.find(target, space)
    if found is None or not _same(found[1], operation.after):
        newest = list(store.operations(space, target=target, last=1))
        raise InputError(
            f"record {target} was changed after operation {n}: undo operation {newest[0].n if newest else '?'} first."
        )
    if kind == "insert":
        return Operation("delete", target)
    before = record_from(operation.before or {}, target, space)
    full = {field.name: getattr(before, field.name) for field in fields(Record) if field.name not in _FIXED}
    return Operation(kind, target, after={**full, "edges": (operation.before or {}).get("edges", [])})


def _same(record: Record, state: Mapping[str, Any]) -> bool:
    """True when the record stands as the operation left it, stale marks aside."""
    now, then = dict(state_of(record)), {name: value for name, value in state.items() if name != "edges"}
    now.pop("stale", None)
    then.pop("stale", None)
    return now == then
