"""What can be kept: type and bounds of every field of a record and of a link, looked at before anything is written."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

from mnemic.errors import InputError
from mnemic.moment import moment, shown
from mnemic.record import Record

FIELDS = tuple(field.name for field in fields(Record) if field.name not in ("id", "space"))

_LONGEST_TEXT = 50_000_000  # characters of one record: beyond, it is a file that wants to be split
_DEEPEST = 50  # lists in lists in metadata: JSON of a thousand overflows the stack of whoever reads it
_NEEDED = ("id", "space", "kind", "text", "written")
_OPTIONAL = ("time", "until", "source", "place", "episode", "speaker", "stale")
_TIMES = ("time", "until", "written")


def record_in(state: Any, id: str, space: str) -> Record:
    """The record that a state says (see rows.state_of), whoever wrote it; raises InputError as `checked` does."""
    if not isinstance(state, Mapping):
        raise InputError(f"a record is a mapping of its fields, got {shown(state)}.")
    for name in state:
        if name not in FIELDS and name != "edges":
            raise InputError(f"a record has no {shown(name)}: use {', '.join(FIELDS)}.")
    for name in ("kind", "text"):
        if name not in state:
            raise InputError(f'a record needs "{name}": it is missing.')
    checked_edges(state.get("edges", ()))
    values = {name: value for name, value in state.items() if name != "edges"}
    return checked(Record(id=id, space=space, **values))


def checked(record: Record) -> Record:
    """The record as it is kept, or InputError that says which field cannot be.

    Lists of ids become tuples, numbers become floats, metadata becomes what JSON makes of it.
    """
    for name in (*_NEEDED, *_OPTIONAL):
        value = getattr(record, name)
        if not isinstance(value, str) and (name in _NEEDED or value is not None):
            raise InputError(f'"{name}" must be text, got {shown(value)}.')
    if not record.text.strip():
        raise InputError("there is no text to remember: give at least one word.")
    if len(record.text) > _LONGEST_TEXT:
        raise InputError(f"a text of {len(record.text):,} characters is too long for one record: split it.")
    if not record.id or not record.kind:
        empty = "kind" if record.id else "id"
        raise InputError(f'"{empty}" must not be empty: leave it out{" for episode" if record.id else ""}.')
    if not isinstance(record.pinned, bool):
        raise InputError(f'"pinned" must be true or false, got {shown(record.pinned)}.')
    record = replace(record, importance=_weight(record.importance), metadata=_metadata(record.metadata),
                     derived_from=_ids(record.derived_from))  # fmt: skip
    _encodable(record)
    for name in _TIMES:
        if getattr(record, name) is not None:
            moment(getattr(record, name))
    if record.time and record.until and moment(record.until).end <= moment(record.time).start:
        raise InputError(f'"until" ({record.until}) lies before "time" ({record.time}).')
    return record


def checked_edges(edges: Any) -> None:
    """Raises InputError for what is no list of [head, relation, tail, weight]."""
    if not isinstance(edges, list | tuple):
        raise InputError(f'"edges" must be a list of [head, relation, tail, weight], got {shown(edges)}.')
    for edge in edges:
        checked_edge(edge)


def checked_edge(edge: Any) -> None:
    """Raises InputError for what is no [head, relation, tail, weight]."""
    if not isinstance(edge, list | tuple) or len(edge) != 4:
        raise InputError(f"a link is [head, relation, tail, weight], got {shown(edge)}.")
    if not all(isinstance(end, str) and end and encodable(end) for end in edge[:3]):
        raise InputError(f"head, relation and tail of a link must be text, got {shown(edge)}.")
    if not _is_number(edge[3]):
        raise InputError(f"the weight of a link must be a number, got {shown(edge[3])}.")


def asked(question: Any) -> str:
    """A question as a tokenizer can read it: a word typed in a terminal may hold bytes that are no text."""
    if not isinstance(question, str) or not question.strip():
        raise InputError("there is no question: give at least one word.")
    return question.encode("utf-8", "replace").decode()


def checked_count(name: str, count: Any) -> None:
    if not isinstance(count, int) or isinstance(count, bool) or not 0 < count < 2**31:
        raise InputError(f"{name} is {shown(count)}: give a whole number, at least 1.")


def is_id(id: Any) -> bool:
    """Could this name a record? What is no text, or half a character, cannot even be looked up."""
    return isinstance(id, str) and encodable(id)


def encodable(text: str) -> bool:
    """False for a text with half a character (a lone surrogate), which UTF-8 and so the file cannot hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _encodable(record: Record) -> None:
    texts: Iterable[str | None] = (getattr(record, name) for name in (*_NEEDED, *_OPTIONAL))
    if not encodable("".join(filter(None, (*texts, *record.derived_from)))):
        raise InputError("the text holds half a character (a lone surrogate) and cannot be stored: clean it.")


def _weight(importance: Any) -> float:
    if not _is_number(importance) or not importance > 0:
        raise InputError(f'"importance" must be a number above 0, got {shown(importance)}.')
    return float(importance)


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer of more than 308 digits
        return False


def _metadata(metadata: Any) -> dict[str, Any]:
    if not isinstance(metadata, Mapping):
        raise InputError(f'"metadata" must be a mapping that JSON can hold, got {shown(metadata)}.')
    if not metadata:
        return {}
    try:
        if _deep(metadata, _DEEPEST):
            raise InputError(f'"metadata" must be a mapping of at most {_DEEPEST} levels: flatten it.')
        told = json.dumps(dict(metadata), ensure_ascii=False, sort_keys=True, allow_nan=False)
        if not encodable(told):
            raise InputError('"metadata" holds half a character (a lone surrogate) and cannot be stored: clean it.')
        kept: dict[str, Any] = json.loads(told)
    except (TypeError, ValueError) as error:
        raise InputError(f'"metadata" must be a mapping that JSON can hold ({error}).') from None
    return kept


def _deep(value: Any, left: int) -> bool:
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return left == 0 or any(_deep(each, left - 1) for each in inside)


def _ids(ids: Any) -> tuple[str, ...]:
    if not isinstance(ids, list | tuple) or not all(isinstance(id, str) and id for id in ids):
        raise InputError(f'"derived_from" must be a list of ids, got {shown(ids)}.')
    return tuple(ids)
