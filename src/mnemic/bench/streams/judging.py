"""Judges: what can be computed is computed. They see the right answer; the agent sees their bit."""

from __future__ import annotations

import ast
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mnemic.bench.streams.tasks import Task
from mnemic.errors import InputError
from mnemic.store.evo_memory import Attempt, Feedback


@dataclass(frozen=True)
class Judgement:
    """What a judge found.

    api, arguments   of a call: was it the right function, and the share of its arguments that are right; None else
    """

    feedback: Feedback
    api: float | None = None
    arguments: float | None = None


def judged(task: Task, attempt: Attempt) -> Judgement:
    """A world by its score, a call by name and arguments, an answer by exact match."""
    if task.world is not None:
        return Judgement(Feedback(attempt.score >= 1.0, attempt.score))
    if isinstance(task.gold, Mapping):
        api, arguments = call_accuracy(attempt.answer, task.gold)
        return Judgement(Feedback(api == arguments == 1.0, (api + arguments) / 2), api, arguments)
    if not task.gold:
        raise InputError(f'the question "{task.goal}" has neither a world nor a right answer: give it one.')
    return Judgement(Feedback(exact(attempt.answer, task.gold)))


def exact(answer: str, gold: str) -> bool:
    """Equal but for case, surrounding quotes and punctuation, and runs of spaces and underscores."""
    return _plain(answer) == _plain(gold)


def call_accuracy(answer: str, gold: Mapping[str, Any]) -> tuple[float, float]:
    """(1 if the function is the right one, share of the arguments that are right) of a call in an answer.

    answer   {"name": "f", "arguments": {"a": 1}} as JSON, or f(a=1)
    gold     likewise, as a mapping
    Arguments of a wrong function count nothing; what is there beyond the right ones counts as wrong.
    """
    said = read_call(answer)
    if said is None or said[0] != gold["name"]:
        return 0.0, 0.0
    wanted, given = dict(gold.get("arguments", {})), said[1]
    names = wanted.keys() | given.keys()
    right = sum(name in wanted and name in given and _same(wanted[name], given[name]) for name in names)
    return 1.0, right / len(names) if names else 1.0


def read_call(text: str) -> tuple[str, dict[str, Any]] | None:
    """Name and arguments of the call in a text; None when there is none."""
    try:
        data = json.loads(text)
        if isinstance(data, dict) and isinstance(data.get("name"), str) and isinstance(data.get("arguments", {}), dict):
            return data["name"], data.get("arguments", {})
    except ValueError:
        pass
    match = re.search(r"[A-Za-z_][\w.]*\(.*\)", text, re.DOTALL)
    if match is None:
        return None
    try:
        call = ast.parse(match[0], mode="eval").body
        if isinstance(call, ast.Call) and not call.args:
            return ast.unparse(call.func), {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
    except (SyntaxError, ValueError):
        pass
    return None


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.sub(r"[\s_]+", " ", folded).strip(" .,:;!?\"'`*()[]").split())


def _same(one: Any, other: Any) -> bool:
    return one == other or str(one).strip().casefold() == str(other).strip().casefold()
