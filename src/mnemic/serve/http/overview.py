"""A space as a whole: counts, sizes, its timeline, what the audit finds."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Body, Query, Request
from fastapi.responses import Response

from mnemic.audit import Kind, Report, audit
from mnemic.errors import Conflict
from mnemic.record import Operation
from mnemic.serve.access import RIGHTS
from mnemic.serve.http import shapes
from mnemic.serve.http.finding import used_row
from mnemic.serve.http.history import operation_row
from mnemic.serve.http.routes import Key, Space, problems
from mnemic.serve.http.serving import answer, asking, changing, dumps, reading, serving
from mnemic.serve.rooms import Room

router = APIRouter(prefix="/v1", tags=["overview"])

_LOOKING = 600.0  # seconds that an audit may take
Only = Annotated[list[Kind] | None, Query(description="kinds of findings; all without it")]


@router.get("/spaces", response_model=shapes.Spaces, summary="Your spaces", responses=problems())
async def spaces(request: Request) -> Response:
    """The spaces that you may read, with your rights in each."""
    here, session = serving(request), asking(request)

    def act() -> dict[str, Any]:
        who, store = here.pool.session(session), here.pool.access.store
        return {"items": [
            {"space": space, "rights": [right for right in RIGHTS if who.may(right, space)],
             "records": store.read("SELECT count(*) FROM record WHERE space = ?", (space,))[0][0]}
            for space in here.pool.spaces(session)
        ]}  # fmt: skip

    return answer(await here.work(act, here.quick))


@router.get("/spaces/{space}/stats", response_model=shapes.Statistics, summary="Counts and sizes", responses=problems())
async def stats(request: Request, space: Space) -> Response:
    def act(room: Room) -> dict[str, Any]:
        lm = room.lm
        return {**room.stats(), "newest": room.newest, "used": used_row(room.used()),
                "budget": str(room.budget) if room.budget else None, "model": lm.name if lm else None}  # fmt: skip

    return answer(await reading(request, space, act))


@router.get("/spaces/{space}/timeline", response_model=shapes.Timeline, summary="Records and operations over time",
            responses=problems())  # fmt: skip
async def timeline(request: Request, space: Space,
                   buckets: Annotated[int, Query(ge=1, le=1000, description="how many")] = 60) -> Response:  # fmt: skip
    """How many records there are by when they were true, and operations by when they were done."""

    def act(room: Room) -> dict[str, Any]:
        undated = room.store.read("SELECT count(*) FROM record WHERE space = ? AND begins IS NULL", (room.space,))
        return {"records": _counts(room, "record", "begins", buckets), "undated": undated[0][0],
                "operations": _counts(room, "operation", "at_s", buckets)}  # fmt: skip

    return answer(await reading(request, space, act))


def _counts(room: Room, table: str, column: str, buckets: int) -> dict[str, Any]:
    """Counts of rows in buckets of equal length between the first and the last."""
    dated = f"FROM {table} WHERE space = ? AND {column} IS NOT NULL"
    first, last = room.store.read(f"SELECT min({column}), max({column}) {dated}", (room.space,))[0]
    numbered = table == "operation"
    if first is None:
        return {"start": None, "seconds": 0.0, "counts": [], "last": [] if numbered else None}
    seconds = max((last - first) / buckets, 1e-6) * (1 + 1e-9)  # the last one falls into the last bucket
    newest = ", max(m)" if numbered else ", 0"
    rows = room.store.read(
        f"SELECT CAST(({column} - ?) / ? AS INTEGER) AS bucket, count(*){newest} {dated} GROUP BY bucket",
        (first, seconds, room.space),
    )
    counts, ends = [0] * buckets, [0] * buckets
    reached: dict[int, int] = {}
    for bucket, count, n in rows:
        place = min(int(bucket), buckets - 1)
        counts[place] += count
        reached[place] = max(n, reached.get(place, 0))
    for place in range(buckets):
        ends[place] = max(reached.get(place, 0), ends[place - 1] if place else 0)
    return {"start": first, "seconds": seconds, "counts": counts, "last": ends if numbered else None}


@router.get("/spaces/{space}/audit", response_model=shapes.Audit, summary="Audit", responses=problems())
async def look(request: Request, space: Space, only: Only = None) -> Response:
    """What is made up, stale, contradictory, double, junk or orphaned. No model is asked, nothing is written.

    It looks at every record; until the space changes the same answer is given again.
    """
    here, session = serving(request), asking(request)

    def act() -> bytes:
        room = here.pool.enter(session, space)
        newest, kinds = room.newest, tuple(sorted(set(only or ())))
        return here.audits.get((space, newest, kinds), lambda: dumps(_report(audit(room, only=kinds), newest)))

    return Response(await here.work(act, here.large, seconds=_LOOKING), media_type="application/json")


@router.post("/spaces/{space}/audit/repair", response_model=shapes.Repaired, summary="Repair what the audit found",
             responses=problems(409))  # fmt: skip
async def repair(request: Request, space: Space, given: Annotated[shapes.Repairs | None, Body()] = None,
                 key: Key = None) -> Response:  # fmt: skip
    """Do the repairs in one transaction; each is an operation that `undo` takes back."""
    here = serving(request)
    only: tuple[Kind, ...] = tuple(each for each in get_args(Kind) if given and each in given.only)

    def act(room: Room) -> Response:
        def mended() -> dict[str, Any]:
            before = room.newest
            if given and given.position is not None and given.position != before:
                raise Conflict("the memory has changed since that audit: look again, then repair.")
            report = audit(room, only=only)
            operations, why = report.repairs(), f"audit, asked for by {room.who}"
            outcomes = room.propose(operations, who="audit", why=why, read_at=report.position) if operations else []
            done = [each.n for each in room.log(after=before)] if outcomes else []
            return {"done": sum(outcome.state != "refused" for outcome in outcomes), "operations": done}

        told, again = here.once.run(room, key, dumps(["repair", list(only)]), mended)
        shown = [operation_row(room.operation(n)) for n in told["operations"]]
        headers = {"Idempotency-Replayed": "true"} if again else {}
        return answer({"done": told["done"], "operations": shown}, headers=headers)

    return await changing(request, space, act)


def _report(report: Report, newest: int) -> dict[str, Any]:
    return {
        "records": report.records, "position": newest, "sound": report.sound, "counts": dict(report.counts),
        "findings": [{**asdict(finding), "records": list(finding.records),
                      "repair": [_proposed(each) for each in finding.repair]} for finding in report.findings],
    }  # fmt: skip


def _proposed(operation: Operation) -> dict[str, Any]:
    return {"kind": operation.kind, "target": operation.target, "after": dict(operation.after or {})}


@router.post("/spaces/{space}/forget", response_model=shapes.Forgotten, summary="Forget what passes a filter",
             responses=problems(409))  # fmt: skip
async def forget(request: Request, space: Space, given: Annotated[shapes.Forgetting, Body()]) -> Response:
    """Let records go, all that pass; an empty filter is refused. The log keeps them."""

    def act(room: Room) -> Response:
        return answer({"items": room.forget(where=given.where, why=given.why)})

    return await changing(request, space, act)


@router.get("/spaces/{space}/check", response_model=shapes.Checked, summary="Check the file",
            responses=problems())  # fmt: skip
async def check(request: Request, space: Space) -> Response:
    """Pages, log against rows, indexes against rows. For those who administer every space: it looks at all of them."""
    here, session = serving(request), asking(request)

    def act() -> dict[str, Any]:
        report = here.pool.enter(session, space, "administer").check()
        return {"ok": report.ok, "records": report.records, "operations": report.operations,
                "problems": [asdict(each) for each in report.problems]}  # fmt: skip

    return answer(await here.work(act, here.slow, seconds=3600))
