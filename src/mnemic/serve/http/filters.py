"""Which records a request is about, as parameters of its address: the same words as on the command line."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import Depends, Query

from mnemic.errors import InputError
from mnemic.filter import Filter

Words = Annotated[list[str] | None, Query()]


def _filter(
    kind: Annotated[list[str] | None, Query(description="of this kind; may be repeated", examples=["fact"])] = None,
    source: Annotated[list[str] | None, Query(description="from this source; * and ? match")] = None,
    speaker: Annotated[list[str] | None, Query(description="said by this person")] = None,
    episode: Annotated[list[str] | None, Query(description="from this session or document")] = None,
    since: Annotated[str | None, Query(description="true then or later: 2026, 2026-05, ...")] = None,
    until: Annotated[str | None, Query(description="true then or earlier")] = None,
    written: Annotated[str | None, Query(description="written then; FROM..TO for a range")] = None,
    current: Annotated[bool | None, Query(description="true leaves out what has ended")] = None,
    stale: Annotated[bool | None, Query(description="false leaves out what can no longer be trusted")] = None,
    metadata: Annotated[str | None, Query(description='a JSON object of values that must be equal: {"n": 3}')] = None,
) -> Filter:
    given: dict[str, Any] = {"kind": kind, "source": source, "speaker": speaker, "episode": episode,
                             "current": current, "stale": stale}  # fmt: skip
    if since is not None or until is not None:
        given["time"] = (since, until)
    if written is not None:
        first, dots, last = written.partition("..")
        given["written"] = (first or None, last or None) if dots else written
    if metadata is not None:
        given["metadata"] = _object(metadata)
    return Filter.of({word: value for word, value in given.items() if value is not None})


def _object(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InputError('metadata is a JSON object: write it like {"project": "garden"}.') from None


Where = Annotated[Filter, Depends(_filter)]


def as_of(text: str) -> str | int:
    """A moment of the memory: a time, or operation:17."""
    word, _, n = text.partition(":")
    if word != "operation":
        return text
    if not n.isascii() or not n.isdigit() or len(n) > 15:
        raise InputError(f'"{text[:60]}" names no operation: write it like operation:17, as the log numbers them.')
    return int(n)


AsOf = Annotated[
    str | None, Query(description="the memory as it stood: 2026-05-03, operation:17", examples=["operation:17"])
]
