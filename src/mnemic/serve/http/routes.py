"""What the routes have in common: the address of a space, headers, the problems that any of them may answer."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Header, Path, Query

from mnemic.serve.http.names import Named
from mnemic.serve.http.problems import MEDIA

Space = Annotated[Named, Path(description="whose memory", min_length=1, max_length=200, examples=["default"])]
Id = Annotated[Named, Path(description="of the record", min_length=1, max_length=200)]
Limit = Annotated[int, Query(description="items of a page", ge=1, le=1000)]
Cursor = Annotated[str | None, Query(description='"next" of the page before')]
Key = Annotated[str | None, Header(alias="Idempotency-Key", description="sent again, it is done once", min_length=1,
                                   max_length=200)]  # fmt: skip
IfMatch = Annotated[str | None, Header(alias="If-Match", description="only while the record has this ETag")]
IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match", description="304 while it has this ETag")]

MEANS = {
    400: "the request cannot be read",
    401: "a valid token is needed",
    403: "not permitted",
    404: "nothing has that name",
    409: "the memory has changed",
    412: "the record has changed",
    413: "too much at once",
    421: "not asked for by a name of this machine",
    422: "what was sent cannot be used",
    429: "too many requests",
    424: "no language model is configured",
    502: "the language model did not answer",
    503: "busy, stopping, or longer than a request may take",
}
# One server-sent event: `data` is JSON.
_EVENT = {"type": "object", "required": ["data"],
          "properties": {"event": {"type": "string"}, "data": {"type": "string"}}}  # fmt: skip
ALWAYS = (400, 401, 403, 404, 413, 421, 422, 429, 503)


def problems(*more: int) -> dict[int | str, dict[str, Any]]:
    """For `responses=`: what a route may answer when it does not work."""
    return {
        status: {
            "description": MEANS[status],
            "content": {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in sorted({*ALWAYS, *more})
    }


def stream(what: str) -> dict[str, Any]:
    """For `responses=`: server-sent events."""
    return {"description": what, "content": {"text/event-stream": {"schema": _EVENT}}}
