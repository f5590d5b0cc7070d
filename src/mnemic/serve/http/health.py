"""Is it up, and how does it do: for those who watch over servers."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from mnemic import __version__
from mnemic.serve.http import shapes
from mnemic.serve.http.problems import Problem
from mnemic.serve.http.routes import problems
from mnemic.serve.http.serving import answer, asking, serving
from mnemic.serve.http.sharing import owner

router = APIRouter(tags=["health"])


@router.get("/health", response_model=shapes.Health, summary="Is it up?", responses=problems())
async def health(request: Request) -> Response:
    """200 while the memory can be read, 503 when it cannot or the server is stopping. Needs no token."""
    here = serving(request)
    if here.stopping.is_set():
        raise Problem(503, "the server is stopping: ask again when it is up.", {"Retry-After": "5"})
    await here.work(lambda: here.pool.access.store.read("SELECT 1 FROM meta LIMIT 1"), here.quick)
    return answer({"status": "ok", "version": __version__})


@router.get("/metrics", response_class=PlainTextResponse, summary="Metrics for Prometheus", responses=problems())
async def metrics(request: Request) -> Response:
    """Requests, times and what was remembered, of this process. For those who may administer every space."""
    here = serving(request)
    owner(here, asking(request))
    return PlainTextResponse(here.metrics.text(), media_type="text/plain; version=0.0.4")
