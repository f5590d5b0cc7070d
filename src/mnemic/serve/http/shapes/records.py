"""Records: what is remembered, changed, forgotten."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mnemic.serve.http.shapes.shape import ID, WRITTEN, Shape


class NewRecord(Shape):
    """A text to remember. Times as precise as known: 2026, 2026-05, 2026-05-03, 2026-05-03T10:00."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [
        {"text": "Ana moved to Porto.", "time": "2026-05-03", "speaker": "Ben", "source": "chat"}]})  # fmt: skip
    text: str
    time: str | None = None
    until: str | None = None
    source: str | None = None
    place: str | None = None
    episode: str | None = None
    speaker: str | None = None
    kind: str = "episode"
    metadata: dict[str, Any] = Field(default_factory=dict)
    derived_from: list[str] = Field(default_factory=list)
    pinned: bool = False
    importance: float = 1.0


class NewRecords(Shape):
    """Texts to remember in one transaction."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [
        {"items": [{"text": "Ana moved to Porto."}, {"text": "Ben plays chess.", "kind": "fact"}]}]})  # fmt: skip
    items: list[NewRecord] = Field(min_length=1, max_length=10_000)
    why: str = "add"


class Changes(Shape):
    """Fields to change; those that are left out stay. `until` ends a record."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [
        {"text": "Ana moved to Braga.", "why": "she said so"}]})  # fmt: skip
    text: str | None = None
    time: str | None = None
    until: str | None = None
    source: str | None = None
    place: str | None = None
    episode: str | None = None
    speaker: str | None = None
    kind: str | None = None
    metadata: dict[str, Any] | None = None
    derived_from: list[str] | None = None
    stale: str | None = None
    pinned: bool | None = None
    importance: float | None = None
    why: str = "update"


class Succession(Shape):
    """What holds in the place of the record from now on, or from `time` on."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [
        {"text": "Ana lives in Braga.", "time": "2026-08-01", "why": "she moved"}]})  # fmt: skip
    text: str
    time: str | None = None
    why: str = "supersede"


class Reason(Shape):
    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"why": "Ana asked for it"}]}
    )
    why: str = ""


class Forgetting(Shape):
    """Which records to let go: a filter as in the listing. `undo` brings each of them back."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [
        {"where": {"source": "chat*"}, "why": "an old export"}]})  # fmt: skip
    where: dict[str, Any]
    why: str = "forget"


class Record(BaseModel):
    """One remembered thing; fields as in docs/concepts.md."""

    model_config = ConfigDict(json_schema_extra={"examples": [
        {"id": ID, "space": "default", "kind": "episode", "text": "Ana moved to Porto.", "time": "2026-05-03",
         "until": None, "written": WRITTEN, "source": "chat", "place": None, "episode": None, "speaker": "Ben",
         "metadata": {}, "derived_from": [], "stale": None, "pinned": False, "importance": 1.0}]})  # fmt: skip
    id: str
    space: str
    kind: str
    text: str
    time: str | None
    until: str | None
    written: str
    source: str | None
    place: str | None
    episode: str | None
    speaker: str | None
    metadata: dict[str, Any]
    derived_from: list[str]
    stale: str | None
    pinned: bool
    importance: float


class Outcome(BaseModel):
    """What became of one text; `outcomes` tells what a writer made of it. A refused one has no id and no record."""

    state: Literal["added", "unchanged", "updated", "refused"]
    id: str | None
    record: Record | None
    reason: str
    outcomes: list[Outcome] = Field(default_factory=list)


class Outcomes(BaseModel):
    """One outcome for each text, in order."""

    items: list[Outcome]


class Records(BaseModel):
    items: list[Record]
    next: str | None = Field(description="the cursor of the next page; null at the end")


class Forgotten(BaseModel):
    items: list[str] = Field(description="ids of the records that were let go")


class Receipt(BaseModel):
    """What was erased. `complete` is false while another program still reads an older state of the file."""

    model_config = ConfigDict(json_schema_extra={"examples": [
        {"id": ID, "operation": 12, "derived": [], "complete": True, "reason": ""}]})  # fmt: skip
    id: str
    operation: int
    derived: list[str] = Field(description="records made from it, which may repeat its text: look at them too")
    complete: bool
    reason: str
