"""Which operations of the log a filter lets through: its meaning, over the state of a record that the log keeps.

The same conditions as store.condition_of, which asks them of rows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from fnmatch import fnmatchcase

from mnemic.db.rows import record_from, validity
from mnemic.db.store import Store
from mnemic.filter import Filter, Span
from mnemic.limits import checked_count
from mnemic.moment import moment
from mnemic.record import Operation, Record


def logged(store: Store, space: str, *, target: str | None, after: int, last: int | None, where: Filter,
           during: Span | None) -> Iterator[Operation]:  # fmt: skip
    """The operations that are about a record that passes and were done within `during` (seconds since 1970).

    The record is taken as the operation left it, or as it was found when it was taken out. An operation without
    one (a link, or a text that was erased) passes the open filter only.
    """
    if last is not None:
        checked_count("last", last)
    if where.open and during is None:
        return store.operations(space, target=target, after=after, last=last)
    found = (
        operation
        for operation in store.operations(space, target=target, after=after)
        if _done(operation, during) and (where.open or concerns(operation, where))
    )
    return found if last is None else iter(deque(found, maxlen=last))


def _done(operation: Operation, during: Span | None) -> bool:
    at = moment(operation.when)
    return _overlap(during, at.start, at.end)


def concerns(operation: Operation, where: Filter) -> bool:
    state = operation.after or operation.before or {}
    if "text" not in state:
        return False
    record = record_from(state, operation.target, "")
    written = moment(record.written)
    return (
        _fits(record, where)
        and (where.time is None or (record.time is not None and _overlap(where.time, *validity(record))))
        and _overlap(where.written, written.start, written.end)
    )


def _fits(record: Record, where: Filter) -> bool:
    """All of a filter but its times."""
    source, speaker = record.source or "", (record.speaker or "").casefold()
    return (
        (not where.ids or record.id in where.ids)
        and (not where.kind or record.kind in where.kind)
        and (not where.source or any(fnmatchcase(source, name.replace("[", "[[]")) for name in where.source))
        and (not where.speaker or speaker in {name.casefold() for name in where.speaker})
        and (not where.episode or record.episode in where.episode)
        and (where.stale is None or (record.stale is not None) == where.stale)
        and (not where.current or record.until is None)
        and all(key in record.metadata and record.metadata[key] == value for key, value in where.metadata.items())
    )


def _overlap(wanted: Span | None, start: float | None, end: float | None) -> bool:
    """Do two spans of seconds share a moment? An end that is None is open."""
    return wanted is None or ((start is None or start < wanted[1]) and (end is None or end > wanted[0]))
