"""What all shapes share: how strictly they are read, ids for examples, the shape of an error."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

ID = "01970c1e-7d2a-7c55-9d3e-5b1f0c6a2e11"
OTHER = "01970c1e-8f00-7a10-8b7c-2d4e6f801357"
WRITTEN = "2026-05-04T09:12:30.120000+00:00"


class Shape(BaseModel):
    """Given as it stands: an unknown field is a slip of the pen, and a number in quotes is a text."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Problem(BaseModel):
    """Any error. `detail` says what happened and what to do."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [
        {"type": "urn:mnemic:not-found", "title": "Not found", "status": 404,
         "detail": f"no record {ID} in this memory: was it forgotten? `mnemic log` tells."}]})  # fmt: skip
    type: str
    title: str
    status: int
    detail: str
