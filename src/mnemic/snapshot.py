"""The memory as it stood at an earlier moment: read out of the log, searchable, read-only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mnemic.commit import windows_of
from mnemic.db.rows import embedder_number, write_embedder
from mnemic.errors import InputError
from mnemic.filter import Filter
from mnemic.moment import Time, moment, shown
from mnemic.record import Edge, Hit, Record

if TYPE_CHECKING:
    from mnemic.memory import Memory


class Snapshot:
    """What `Memory.as_of` gives; it stays as it is while the memory goes on.

    Records that were erased since, or let go under a budget in bytes, are not in it: their text is nowhere.
    Recall makes the searchable copy on its first call: vectors of texts that still stand are taken over,
    the others are embedded again.
    """

    def __init__(self, memory: Memory, time: Time | int) -> None:
        if isinstance(time, int) and (isinstance(time, bool) or not 0 <= time < 2**63):
            raise InputError(f"an operation has a number from 0, got {shown(time)}.")
        at = time if isinstance(time, int) else moment(time)
        self._states = list(memory.store.states(memory.space, at))
        self._memory = memory

    def get(self, id: str) -> Record:
        """The record as it stood; raises NotFound."""
        return self._copy.get(id)

    def records(self, where: Filter | Mapping[str, Any] | None = None) -> Iterator[Record]:
        """All records that pass, in the order they were first written."""
        return self._copy.records(where)

    def edges(self, source: str | None = None) -> Iterator[Edge]:
        """Links that were read from the records as they stood."""
        return self._copy.edges(source)

    def recall(self, query: str, *, k: int = 10, where: Filter | Mapping[str, Any] | None = None,
               time: Any = None) -> list[Hit]:  # fmt: skip
        """Like Memory.recall, over the memory as it stood."""
        self._embed()
        return self._copy.recall(query, k=k, where=where, time=time)

    def __len__(self) -> int:
        return len(self._states)

    @cached_property
    def _copy(self) -> Memory:
        """A memory in RAM with the same records under the same ids, without vectors yet."""
        from mnemic.db.changes import Changes
        from mnemic.memory import Memory

        copy = Memory(":memory:", space=self._memory.space, retriever=self._memory.retriever_spec,
                      embedder=self._memory.embedder, lm=self._memory.lm_spec)  # fmt: skip
        with copy.store.transaction() as db:
            changes = Changes(copy.store, db, copy.space, who="snapshot", why="as_of")
            for record, edges in self._states:
                changes.insert(record, None, None, edges)
        return copy

    def _embed(self) -> None:
        """Give the copy its vectors, once."""
        store = self._copy.store
        if store.embedder() is not None:
            return
        kept = self._vectors_that_still_stand()
        missing = [record.text for record, _ in self._states if record.text not in kept]
        kept |= windows_of(self._memory.embedder, missing)
        embedder = self._memory.embedder
        with store.transaction() as db:
            number = embedder_number(db, embedder.name, embedder.dimensions)
            write_embedder(db, number)
            rows = db.execute("SELECT n, text FROM record").fetchall()
            store.write_vectors(db, number, {n: kept[text] for n, text in rows})

    def _vectors_that_still_stand(self) -> dict[str, bytes]:
        store, embedder = self._memory.store, self._memory.store.embedder()
        if embedder is None:
            return {}
        wanted = {record.text for record, _ in self._states}
        rows = store.read(
            "SELECT text, windows FROM record JOIN vector ON vector.record = record.n "
            "WHERE record.space = ? AND embedder = ?", (self._memory.space, embedder[0])
        )  # fmt: skip
        return {text: windows for text, windows in rows if text in wanted}
