"""What a client may load by itself: a record as a resource, and prompts a person can pick."""

from __future__ import annotations

from typing import Annotated

from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError, ToolError
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS
from pydantic import Field

from mnemic.errors import NotFound
from mnemic.quote import neutral
from mnemic.serve.mcp import telling
from mnemic.serve.mcp.desk import Asking, Desk, MemoryServer, caller_of
from mnemic.serve.rooms import Room

_HITS = 30
_TOKENS = 3000  # of memories in a prompt

KEEPING = (
    "Go through our conversation and keep what will matter in later ones: facts about me and my projects, "
    "preferences, decisions with their reasons, dates, open tasks. For each of them first call recall; when it is "
    "known already, do nothing; when it is known differently, call update on its id; else call remember, one fact a "
    "call, in full sentences with names. Leave out small talk, secrets and what you only know from the memory itself. "
    "Then list in one line each what you kept."
)


def add_resources(server: MemoryServer, desk: Desk) -> None:
    @server.resource("mnemic://record/{id}", name="record", title="A record of the memory", mime_type="text/plain",
                     description="One record with its date, source, what it was derived from and what it replaced. "
                     "Ids come from recall and list.")  # fmt: skip
    async def record(id: str, ctx: Asking) -> str:
        def act(room: Room) -> str:
            first, *earlier = room.lineage(id)
            desk.given.note(caller_of(room), [first.text])
            return telling.whole(first, earlier)

        try:
            return await desk.read(ctx, act)
        except ToolError as error:
            kind = ResourceNotFoundError if isinstance(error.__cause__, NotFound) else ResourceError
            raise kind(str(error)) from error


def add_prompts(server: MemoryServer, desk: Desk) -> None:
    @server.prompt("load_memories", title="Load what I know",
                   description="Load what the memory holds about a topic into the conversation.")  # fmt: skip
    async def load_memories(
        ctx: Asking, topic: Annotated[str, Field(description="A name, a project, a question.")]
    ) -> str:
        def act(room: Room) -> str:
            told, shown = telling.found(room.recall(topic, k=_HITS), _TOKENS)
            desk.given.note(caller_of(room), [hit.record.text for hit in shown])
            return told

        try:
            told = await desk.read(ctx, act)
        except ToolError as error:
            raise MCPError(INVALID_PARAMS, str(error)) from error
        about = " ".join(neutral(topic).split())
        return f'What my memory holds about "{about}", as background for what we do next:\n\n{told}'

    @server.prompt("keep_conversation", title="Remember this conversation",
                   description="Store what will matter later from this conversation.")  # fmt: skip
    def keep_conversation() -> str:
        return KEEPING
