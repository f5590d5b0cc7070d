"""What a model said, read: one operation per reply, by the marker that its line begins with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Op = Literal["think", "prune", "action", "answer"]

_LINE = re.compile(r"[\s>*#-]*(think|prune|action|answer)\b[*\s]*:[*\s]*(.*)", re.IGNORECASE)
_NUMBERS = re.compile(r"(\d{1,6})(?:\s*(?:-|–|to)\s*(\d{1,6}))?")
_NOTHING = re.compile(r"\W*(none|nothing|no)?\W*", re.IGNORECASE)


@dataclass(frozen=True)
class Said:
    """One operation.

    op      think, prune, action or answer
    arg     what stands behind the marker
    before  what was said above it (the rationale of an answer)
    """

    op: Op
    arg: str
    before: str = ""


def parse(text: str, allowed: Sequence[Op]) -> Said | None:
    """The first line that begins with a marker; None when there is none, or when its operation is not allowed.

    A model that goes on after it plays the world's part too: what follows is not read. A thought may go on over
    lines that have no marker.
    """
    before: list[str] = []
    lines = text.splitlines()
    for place, line in enumerate(lines):
        match = _LINE.fullmatch(line)
        if match is None:
            before.append(line)
            continue
        op: Op = match[1].lower()  # type: ignore[assignment]  # one of the four that the pattern names
        arg = match[2].strip()
        if op == "think":
            arg = " ".join([arg, *_unmarked(lines[place + 1 :])]).strip()
        good = op in allowed and bool(arg) and (op != "prune" or places(arg, 1_000_000) is not None)
        return Said(op, arg, _rationale(before)) if good else None
    return None


def places(arg: str, shown: int) -> tuple[int, ...] | None:
    """Places (from 1) that "1,3" or "2-4" name among so many shown, in order; others are passed over.

    "none" and nothing name no place; None is for text that names neither.
    """
    found: set[int] = set()
    for match in _NUMBERS.finditer(arg):
        low, high = sorted((int(match[1]), int(match[2] or match[1])))
        found.update(range(max(low, 1), min(high, shown) + 1))
    if not _NUMBERS.search(arg) and not _NOTHING.fullmatch(arg):
        return None
    return tuple(sorted(found))


def _unmarked(lines: Sequence[str]) -> list[str]:
    """The lines up to the next marker."""
    kept: list[str] = []
    for line in lines:
        if _LINE.fullmatch(line):
            break
        kept.append(line.strip())
    return [line for line in kept if line]


def _rationale(lines: Sequence[str]) -> str:
    said = " ".join(line.strip() for line in lines if line.strip())
    return re.sub(r"^[*\s]*rationale[*\s]*:[*\s]*", "", said, flags=re.IGNORECASE)
