"""What was judged, one by one: everything a report is worked out from. Plain data, written and read as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mnemic.bench.halumem.contract import Outcome, Score
from mnemic.errors import InputError


@dataclass(frozen=True)
class PointCase:
    """A gold point, and how far the session's memories cover it; score None when the judge could not be read."""

    user: str
    session: int
    text: str
    type: str
    source: str
    importance: float
    update: bool
    score: Score | None

    @property
    def interference(self) -> bool:
        return self.source == "interference"


@dataclass(frozen=True)
class MemoryCase:
    """A memory that a session left, how far the dialogue supports it, and whether its field is gold."""

    user: str
    session: int
    text: str
    score: Score | None
    included: bool


@dataclass(frozen=True)
class UpdateCase:
    """An update and what a search returned, by query: "new" (the score), "old", "slot"."""

    user: str
    session: int
    text: str
    type: str
    outcomes: Mapping[str, Outcome | None]
    returned: Mapping[str, int]

    @property
    def held(self) -> bool:
        """Some query finds it, so it is in the memory."""
        return "Correct" in self.outcomes.values()


@dataclass(frozen=True)
class QuestionCase:
    """A question, its response and verdict; `evidence` tells for each point whether the search returned it."""

    user: str
    session: int
    question: str
    type: str
    answer: str
    response: str
    outcome: Outcome | None
    evidence: Mapping[str, bool] = field(default_factory=dict)
    prompt_tokens: int = 0

    @property
    def found(self) -> bool:
        return all(self.evidence.values())


@dataclass
class Cases:
    """All cases of the users audited so far, what their texts took (tokens), how long it took (seconds)."""

    points: list[PointCase] = field(default_factory=list)
    memories: list[MemoryCase] = field(default_factory=list)
    updates: list[UpdateCase] = field(default_factory=list)
    questions: list[QuestionCase] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    read_tokens: dict[str, int] = field(default_factory=lambda: {"extraction": 0, "update": 0, "qa": 0})
    seconds: dict[str, float] = field(default_factory=lambda: {"ingest": 0.0, "search": 0.0})
    kept_bytes: int = 0
    tells: bool = True  # the system tells what a session left

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Cases:
        """Read what `as_json` gave; raises InputError for anything else."""
        try:
            kinds: dict[str, type] = {
                "points": PointCase, "memories": MemoryCase, "updates": UpdateCase, "questions": QuestionCase
            }  # fmt: skip
            fields: dict[str, Any] = {name: [kind(**each) for each in data[name]] for name, kind in kinds.items()}
            fields |= {name: data[name] for name in ("users", "read_tokens", "seconds", "kept_bytes", "tells")}
            return cls(**fields)
        except (KeyError, TypeError) as error:
            raise InputError(f"no cases of an audit ({error!r}): give a file that Audit.save wrote.") from None
