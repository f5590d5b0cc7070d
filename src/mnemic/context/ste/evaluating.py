"""How calls are scored: well-formed, the right API, right in all; always over ALL requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mnemic.context.ste import prompts
from mnemic.context.ste.parsing import says_yes
from mnemic.context.ste.tools import ToolSet
from mnemic.errors import InputError
from mnemic.seams import LanguageModel


@dataclass(frozen=True)
class Item:
    """A request of a test set and the call that fulfils it."""

    query: str
    tool: str
    args: Mapping[str, Any]


@dataclass(frozen=True)
class Mark:
    """One request, scored. An answer without a call is not well-formed; `correct` implies the other two."""

    wellformed: bool
    api_match: bool
    correct: bool


@dataclass(frozen=True)
class Report:
    """Scores of a test set, from 0 to 1.

    wellformed   share of all requests that got a call that can be read
    api_match    share of the well-formed calls that name the right API
    correct      share of ALL requests with the right API and arguments
    """

    marks: tuple[Mark, ...]

    @property
    def wellformed(self) -> float:
        return _share(mark.wellformed for mark in self.marks)

    @property
    def api_match(self) -> float:
        return _share(mark.api_match for mark in self.marks if mark.wellformed)

    @property
    def correct(self) -> float:
        return _share(mark.correct for mark in self.marks)


class Called(Protocol):
    """What is scored: caller.Call, or anything with a name and arguments."""

    @property
    def name(self) -> str: ...
    @property
    def args(self) -> dict[str, Any]: ...


# (gold, predicted arguments) -> whether they are right
Match = Callable[[Item, Mapping[str, Any]], bool]


def string_match(item: Item, args: Mapping[str, Any]) -> bool:
    """Every argument of the right call is there and, as text in any case, the same; more arguments do no harm."""
    return all(key in args and _text(args[key]) == _text(value) for key, value in item.args.items())


def same_result(tools: ToolSet) -> Match:
    """Execute both and compare what they give."""

    def match(item: Item, args: Mapping[str, Any]) -> bool:
        return tools[item.tool].run(args) == tools[item.tool].run(item.args)

    return match


def judge_match(judge: LanguageModel) -> Match:
    """Ask a judge that sees both calls; it must not be the model that wrote them."""

    def match(item: Item, args: Mapping[str, Any]) -> bool:
        return says_yes(judge.complete(prompts.same_call(item.tool, item.args, args), max_tokens=256).text)

    return match


def mark(item: Item, call: Called, match: Match) -> Mark:
    if not call.name:
        return Mark(False, False, False)
    right = call.name == item.tool
    return Mark(True, right, right and match(item, call.args))


def evaluate(agent: Callable[[str], Called], items: Sequence[Item], *, match: Mapping[str, Match | str]) -> Report:
    """Let an agent fulfil every request of a test set.

    match   tool -> "string", or a function (judge_match, same_result); "*" is for all that are not named
    """
    if not items:
        raise InputError("there is nothing to evaluate: give a test set with at least one request.")
    return Report(tuple(mark(item, agent(item.query), _match_of(item.tool, match)) for item in items))


def _match_of(tool: str, match: Mapping[str, Match | str]) -> Match:
    chosen = match.get(tool, match.get("*"))
    if chosen == "string":
        return string_match
    if chosen is None or isinstance(chosen, str):
        raise InputError(
            f'calls of {tool} cannot be compared by "{chosen}": give "string" or a function, or "*" for all.'
        )
    return chosen


def _text(value: Any) -> str:
    return str(value).strip().casefold()


def _share(flags: Any) -> float:
    values = list(flags)
    return sum(values) / len(values) if values else 0.0
