"""What an export file says, line by line, each line checked before anybody relies on it.

Every error names its line: `life.jsonl:17: what is wrong: what to do`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from mnemic.db.rows import edges_from, state_of
from mnemic.errors import InputError
from mnemic.files.ledger import entry_of
from mnemic.limits import checked_edge, encodable, record_in
from mnemic.moment import moment, shown
from mnemic.record import Edge, Operation, OperationKind, Record

VERSION = 1

_LONGEST_LINE = 400_000_000  # characters: an update of the longest text says it twice, and JSON may escape each one
_LARGEST = 2**53  # of a position in the log: beyond, JSON of other programs loses digits
_KINDS = get_args(OperationKind)
_ENDS = ("delete", "evict", "erase", "unlink")  # nothing is there after these
_RECORD = ("id", "space", "kind", "text", "written")  # what a record cannot do without; the rest have defaults
_OPERATION = ("n", "kind", "target", "before", "after", "who", "why", "at", "call", "undoes")
_EDGE = ("head", "relation", "tail", "weight", "source")
_LEDGER = ("source", "fingerprint", "report", "at")


@dataclass(frozen=True)
class Known:
    """A file that was read, as the four columns of the ledger."""

    source: str
    fingerprint: str
    report: str
    at: str


@dataclass(frozen=True)
class Line:
    """One line behind the first. Records stand in the space that they are read for."""

    number: int
    value: Record | Operation | Edge | Known


def read(path: str | Path, space: str) -> Iterator[Line]:
    """The lines of an export, each in itself as it should be; raises InputError for the first that is not."""
    for number, told in _parsed(path):
        if number == 1:
            _check_head(told, Path(path).name)
            continue
        try:
            yield Line(number, _value(told, space))
        except InputError as error:
            raise bad_line(path, number, str(error)) from None


def bad_line(path: str | Path, number: int, what: str) -> InputError:
    return InputError(f"{Path(path).name}:{number}: {what.rstrip('.')}: mend the line, or export again.")


# ---- from text to JSON


def _parsed(path: str | Path) -> Iterator[tuple[int, Any]]:
    """(number, value) of each line that is not blank."""
    name, number = Path(path).name, 0
    foreign = InputError(f"{name}: is not an export of mnemic; use `mnemic add` for it.")
    try:
        with open(path, encoding="utf-8") as file:
            while text := file.readline(_LONGEST_LINE):
                number += 1
                if number > 1 and not text.strip():
                    continue
                try:
                    yield number, json.loads(text)
                except (ValueError, RecursionError) as error:
                    if number == 1:
                        raise foreign from None
                    why = " (was the file cut off?)" if isinstance(error, json.JSONDecodeError) else f" ({error})"
                    raise bad_line(path, number, f"is not JSON{why}") from None
    except UnicodeDecodeError:
        raise (bad_line(path, number + 1, "is not UTF-8") if number else foreign) from None
    except (OSError, ValueError) as error:  # ValueError: a zero in the name
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}).") from None
    if not number:
        raise InputError(f"{name}: is empty, so it is no export of mnemic: write it again with `mnemic export`.")


def _check_head(head: Any, name: str) -> None:
    version = head.get("mnemic") if isinstance(head, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise InputError(f"{name}: was written by a newer mnemic: upgrade with `pip install -U mnemic`.")
    if version != VERSION or isinstance(version, bool):
        raise InputError(f"{name}: is not an export of mnemic; use `mnemic add` for it.")


# ---- from JSON to what it says


def _value(told: Any, space: str) -> Record | Operation | Edge | Known:
    if not isinstance(told, dict) or len(told) != 1:
        raise InputError(f"a line holds one record, operation, edge or ledger, got {shown(told)}.")
    ((word, value),) = told.items()
    match word:
        case "record":
            return _record(_fields(value, word, _RECORD), space)
        case "operation":
            return _operation(_fields(value, word, _OPERATION))
        case "edge":
            return _edge(_fields(value, word, _EDGE))
        case "ledger":
            return _known(_fields(value, word, _LEDGER))
    raise InputError(f"a line holds a record, operation, edge or ledger, got {shown(word)}.")


def _fields(value: Any, what: str, needed: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"the {what} must be a mapping, got {shown(value)}.")
    for name in needed:
        if name not in value:
            raise InputError(f'the {what} needs "{name}": it is missing.')
    if what != "record" and len(value) > len(needed):
        raise InputError(f"the {what} has {', '.join(needed)} and nothing else, got {shown(sorted(value))}.")
    return value


def _record(value: dict[str, Any], space: str) -> Record:
    state = {name: each for name, each in value.items() if name not in ("id", "space")}
    if "edges" in state:
        raise InputError('a record has no "edges" here: its links have lines of their own.')
    return replace(record_in(state, value["id"], value["space"]), space=space)


def _operation(o: dict[str, Any]) -> Operation:
    for name in ("target", "who", "why", "at", "call"):
        if not isinstance(o[name], str) or not encodable(o[name]):
            raise InputError(f'"{name}" of the operation must be text, got {shown(o[name])}.')
    if o["kind"] not in _KINDS:
        raise InputError(f"an operation is one of {', '.join(_KINDS)}, got {shown(o['kind'])}.")
    _position("n", o["n"], _LARGEST)
    if o["undoes"] is not None:
        _position("undoes", o["undoes"], o["n"])
    moment(o["at"])
    if not o["target"]:
        _folded(o)
    if (o["before"] if o["kind"] == "insert" else o["after"] if o["kind"] in _ENDS else None) is not None:
        raise InputError(f"{o['kind']} has {'a record before' if o['kind'] == 'insert' else 'a record after'} it.")
    before, after = (_state(o["kind"], o["target"], o[name]) for name in ("before", "after"))
    return Operation(o["kind"], o["target"], before, after, o["who"], o["why"], o["at"], o["call"], o["n"], o["undoes"])


def _position(name: str, n: Any, end: int) -> None:
    if not isinstance(n, int) or isinstance(n, bool) or not 0 < n < end:
        raise InputError(f'"{name}" of the operation must be a whole number from 1 to {end - 1}, got {shown(n)}.')


def _folded(o: Mapping[str, Any]) -> None:
    """Only the line that counts old evictions is about no record."""
    count = o["after"].get("folded") if isinstance(o["after"], dict) and len(o["after"]) == 1 else None
    if o["kind"] != "evict" or not isinstance(count, int):
        raise InputError('"target" of the operation must name a record: it is empty.')


def _state(kind: str, target: str, state: Any) -> Mapping[str, Any] | None:
    """A record or a link as the log has it, None for one whose text was taken out."""
    if state is None or not target:
        return state  # type: ignore[no-any-return]
    if kind not in ("link", "unlink"):
        record = record_in(state, target, "default")
        return state_of(record, edges_from(state, target))
    if not isinstance(state, dict) or set(state) != {"edge"}:
        raise InputError(f"a link in the log is a mapping with an edge, got {shown(state)}.")
    checked_edge(state["edge"])
    if state["edge"][0] != target:
        raise InputError(f'"target" of the {kind} must be where it starts, got {shown(target)}.')
    return state


def _edge(e: dict[str, Any]) -> Edge:
    checked_edge([e["head"], e["relation"], e["tail"], e["weight"]])
    if e["source"] is not None and not isinstance(e["source"], str):
        raise InputError(f'"source" of the edge must be the id of a record, got {shown(e["source"])}.')
    return Edge(**e)


def _known(known: dict[str, Any]) -> Known:
    for name, text in known.items():
        if not isinstance(text, str) or not encodable(text):
            raise InputError(f'"{name}" of the ledger must be text, got {shown(text)}.')
    entry_of(**{"mark" if name == "fingerprint" else name: text for name, text in known.items()})
    return Known(**known)
