"""Server-sent events: what a thread does step by step, told as it is done."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi.responses import StreamingResponse

from mnemic.errors import MnemicError
from mnemic.serve.http.problems import Problem, of
from mnemic.serve.http.serving import dumps

Event = tuple[str, Any]  # its name, its data
MEDIA = "text/event-stream"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # a proxy must not keep events back


def streamed(steps: Callable[[], Iterator[Event]], limiter: CapacityLimiter,
             written: Callable[[Event], bytes] | None = None) -> StreamingResponse:  # fmt: skip
    """Each step runs in a thread; an error becomes a last event, "problem", since the status is sent already."""
    return StreamingResponse(_told(steps, limiter, written or event), media_type=MEDIA, headers=_HEADERS)


def event(each: Event) -> bytes:
    return b"event: " + each[0].encode() + b"\ndata: " + dumps(each[1]) + b"\n\n"


async def _told(steps: Callable[[], Iterator[Event]], limiter: CapacityLimiter,
                written: Callable[[Event], bytes]) -> AsyncIterator[bytes]:  # fmt: skip
    running: Iterator[Event] = iter(())
    try:
        running = await to_thread.run_sync(steps, limiter=limiter)
        while (each := await to_thread.run_sync(_step, running, limiter=limiter)) is not None:
            yield written(each)
    except (MnemicError, Problem) as error:
        response = of(error)
        yield b"event: problem\ndata: " + bytes(response.body) + b"\n\n"
    finally:
        close = getattr(running, "close", None)
        if close is not None:
            close()


def _step(running: Iterator[Event]) -> Event | None:
    return next(running, None)
