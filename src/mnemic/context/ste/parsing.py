"""What a model said, read as a call or an answer; whatever cannot be read becomes a sentence that says why.

Thought: ...
Action: NAME
Action Input: {JSON}        or        Final Answer: ...
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

THOUGHT, ACTION, INPUT, OBSERVATION, ANSWER = (
    "Thought:", "Action:", "Action Input:", "Observation:", "Final Answer:",
)  # fmt: skip

Args = dict[str, Any]


@dataclass(frozen=True)
class Parsed:
    """One reply.

    finish    it is a final answer
    action    the API it calls; empty when it calls none
    error     why it could not be read: what the model is told instead of a result
    repaired  the arguments were no JSON until superfluous braces were taken away
    """

    finish: bool = False
    answer: str = ""
    thought: str = ""
    action: str = ""
    args: Args = field(default_factory=dict)
    error: str = ""
    repaired: bool = False

    @property
    def is_call(self) -> bool:
        return not self.finish and not self.error


def parse(reply: str, names: Sequence[str], *, snapped: bool = False) -> Parsed:
    """Read a reply.

    names     APIs that may be called
    snapped   a name that is none of them becomes the one most like it (for models that were trained on the names)
    """
    head, ended, answer = reply.partition(ANSWER)
    if ended and INPUT not in head:
        return Parsed(finish=True, answer=answer.strip())
    if INPUT not in head:
        return Parsed(
            error=f'There is neither a call nor an answer. Write "{ACTION}" and "{INPUT}" with a JSON object ({{}} for '
            f'no arguments), or "{ANSWER}" when you know enough. Do not write "{OBSERVATION}" yourself.'
        )
    if head.count(INPUT) > 1:
        return Parsed(error=f'There is more than one "{INPUT}": make one call at a time.')
    before, after = head.split(INPUT)
    if ACTION not in before:
        return Parsed(error=f'The API is missing: write "{ACTION}" and one of {", ".join(names)} before "{INPUT}".')
    if before.count(ACTION) > 1:
        return Parsed(error=f'There is more than one "{ACTION}": make one call at a time.')
    thought, _, action = before.partition(ACTION)
    return _call(thought.replace(THOUGHT, "").strip(), action, after, names, snapped)


def _call(thought: str, action: str, after: str, names: Sequence[str], snapped: bool) -> Parsed:
    name = bare_name(action)
    if name not in names and snapped:
        name = snap(name, names)
    if name not in names:
        return Parsed(thought=thought, error=f'There is no API "{name}" here: use exactly one of {", ".join(names)}.')
    read = arguments(after)
    if isinstance(read, str):
        return Parsed(thought=thought, error=read)
    args, repaired = read
    return Parsed(thought=thought, action=name, args=args, repaired=repaired)


def bare_name(action: str) -> str:
    """A name without what models put around it: spaces, a written-out line break, the token <tool_NAME>."""
    name = action.strip().removesuffix("\\n").strip()
    return name.removeprefix("<tool_").removesuffix(">") if name.startswith("<tool_") else name


def snap(name: str, names: Sequence[str]) -> str:
    """The known name most like this one; itself when nothing is like it."""
    return next(iter(difflib.get_close_matches(name, names, n=1, cutoff=0.001)), name)


def arguments(text: str) -> tuple[Args, bool] | str:
    """Arguments and whether they had to be repaired, or a sentence that says why there are none.

    Real JSON first. The reference code strips all outer braces and puts one pair back, which destroys nested
    objects; here that is only the repair of what is no JSON ("{{...}}", as in a prompt's template).
    """
    start, end = text.find("{"), text.rfind("}")
    if start < 0:
        return f'What follows "{INPUT}" is a JSON object: begin it with "{{".'
    try:
        value, stop = json.JSONDecoder().raw_decode(text, start)
        if "{" not in text[stop:]:
            return value, False
        return f'There is more than one object after "{INPUT}": give one, with all arguments.'
    except (ValueError, RecursionError):
        pass
    if end < start:
        return f'What follows "{INPUT}" is a JSON object: end it with "}}" and say nothing after it.'
    try:
        value = json.loads("{" + text[start : end + 1].strip("{}") + "}")
    except (ValueError, RecursionError) as error:
        return f'What follows "{INPUT}" is no JSON ({error}): check its quotes, commas and braces.'
    return value, True


def until(reply: str, *stops: str) -> str:
    """A reply up to the first stop word: not every model's server takes stop words, so they are cut here."""
    for stop in stops:
        reply = reply.split(stop, 1)[0]
    return reply.strip()


def says_yes(reply: str) -> bool:
    """Whether the first word is Yes. (Looking for "No" anywhere, as the reference code does, finds "Now" too.)"""
    first = reply.strip().lstrip("\"'*>( ").split(maxsplit=1)[:1]
    return bool(first) and first[0].strip("\"'*.,:;!)").casefold() == "yes"
