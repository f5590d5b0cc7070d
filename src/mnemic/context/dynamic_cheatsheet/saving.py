"""A cheatsheet as files: markdown for the memory, JSON lines for earlier pairs beside it.

The first line of the markdown is a comment that says how many questions were answered. A text without it is a
memory as well: one that a person wrote.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mnemic.context.dynamic_cheatsheet.retrieval import Pair
from mnemic.errors import InputError, NotFound

_HEAD = re.compile(r"<!-- dynamic_cheatsheet: (\w+), (\d+) answered -->\n\n?")


@dataclass(frozen=True)
class Saved:
    """What was read."""

    memory: str
    answered: int = 0
    variant: str = "cumulative"
    pairs: tuple[Pair, ...] = ()


def write(path: Path, memory: str, answered: int, variant: str, pairs: Sequence[Pair] | None) -> None:
    """Write both files, each whole or not at all; the pairs first: the head never counts more than there are."""
    if pairs is not None:
        rows = [json.dumps([pair.n, pair.question, pair.transcript], ensure_ascii=False) for pair in pairs]
        _whole(_beside(path), "".join(f"{row}\n" for row in rows))
    _whole(path, f"<!-- dynamic_cheatsheet: {variant}, {answered} answered -->\n\n{memory}\n")


def read(path: Path) -> Saved:
    """Read a memory; raises NotFound when there is no such file, InputError when the pairs beside it are damaged."""
    text = _text(path)
    head = _HEAD.match(text)
    if head is None:
        return Saved(text.strip())
    variant, answered = head[1], int(head[2])
    beside = _beside(path)
    pairs = _pairs(beside) if beside.is_file() else ()
    return Saved(text[head.end() :].strip(), answered, variant, tuple(pair for pair in pairs if pair.n <= answered))


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.stem}.pairs.jsonl")


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")  # line ends as the model wrote them
    except FileNotFoundError:
        raise NotFound(f"there is no cheatsheet {path}: save one first, or write one by hand.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as text: {error}.") from None


def _pairs(path: Path) -> tuple[Pair, ...]:
    # Split at \n alone: the other ends of lines may stand inside a JSON text.
    try:
        return tuple(Pair(int(n), str(q), str(t)) for n, q, t in map(json.loads, _text(path).rstrip("\n").split("\n")))
    except (ValueError, TypeError):
        raise InputError(f"{path} is damaged: restore it, or delete it and begin without earlier pairs.") from None


def _whole(path: Path, text: str) -> None:
    """A write that is killed leaves the old file."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8", newline="")
    os.replace(part, path)
