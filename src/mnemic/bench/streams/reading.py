"""A prompt of mnemic.store.evo_memory, read back: what a model that is shown it can know."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_ENTRY = re.compile(r"^\[\d+\] > ", re.MULTILINE)
_SHOWN = ("Relevant experiences", "Earlier tasks")


@dataclass(frozen=True)
class Example:
    """An experience as it is shown: its goal, the commands, and what is said of its correctness."""

    goal: str
    actions: tuple[str, ...]
    success: bool
    answer: str = ""


@dataclass(frozen=True)
class Page:
    """A prompt.

    goal       of the task, or the question
    first      what was seen at the start
    moves      (command, what was seen) so far
    notes      thoughts and notes of this step
    may_prune  True when the format offers it
    """

    instructions: str
    examples: tuple[Example, ...]
    goal: str
    first: str
    moves: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    may_prune: bool


def read(text: str) -> Page:
    """The page of a user's message."""
    parts = dict(_section(part) for part in re.split(r"(?:\A|\n\n)# ", text) if part)
    goal = parts.get("Current goal", parts.get("Question", ""))
    shown = next((parts[name] for name in _SHOWN if name in parts), "")
    first, moves = _history(parts.get("Recent history", ""))
    return Page(
        parts.get("Instructions", ""), examples(shown), _quoted(goal), first, moves,
        tuple(line[2:] for line in parts.get("Notes of this step", "").splitlines()),
        "\nPrune:" in parts.get("Output format", ""),
    )  # fmt: skip


@lru_cache(maxsize=1024)
def examples(section: str) -> tuple[Example, ...]:
    """The entries of a section of experiences."""
    return tuple(_example(entry) for entry in _ENTRY.split(section)[1:])


def _section(part: str) -> tuple[str, str]:
    heading, _, body = part.partition("\n")
    return heading, body


def _example(entry: str) -> Example:
    lines = [line.removeprefix("> ") for line in entry.splitlines()]
    said = [line.partition(": ")[::2] for line in lines]
    goal = next((value for name, value in said if name in ("Goal", "Question")), "")
    return Example(
        goal,
        tuple(value for name, value in said if name == "Action"),
        ("Correctness", "success") in said,
        next((value for name, value in said if name == "Answer"), ""),
    )


def _quoted(text: str) -> str:
    return " ".join(line[2:] for line in text.splitlines() if line.startswith("> "))


def _history(text: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    first, moves, action = "", [], ""
    for piece in re.split(r"\n(?=Action: |Observation:\n)", text):
        if piece.startswith("Action: "):
            action = piece[len("Action: ") :]
        elif action:
            moves.append((action, _quoted(piece)))
        else:
            first = _quoted(piece)
    return first, tuple(moves)
