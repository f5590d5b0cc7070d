"""The HTTP API: everything the Python API has, for programs in any language.

app = create_app(Settings("life.db"))        an ASGI application; `mnemic serve` runs it

Each route reads what was sent, enters a space through the pool, calls the Memory in a thread, and writes JSON. Errors
are application/problem+json. The OpenAPI document stands at /openapi.json, and for people at /docs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec
from typing import Any

from mnemic import __version__
from mnemic.errors import MissingExtra
from mnemic.serve.settings import Settings

try:
    from fastapi import FastAPI
    from starlette.middleware.cors import CORSMiddleware
except ImportError:
    raise MissingExtra("the server", "serve") from None

from mnemic.serve.http import (
    chat,
    finding,
    health,
    history,
    importing,
    linked,
    overview,
    records,
    reference,
    sharing,
)
from mnemic.serve.http.guard import Guard
from mnemic.serve.http.problems import answer_errors
from mnemic.serve.http.serving import Serving

_ROUTES = (health, overview, records, finding, history, linked, importing, chat, sharing)
# FastAPI would report requests to wherever the environment says; nothing may leave unless mnemic's own settings say so.
_SILENT: Any = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False, "auto_configure": False}
_EXPOSED = ("ETag", "Location", "Retry-After", "Idempotency-Replayed")


def create_app(settings: Settings) -> FastAPI:
    """The application of one server, with MCP at /mcp and the page at / where these parts are installed.

    It opens the memory at once, so that a wrong file is an error here and not in the first request.
    """
    here = Serving(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for part in app.state.parts:
                await stack.enter_async_context(part)
            try:
                yield
            finally:
                here.stopping.set()
                here.pool.close()

    app = FastAPI(title="mnemic", version=__version__, summary="A memory over HTTP.", lifespan=lifespan,
                  description=reference.DESCRIPTION, docs_url=None, redoc_url=None, telemetry=_SILENT)  # fmt: skip
    app.state.serving, app.state.parts = here, []
    for part in _ROUTES:
        app.include_router(part.router)
    reference.describe(app)
    answer_errors(app)
    _mount(app, here)
    app.add_middleware(Guard, serving=here)
    if settings.allow_origins:
        app.add_middleware(CORSMiddleware, allow_origins=list(settings.allow_origins), allow_methods=["*"],
                           allow_headers=["*"], expose_headers=_EXPOSED)  # fmt: skip
    return app


def _mount(app: FastAPI, here: Serving) -> None:
    """The other doors to the same pool: each has a module with `mount(app, pool)`, and may not be installed."""
    for name in ("mcp", "page"):
        if find_spec(f"mnemic.serve.{name}") is None:
            continue
        try:
            module: Any = __import__(f"mnemic.serve.{name}", fromlist=["mount"])
        except (ImportError, MissingExtra):
            continue  # its libraries are not installed: the rest works without it
        if hasattr(module, "mount"):
            module.mount(app, here.pool)
