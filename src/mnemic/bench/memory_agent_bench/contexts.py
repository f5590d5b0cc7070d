"""What is asked: contexts with their questions, and the tasks they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mnemic.errors import InputError, NotFound

Skill = Literal["AR", "TTL", "LRU", "CR"]
SKILLS: tuple[Skill, ...] = ("AR", "TTL", "LRU", "CR")
NAMES: Mapping[Skill, str] = {
    "AR": "accurate retrieval",
    "TTL": "test-time learning",
    "LRU": "long-range understanding",
    "CR": "conflict resolution",
}


@dataclass(frozen=True)
class Task:
    """One kind of question: what it tries, how it is scored, how its material is cut.

    metric       name of a function in scoring.METRICS, or of a judge in judges.JUDGES
    max_tokens   of an answer, for agents that generate
    chunk        tokens of a chunk (the paper's choice)
    lines        cut at line ends instead of sentence ends: a serial number stays with its fact
    """

    name: str
    skill: Skill
    metric: str
    max_tokens: int
    chunk: int = 4096
    lines: bool = False


TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task("ruler_qa", "AR", "substring", 50, 512),
        Task("longmemeval", "AR", "longmemeval", 50, 512),
        Task("eventqa", "AR", "event", 40),
        Task("inserted", "AR", "substring", 50, 512),
        Task("icl", "TTL", "label", 20, lines=True),
        Task("recsys", "TTL", "recall@5", 300),
        Task("infbench_sum", "LRU", "summary", 1200),
        Task("detective_qa", "LRU", "exact", 2000),
        Task("whole", "LRU", "exact_set", 50, 512),
        Task("factconsolidation", "CR", "substring", 10, 512, lines=True),
    )
}


@dataclass(frozen=True)
class Question:
    """One question, asked alone.

    answers   accepted texts, any of which is right (eventqa: all of which must be there)
    kind      what sort of question, for a judge or a table
    extra     what the data set says beside it: {"date": ..., "keypoints": ...}
    """

    text: str
    answers: tuple[str, ...]
    id: str = ""
    kind: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.answers:
            raise InputError(f'the question "{self.text[:60]}" has no accepted answer: give at least one.')


@dataclass(frozen=True)
class Context:
    """Material that is handed over once, and the questions that follow it.

    name      one set of the benchmark, with what tells it from its sisters: "factconsolidation_sh_6k"
    titles    catalogue of a recommender: what an answer's titles are matched with
    time      when the material was said, shown to the agent; empty for none
    number    of several contexts of one name
    """

    name: str
    text: str
    questions: tuple[Question, ...]
    time: str = ""
    titles: tuple[str, ...] = ()
    number: int = 0

    @property
    def task(self) -> Task:
        return task_of(self.name)

    @property
    def id(self) -> str:
        """Names its file: set and number."""
        return f"{self.name}-{self.number}"


def task_of(name: str) -> Task:
    """The task that a set belongs to, by the beginning of its name; NotFound for one that none knows."""
    found = next((task for prefix, task in TASKS.items() if name.startswith(prefix)), None)
    if found is None:
        raise NotFound(f'no task is known for the set "{name}": its name begins with one of {", ".join(TASKS)}.')
    return found


def family(name: str) -> str:
    """The column that a set is averaged into: sizes of one set together, the five classifiers together."""
    for prefix in ("factconsolidation_sh", "factconsolidation_mh", "ruler_qa1", "ruler_qa2"):
        if name.startswith(prefix):
            return prefix
    return task_of(name).name
