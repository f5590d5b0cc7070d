"""Records: add, list, read, change, end, forget, erase."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Body, Query, Request
from fastapi.responses import Response
from pydantic import Field

from mnemic.errors import InputError
from mnemic.serve.beside import beside
from mnemic.serve.http import shapes
from mnemic.serve.http.filters import AsOf, Where, as_of
from mnemic.serve.http.routes import Cursor, Id, IfMatch, IfNoneMatch, Key, Limit, Space, problems
from mnemic.serve.http.serving import answer, changing, dumps, reading, serving
from mnemic.serve.http.stored import etag, filled, matches, outcome_of, page, row, unchanged
from mnemic.serve.rooms import Room

router = APIRouter(prefix="/v1/spaces/{space}/records", tags=["records"])

_Many = Annotated[list[shapes.NewRecord], Field(min_length=1, max_length=10_000)]


@router.post("", status_code=201, response_model=shapes.Outcomes, summary="Remember texts", responses={
    **problems(409), 200: {"model": shapes.Outcomes, "description": "all of it was there already"},
    207: {"model": shapes.Outcomes, "description": "some were refused; each outcome says why"},
})  # fmt: skip
async def add(request: Request, space: Space,
              given: Annotated[shapes.NewRecord | shapes.NewRecords | _Many, Body()],
              key: Key = None) -> Response:  # fmt: skip
    """One text, or many in one transaction; one outcome for each, in order. When this answers, they are on disk.

    The same text from the same source is kept once ("unchanged"); another text at the same source and place updates
    the record. A text that cannot be kept is refused with the reason, and the others are kept; when none could be
    kept, the answer is 422.
    """
    many = given.items if isinstance(given, shapes.NewRecords) else given if isinstance(given, list) else [given]
    why = given.why if isinstance(given, shapes.NewRecords) else "add"
    items = [each.model_dump(exclude_unset=True) for each in many]
    here = serving(request)

    def act(room: Room) -> Response:
        def remember() -> dict[str, Any]:
            return {"outcomes": [outcome_of(each) for each in room.add_many(items, why=why)]}

        told, again = here.once.run(room, key, dumps([items, why]), remember)
        states = [each["state"] for each in told["outcomes"]]
        if not again:
            for state in set(states):
                here.metrics.remembered(state, states.count(state))
        if len(states) == 1 and states[0] == "refused":
            raise InputError(told["outcomes"][0]["reason"])
        headers = {"Idempotency-Replayed": "true"} if again else {}
        if len(states) == 1:
            headers["Location"] = _address(space, told["outcomes"][0]["id"])
        return answer({"items": [filled(room, each) for each in told["outcomes"]]}, _status(states), headers)

    return await changing(request, space, act)


def _address(space: str, id: str) -> str:
    return f"/v1/spaces/{quote(space, safe='')}/records/{quote(id, safe='')}"


def _status(states: list[str]) -> int:
    if "refused" in states:
        return 207
    return 201 if set(states) - {"unchanged"} else 200


@router.get("", response_model=shapes.Records, summary="List records", responses=problems())
async def listed(request: Request, space: Space, where: Where, limit: Limit = 100, cursor: Cursor = None,
                 order: Annotated[Literal["newest", "oldest"], Query(description="which come first")] = "newest",
                 moment: Annotated[AsOf, Query(alias="as_of")] = None) -> Response:  # fmt: skip
    """Records that pass the filter, in the order they were written; with `as_of` those of then."""
    here = serving(request)

    def act(room: Room) -> bytes:
        how: dict[str, Any] = {"limit": limit, "cursor": cursor, "newest": order == "newest", "cursors": here.cursors}
        if moment is None:
            return dumps(page(room, where, **how))
        return dumps(here.moments.page(room, as_of(moment), where, **how))

    return Response(await reading(request, space, act), media_type="application/json")


@router.get("/{id}", response_model=shapes.Record, summary="Read a record",
            responses={**problems(), 304: {"description": "it is as it was"}})  # fmt: skip
async def one(request: Request, space: Space, id: Id, if_none_match: IfNoneMatch = None,
              moment: Annotated[AsOf, Query(alias="as_of")] = None) -> Response:  # fmt: skip
    """The record, with an ETag that changes whenever it does."""
    here = serving(request)

    def act(room: Room) -> Response:
        if moment is not None:
            return answer(row(here.moments.record(room, as_of(moment), id)))
        tag = etag(room, id)
        record = room.get(id)
        if matches(if_none_match, tag):
            return Response(status_code=304, headers={"ETag": tag})
        return answer(row(record), headers={"ETag": tag})

    return await reading(request, space, act)


@router.patch("/{id}", response_model=shapes.Record, summary="Change a record", responses=problems(409, 412))
async def change(request: Request, space: Space, id: Id, given: Annotated[shapes.Changes, Body()],
                 if_match: IfMatch = None) -> Response:  # fmt: skip
    """Change fields of a record. What was derived from it is revised in the same transaction.

    With If-Match it is changed only while it is as you read it; the comparison is part of the transaction.
    """
    fields = given.model_dump(exclude_unset=True, exclude={"why"})
    if not fields:
        raise InputError("there is nothing to change: give at least one field.")

    def act(room: Room) -> Response:
        with beside(first=unchanged(room, id, if_match)):
            record = room.update(id, why=given.why, **fields)
        return answer(row(record), headers={"ETag": etag(room, id)})

    return await changing(request, space, act)


@router.delete("/{id}", response_model=shapes.Forgotten, summary="Forget a record", responses=problems(409, 412))
async def forget(request: Request, space: Space, id: Id, if_match: IfMatch = None,
                 why: Annotated[str, Query(description="stands in the log")] = "forget") -> Response:  # fmt: skip
    """Let a record go; the log keeps it, and `undo` brings it back."""

    def act(room: Room) -> Response:
        with beside(first=unchanged(room, id, if_match)):
            return answer({"items": room.forget(id, why=why)})

    return await changing(request, space, act)


@router.post("/{id}/supersede", status_code=201, response_model=shapes.Record, summary="Put a record in its place",
             responses=problems(409, 412))  # fmt: skip
async def supersede(request: Request, space: Space, id: Id, given: Annotated[shapes.Succession, Body()],
                    if_match: IfMatch = None, key: Key = None) -> Response:  # fmt: skip
    """The old record ends, a new one begins and is linked to it; the answer is the new one."""
    here = serving(request)

    def act(room: Room) -> Response:
        def put() -> dict[str, Any]:
            return {"id": room.supersede(id, given.text, time=given.time, why=given.why).id}

        asked = dumps([id, given.model_dump()])
        told, again = here.once.run(room, key, asked, put, first=unchanged(room, id, if_match))
        headers = {"Idempotency-Replayed": "true"} if again else {}
        return answer(row(room.get(told["id"])), 201, {**headers, "ETag": etag(room, told["id"])})

    return await changing(request, space, act)


@router.post("/{id}/erase", response_model=shapes.Receipt, summary="Erase a record for good", responses=problems(409))
async def erase(request: Request, space: Space, id: Id,
                given: Annotated[shapes.Reason | None, Body()] = None) -> Response:  # fmt: skip
    """Take its text out of rows, log, indexes and file pages; cannot be undone. Needs the right to administer."""
    why = given.why if given and given.why else "erase"
    here = serving(request)

    def act(room: Room) -> Response:
        receipt = room.erase(id, why=why)
        here.moments.forget()
        here.audits.clear()  # a report quotes records
        return answer({**asdict(receipt), "derived": list(receipt.derived)})

    return await changing(request, space, act, "administer")
