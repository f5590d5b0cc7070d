"""What a writer may write after it has read something untrusted: new records that carry the mark, nothing else.

Such a writer can insert, and change what is untrusted itself. It can never update, end, replace, link or delete a
record that is trusted, nor take its place in a source. Nobody but the person takes a mark away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mnemic.errors import InputError, NotFound
from mnemic.gate.trust import KEY, PERSON, UNTRUSTED, Level, Trust, Watched
from mnemic.record import Chunk, Operation, Outcome, Proposal, Record
from mnemic.seams import BatchWriter, View, Writer

_SAME = ("text", "source", "place", "speaker", "time", "kind")  # two records that agree in these are one memory


class Refused(InputError):
    """A write that what was read must not trigger."""


@dataclass(frozen=True)
class RefusedWrite:
    """An operation that was not let through, and why."""

    operation: Operation
    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True)
class Sifted:
    """Operations that may be committed, with their marks, and those that may not."""

    allowed: tuple[Operation, ...]
    refused: tuple[RefusedWrite, ...]


def checked(
    operations: Sequence[Operation], view: View, level: Level, *, trust: Trust | None = None
) -> list[Operation]:
    """The operations with their marks; raises Refused when one of them may not be, with the reason.

    level   the lowest trust of everything that whoever proposes them has read
    """
    sifted = sift(operations, view, level, trust=trust)
    if sifted.refused:
        raise Refused(_sentence(sifted.refused))
    return list(sifted.allowed)


def sift(operations: Sequence[Operation], view: View, level: Level, *, trust: Trust | None = None) -> Sifted:
    """Part proposals into those that may be committed and those that may not; see `checked`."""
    return Sieve(view, level, trust or Trust()).sift(operations)


class Guarded:
    """A writer whose proposals pass the gate: it is given a view that notes what it reads.

    What is not let through is reported as refused, operation by operation, in the outcome of its chunk, and kept in
    `refused`, all calls together. A chunk of which nothing is let through is refused itself.
    """

    def __init__(self, writer: Writer, *, trust: Trust | None = None) -> None:
        self.writer, self.trust = writer, trust or Trust()
        self.name = f"guarded {writer.name}"  # never "verbatim": the memory must not change between check and commit
        self.refused: list[RefusedWrite] = []

    def observe(self, chunk: Chunk, view: View) -> list[Operation]:
        """Raises Refused when nothing is let through."""
        watched = Watched(view, self.trust)
        proposed = self.writer.observe(chunk, watched)
        sifted = self._sifted(proposed, self._sieve(watched, [chunk]))
        if sifted.refused and not sifted.allowed:
            raise Refused(_sentence(sifted.refused))
        return list(sifted.allowed)

    def observe_many(self, chunks: Sequence[Chunk], view: View) -> list[Proposal | Outcome]:
        """One proposal per chunk, in order; or a refusal of the chunk."""
        if not isinstance(self.writer, BatchWriter):
            return [self._observed(chunk, view) for chunk in chunks]
        watched = Watched(view, self.trust)
        proposals = self.writer.observe_many(chunks, watched)  # which may read every chunk for every other
        sieve = self._sieve(watched, chunks)
        for each in proposals:
            sieve.expect(each.operations if isinstance(each, Proposal) else ())
        return [self._passed(each, sieve) if isinstance(each, Proposal) else each for each in proposals]

    def _observed(self, chunk: Chunk, view: View) -> Proposal | Outcome:
        watched = Watched(view, self.trust)
        try:
            proposal = Proposal(tuple(self.writer.observe(chunk, watched)))
        except InputError as error:
            return Outcome("refused", None, str(error))
        return self._passed(proposal, self._sieve(watched, [chunk]))

    def _passed(self, proposal: Proposal, sieve: Sieve) -> Proposal | Outcome:
        sifted = self._sifted(proposal.operations, sieve)
        refused = tuple(Outcome("refused", None, each.reason) for each in sifted.refused)
        if refused and not sifted.allowed:
            return Outcome("refused", None, _sentence(sifted.refused), (*refused, *proposal.refused))
        return Proposal(sifted.allowed, (*refused, *proposal.refused))

    def _sieve(self, watched: Watched, read: Sequence[Chunk]) -> Sieve:
        level = UNTRUSTED if watched.level == UNTRUSTED else self.trust.lowest(read, watched.view)
        return Sieve(watched.view, level, self.trust)

    def _sifted(self, proposed: Sequence[Operation], sieve: Sieve) -> Sifted:
        sifted = sieve.sift(proposed)
        self.refused += sifted.refused
        return sifted


class Sieve:
    """One call: who proposes has read things of this level.

    lost   targets of what was refused: nothing may be linked to them
    made   levels of what was let through and is not written yet: what is derived from it inherits them
    fresh  states of what the call inserts, by the ids that it gives them
    """

    def __init__(self, view: View, level: Level, trust: Trust) -> None:
        self.view, self.level, self.trust = view, level, trust
        self.lost: set[str] = set()
        self.made: dict[str, Level] = {}
        self.fresh: dict[str, Mapping[str, Any]] = {}

    def expect(self, operations: Sequence[Operation]) -> None:
        """Note what the call inserts, before any of it is sifted: an operation may name what comes after it."""
        for operation in operations:
            if operation.kind == "insert" and operation.target:
                self.fresh[operation.target] = operation.after or {}

    def sift(self, operations: Sequence[Operation]) -> Sifted:
        """Part some of the call's operations, in their order."""
        self.expect(operations)
        allowed, refused = [], []
        for operation in operations:
            try:
                passed = self.passed(operation)
            except Refused as error:
                refused.append(RefusedWrite(operation, str(error)))
                self.lost.add(operation.target)
                continue
            allowed.append(passed)
            if passed.kind == "insert" and passed.target:
                metadata = (passed.after or {}).get("metadata")
                marked = isinstance(metadata, Mapping) and metadata.get(KEY, PERSON) != PERSON
                self.made[passed.target] = UNTRUSTED if marked or self.level == UNTRUSTED else PERSON
        return Sifted(tuple(allowed), tuple(refused))

    def passed(self, operation: Operation) -> Operation:
        """The operation as it may be committed; raises Refused when it may not."""
        if operation.kind == "insert":
            return self._insert(operation)
        if operation.kind in ("update", "merge"):
            return self._update(operation)
        if operation.kind == "delete":
            self._keep("delete", self._found(operation.target))
            return operation
        if operation.kind in ("link", "unlink"):
            return self._link(operation)
        if self.level == UNTRUSTED:
            raise Refused(f"what was read is untrusted, so nothing may be done but insert: got {operation.kind}.")
        return operation

    def _insert(self, operation: Operation) -> Operation:
        after = dict(operation.after or {})
        if self.level == PERSON and all(self._trusted(id) for id in after.get("derived_from") or ()):
            return operation
        self._keep("take the place of", self._there(operation.target))
        self._keep("take the place of", self._slot(after))
        self._link_none(after)
        return replace(operation, after=_marked(after, after.get("metadata")))

    def _update(self, operation: Operation) -> Operation:
        record = self._found(operation.target)
        self._keep(operation.kind, record)
        after = dict(operation.after or {})
        self._link_none(after)
        if record is not None:
            if self.trust.of(record, self.view) == PERSON:
                return operation
            return replace(operation, after=_marked(after, after.get("metadata", record.metadata), new=False))
        if self.made.get(operation.target) != UNTRUSTED:
            return operation  # nothing to protect: committing it says that there is no such record
        metadata = after.get("metadata", self.fresh[operation.target].get("metadata"))
        return replace(operation, after=_marked(after, metadata, new=False))

    def _link(self, operation: Operation) -> Operation:
        ends = {operation.target, *_ends((operation.after or operation.before or {}).get("edge"))}
        if ends & self.lost:
            raise Refused("what it would link was refused.")
        for end in ends:
            self._keep(operation.kind, self._found(end))
        return operation

    def _link_none(self, after: Mapping[str, Any]) -> None:
        """Links that are given with a record reach no trusted one either."""
        given = after.get("edges")
        for edge in given if isinstance(given, list | tuple) else ():
            for end in _ends(edge):
                self._keep("link", self._found(end))

    def _keep(self, verb: str, record: Record | None) -> None:
        """Raises Refused when somebody who read something untrusted would change a trusted record."""
        if record is not None and self.level == UNTRUSTED and self.trust.of(record, self.view) == PERSON:
            raise Refused(f"what was read is untrusted, so it may not {verb} record {record.id}, which is trusted.")

    def _trusted(self, id: Any) -> bool:
        if isinstance(id, str) and id in self.made:
            return self.made[id] == PERSON
        source = self._found(id)
        return source is not None and self.trust.of(source, self.view) == PERSON

    def _found(self, id: Any) -> Record | None:
        """The record that an id stands for; of one that the call inserts, what says the same already.

        Such an insert changes nothing and its id means the record that is there: whoever knows the words of a
        trusted record could otherwise name it by an id of their own.
        """
        record = self._there(id)
        return self._same(self.fresh[id]) if record is None and isinstance(id, str) and id in self.fresh else record

    def _there(self, id: Any) -> Record | None:
        try:
            return self.view.get(id) if isinstance(id, str) and id else None
        except NotFound:
            return None

    def _same(self, state: Mapping[str, Any]) -> Record | None:
        source, kind = state.get("source"), state.get("kind")
        where = {"source": source} if isinstance(source, str) and source else {"kind": kind}
        if not all(isinstance(each, str) for each in where.values()):
            return None  # committing it says so
        said = [state.get(name) for name in _SAME]
        there = (record for record in self.view.records(where) if record.text == state.get("text"))
        return next((record for record in there if [getattr(record, name) for name in _SAME] == said), None)

    def _slot(self, after: Mapping[str, Any]) -> Record | None:
        """The record at the same place of the same source, which an insert would overwrite."""
        source, place = after.get("source"), after.get("place")
        if not isinstance(source, str) or not isinstance(place, str):
            return None
        there = self.view.records({"source": source})  # a source with * finds others too
        return next((record for record in there if (record.source, record.place) == (source, place)), None)


def _marked(after: dict[str, Any], metadata: Any, *, new: bool = True) -> dict[str, Any]:
    """A state that says it is untrusted; it may not keep itself from leaving when the memory is full."""
    if metadata is None or isinstance(metadata, Mapping):  # anything else is refused when it is committed
        after["metadata"] = {**(metadata or {}), KEY: UNTRUSTED}
    if new or "pinned" in after:
        after["pinned"] = False
    importance = after.get("importance")
    if isinstance(importance, int | float):
        after["importance"] = min(1.0, importance)
    return after


def _ends(edge: Any) -> list[str]:
    """Head and tail of a link; what is none is refused when it is committed."""
    return [end for end in edge[0:3:2] if isinstance(end, str)] if isinstance(edge, list | tuple) else []


def _sentence(refused: Sequence[RefusedWrite]) -> str:
    more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
    return f"{refused[0].reason}{more}"
