"""Operations, links, graphs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mnemic.serve.http.shapes.shape import ID, OTHER, WRITTEN, Shape


class Operation(BaseModel):
    """One change. `n` counts the operations of this space."""

    model_config = ConfigDict(json_schema_extra={"examples": [
        {"n": 4, "kind": "update", "target": ID, "before": {"kind": "episode", "text": "Ana moved to Lisbon."},
         "after": {"kind": "episode", "text": "Ana moved to Porto."}, "who": "principal:ben", "why": "she said so",
         "when": WRITTEN, "call": OTHER, "undoes": None}]})  # fmt: skip
    n: int
    kind: Literal["insert", "update", "delete", "evict", "link", "unlink", "merge", "erase"]
    target: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    who: str
    why: str
    when: str
    call: str
    undoes: int | None


class Operations(BaseModel):
    items: list[Operation]
    next: str | None


class Proposed(Shape):
    """One operation of a program: insert, update, merge, delete, link or unlink; fields as in the log."""

    kind: Literal["insert", "update", "merge", "delete", "link", "unlink"]
    target: str = Field("", description="id of the record; empty for an insert that needs no id of its own")
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


class Proposals(Shape):
    """Operations to be done in one transaction, or not at all. `read_at` is the number they were worked out at."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [
        {"operations": [{"kind": "insert", "after": {"kind": "fact", "text": "Ana lives in Porto."}}],
         "why": "read in the chat"}]})  # fmt: skip
    operations: list[Proposed] = Field(min_length=1, max_length=10_000)
    why: str = "propose"
    read_at: int | None = Field(None, ge=0, le=2**53)


class Undoing(Shape):
    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [{"operation": 4}]})
    operation: int = Field(ge=1, le=2**53)


class NewLink(Shape):
    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [
        {"head": ID, "relation": "answers", "tail": OTHER}]})  # fmt: skip
    head: str
    relation: str = Field(min_length=1)
    tail: str
    weight: float = 1.0
    why: str = "link"


class Link(BaseModel):
    """`source` is the record that the link was read from, null for one that a person made."""

    head: str
    relation: str
    tail: str
    weight: float
    source: str | None


class Links(BaseModel):
    items: list[Link]


class Node(BaseModel):
    """A record, or a phrase that was read in one; `text` is the beginning of it."""

    id: str
    type: Literal["record", "phrase"]
    text: str
    kind: str | None
    time: str | None
    stale: str | None


class Arrow(BaseModel):
    head: str
    relation: str
    tail: str
    weight: float


class Graph(BaseModel):
    """`whole` is false when there was more than may be shown at once."""

    nodes: list[Node]
    edges: list[Arrow]
    whole: bool
