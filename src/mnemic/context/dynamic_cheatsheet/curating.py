"""The curator's turn: it is shown the old memory and what came since, and writes the whole memory anew.

What it wrote takes the place of the old memory, or does not: the reason stands in the Curation, never in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mnemic.context.dynamic_cheatsheet.coding import Ask
from mnemic.context.dynamic_cheatsheet.parsing import last_block
from mnemic.context.dynamic_cheatsheet.prompts import EMPTY, SHORTER
from mnemic.lm.exchange import Message


@dataclass(frozen=True)
class Curation:
    """What became of one rewriting.

    state     replaced; unchanged (the same text again); kept (the old memory stays, for the reason given)
    reason    why it was kept; empty otherwise
    shrunk    the new text has so few of the old one's words that something was probably lost
    words     of the memory before, and of what the curator proposed (0 when it proposed nothing)
    prompt, reply   what was asked and what was said, whole
    """

    state: Literal["replaced", "unchanged", "kept"]
    memory: str
    reason: str = ""
    shrunk: bool = False
    words: tuple[int, int] = (0, 0)
    prompt: str = ""
    reply: str = ""


@dataclass(frozen=True)
class Limits:
    """What a new memory must keep to.

    room     tokens
    shrink   share of the old memory's words below which a new one counts as shrunk
    refuse   True: a shrunk one does not replace the old
    """

    room: int
    shrink: float
    refuse: bool


def curated(ask: Ask, count: Callable[[str], int], prompt: str, old: str, limits: Limits) -> Curation:
    """Ask for a new memory; one that is too long may be written once more, shorter."""
    history: list[Message] = [{"role": "user", "content": prompt}]
    reply = ask(history)
    new, why = last_block(reply)
    if new is not None and count(new) > limits.room:
        again = SHORTER.format(tokens=count(new), room=limits.room)
        reply = ask([*history, {"role": "assistant", "content": reply}, {"role": "user", "content": again}])
        new, why = last_block(reply)
    if new is None:
        return Curation("kept", old, why, prompt=prompt, reply=reply, words=(words(old), 0))
    return judged(old, new, count(new), limits, prompt, reply)


def judged(old: str, new: str, tokens: int, limits: Limits, prompt: str, reply: str) -> Curation:
    """Does a proposed memory replace the old one?"""
    sizes = (words(old), words(new))
    shrunk = sizes[1] < limits.shrink * sizes[0]
    reason = ""
    if tokens > limits.room:
        reason = f"the new one takes {tokens} tokens, {limits.room} is the most"
    elif shrunk and limits.refuse:
        reason = f"the new one has {sizes[1]} words, the old one {sizes[0]}"
    elif new == old:
        return Curation("unchanged", old, words=sizes, prompt=prompt, reply=reply)
    if reason:
        return Curation("kept", old, reason, shrunk, sizes, prompt, reply)
    return Curation("replaced", new, "", shrunk, sizes, prompt, reply)


def words(memory: str) -> int:
    """Words of a memory; the empty one has none."""
    return 0 if memory == EMPTY else len(memory.split())
