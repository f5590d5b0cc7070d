"""What one question of the stream came to: everything that was shown, said, run and remembered. The log is these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mnemic.context.dynamic_cheatsheet.coding import Run
from mnemic.context.dynamic_cheatsheet.curating import Curation
from mnemic.context.dynamic_cheatsheet.retrieval import Pair


@dataclass(frozen=True)
class Round:
    """One answer to the question. prompt: the generator's whole first message."""

    prompt: str
    transcript: str
    answer: str
    runs: tuple[Run, ...] = ()


@dataclass(frozen=True)
class Spent:
    """Tokens of one question. memory: of the memory part of the prompt; prompt: of the whole first message."""

    memory: int = 0
    prompt: int = 0
    calls: int = 0
    read: int = 0
    written: int = 0


@dataclass(frozen=True)
class Answered:
    """A question, its answer, and the memory on both sides of it.

    n                   number in the stream, 1 for the first
    shown               the memory part of the prompt: cheatsheet, or pairs; None for a prompt without one
    cheatsheet_before, cheatsheet_after   the memory itself
    rounds              one or more answers; the last one counts
    curations           what became of each rewriting of the memory
    retrieved           numbers of the earlier questions that were looked up
    """

    n: int
    question: str
    answer: str
    transcript: str
    shown: str | None
    cheatsheet_before: str
    cheatsheet_after: str
    rounds: tuple[Round, ...]
    curations: tuple[Curation, ...] = ()
    retrieved: tuple[int, ...] = ()
    spent: Spent = field(default_factory=Spent)

    @property
    def pair(self) -> Pair:
        """The question with its solution, as it is shown to later ones."""
        return Pair(self.n, self.question, self.transcript)

    def as_json(self) -> dict[str, Any]:
        """Plain data; `of_json` reads it back."""
        return asdict(self)

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Answered:
        rounds = tuple(Round(**{**each, "runs": tuple(Run(**run) for run in each["runs"])}) for each in data["rounds"])
        curations = tuple(Curation(**{**each, "words": tuple(each["words"])}) for each in data["curations"])
        rest = {"rounds": rounds, "curations": curations, "retrieved": tuple(data["retrieved"])}
        return cls(**{**data, **rest, "spent": Spent(**data["spent"])})
