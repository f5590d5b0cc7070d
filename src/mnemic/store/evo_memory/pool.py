"""The experience memory: records of kind "experience" in a memory file, found by the cosine of their goals.

It is a part of a Memory, not a store of its own, so what the file promises holds for experiences too: every one that
came, was dropped or evicted stands in the log with the reason, can be undone, read as of a day, or erased.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from mnemic.db.access import note_access
from mnemic.errors import Conflict, InputError
from mnemic.filter import Filter
from mnemic.limits import asked, checked_count
from mnemic.memory import Memory
from mnemic.meter import Used
from mnemic.recall.dense import Dense
from mnemic.record import Operation, Outcome, Record
from mnemic.store.evo_memory.experiences import Experience

KIND = "experience"
Store = Literal["success", "all"]

_EXPERIENCES = Filter.of({"kind": KIND})
_TRUSTED = Filter.of({"kind": KIND, "stale": False, "current": True})
_TRIES = 5  # when others write to the same memory
_SEEN_ENOUGH = 3  # retrievals before a share of them says anything about an experience


@dataclass(frozen=True)
class Found:
    """An experience that was found, and how near its goal is (cosine; 0 where it was found by its time)."""

    experience: Experience
    score: float = 0.0

    @property
    def id(self) -> str:
        return self.experience.id


class ExperienceMemory:
    """Experiences of an agent, in a memory that may hold other things too.

    memory      where they are kept; its budget, policy and embedder are theirs
    k           how many are shown for a task
    store       "success" keeps what succeeded, "all" failures too
    source      whose stream it is, kept as the records' source
    drop_when   None, or the share of its retrievals from which on an experience that was pruned in them is dropped
                from the memory; looked at once it was retrieved three times
    """

    def __init__(self, memory: Memory, *, k: int = 4, store: Store = "success", source: str = "stream",
                 drop_when: float | None = None) -> None:  # fmt: skip
        checked_count("k", k)
        if store not in get_args(Store):
            raise InputError(f'store is "{store}": use "success" or "all".')
        if drop_when is not None and not 0 < drop_when <= 1:
            raise InputError(f"drop_when is {drop_when}: give a share above 0 and up to 1, or None.")
        self.memory, self.k, self.store, self.source, self.drop_when = memory, k, store, source, drop_when
        self._dense = Dense(memory)
        self._t, self._read = 0, -1  # tasks so far, and the position of the log that this was read at

    def __len__(self) -> int:
        return sum(1 for _ in self.memory.records(_EXPERIENCES))

    def all(self) -> list[Experience]:
        """Every experience, in the order they came."""
        return [_experience(record) for record in self.memory.records(_EXPERIENCES)]

    def similar(self, goal: str, k: int | None = None) -> list[Found]:
        """The experiences whose goals are nearest, most similar first."""
        hits = self._dense.search(asked(goal), self.k if k is None else k, _TRUSTED)
        if hits and self.memory.budget is not None:  # what is used stays longer under a policy that looks at it
            note_access(self.memory.store, [hit.record.id for hit in hits])
        return [Found(_experience(hit.record), hit.score) for hit in hits]

    def recent(self, k: int | None = None) -> list[Found]:
        """The experiences that came last, newest first."""
        return [Found(experience) for experience in reversed(self.all()[-(self.k if k is None else k) :])]

    def add(self, experience: Experience) -> Outcome:
        """Keep a judged experience; "refused", with the reason, when it is a failure and only success is kept."""
        self._t = self._tasks() + 1
        if self.store == "success" and not experience.success:
            return Outcome("refused", None, 'it failed, and store="success" keeps what succeeded')
        for _ in range(_TRIES):
            try:
                return self._insert(experience)
            except Conflict:  # somebody else wrote: a task of the same number would take this one's place
                self._t = self._tasks() + 1
        raise Conflict("the memory keeps changing while an experience is being written; it was not kept, try again.")

    def note(self, retrieved: Iterable[str], pruned: Iterable[str]) -> list[str]:
        """Count what a task was shown and what it pruned, and drop what `drop_when` says; returns the dropped ids.

        Without `drop_when` nothing is counted: an agent that never drops need not write.
        """
        if self.drop_when is None:
            return []
        out, counts, gone = set(pruned), [], []
        for id in dict.fromkeys(retrieved):
            record = self._record(id)
            if record is None:
                continue
            seen, cut = self._counted(record, id in out)
            if seen >= _SEEN_ENOUGH and cut >= self.drop_when * seen:
                counts.append(Operation("delete", id, why=f"pruned in {cut} of {seen} retrievals"))
                gone.append(id)
            else:
                counts.append(
                    Operation("update", id, after={"metadata": {**record.metadata, "retrieved": seen, "pruned": cut}})
                )
        if counts:
            self.memory.propose(counts, who="evo_memory", why="what was retrieved and pruned")
        return gone

    def left(self) -> list[Operation]:
        """What left the memory and why: evicted by the policy, dropped after pruning, or forgotten by a person."""
        return [each for each in self.memory.log() if each.kind in ("evict", "delete")]

    def used(self) -> Used:
        """Bytes of the memory file."""
        return self.memory.used("bytes")

    def _insert(self, experience: Experience) -> Outcome:
        state = {"kind": KIND, "text": experience.goal, "source": self.source, "place": f"task {self._t}"}
        insert = Operation("insert", "", after={**state, "metadata": replace(experience, t=self._t).as_json()})
        why = f"task {self._t} was judged"
        outcome = self.memory.propose([insert], who="evo_memory", why=why, read_at=self._read)[0]
        self._read = self.memory.position
        return outcome

    def _tasks(self) -> int:
        """How many tasks there were, here or in what others wrote since."""
        position = self.memory.position
        if position != self._read:
            self._t = max([self._t, *(experience.t for experience in self.all())])
            self._read = position
        return self._t

    def _record(self, id: str) -> Record | None:
        """The record of an id; None when it has left since it was shown."""
        found = self.memory.store.find(id, self.memory.space)
        return found[1] if found else None

    def _counted(self, record: Record, pruned: bool) -> tuple[int, int]:
        data = record.metadata
        return int(data.get("retrieved", 0)) + 1, int(data.get("pruned", 0)) + pruned


def _experience(record: Record) -> Experience:
    return Experience.of_json(record.text, record.metadata, record.id)
