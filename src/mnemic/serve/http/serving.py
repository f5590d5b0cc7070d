"""What the routes share: the pool, threads to work in, and answers as JSON."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any, TypeVar

import anyio
from anyio import CapacityLimiter, to_thread
from fastapi import Request
from fastapi.responses import Response

from mnemic.errors import Conflict
from mnemic.serve.access import Session
from mnemic.serve.http.cursors import Cursors
from mnemic.serve.http.kept import Kept
from mnemic.serve.http.metrics import Metrics
from mnemic.serve.http.moments import Moments
from mnemic.serve.http.once import Once
from mnemic.serve.http.problems import Problem
from mnemic.serve.pool import Need, Pool
from mnemic.serve.rooms import Room
from mnemic.serve.settings import Settings

Result = TypeVar("Result")
_AUDITS = 8  # reports that are kept until their space changes
_LARGE = 2  # of what takes a whole memory into RAM, at once
_TRIES = 20  # of a change that others keep overtaking


class Serving:
    """One server: made with its application, opened and closed with it.

    stopping   set when the server was told to stop: streams end after what they are at
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.stopping = threading.Event()
        self.pool = Pool(settings)
        self.cursors = Cursors(self.pool)
        self.once, self.moments = Once(), Moments()
        self.audits: Kept[bytes] = Kept(_AUDITS)
        self.quick = CapacityLimiter(settings.limits.readers)
        self.changing = CapacityLimiter(settings.limits.readers)
        self.slow = CapacityLimiter(settings.limits.slow)
        self.large = CapacityLimiter(_LARGE)

    async def work(
        self, act: Callable[[], Result], limiter: CapacityLimiter, *, seconds: float | None = None
    ) -> Result:
        """Run in a thread, for as long as a request may take."""
        longest = max(seconds or 0.0, self.settings.limits.seconds)
        try:
            with anyio.fail_after(longest):
                return await to_thread.run_sync(act, limiter=limiter, abandon_on_cancel=True)
        except TimeoutError:
            raise Problem(503, f"this took longer than {longest:g} s and was not waited for; a "
                          "change may still be carried out: look at the log, or send it with an Idempotency-Key.",
                          {"Retry-After": "5"}) from None  # fmt: skip


def serving(request: Request) -> Serving:
    here: Serving = request.app.state.serving
    return here


def asking(request: Request) -> Session | None:
    """Who asks, as the guard found out; None for the person at the machine."""
    session: Session | None = request.state.session
    return session


async def reading(request: Request, space: str, act: Callable[[Room], Result], need: Need = "read") -> Result:
    """Do something that changes nothing in a space."""
    here, session = serving(request), asking(request)
    return await here.work(lambda: act(here.pool.enter(session, space, need)), here.quick)


async def changing(request: Request, space: str, act: Callable[[Room], Result], need: Need = "write") -> Result:
    """Change a space. A change that is worked out from what it reads is tried again when others were faster."""
    here, session = serving(request), asking(request)
    return await here.work(lambda: _tried(act, here.pool.enter(session, space, need)), here.changing)


def _tried(act: Callable[[Room], Result], room: Room) -> Result:
    for _ in range(_TRIES - 1):
        try:
            return act(room)
        except Conflict:
            continue
    return act(room)


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(dumps(value), status, dict(headers or {}), "application/json")


def dumps(value: Any) -> bytes:
    told = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=plain)
    return told.encode("utf-8", "replace")


def plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    return list(value)
