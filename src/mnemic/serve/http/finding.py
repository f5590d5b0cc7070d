"""Recall and ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Query, Request
from fastapi.responses import Response

from mnemic.ask import streamed as in_pieces
from mnemic.filter import Filter
from mnemic.limits import asked
from mnemic.meter import Budget, Used
from mnemic.record import Answer, Hit
from mnemic.serve.http import shapes
from mnemic.serve.http.events import MEDIA, Event, pieces_of, streamed
from mnemic.serve.http.filters import AsOf, Where, as_of
from mnemic.serve.http.routes import Space, problems, stream
from mnemic.serve.http.serving import answer, asking, dumps, reading, serving
from mnemic.serve.http.stored import row
from mnemic.serve.rooms import Room
from mnemic.snapshot import Snapshot

router = APIRouter(prefix="/v1/spaces/{space}", tags=["find"])

_COPYING = 600.0  # seconds that a first search of an earlier moment may take


@router.get("/recall", response_model=shapes.Hits, summary="Recall", responses=problems())
async def recall(request: Request, space: Space, where: Where,
                 q: Annotated[str, Query(description="a question, or words", examples=["Where does Ana live?"])],
                 k: Annotated[int, Query(ge=1, le=1000, description="how many at most")] = 10,
                 time: Annotated[str | None, Query(description="only what was true then; FROM..TO for a range")] = None,
                 moment: Annotated[AsOf, Query(alias="as_of")] = None) -> Response:  # fmt: skip
    """The records that fit best: each with its score, what the score is made of, and the passage that matched.

    With `as_of` the first search of a moment makes a copy of the memory as it was: of a large one this takes a while.
    """
    here, session = serving(request), asking(request)
    chosen = Filter.of(where, time=_range(time)) if time is not None else where

    def found(memory: Room | Snapshot) -> bytes:
        return dumps({"items": [hit_row(hit) for hit in memory.recall(q, k=k, where=chosen)]})

    def then(when: str) -> bytes:
        return found(here.moments.searchable(here.pool.enter(session, space), as_of(when)))

    if moment is None:
        told = await reading(request, space, found)
    else:
        told = await here.work(lambda: then(moment), here.large, seconds=_COPYING)
    return Response(told, media_type="application/json")


@router.post("/ask", response_model=shapes.Answer, summary="Ask", responses={
    **problems(502), 200: stream("the answer")
})  # fmt: skip
async def ask(request: Request, space: Space, given: Annotated[shapes.Question, Body()],
              accept: Annotated[str, Header(description="text/event-stream for a stream")] = ""
              ) -> Response:  # fmt: skip
    """An answer with citations; without a language model the passages that fit best.

    As a stream: `recalled` with the hits as soon as they are found, `text` with pieces of the answer as the model says
    them, `done` with all of it, checked: what no memory stands behind is answered there as not known, whatever was
    said before. Going away stops the model. Nothing is written into the memory.
    """
    here, session = serving(request), asking(request)
    where, budget = Filter.of(given.where), Budget.of(given.budget)
    asked(given.question)

    def entered() -> Room:
        return here.pool.enter(session, space)

    def whole() -> Answer:
        return entered().ask(given.question, k=given.k, where=where, budget=budget)

    if MEDIA not in accept:
        return answer(answer_row(await here.work(whole, here.slow)))
    room = await here.work(entered, here.quick)

    def steps() -> Iterator[Event]:
        yield "recalled", {"items": [hit_row(hit) for hit in room.recall(given.question, k=given.k, where=where)]}
        said = in_pieces(given.question, room, room.lm, k=given.k, where=where, budget=budget)
        found = yield from pieces_of(said, lambda piece: ("text", {"text": piece}))
        yield "done", answer_row(found)

    return streamed(steps, here.slow)


def hit_row(hit: Hit) -> dict[str, Any]:
    return {"record": row(hit.record), "score": hit.score, "parts": dict(hit.parts), "passage": hit.passage,
            "span": list(hit.span)}  # fmt: skip


def answer_row(found: Answer) -> dict[str, Any]:
    return {"text": found.text, "known": found.known, "citations": [hit_row(hit) for hit in found.citations],
            "used": used_row(found.used), "model": found.model}  # fmt: skip


def used_row(used: Used) -> dict[str, Any]:
    return asdict(used)


def _range(text: str) -> str | tuple[str | None, str | None]:
    first, dots, last = text.partition("..")
    return (first or None, last or None) if dots else text
