"""From items to outcomes: a writer looks at the chunks of one call, what it proposes is checked, then committed.

Nothing is skipped in silence: every operation that a writer proposed has its outcome, and so has every candidate that
it looked at and left out. What a writer proposes after it has read something untrusted passes the gate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from mnemic.commit import Committer
from mnemic.errors import InputError, NotFound
from mnemic.filter import Filter
from mnemic.gate.writes import Guarded
from mnemic.limits import asked, checked_count, is_id
from mnemic.moment import shown
from mnemic.record import Chunk, Hit, Operation, Outcome, Proposal
from mnemic.revision import find
from mnemic.seams import BatchWriter, View, Writer
from mnemic.writers import Verbatim

if TYPE_CHECKING:
    from mnemic.memory import Memory


def remember(items: Sequence[Chunk | str | Mapping[str, Any]], writer: Writer, memory: Memory, committer: Committer, *,
             why: str) -> list[Outcome]:  # fmt: skip
    """One outcome per item, in order; all is written in one transaction or nothing is."""
    chunks = [_chunk(item) for item in items]
    view = cast(View, Unnoticed(memory))
    read_at = view.position
    # One that reads nothing cannot have read what has changed since, or a trap; what is built upon it may.
    reads = type(writer) is not Verbatim
    looks = Guarded(writer) if reads else writer
    proposals = iter(_proposed(looks, [chunk for chunk in chunks if isinstance(chunk, Chunk)], view))
    read = [next(proposals) if isinstance(chunk, Chunk) else chunk for chunk in chunks]
    plans = [_checked(each, committer) if isinstance(each, Proposal) else each for each in read]
    operations = [each for plan in plans if isinstance(plan, Plan) for each in plan.operations]
    who = f"writer:{writer.name}" if reads else "person"
    done = iter(committer.commit(operations, who=who, why=why, read_at=read_at if reads else None))
    return [plan if isinstance(plan, Outcome) else plan.outcome(done) for plan in plans]


class Unnoticed:
    """A memory as its writer sees it: what a writer looks up for itself is nobody's use of a record, so with a budget
    it counts for nothing in `access`; else each new text would keep alive what it is like.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def recall(self, query: str, *, k: int = 10, where: Filter | Mapping[str, Any] | None = None) -> list[Hit]:
        checked_count("k", k)
        memory = self._memory
        return find(memory.retriever, memory.store, memory.space, asked(query), k, Filter.of(where))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._memory, name)


@dataclass(frozen=True)
class Plan:
    """What of a proposal is committed: operations, and outcomes of those that are refused before."""

    steps: tuple[Operation | Outcome, ...]
    refused: tuple[Outcome, ...]

    @property
    def operations(self) -> Iterator[Operation]:
        return (step for step in self.steps if isinstance(step, Operation))

    def outcome(self, done: Iterator[Outcome]) -> Outcome:
        """What became of the chunk; takes the outcomes of its operations from those of the call."""
        each = [step if isinstance(step, Outcome) else next(done) for step in self.steps]
        if len(each) == 1 and not self.refused:
            return each[0]
        return replace(_speaking(self.steps, each), outcomes=(*each, *self.refused))


def _proposed(writer: Writer, chunks: Sequence[Chunk], view: View) -> Sequence[Proposal | Outcome]:
    if isinstance(writer, BatchWriter):
        return writer.observe_many(chunks, view)
    return [_observed(writer, chunk, view) for chunk in chunks]


def _observed(writer: Writer, chunk: Chunk, view: View) -> Proposal | Outcome:
    try:
        return Proposal(tuple(writer.observe(chunk, view)))
    except InputError as error:
        return Outcome("refused", None, str(error))


def _checked(proposal: Proposal, committer: Committer) -> Plan:
    """Each operation alone: one that cannot be done is refused, with all that rests on it, and the others are done."""
    steps: list[Operation | Outcome] = []
    made: set[str] = set()
    lost: dict[str, str] = {}
    for operation in proposal.operations:
        reason = _rests_on(operation, lost) if is_id(operation.target) else "an operation names its record by an id."
        if not reason and not (operation.kind in ("update", "merge", "delete") and operation.target in made):
            try:
                committer.resolve(operation)
            except (InputError, NotFound) as error:
                reason = str(error)
        if is_id(operation.target):
            made.add(operation.target)
            if reason and operation.target:
                lost[operation.target] = reason
        steps.append(Outcome("refused", None, reason) if reason else operation)
    return Plan(tuple(steps), proposal.refused)


def _rests_on(operation: Operation, lost: Mapping[str, str]) -> str:
    """Why an operation is lost with one before it; empty when it is not."""
    after = operation.after or {}
    sources, edge = after.get("derived_from", ()), after.get("edge", ())
    named = [operation.target, *(sources if isinstance(sources, list | tuple) else ()), *list(edge)[0:3:2]]
    found = next((id for id in named if isinstance(id, str) and id in lost), None)
    return f"what it rests on was refused: {lost[found]}" if found else ""


def _speaking(steps: Sequence[Operation | Outcome], each: Sequence[Outcome]) -> Outcome:
    """The outcome that speaks for a chunk: of the chunk's own record where it is kept, else of the first change."""
    if not each:
        return Outcome("unchanged", None, "the writer kept nothing of it")
    first = steps[0]
    if isinstance(first, Operation) and first.kind == "insert" and not (first.after or {}).get("derived_from"):
        return each[0]
    return next((outcome for outcome in each if outcome.state in ("added", "updated")), each[0])


def _chunk(item: Chunk | str | Mapping[str, Any]) -> Chunk | Outcome:
    if isinstance(item, Chunk):
        return item
    try:
        return Chunk(item) if isinstance(item, str) else Chunk(**item)
    except TypeError as error:
        return Outcome(
            "refused", None, f"an item is a text or a mapping of Chunk's fields ({error}), got {shown(item)}."
        )
