"""A filter as SQL over `record`, as far as SQLite and PostgreSQL say it in the same words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mnemic.filter import Filter


def conditions(where: Filter, space: str) -> tuple[list[str], list[Any]]:
    """All conditions but globs of sources and names in any case, and their parameters."""
    parts = ["record.space = ?"]
    parameters: list[Any] = [space]
    for column, words in (("id", where.ids), ("kind", where.kind), ("episode", where.episode)):
        if words:
            parts.append(f"record.{column} IN ({marks(words)})")
            parameters += words
    for span, begins, ends in ((where.time, "begins", "ends"), (where.written, "written_s", "written_s + 1e-6")):
        if span is not None:
            parts.append(f"record.{begins} < ? AND ({ends} IS NULL OR {ends} > ?)")
            parameters += [span[1], span[0]]
    if where.stale is not None:
        parts.append("record.stale IS NOT NULL" if where.stale else "record.stale IS NULL")
    if where.current:
        parts.append("record.until IS NULL")
    if where.metadata:
        parts.append("holds(record.metadata, ?)")
        parameters.append(json.dumps(dict(where.metadata)))
    return parts, parameters


def holds(metadata: str | None, wanted: str) -> bool:
    """The function of SQL: true when every wanted key stands in the metadata with an equal value."""
    have = json.loads(metadata) if metadata else {}
    return all(key in have and have[key] == value for key, value in json.loads(wanted).items())


def marks(values: Sequence[Any]) -> str:
    """A `?` for each value."""
    return ",".join("?" * len(values))
