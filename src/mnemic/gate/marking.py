"""What others wrote, given as a file or a text: each of its records says that it is untrusted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from mnemic.errors import Conflict, NotFound
from mnemic.gate.trust import KEY, PERSON, UNTRUSTED
from mnemic.record import Chunk, Operation, Record

if TYPE_CHECKING:
    from mnemic.memory import Memory

_PAGE = 1000  # records that are marked in one transaction
_TRIES = 3  # other processes may change the very records meanwhile


def marked(chunk: Chunk) -> Chunk:
    """The chunk with the mark, whatever it says of itself."""
    return replace(chunk, metadata={**chunk.metadata, KEY: UNTRUSTED})


def is_marked(memory: Memory, source: str) -> bool:
    """Was all that the memory holds of a source kept as untrusted? False where it holds nothing of it."""
    found = False
    for record in _of(memory, source):
        if record.metadata.get(KEY, PERSON) == PERSON:
            return False
        found = True
    return found


def mark_source(memory: Memory, source: str) -> int:
    """Mark what the memory holds of a source; returns how many records it had to."""
    return mark(memory, _of(memory, source))


def mark(memory: Memory, records: Iterable[Record]) -> int:
    """Mark those of the records that are not; what they were made into follows by itself. Returns how many."""
    waiting = iter([record.id for record in records if record.metadata.get(KEY, PERSON) == PERSON])
    return sum(_mark(memory, page) for page in iter(lambda: list(islice(waiting, _PAGE)), []))


def _mark(memory: Memory, ids: list[str]) -> int:
    for _ in range(_TRIES - 1):
        try:
            return _marked_now(memory, ids)
        except (Conflict, NotFound):
            continue
    return _marked_now(memory, ids)


def _marked_now(memory: Memory, ids: list[str]) -> int:
    position = memory.position
    there = [record for id in ids for record in memory.records({"id": id})]  # what is gone meanwhile needs no mark
    operations = [Operation("update", record.id, after={"metadata": {**record.metadata, KEY: UNTRUSTED}})
                  for record in there]  # fmt: skip
    return len(memory.propose(operations, who="person", why="untrusted", read_at=position))


def _of(memory: Memory, source: str) -> Iterator[Record]:
    found = memory.records({"source": source})  # a source with * finds others too
    return (record for record in found if record.source == source)
