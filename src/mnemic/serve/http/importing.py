"""Much at once: lines of JSON, whole files, an export of another memory; and the way out again.

What is told as remembered is on disk: a stopped import has kept what its last event says, and can be sent again.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePath
from typing import IO, Annotated, Any

import anyio
from fastapi import APIRouter, File, Request, UploadFile
from fastapi.responses import Response, StreamingResponse
from starlette.background import BackgroundTask

from mnemic.files import Bad, read
from mnemic.record import Chunk, Outcome
from mnemic.serve.http import shapes
from mnemic.serve.http.events import Event, streamed
from mnemic.serve.http.problems import Problem
from mnemic.serve.http.routes import Space, problems, stream
from mnemic.serve.http.serving import Serving, answer, asking, serving
from mnemic.serve.rooms import Room

router = APIRouter(prefix="/v1/spaces/{space}", tags=["import"])

_BATCH = 256  # texts of one transaction
_CHARACTERS = 200_000  # of one batch
_IN_RAM = 4_000_000  # bytes of a body; beyond, it waits in a file without a name
_REASONS = 1000  # refusals that are told one by one; all are counted
_PIECE = 1 << 16
_LONGEST = 200  # bytes of a file's name: most file systems take 255

_EXAMPLE = '{"text": "Ana moved to Porto."}\n{"text": "Ben plays chess."}\n'
_NDJSON = {"application/x-ndjson": {"schema": {"type": "string"}, "example": _EXAMPLE}}
_LINES = {"requestBody": {"required": True, "content": _NDJSON}}


@router.post("/records/bulk", response_class=Response, summary="Remember many texts, with progress",
             openapi_extra=_LINES, responses={**problems(), 200: stream(
                 "`progress` after each batch that is on disk, `done` with the counts, or `problem`")})  # fmt: skip
async def bulk(request: Request, space: Space) -> Response:
    """A JSON object a line, with the fields of a record, or a text in quotes. Each batch is one transaction."""
    here, session = serving(request), asking(request)
    room = await here.work(lambda: here.pool.enter(session, space, "write"), here.changing)
    body: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_RAM)  # noqa: SIM115 - the stream closes it
    try:
        size = await _taken(request, body)
        if not size:
            raise Problem(422, "the body is empty: send a JSON object a line.")
    except BaseException:
        body.close()
        raise

    def steps() -> Iterator[Event]:
        with body:
            body.seek(0)
            yield from _Import(here, room, size).run(_lines(body))

    return streamed(steps, here.slow)


@router.post("/files", response_class=Response, summary="Remember files, with progress", responses={
    **problems(), 200: stream("`progress` after each batch that is on disk, `done` with the counts, or `problem`")
})  # fmt: skip
async def files(request: Request, space: Space,
                file: Annotated[list[UploadFile], File(description="text, chat exports, PDF, Word, mail, ...")]
                ) -> Response:  # fmt: skip
    """Each file is read as `mnemic add` reads it; its name becomes the source of its records."""
    here, session = serving(request), asking(request)
    room = await here.work(lambda: here.pool.enter(session, space, "write"), here.changing)
    folder = tempfile.TemporaryDirectory(prefix="mnemic-")
    paths: list[tuple[str, Path]] = []
    try:
        for number, each in enumerate(file):
            name = _name(each.filename)
            path = Path(folder.name) / str(number) / _on_disk(name)
            path.parent.mkdir()
            async with await anyio.open_file(path, "wb") as copy:
                while piece := await each.read(_PIECE):
                    await copy.write(piece)
            paths.append((name, path))
    except BaseException:
        folder.cleanup()
        raise

    def steps() -> Iterator[Event]:
        with folder:
            size = sum(path.stat().st_size for _, path in paths)
            yield from _Import(here, room, size).run(_of_files(paths))

    return streamed(steps, here.slow)


@router.get("/export", response_class=StreamingResponse, summary="Export the space", responses={
    **problems(), 200: {"description": "lines of JSON, as `mnemic export` writes them",
                        "content": {"application/x-ndjson": {"schema": {"type": "string"}}}}})  # fmt: skip
async def export(request: Request, space: Space) -> Response:
    """Records, log, links and ledger, lossless: `mnemic load` and POST .../load read it."""
    here, session = serving(request), asking(request)
    folder = tempfile.TemporaryDirectory(prefix="mnemic-")
    path = Path(folder.name) / "space.jsonl"
    try:
        await here.work(lambda: here.pool.enter(session, space).export(path), here.slow, seconds=3600)
    except BaseException:
        folder.cleanup()
        raise
    return StreamingResponse(_pieces(path), media_type="application/x-ndjson",
                             background=BackgroundTask(folder.cleanup))  # fmt: skip


@router.post("/load", response_model=shapes.Outcomes, summary="Load an export", openapi_extra={
    "requestBody": {"required": True, "content": {"application/x-ndjson": {"schema": {"type": "string"}}}}},
    responses=problems(409))  # fmt: skip
async def load(request: Request, space: Space) -> Response:
    """Into an empty space with its log, into another as new records. It is checked before anything is written."""
    here, session = serving(request), asking(request)
    with tempfile.TemporaryDirectory(prefix="mnemic-") as folder:
        path = Path(folder) / "export.jsonl"
        with open(path, "wb") as body:
            await _taken(request, body)

        def act() -> list[dict[str, Any]]:
            outcomes = here.pool.enter(session, space, "write").load(path)
            return [_told(outcome) for outcome in outcomes]

        return answer({"items": await here.work(act, here.slow, seconds=3600)})


async def _taken(request: Request, file: IO[bytes]) -> int:
    size = 0
    async for piece in request.stream():
        file.write(piece)
        size += len(piece)
    return size


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    async with await anyio.open_file(path, "rb") as file:
        while piece := await file.read(_PIECE):
            yield piece


def _name(given: str | None) -> str:
    """A file name as a source: its last part, without what no name has."""
    name = PurePath((given or "").replace("\\", "/")).name
    shown = "".join(c for c in name if c.isprintable() and c not in "\x00/")[:200].strip()
    if not shown or shown in (".", ".."):
        raise Problem(422, "a file has no name: give each part of the form a file name, its ending tells what it is.")
    return shown


def _on_disk(name: str) -> str:
    """A name that every file system takes; its ending says how the file is read."""
    if len(name.encode()) <= _LONGEST:
        return name
    ending = PurePath(name).suffix
    return f"file{ending}" if len(ending.encode()) <= _LONGEST else "file"


Given = tuple[str, Chunk | dict[str, Any] | str | Bad, int]  # where it stands, what it is, bytes up to there


def _lines(body: IO[bytes]) -> Iterator[Given]:
    done = 0
    for number, line in enumerate(body, 1):
        done += len(line)
        where = f"line {number}"
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except (ValueError, RecursionError) as error:
            item = Bad("the body", where, f"is no JSON: {error}.")
        if not isinstance(item, dict | str | Bad):
            item = Bad("the body", where, "is neither an object nor a text.")
        yield where, item, done


def _of_files(paths: Sequence[tuple[str, Path]]) -> Iterator[Given]:
    before = 0
    for name, path in paths:
        reached = [0]

        def progress(done: int, reached: list[int] = reached) -> None:
            reached[0] = done

        for item in read(path, source=name, progress=progress):
            yield f"{name} {item.place or ''}".strip(), item, before + reached[0]
        before += path.stat().st_size


class _Import:
    """One import: batch after batch, each told once it is on disk."""

    def __init__(self, here: Serving, room: Room, size: int) -> None:
        self.here, self.room, self.size = here, room, size
        self.counts: Counter[str] = Counter()
        self.reasons: list[dict[str, str]] = []
        self.done = 0

    def run(self, given: Iterator[Given]) -> Iterator[Event]:
        while batch := self._batch(given):
            self._keep(batch)
            yield "progress", self._state()
            if self.here.stopping.is_set():
                yield "done", {**self._state(), "stopped": True, "reasons": self.reasons}
                return
        self.done = self.size
        yield "done", {**self._state(), "stopped": False, "reasons": self.reasons}

    def _batch(self, given: Iterator[Given]) -> list[Given]:
        batch: list[Given] = []
        characters = 0
        for each in islice(given, _BATCH):
            batch.append(each)
            characters += len(str(each[1]))
            if characters > _CHARACTERS:
                break
        return batch

    def _keep(self, batch: Sequence[Given]) -> None:
        items: list[tuple[str, Any]] = [(where, item) for where, item, _ in batch if not isinstance(item, Bad)]
        outcomes = self.room.add_many([item for _, item in items], why="add") if items else []
        for (where, _), outcome in zip(items, outcomes, strict=True):
            self.counts[outcome.state] += 1
            if outcome.state == "refused":
                self._refuse(where, outcome.reason)
        for where, item, _ in batch:
            if isinstance(item, Bad) and not item.kept:
                self.counts["refused"] += 1
                self._refuse(where, item.reason)
        for state, many in Counter(outcome.state for outcome in outcomes).items():
            self.here.metrics.remembered(state, many)
        self.done = batch[-1][2]

    def _refuse(self, where: str, reason: str) -> None:
        if len(self.reasons) < _REASONS:
            self.reasons.append({"where": where, "reason": reason})

    def _state(self) -> dict[str, Any]:
        return {**{state: self.counts[state] for state in ("added", "unchanged", "updated", "refused")},
                "done": self.done, "size": self.size}  # fmt: skip


def _told(outcome: Outcome) -> dict[str, Any]:
    return {"state": outcome.state, "id": outcome.record.id if outcome.record else None, "record": None,
            "reason": outcome.reason, "outcomes": []}  # fmt: skip
