"""Between the protocol and the pool: who asks, in which space, in which thread, and errors as one sentence.

The pool decides what may be done (`Pool.enter`); nothing here opens a memory in another way. A model reads the errors,
so they are the library's own sentences, without the SDK's "Error executing tool" in front.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import anyio
from anyio import CapacityLimiter, to_thread
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from pydantic import ValidationError

from mnemic.errors import Conflict, InputError, MnemicError
from mnemic.moment import shown
from mnemic.quote import visible
from mnemic.serve.access import EVERY, Session
from mnemic.serve.http.names import in_header
from mnemic.serve.mcp.given import Given
from mnemic.serve.pool import Need, Pool
from mnemic.serve.rooms import Room

Result = TypeVar("Result")
Asking = Context[Any, Any]

SPACE = "X-Mnemic-Space"
_TRIES = 20  # of a change that others keep overtaking
_NAME = 60  # characters of a client's name in the log


class Desk:
    """Takes what a client wants done to the pool.

    space   whose memory where a request names none
    given   what this process handed out
    """

    def __init__(self, pool: Pool, space: str) -> None:
        self.pool, self.space, self.given = pool, space, Given()
        limits = pool.settings.limits
        self._seconds = limits.seconds
        self._quick, self._changing = CapacityLimiter(limits.readers), CapacityLimiter(limits.readers)
        self._slow = CapacityLimiter(limits.slow)

    async def read(self, ctx: Asking, act: Callable[[Room], Result]) -> Result:
        return await self._done(ctx, act, "read", self._quick)

    async def ask(self, ctx: Asking, act: Callable[[Room], Result]) -> Result:
        """Something that takes a language model."""
        return await self._done(ctx, act, "read", self._slow)

    async def change(self, ctx: Asking, act: Callable[[Room], Result]) -> Result:
        """A change that is worked out from what it reads is tried again when others were faster."""

        def tried(room: Room) -> Result:
            for _ in range(_TRIES - 1):
                try:
                    return act(room)
                except Conflict:
                    continue
            return act(room)

        return await self._done(ctx, tried, "write", self._changing)

    async def _done(self, ctx: Asking, act: Callable[[Room], Result], need: Need, limiter: CapacityLimiter) -> Result:
        session, space = _session(ctx), _space(ctx)

        def enter() -> Result:
            return act(self.pool.enter(session, space or self._own(session), need))

        try:
            with anyio.fail_after(self._seconds):
                return await to_thread.run_sync(enter, limiter=limiter, abandon_on_cancel=True)
        except TimeoutError:
            raise ToolError(f"this took longer than {self._seconds:g} s and was not waited for; a change may still be "
                            "carried out: look at it with history before you try again.") from None  # fmt: skip
        except MnemicError as error:
            raise ToolError(str(error)) from error
        except sqlite3.DatabaseError as error:
            raise ToolError(f"the memory file cannot be used ({error}): look at it with `mnemic check`.") from error

    def _own(self, session: Session | None) -> str:
        """The space of who names none: the usual one, or the only one that they know of."""
        if session is None or session.knows(self.space):
            return self.space
        known = sorted(space for space in session.rights if space != EVERY and session.knows(space))
        if len(known) > 1:
            raise InputError(f"say whose memory in the client's configuration, as /mcp?space=NAME or with the header "
                             f"{SPACE}: {', '.join(known)}.")  # fmt: skip
        return known[0] if known else self.space


class MemoryServer(MCPServer[Any]):
    """An MCPServer whose errors are one sentence, and that refuses arguments that it does not know."""

    async def call_tool(self, name: str, arguments: dict[str, Any], context: Asking | None = None) -> Any:
        schemas = {tool.name: tool.input_schema for tool in await self.list_tools()}
        known = schemas[name]["properties"] if name in schemas else None
        # A model that says null for an argument means that it leaves it out.
        given = {argument: value for argument, value in arguments.items() if value is not None}
        for argument in given:
            if known is not None and argument not in known:
                raise ToolError(f'{name} takes no "{visible(argument)[:40]}": use {", ".join(known)}.')
        try:
            return await super().call_tool(name, given, context)
        except UnexpectedToolError:
            raise
        except ToolError as error:
            if isinstance(error.__cause__, ValidationError):
                raise ToolError(_sentence(name, error.__cause__)) from error.__cause__
            raise ToolError(str(error.__cause__ or error)) from error


def client_of(ctx: Asking) -> str:
    """Which program asks, as it calls itself; stands in the log as part of the reason."""
    parameters = ctx.request_context.session.client_params
    name = visible(parameters.client_info.name)[:_NAME].strip() if parameters else ""
    return f"MCP, {name}" if name else "MCP"


def caller_of(room: Room) -> tuple[str, str]:
    return room.who, room.space


def _session(ctx: Asking) -> Session | None:
    """Who asks: over HTTP what the guard found out, over stdio the person at the machine."""
    request = ctx.request_context.request
    return None if request is None else request.state.session  # no guard: an error, never a way in


def _space(ctx: Asking) -> str | None:
    request = ctx.request_context.request
    if request is None:
        return None
    return in_header(request.headers.get(SPACE, "")) or request.query_params.get("space")


def _sentence(name: str, error: ValidationError) -> str:
    """The first thing that is wrong with the arguments, and what to give."""
    first: Mapping[str, Any] = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "arguments"
    if first["type"] == "missing":
        return f'{name} needs "{where}": give it.'
    said = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f'"{where}" of {name} is {shown(first["input"])}: give {said}.'
