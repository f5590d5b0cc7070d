"""A space as JSON lines, and back: nothing is lost but the caches, which are made again.

Line 1 is {"mnemic": 1, "space": ..., "embedder": ...}; then one {"record": ...}, {"operation": ...},
{"edge": ...} or {"ledger": ...} a line. Records that are still there have their text once in `record` and
once in the log, as in the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnemic.db.rows import dumps, insert_record
from mnemic.db.store import OPERATION, Store
from mnemic.errors import InputError
from mnemic.filter import Filter
from mnemic.moment import moment
from mnemic.record import Operation, Outcome, Record

if TYPE_CHECKING:
    from mnemic.memory import Memory

_VERSION = 1
_BATCH = 256  # records embedded and written at a time when loading into a memory that is not empty


def export(store: Store, space: str, path: str | Path) -> int:
    """Write a space; the file appears whole or not at all. Returns the number of records."""
    target, part = Path(path), Path(f"{path}.part")
    count = 0
    try:
        with open(part, "w", encoding="utf-8") as file:
            for line in _lines(store, space):
                count += "record" in line
                file.write(dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another place.") from None
    return count


def _lines(store: Store, space: str) -> Iterator[dict[str, Any]]:
    embedder = store.embedder()
    yield {"mnemic": _VERSION, "space": space, "embedder": embedder[1] if embedder else None}
    for _, record in store.records(Filter(), space):
        yield {"record": asdict(record)}
    last = 0
    while page := store.read(
        f"SELECT {OPERATION} FROM operation WHERE space = ? AND n > ? ORDER BY n LIMIT 1000", (space, last)
    ):
        for n, kind, target, before, after, who, why, at, call, undoes in page:
            yield {"operation": {"n": n, "kind": kind, "target": target, "before": _json(before),
                                 "after": _json(after), "who": who, "why": why, "at": at, "call": call,
                                 "undoes": undoes}}  # fmt: skip
        last = page[-1][0]
    for edge in store.edges(space):
        yield {"edge": asdict(edge)}
    for source, fingerprint, report, at in store.read(
        "SELECT source, fingerprint, report, at FROM ledger WHERE space = ? ORDER BY source", (space,)
    ):
        yield {"ledger": {"source": source, "fingerprint": fingerprint, "report": report, "at": at}}


def _json(text: str | None) -> Any:
    return json.loads(text) if text else None


def load(memory: Memory, path: str | Path) -> list[Outcome]:
    """Read an export. Into an empty space: everything, the log with its positions where they are free. Into
    any other: the records that are not there yet, under their ids, as inserts of this memory's own log.
    """
    empty = not memory.store.read("SELECT 1 FROM operation WHERE space = ? LIMIT 1", (memory.space,))
    if not empty:
        return _load_records(memory, path)
    records = [line["record"] for line in _read(path) if "record" in line]
    packed: dict[str, bytes] = {}
    for start in range(0, len(records), _BATCH):
        packed |= memory.windows([record["text"] for record in records[start : start + _BATCH]])
    return _load_all(memory, path, packed)


def _load_records(memory: Memory, path: str | Path) -> list[Outcome]:
    outcomes: list[Outcome] = []
    batch: list[Operation] = []
    for line in _read(path):
        if "record" in line:
            state = {name: value for name, value in line["record"].items() if name not in ("id", "space")}
            batch.append(Operation("insert", line["record"]["id"], after=state))
        if len(batch) == _BATCH:
            outcomes += memory.propose(batch, who="person", why=f"load {Path(path).name}")
            batch = []
    return outcomes + memory.propose(batch, who="person", why=f"load {Path(path).name}")


def _load_all(memory: Memory, path: str | Path, packed: dict[str, bytes]) -> list[Outcome]:
    """The whole space in one transaction: a load that is cut off leaves the memory empty."""
    space, outcomes = memory.space, []
    number = memory.embedder_number() if packed else None
    with memory.store.transaction() as db:
        shift = int(db.execute("SELECT coalesce(max(n), 0) FROM operation").fetchone()[0])  # 0 in a new file
        rows: dict[str, int] = {}
        for line in _read(path):
            if "record" in line:
                value = {**line["record"], "space": space, "derived_from": tuple(line["record"]["derived_from"])}
                record = Record(**value)
                rows[record.id] = n = insert_record(db, record)
                db.execute("INSERT INTO vector VALUES (?, ?, ?)", (n, number, packed[record.text]))
                outcomes.append(Outcome("added", record))
            elif "operation" in line:
                _load_operation(db, line["operation"], space, shift, rows)
            elif "edge" in line:
                e = line["edge"]
                db.execute("INSERT INTO edge (space, head, relation, tail, weight, source) VALUES (?, ?, ?, ?, ?, ?)",
                           (space, e["head"], e["relation"], e["tail"], e["weight"], e["source"]))  # fmt: skip
            elif "ledger" in line:
                known = line["ledger"]
                db.execute("INSERT INTO ledger VALUES (?, ?, ?, ?, ?)",
                           (space, known["source"], known["fingerprint"], known["report"], known["at"]))  # fmt: skip
    return outcomes


def _load_operation(db: Any, o: dict[str, Any], space: str, shift: int, rows: dict[str, int]) -> None:
    db.execute(
        "INSERT INTO operation (n, kind, target, space, before, after, who, why, at, at_s, call, undoes, record) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (o["n"] + shift, o["kind"], o["target"], space, dumps(o["before"]) if o["before"] else None,
         dumps(o["after"]) if o["after"] else None, o["who"], o["why"], o["at"], moment(o["at"]).start, o["call"],
         o["undoes"] + shift if o["undoes"] else None, rows.get(o["target"])),
    )  # fmt: skip


def _read(path: str | Path) -> Iterator[dict[str, Any]]:
    """The lines of an export; raises InputError with the line for anything else."""
    name = Path(path).name
    try:
        with open(path, encoding="utf-8") as file:
            for number, text in enumerate(file, 1):
                try:
                    line = json.loads(text)
                except ValueError:
                    if number == 1:
                        raise InputError(f"{name}: is not an export of mnemic; use `mnemic add` for it.") from None
                    raise InputError(f"{name}:{number}: is not JSON; was the file cut off?") from None
                if number == 1 and (not isinstance(line, dict) or line.get("mnemic") != _VERSION):
                    raise InputError(f"{name}: is not an export of mnemic; use `mnemic add` for it.")
                yield line
    except UnicodeDecodeError:
        raise InputError(f"{name}: is not an export of mnemic; use `mnemic add` for it.") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
