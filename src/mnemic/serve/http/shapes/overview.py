"""A space as a whole."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mnemic.serve.http.shapes.finding import Used
from mnemic.serve.http.shapes.history import Operation
from mnemic.serve.http.shapes.shape import Shape


class Space(BaseModel):
    space: str
    rights: list[Literal["read", "write", "share", "administer"]]
    records: int


class Spaces(BaseModel):
    items: list[Space]


class Buckets(BaseModel):
    """Counts in buckets of equal length, in seconds since 1970; `last` numbers the newest operation up to each end."""

    start: float | None
    seconds: float
    counts: list[int]
    last: list[int] | None = None


class Timeline(BaseModel):
    """`records` by when they were true, `operations` by when they were done."""

    records: Buckets
    undated: int
    operations: Buckets


class Statistics(BaseModel):
    """Counts of the space; sizes of the file for those who administer every space."""

    model_config = ConfigDict(extra="allow")
    space: str
    spaces: list[str]
    records: int
    kinds: dict[str, int]
    stale: int
    operations: int
    newest: int = Field(description="number of the newest operation")
    edges: int
    embedder: str | None
    used: Used
    budget: str | None
    model: str | None = Field(description="the language model that answers, null where none is configured")


class Finding(BaseModel):
    model_config = ConfigDict(extra="allow")
    kind: Literal["fabricated", "stale", "contradictory", "duplicate", "junk", "orphaned"]
    records: list[str]
    why: str
    repair: list[dict[str, Any]] = Field(description="operations that would put it right; empty: a person decides")


class Audit(BaseModel):
    records: int
    position: int = Field(description="number of the newest operation when it was looked at")
    sound: float = Field(description="share of the records that nothing was found about")
    counts: dict[str, int]
    findings: list[Finding]


class Repairs(Shape):
    """Which findings to repair. `position` is that of the audit: what has changed since is looked at again first."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [
        {"only": ["duplicate"], "position": 120}]})  # fmt: skip
    only: list[Literal["fabricated", "stale", "contradictory", "duplicate", "junk", "orphaned"]] = Field(
        default_factory=list
    )
    position: int | None = Field(None, ge=0, le=2**53)


class Repaired(BaseModel):
    done: int
    operations: list[Operation]


class Checked(BaseModel):
    ok: bool
    records: int
    operations: int
    problems: list[dict[str, Any]]


class Health(BaseModel):
    status: Literal["ok"]
    version: str
