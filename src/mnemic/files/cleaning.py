"""Text as a memory can keep it: no control characters, no half surrogates, else as it was written."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mnemic.record import Chunk

_BREAK = re.compile("\r\n?|[\x0b\x0c\x85]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff]")
_ANY = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\ud800-\udfff]")


def clean(text: str) -> str:
    if not _ANY.search(text):  # nearly always
        return text.strip()
    # JSON can say half a character; UTF-8, and so the memory file, cannot
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _CONTROL.sub("", _BREAK.sub("\n", text)).strip()


def clean_chunk(chunk: Chunk) -> Chunk:
    return replace(
        chunk,
        text=clean(chunk.text),
        place=_label(chunk.place),
        episode=_label(chunk.episode),
        speaker=_label(chunk.speaker),
        metadata=_cleaned(chunk.metadata),
    )


def _label(text: str | None) -> str | None:
    return " ".join(clean(text).split()) or None if text is not None else None


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(key)): _cleaned(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no word for it
    return value
