"""Hits and answers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mnemic.serve.http.shapes.records import Record
from mnemic.serve.http.shapes.shape import Shape


class Hit(BaseModel):
    """A record that was found, and what its score is made of."""

    record: Record
    score: float
    parts: dict[str, float]
    passage: str
    span: list[int] = Field(min_length=2, max_length=2)


class Hits(BaseModel):
    items: list[Hit]


class Question(Shape):
    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [
        {"question": "Where does Ana live?", "k": 20}]})  # fmt: skip
    question: str
    k: int = Field(20, ge=1, le=200)
    budget: str = Field("2000 tokens", description="what the prompt may take")
    where: dict[str, Any] | None = Field(None, description="a filter as in the listing of records")


class Used(BaseModel):
    amount: int
    unit: Literal["tokens", "bytes", "records"]
    parts: dict[str, int]


class Answer(BaseModel):
    """An answer; `[1]` in its text is the first of the citations. `model` is null where none is configured."""

    text: str
    known: bool
    citations: list[Hit]
    used: Used
    model: str | None
