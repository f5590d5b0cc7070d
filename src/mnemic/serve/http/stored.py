"""Records as rows of answers: their shape, their ETag, pages of them."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Any

from mnemic.db.rows import COLUMNS, record_of
from mnemic.errors import NotFound
from mnemic.filter import Filter
from mnemic.record import Outcome, Record
from mnemic.serve.http.cursors import Cursors
from mnemic.serve.http.problems import Problem
from mnemic.serve.rooms import Room

Row = dict[str, Any]


def row(record: Record) -> Row:
    return {**vars(record), "metadata": dict(record.metadata), "derived_from": list(record.derived_from)}


def etag(room: Room, id: str) -> str:
    """Changes with every operation on the record; tells neither how many there were nor what others do."""
    rows = room.store.read(
        "SELECT n, call FROM operation WHERE target = ? AND space = ? ORDER BY n DESC LIMIT 1", (id, room.space)
    )
    said = repr(tuple(rows[0])) if rows else ""
    return f'"{hashlib.blake2b(said.encode(), digest_size=12).hexdigest()}"'


def matches(header: str | None, tag: str) -> bool:
    """Does an If-Match or If-None-Match header name this tag?"""
    if header is None:
        return False
    named = [each.strip().removeprefix("W/") for each in header.split(",")]
    return "*" in named or tag in named


def unchanged(room: Room, id: str, if_match: str | None) -> Any:
    """A step for the transaction of a change: it raises Problem (412) when the record is no longer as it was."""

    def first(_: Any) -> None:
        if if_match is not None and not matches(if_match, etag(room, id)):
            raise Problem(412, f"record {id} was changed since you read it: read it again, then change what is there.")

    return first


def outcome_of(outcome: Outcome) -> Row:
    """An outcome in ids, as it may be kept."""
    return {"state": outcome.state, "id": outcome.record.id if outcome.record else None, "reason": outcome.reason,
            "outcomes": [outcome_of(each) for each in outcome.outcomes]}  # fmt: skip


def filled(room: Room, told: Row) -> Row:
    """The same with the record as it stands; None for one that has gone since."""
    record = None
    if told["id"] is not None:
        with suppress(NotFound):
            record = row(room.get(told["id"]))
    return {**told, "record": record, "outcomes": [filled(room, each) for each in told["outcomes"]]}


def page(room: Room, where: Filter, *, limit: int, cursor: str | None, newest: bool, cursors: Cursors) -> Row:
    """A page of records in the order they were written, or backwards."""
    listing = f"records {room.space} {newest} {where}"
    condition, parameters = room.store.condition_of(where, room.space)
    if cursor is not None:
        condition += " AND record.n < ?" if newest else " AND record.n > ?"
        parameters = [*parameters, cursors.open(cursor, listing)]
    rows = room.store.read(
        f"SELECT record.n, {COLUMNS} FROM record WHERE {condition} ORDER BY record.n {'DESC' if newest else ''} "
        "LIMIT ?", [*parameters, limit + 1],
    )  # fmt: skip
    shown = rows[:limit]
    more = cursors.seal(shown[-1][0], listing) if len(rows) > limit else None
    return {"items": [row(record_of(each[1:])) for each in shown], "next": more}
