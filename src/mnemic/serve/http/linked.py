"""Links between records, and the graph around one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request
from fastapi.responses import Response

from mnemic.record import Edge
from mnemic.serve.http import shapes
from mnemic.serve.http.routes import Id, Key, Space, problems
from mnemic.serve.http.serving import answer, changing, dumps, reading, serving
from mnemic.serve.rooms import Room

router = APIRouter(prefix="/v1/spaces/{space}", tags=["links"])

_BEGINNING = 140  # characters of a record that a node shows
_AT_ONCE = 400  # ids of one look into the tables


@router.post("/links", status_code=201, response_model=shapes.Link, summary="Link two records",
             responses=problems(409))  # fmt: skip
async def link(request: Request, space: Space, given: Annotated[shapes.NewLink, Body()], key: Key = None) -> Response:
    here = serving(request)

    def act(room: Room) -> Response:
        def made() -> dict[str, Any]:
            return asdict(room.link(given.head, given.relation, given.tail, weight=given.weight, why=given.why))

        told, again = here.once.run(room, key, dumps(given.model_dump()), made)
        return answer(told, 201, {"Idempotency-Replayed": "true"} if again else {})

    return await changing(request, space, act)


@router.get("/records/{id}/links", response_model=shapes.Links, summary="Links of a record", responses=problems())
async def links(request: Request, space: Space, id: Id) -> Response:
    """Those that start or end at it, and those that were read in it."""

    def act(room: Room) -> dict[str, Any]:
        room.get(id)
        return {"items": [asdict(edge) for edge in _edges(room, [id])]}

    return answer(await reading(request, space, act))


@router.get("/graph", response_model=shapes.Graph, summary="The graph around a record", responses=problems())
async def graph(request: Request, space: Space, record: Annotated[str, Query(description="id of the record")],
                depth: Annotated[int, Query(ge=1, le=4, description="how many steps away")] = 1,
                most: Annotated[int, Query(ge=1, le=500, description="nodes at most")] = 100) -> Response:  # fmt: skip
    """What a record is linked to, was made from, what was made from it, and what stands beside it in its episode."""

    def act(room: Room) -> dict[str, Any]:
        room.get(record)
        return _around(room, record, depth, most)

    return answer(await reading(request, space, act))


def _around(room: Room, start: str, depth: int, most: int) -> dict[str, Any]:
    nodes, front, arrows, whole = {start: None}, [start], {}, True
    for _ in range(depth):
        found = [*_linked(room, front), *_made(room, front), *_beside(room, front)]
        fresh: list[str] = []
        for head, relation, tail, weight in found:
            new = [end for end in dict.fromkeys((head, tail)) if end not in nodes]
            if len(nodes) + len(new) > most:
                whole = False
                continue
            nodes.update(dict.fromkeys(new))
            fresh += new
            arrows[head, relation, tail] = weight
        front = fresh
    shown = [{"head": head, "relation": relation, "tail": tail, "weight": weight}
             for (head, relation, tail), weight in arrows.items()]  # fmt: skip
    return {"nodes": _nodes(room, list(nodes)), "edges": shown, "whole": whole}


Arrow = tuple[str, str, str, float]


def _linked(room: Room, ids: Sequence[str]) -> Iterator[Arrow]:
    for edge in _edges(room, ids):
        yield edge.head, edge.relation, edge.tail, edge.weight
        if edge.source is not None and edge.source not in (edge.head, edge.tail):
            yield edge.source, "mentions", edge.head, 1.0
            yield edge.source, "mentions", edge.tail, 1.0


def _made(room: Room, ids: Sequence[str]) -> Iterator[Arrow]:
    marks = ",".join("?" * len(ids))
    sql = (
        f"SELECT derivation.record, derivation.source FROM derivation JOIN record ON record.id = derivation.record "
        f"JOIN record AS origin ON origin.id = derivation.source WHERE record.space = ? AND origin.space = ? "
        f"AND (derivation.record IN ({marks}) OR derivation.source IN ({marks}))"
    )
    for made, source in room.store.read(sql, [room.space, room.space, *ids, *ids]):
        yield made, "derived from", source, 1.0


def _beside(room: Room, ids: Sequence[str]) -> Iterator[Arrow]:
    """Who stands before and after each in its episode."""
    for id in ids:
        found = room.store.find(id, room.space)
        if found is None or found[1].episode is None:
            continue
        n, record = found
        sql = "SELECT id FROM record WHERE space = ? AND episode = ? AND n {} ? ORDER BY n {} LIMIT 1"
        before = room.store.read(sql.format("<", "DESC"), (room.space, record.episode, n))
        after = room.store.read(sql.format(">", "ASC"), (room.space, record.episode, n))
        yield from ((each[0], "before", id, 1.0) for each in before)
        yield from ((id, "before", each[0], 1.0) for each in after)


def _edges(room: Room, ids: Sequence[str]) -> list[Edge]:
    marks = ",".join("?" * len(ids))
    rows = room.store.read(
        f"SELECT head, relation, tail, weight, source FROM edge WHERE space = ? AND (head IN ({marks}) "
        f"OR tail IN ({marks}) OR source IN ({marks})) ORDER BY n", [room.space, *ids, *ids, *ids],
    )  # fmt: skip
    return [Edge(*each) for each in rows]


def _nodes(room: Room, ids: Sequence[str]) -> list[dict[str, Any]]:
    known: dict[str, Sequence[Any]] = {}
    for start in range(0, len(ids), _AT_ONCE):
        part = ids[start : start + _AT_ONCE]
        marks = ",".join("?" * len(part))
        sql = f"SELECT id, text, kind, time, stale FROM record WHERE space = ? AND id IN ({marks})"
        known.update({each[0]: each for each in room.store.read(sql, [room.space, *part])})
    return [_node(id, known.get(id)) for id in ids]


def _node(id: str, found: Sequence[Any] | None) -> dict[str, Any]:
    if found is None:
        return {"id": id, "type": "phrase", "text": id, "kind": None, "time": None, "stale": None}
    _, text, kind, time, stale = found
    return {"id": id, "type": "record", "text": text[:_BEGINNING], "kind": kind, "time": time, "stale": stale}
