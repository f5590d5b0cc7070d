"""The eight tools. Names and descriptions are what a model decides by: few words, one thing each.

Every tool has one argument that it needs, at most, and defaults that fit without thinking. Results are text that says
what was done, with ids and numbers of operations to go on with; what was recalled is quoted (telling.py).
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Annotated, Any

from mcp_types import ToolAnnotations
from pydantic import Field

from mnemic.db.rows import COLUMNS, record_of
from mnemic.errors import InputError
from mnemic.filter import Filter
from mnemic.limits import checked_count
from mnemic.record import Chunk, Record
from mnemic.serve.mcp import telling
from mnemic.serve.mcp.desk import Asking, Desk, MemoryServer, caller_of, client_of
from mnemic.serve.rooms import Room

Tokens = Annotated[int, Field(ge=200, le=50_000, description="Length of the result at most, in tokens.")]
Limit = Annotated[int, Field(ge=1, le=100, description="How many at most.")]
Id = Annotated[str, Field(description="Id of the record, as recall and list show it.")]
Why = Annotated[str, Field(description="The reason, in a few words: it stands in the history.")]

_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_ADDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
_CHANGES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=False)


class Tools:
    """The tools of one desk."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def add_to(self, server: MemoryServer) -> None:
        for call, name, hints in (
            (self.remember, "remember", _ADDS), (self.recall, "recall", _READS), (self.ask, "ask", _READS),
            (self.list_, "list", _READS), (self.update, "update", _CHANGES), (self.forget, "forget", _CHANGES),
            (self.history, "history", _READS), (self.undo, "undo", _CHANGES),
        ):  # fmt: skip
            server.add_tool(call, name, description=inspect.cleandoc(call.__doc__ or ""), annotations=hints,
                            structured_output=False)  # fmt: skip

    async def remember(
        self,
        ctx: Asking,
        text: Annotated[str, Field(description="One thing to remember, in full sentences with names: it must be "
                                   "understood without this conversation.")],
        time: Annotated[str, Field(description="When it was true or happened: 2026, 2026-05, 2026-05-03, "
                                   "2026-05-03T10:00. Leave out if unknown.")] = "",
        speaker: Annotated[str, Field(description="Who said it, if it matters: a name.")] = "",
        source: Annotated[str, Field(description="Where it comes from: a file, a URL, a meeting.")] = "",
        recalled: Annotated[bool, Field(description="True if you know it from recall or ask, not from the person or "
                                        "a document.")] = False,
    ) -> str:  # fmt: skip
        """Store something for later conversations: a fact, a preference, a decision, an event.

        Saying the same again changes nothing. To correct or replace something known, use update.
        """

        def act(room: Room) -> str:
            known = recalled or self.desk.given.holds(caller_of(room), text)
            chunk = Chunk(text, time or None, source=source or None, speaker=speaker or None,
                          metadata={"recalled": True} if known else {})  # fmt: skip
            outcome = room.add_many([chunk], why=f"remember ({client_of(ctx)})")[0]
            if outcome.record is None:
                raise InputError(outcome.reason)
            id = telling.id_of(outcome.record.id)
            if outcome.state == "unchanged":
                return f"Known already as {id}: nothing was written."
            return f"Remembered as {id}{', marked as recalled' if known else ''}."

        return await self.desk.change(ctx, act)

    async def recall(
        self,
        ctx: Asking,
        query: Annotated[str, Field(description="A question or keywords, with names: Where does Ana live?")],
        limit: Limit = 8,
        time: Annotated[str, Field(description="Only what was true then: 2026-05, or 2026-05..2026-07.")] = "",
        tokens: Tokens = 1500,
    ) -> str:
        """Search the memory: the records that fit best, each with its id, date and source. Use it before you answer
        about the person, their projects, or anything said earlier."""

        def act(room: Room) -> str:
            hits = room.recall(query, k=limit, time=_range(time))
            told, shown = telling.found(hits, tokens)
            self.desk.given.note(caller_of(room), [hit.record.text for hit in shown])
            return told

        return await self.desk.read(ctx, act)

    async def ask(
        self,
        ctx: Asking,
        question: Annotated[str, Field(description="One question, in full.")],
        tokens: Tokens = 1000,
    ) -> str:
        """Answer a question from the memory alone, with citations; says so when the memory does not hold the answer.
        Use recall when you want to look at the records yourself."""

        def act(room: Room) -> str:
            answer = room.ask(question)
            said = answer.text if answer.known and answer.model else ""
            self.desk.given.note(caller_of(room), [hit.record.text for hit in answer.citations], answer=said)
            return telling.answered(answer, tokens)

        return await self.desk.ask(ctx, act)

    async def list_(
        self,
        ctx: Asking,
        kind: Annotated[str, Field(description="Only this kind: episode, fact, ...")] = "",
        source: Annotated[str, Field(description="Only from this source; * matches anything.")] = "",
        speaker: Annotated[str, Field(description="Only what this person said.")] = "",
        limit: Limit = 20,
        before: Annotated[str, Field(description="Go on behind the record with this id.")] = "",
        tokens: Tokens = 1500,
    ) -> str:
        """Browse records without a question, newest first. To find something, use recall."""

        def act(room: Room) -> str:
            given = {"kind": kind, "source": source, "speaker": speaker}
            where = Filter.of({word: value for word, value in given.items() if value})
            records = _page(room, where, limit + 1, before)
            more = len(records) > limit

            def tail(last: Record) -> str:
                there_is = more or last.id != records[-1].id
                return f'(There are more: list them with before="{telling.id_of(last.id)}".)' if there_is else ""

            told, shown = telling.listed(records[:limit], tokens, tail)
            self.desk.given.note(caller_of(room), [record.text for record in shown])
            return told

        return await self.desk.read(ctx, act)

    async def update(
        self,
        ctx: Asking,
        id: Id,
        text: Annotated[str, Field(description="The whole new text.")] = "",
        since: Annotated[str, Field(description="When things changed (2026-05-03): the old text then stays as the "
                                    "past, and the new one holds from then on. Leave out to correct a mistake.")] = "",
        ended: Annotated[str, Field(description="When it stopped being true, with nothing in its place.")] = "",
        why: Why = "",
    ) -> str:  # fmt: skip
        """Correct a record (text), replace it because things changed (text and since), or end it (ended)."""

        def act(room: Room) -> str:
            reason = _reason("update", why, ctx)
            if bool(text) == bool(ended) or (since and not text):
                raise InputError("update takes text to correct, text and since to replace, or ended alone to end.")
            if since:
                new = room.supersede(id, text, time=since, why=reason)
                said = f"{telling.id_of(id)} ended; {telling.id_of(new.id)} holds from {new.time} on."
                return f"{said} {_undoing(room, new.id, 2)} {_undoing(room, id)}"
            changed = room.update(id, why=reason, **({"text": text} if text else {"until": ended}))
            verb = "Corrected" if text else f"Ended ({changed.until})"
            return f"{verb}: {telling.id_of(changed.id)}. {_undoing(room, changed.id)}"

        return await self.desk.change(ctx, act)

    async def forget(self, ctx: Asking, id: Id, why: Why = "") -> str:
        """Let a record go, when the person wants that or it is worthless. If it only became outdated, use update.
        undo brings it back."""

        def act(room: Room) -> str:
            room.forget(id, why=_reason("forget", why, ctx))
            return f"Forgotten: {telling.id_of(id)}. {_undoing(room, id)}"

        return await self.desk.change(ctx, act)

    async def history(
        self,
        ctx: Asking,
        id: Annotated[str, Field(description="Only what happened to this record.")] = "",
        limit: Limit = 20,
        tokens: Tokens = 1500,
    ) -> str:
        """What changed the memory, newest first: number, when, by whom, why, and the text before and after."""

        def act(room: Room) -> str:
            return telling.logged(room.operations(record=id or None, newest=True, limit=limit), tokens)

        return await self.desk.read(ctx, act)

    async def undo(
        self,
        ctx: Asking,
        operation: Annotated[int, Field(description="Number of the operation, as history shows it: 12 for #12.")],
    ) -> str:
        """Take back one operation: what was forgotten comes back, a changed text is as it was."""

        def act(room: Room) -> str:
            done = room.undo(operation)
            return telling.logged(done, 1000, f"Operation #{operation} was taken back.")

        return await self.desk.change(ctx, act)


def _range(time: str) -> Any:
    """Nothing, a time, or the two ends of FROM..TO."""
    first, dots, last = time.partition("..")
    return (first.strip() or None, last.strip() or None) if dots else time.strip() or None


def _page(room: Room, where: Filter, limit: int, before: str) -> Sequence[Record]:
    checked_count("limit", limit)
    condition, parameters = room.store.condition_of(where, room.space)
    if before:
        condition, parameters = f"{condition} AND record.n < ?", [*parameters, room.store.named(before, room.space)[0]]
    sql = f"SELECT record.n, {COLUMNS} FROM record WHERE {condition} ORDER BY record.n DESC LIMIT ?"
    return [record_of(row[1:]) for row in room.store.read(sql, [*parameters, limit])]


def _reason(tool: str, why: str, ctx: Asking) -> str:
    return f"{why.strip() or tool} ({client_of(ctx)})"


def _undoing(room: Room, id: str, many: int = 1) -> str:
    """How to take back the newest operations on a record."""
    newest = room.operations(record=id, newest=True, limit=many)
    return f"{' and '.join(f'undo({each.n})' for each in newest)} takes it back." if newest else ""
