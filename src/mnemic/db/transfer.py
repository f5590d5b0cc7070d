"""A space as JSON lines, and back: nothing is lost but the caches, which are made again.

Line 1 is {"mnemic": 1, "space": ..., "embedder": ...}; then one {"record": ...}, {"operation": ...},
{"edge": ...} or {"ledger": ...} a line. Records that are still there have their text once in `record` and
once in the log, as in the file.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from dataclasses import asdict, astuple
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any

from mnemic.budgeting import enforce
from mnemic.commit import after_eviction
from mnemic.db.changes import Changes
from mnemic.db.exported import VERSION, Known, read
from mnemic.db.rows import dumps, insert_record, state_of, write_ledger
from mnemic.db.store import OPERATION, Store
from mnemic.db.survey import survey
from mnemic.errors import Conflict, InputError
from mnemic.filter import Filter
from mnemic.moment import moment
from mnemic.record import Edge, Operation, Outcome, Record

if TYPE_CHECKING:
    from mnemic.memory import Memory

_BATCH = 256  # records embedded at a time, and written when loading into a memory that is not empty
_FRONT = struct.Struct("<16sq")  # in front of packed windows: which text they are of, their size in bytes


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
    yield {"mnemic": VERSION, "space": space, "embedder": embedder[1] if embedder else None}
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
    """Read an export. Into an empty space: everything, the log with its positions where they are free, in one
    transaction. Into any other, or from a file without a log: the records that are not there yet, under their
    ids, as inserts of this memory's own log; batch by batch, so that one cut off can be given again.

    The whole file is checked before anything is written. Raises InputError with the line that is wrong.
    """
    found = survey(path, memory.space, taken=lambda id: _elsewhere(memory, id))
    if found.logged and _is_empty(memory):
        with TemporaryFile() as packed:  # as large as the vectors: of a long memory too much to hold
            _embed(memory, path, packed)
            packed.seek(0)
            return _load_all(memory, path, packed)
    return _load_records(memory, path)


def _elsewhere(memory: Memory, id: str) -> str | None:
    with memory.store.everywhere():
        found = memory.store.read("SELECT space FROM record WHERE id = ? AND space != ?", (id, memory.space))
    return found[0][0] if found else None


def _is_empty(memory: Memory) -> bool:
    return not memory.store.read("SELECT 1 FROM operation WHERE space = ? LIMIT 1", (memory.space,))


def _records(memory: Memory, path: str | Path) -> Iterator[list[Record]]:
    """The records of the file, some at a time."""
    values = (line.value for line in read(path, memory.space))
    records = (value for value in values if isinstance(value, Record))
    while batch := list(islice(records, _BATCH)):
        yield batch


def _load_records(memory: Memory, path: str | Path) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for batch in _records(memory, path):
        inserts = [Operation("insert", record.id, after=state_of(record)) for record in batch]
        outcomes += memory.propose(inserts, who="person", why=f"load {_name(path)}")
    return outcomes


def _name(path: str | Path) -> str:
    """For the log, which holds text only."""
    return Path(path).name.encode("utf-8", "replace").decode()


def _embed(memory: Memory, path: str | Path, packed: IO[bytes]) -> None:
    """Write the windows of each record, in the order of the file."""
    for batch in _records(memory, path):
        windows = memory.windows([record.text for record in batch])
        for record in batch:
            packed.write(_FRONT.pack(_mark(record), len(windows[record.text])) + windows[record.text])


def _unpacked(packed: IO[bytes], record: Record) -> bytes:
    front = packed.read(_FRONT.size)
    mark, size = _FRONT.unpack(front) if front else (b"", 0)
    if mark != _mark(record):
        raise InputError("the export was written to while it was read; nothing was loaded, try again.")
    return packed.read(size)


def _mark(record: Record) -> bytes:
    return blake2b(record.text.encode(), digest_size=16).digest()


def _load_all(memory: Memory, path: str | Path, packed: IO[bytes]) -> list[Outcome]:
    """The whole space in one transaction: a load that is cut off leaves the memory empty."""
    outcomes = []
    with memory.store.transaction(whole=True) as db:  # the positions of the log stay free meanwhile
        if not _is_empty(memory):
            raise Conflict("another process wrote to this space meanwhile; nothing was loaded, try again.")
        with memory.store.everywhere():
            shift = memory.store.position()  # 0 in a new file
        number = memory.embedder_number(db)
        for line in read(path, memory.space):
            match line.value:
                case Record() as record:
                    n = insert_record(memory.store, db, record)
                    memory.store.write_vectors(db, number, {n: _unpacked(packed, record)})
                    outcomes.append(Outcome("added", record))
                case Operation() as operation:
                    _load_operation(db, operation, memory.space, shift)
                case Edge() as e:
                    db.execute("INSERT INTO edge (space, head, relation, tail, weight, source) "
                               "VALUES (?, ?, ?, ?, ?, ?)", (memory.space, *astuple(e)))  # fmt: skip
                case Known() as known:
                    write_ledger(db, [(memory.space, *astuple(known))])
        memory.store.go_on_numbering(db)
        changes = Changes(memory.store, db, memory.space, who="person", why=f"load {_name(path)}")
        evicted = enforce(memory.store, changes, memory.budget, memory.policy, memory) if memory.budget else set()
    return [after_eviction(outcome, evicted) for outcome in outcomes]


def _load_operation(db: Any, o: Operation, space: str, shift: int) -> None:
    db.execute(
        "INSERT INTO operation (n, kind, target, space, before, after, who, why, at, at_s, call, undoes, record) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT n FROM record WHERE id = ?))",
        (o.n + shift, o.kind, o.target, space, dumps(o.before) if o.before else None,
         dumps(o.after) if o.after else None, o.who, o.why, o.when, moment(o.when).start, o.call,
         o.undoes + shift if o.undoes else None, o.target),
    )  # fmt: skip
