"""Server-sent events: what a thread does step by step, told as it is done."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import closing
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi.responses import StreamingResponse

from mnemic.errors import MnemicError
from mnemic.serve.http.problems import BUG, Problem, of, problem
from mnemic.serve.http.serving import dumps

Result = TypeVar("Result")
Event = tuple[str, Any]  # its name, its data
MEDIA = "text/event-stream"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # a proxy must not keep events back


_log = logging.getLogger("mnemic.serve")


def streamed(steps: Callable[[], Iterator[Event]], limiter: CapacityLimiter,
             written: Callable[[Event], bytes] | None = None) -> StreamingResponse:  # fmt: skip
    """Each step runs in a thread; an error becomes a last event, "problem", since the status is sent already.

    When the client has gone away the step that runs is finished, and the iterator is closed.
    """
    return StreamingResponse(_told(steps, limiter, written or event), media_type=MEDIA, headers=_HEADERS)


def event(each: Event) -> bytes:
    return b"event: " + each[0].encode() + b"\ndata: " + dumps(each[1]) + b"\n\n"


def pieces_of(said: Generator[str, None, Result], as_event: Callable[[str], Event]) -> Generator[Event, None, Result]:
    """Pieces of text as events; returns what the generator returns."""
    with closing(said):
        while True:
            try:
                piece = next(said)
            except StopIteration as end:
                result: Result = end.value
                return result
            yield as_event(piece)


def begun(steps: Iterator[Event]) -> Iterator[Event]:
    """The same steps, the first of them done: what goes wrong before anything was said has its own status."""
    return _go_on(next(steps, None), steps)


def _go_on(first: Event | None, steps: Iterator[Event]) -> Iterator[Event]:
    if first is not None:
        yield first
        yield from steps


async def _told(steps: Callable[[], Iterator[Event]], limiter: CapacityLimiter,
                written: Callable[[Event], bytes]) -> AsyncIterator[bytes]:  # fmt: skip
    running: Iterator[Event] = iter(())
    try:
        running = await to_thread.run_sync(steps, limiter=limiter)
        while (each := await to_thread.run_sync(_step, running, limiter=limiter)) is not None:
            yield written(each)
    except (MnemicError, Problem) as error:
        yield written(("problem", json.loads(bytes(of(error, openai=True).body))))
    except Exception as error:
        _log.error("a stream broke off", exc_info=error)
        told = problem(500, BUG.format(type(error).__name__), openai=True)
        yield written(("problem", json.loads(bytes(told.body))))
    finally:
        close = getattr(running, "close", None)
        if close is not None:
            close()


def _step(running: Iterator[Event]) -> Event | None:
    return next(running, None)
