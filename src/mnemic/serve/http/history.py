"""The log: what changed the memory, when and why; taking it back; where a record came from and what it became."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query, Request
from fastapi.responses import Response

from mnemic.errors import NotFound
from mnemic.record import Operation
from mnemic.serve.http import shapes
from mnemic.serve.http.problems import Problem
from mnemic.serve.http.routes import Cursor, Id, Key, Limit, Space, problems
from mnemic.serve.http.serving import answer, changing, dumps, reading, serving
from mnemic.serve.http.stored import filled, outcome_of, row
from mnemic.serve.rooms import Room

router = APIRouter(prefix="/v1/spaces/{space}", tags=["history"])

Order = Annotated[Literal["newest", "oldest"], Query(description="which come first")]


@router.get("/log", response_model=shapes.Operations, summary="The log", responses=problems())
async def log(request: Request, space: Space, limit: Limit = 100, cursor: Cursor = None, order: Order = "oldest",
              after: Annotated[int, Query(ge=0, le=2**53, description="only operations after this one")] = 0,
              record: Annotated[str | None, Query(description="only of the record with this id")] = None
              ) -> Response:  # fmt: skip
    """Every operation that changed the space, with the record before and after it."""
    return await _page(request, space, limit, cursor, order, after, record)


@router.get("/records/{id}/history", response_model=shapes.Operations, summary="What happened to a record",
            responses=problems())  # fmt: skip
async def history(request: Request, space: Space, id: Id, limit: Limit = 100, cursor: Cursor = None,
                  order: Order = "oldest") -> Response:  # fmt: skip
    """Its operations; of a forgotten record too."""
    return await _page(request, space, limit, cursor, order, 0, id, there=True)


async def _page(request: Request, space: str, limit: int, cursor: str | None, order: str, after: int,
                record: str | None, *, there: bool = False) -> Response:  # fmt: skip
    here = serving(request)

    def act(room: Room) -> bytes:
        listing = f"log {space} {order} {record}"
        start = here.cursors.open(cursor, listing) if cursor is not None else None
        found = room.operations(record=record, after=after, start=start, newest=order == "newest", limit=limit + 1)
        if there and not found and start is None:
            raise NotFound(f"no record {record} in this memory or its log.")
        shown = found[:limit]
        more = here.cursors.seal(shown[-1].n, listing) if len(found) > limit else None
        return dumps({"items": [operation_row(each) for each in shown], "next": more})

    return Response(await reading(request, space, act), media_type="application/json")


@router.get("/log/{n}", response_model=shapes.Operation, summary="One operation", responses=problems())
async def operation(request: Request, space: Space, n: int) -> Response:
    return answer(await reading(request, space, lambda room: operation_row(room.operation(n))))


@router.post("/operations", response_model=shapes.Outcomes, summary="Propose operations", responses=problems(409))
async def propose(request: Request, space: Space, given: Annotated[shapes.Proposals, Body()], key: Key = None
                  ) -> Response:  # fmt: skip
    """What a program worked out of the memory, in one transaction; one outcome for each operation.

    With `read_at` (the number of the newest operation that it had read) nothing is done when the space has changed
    since: 409, and the program looks again.
    """
    here = serving(request)
    proposed = [Operation(each.kind, each.target, each.before, each.after) for each in given.operations]

    def act(room: Room) -> Response:
        def still(_: Any) -> None:
            if given.read_at is not None and room.newest != given.read_at:
                raise Problem(409, "the memory has changed since these were worked out: look again, then propose.")

        def done() -> dict[str, Any]:
            outcomes = room.propose(proposed, who=room.who, why=given.why)
            return {"outcomes": [outcome_of(each) for each in outcomes]}

        told, again = here.once.run(room, key, dumps(given.model_dump()), done, first=still)
        items = [filled(room, each) for each in told["outcomes"]]
        return answer({"items": items}, headers={"Idempotency-Replayed": "true"} if again else {})

    return await changing(request, space, act)


@router.post("/undo", response_model=shapes.Operations, summary="Undo", responses=problems(409))
async def undo(request: Request, space: Space, given: Annotated[shapes.Undoing, Body()], key: Key = None) -> Response:
    """Take one operation back, and what it brought about in derived records; answers what was done for that.

    422 when a later operation changed the same record: undo that one first.
    """
    here = serving(request)

    def act(room: Room) -> Response:
        def back() -> dict[str, Any]:
            return {"done": [each.n for each in room.undo(given.operation)]}

        told, again = here.once.run(room, key, dumps(["undo", given.operation]), back)
        done = [operation_row(room.operation(n)) for n in told["done"]]
        return answer({"items": done, "next": None}, headers={"Idempotency-Replayed": "true"} if again else {})

    return await changing(request, space, act)


@router.get("/records/{id}/lineage", response_model=shapes.Records, summary="What a record took the place of",
            responses=problems())  # fmt: skip
async def lineage(request: Request, space: Space, id: Id) -> Response:
    """The record and those before it, newest first."""
    return answer(await reading(request, space, lambda room: {
        "items": [row(each) for each in room.lineage(id)], "next": None}))  # fmt: skip


@router.get("/records/{id}/derived", response_model=shapes.Records, summary="What was made from a record",
            responses=problems())  # fmt: skip
async def derived(request: Request, space: Space, id: Id) -> Response:
    """Records that were made from it, directly or through others, nearest first; those that still stand."""

    def act(room: Room) -> dict[str, Any]:
        room.get(id)
        found = [room.store.find(each, room.space) for each in room.store.derived([id])]
        return {"items": [row(each[1]) for each in found if each is not None], "next": None}

    return answer(await reading(request, space, act))


def operation_row(operation: Operation) -> dict[str, Any]:
    return {**vars(operation), "before": dict(operation.before) if operation.before else None,
            "after": dict(operation.after) if operation.after else None}  # fmt: skip


__all__ = ["operation_row", "router"]
