"""Which records a call is about: kind, time, source, speaker, metadata.

Filter.of({"kind": "fact", "time": ("2023-05", "2023-06")}) reads the mapping that people write.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from mnemic.errors import InputError
from mnemic.moment import Time, moment, shown

Span = tuple[float, float]


@dataclass(frozen=True)
class Filter:
    """All conditions must hold; an empty filter lets everything through.

    ids       these records only
    kind      one of these kinds
    source    one of these sources; * and ? match as in file names
    speaker   one of these speakers, in any case
    episode   one of these episodes
    time      when it was true: overlaps start <= t < end (seconds since 1970); records without a time fail
    written   when it was written, likewise
    stale     False leaves out what can no longer be trusted, None does not care
    current   True leaves out what has ended (until is set)
    metadata  key -> value that must be equal
    """

    ids: tuple[str, ...] = ()
    kind: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    speaker: tuple[str, ...] = ()
    episode: tuple[str, ...] = ()
    time: Span | None = None
    written: Span | None = None
    stale: bool | None = None
    current: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, where: Filter | Mapping[str, Any] | None, *, time: Any = None) -> Filter:
        """Read what a person wrote; `time` is the shorthand that recall takes.

        {"kind": "fact"}, {"source": "notes/*"}, {"speaker": ["Ana", "Ben"]}, {"id": "..."},
        {"time": "2023-05"} or {"time": ("2023-05", "2023-07-10")} (both ends included), {"written": ...},
        {"stale": False}, {"current": True}, {"metadata": {"project": "x"}}.
        Raises InputError for a word it does not know.
        """
        if isinstance(where, Filter):
            if time is None:
                return where
            return Filter(**{**where.__dict__, "time": span(time)})
        if where is not None and not isinstance(where, Mapping):
            raise InputError(f'a filter is a mapping like {{"kind": "fact"}}, got {shown(where)}.')
        given = dict(where or {})
        if time is not None:
            given["time"] = time
        fields: dict[str, Any] = {}
        for word, value in given.items():
            if word in ("id", "ids"):
                fields["ids"] = _words(value)
            elif word in ("kind", "source", "speaker", "episode"):
                fields[word] = _words(value)
            elif word in ("time", "written"):
                fields[word] = span(value)
            elif word == "metadata":
                fields[word] = _plain(value)
            elif word in ("stale", "current") and (isinstance(value, bool) or value is None):
                fields[word] = value
            else:
                raise InputError(
                    f"cannot filter by {shown(word)}={shown(value)}: use id, kind, source, speaker, episode, time, "
                    "written, stale (true/false), current (true/false) or metadata (a mapping)."
                )
        return cls(**fields)

    @property
    def open(self) -> bool:
        """True when nothing is left out."""
        return self == Filter()


def span(value: Any) -> Span:
    """A time or a (from, to) pair with both ends included; either end may be None for open."""
    if isinstance(value, list | tuple):
        if len(value) != 2:
            raise InputError(f"a time range has two ends, got {len(value)}: write (from, to).")
        first, last = value
        start = float("-inf") if first is None else moment(first).start
        end = float("inf") if last is None else moment(last).end
    else:
        at = moment(value)
        start, end = at.start, at.end
    if start >= end:
        raise InputError(f"the time range {shown(value)} ends before it starts.")
    return start, end


def _words(value: Any) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, Sequence | Set) or not all(isinstance(item, str) for item in items):
        raise InputError(f"expected text or a list of texts, got {shown(value)}.")
    _encode("".join(items))
    return tuple(items)


def _plain(metadata: Any) -> dict[str, Any]:
    """The values that metadata must have, as JSON can say them."""
    if not isinstance(metadata, Mapping):
        raise InputError(f"metadata is filtered by a mapping of keys to values, got {shown(metadata)}.")
    try:
        told = json.dumps(dict(metadata), ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"metadata is filtered by values that JSON can hold ({error}).") from None
    _encode(told)
    kept: dict[str, Any] = json.loads(told)
    return kept


def _encode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError("a filter holds half a character (a lone surrogate), as no record does: clean it.") from None


__all__ = ["Filter", "Span", "Time", "span"]
