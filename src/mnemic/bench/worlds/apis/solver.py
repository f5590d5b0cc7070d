"""A solver without a language model: the nearest remembered call, with its values replaced by the request's.

Which API: the one whose documentation and demonstrations share most words and kinds of values with the request.
Which arguments: those of the nearest demonstration, each written as it is written there; what the demonstration
does not have is written as documented. It sees what a model would see, the prompt.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mnemic.bench.worlds.apis.entities import bare, mentions, write
from mnemic.bench.worlds.apis.scripted import _SCHEMA, Documented, Learned, _style_of, documented, leaves, matched
from mnemic.context.ste.parsing import ACTION, INPUT
from mnemic.lm.exchange import Request
from mnemic.lm.scripted import ScriptedLM
from mnemic.recall.terms import query_terms

_SHOWN = re.compile(r"^> Request: (.*)\n> Action: (\S+)\n> Action Input: (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Shown:
    """A demonstration of the prompt."""

    query: str
    name: str
    args: dict[str, Any]

    def near(self, query: str) -> float:
        """Words and kinds of values that it shares with a request, 0 to 2."""
        return _overlap(_terms(query), _terms(self.query)) + _overlap(_kinds(query), _kinds(self.query))


def solver() -> ScriptedLM:
    return ScriptedLM(_says, "scripted solver")


def _says(asked: Request) -> str:
    prompt = asked.messages[-1]["content"]
    query = prompt.rsplit("Request: ", 1)[1]
    shown = [Shown(said, name, json.loads(args)) for said, name, args in _SHOWN.findall(prompt)]
    apis = {name: (about, documented(schema)) for name, about, schema in _SCHEMA.findall(prompt)}
    scores = {name: _fits(query, name, *apis[name]) for name in apis}
    for one in shown:
        scores.setdefault(one.name, 0.0)
    best = {name: max((one.near(query) for one in shown if one.name == name), default=0.0) for name in scores}
    name = max(scores, key=lambda name: scores[name] + 2 * best[name])
    own = sorted(
        (one for one in shown if one.name == name), key=lambda one: -_overlap(_kinds(query), _kinds(one.query))
    )
    slots = apis[name][1] if name in apis else []
    args = filled(own[0], query, slots) if own else Learned().call(slots, mentions(query))
    return f"{ACTION} {name}\n{INPUT} {json.dumps(args, ensure_ascii=False)}"


def filled(demonstration: Shown, query: str, slots: Sequence[Documented]) -> dict[str, Any]:
    """The demonstration's call with the request's values in its places; the rest as documented."""
    found = mentions(query)
    theirs = list(mentions(demonstration.query))
    args: dict[str, Any] = {}
    left = list(found)
    for path, leaf in leaves(demonstration.args):
        meant = next((one for one in theirs if _style_of(leaf, one)), None)
        if meant is None:
            _put(args, path, leaf)  # nothing in the request says it: it is always so
            continue
        theirs.remove(meant)
        mine = next((one for one in left if (one.kind, one.place) == (meant.kind, meant.place)), None)
        if mine is not None:
            left.remove(mine)
            _put(args, path, write(_style_of(leaf, meant), mine.value))
    known = [slot for slot, _ in matched(slots, mentions(demonstration.query))]
    return args | Learned().call([slot for slot in slots if slot not in known], left)


def _put(args: dict[str, Any], path: tuple[Any, ...], value: Any) -> None:
    """Set an innermost value; the objects and lists on the way are made."""
    if len(path) == 2 and isinstance(path[1], int):
        args.setdefault(path[0], []).append(value)
    elif len(path) == 1:
        args[path[0]] = value
    else:
        _put(args.setdefault(path[0], {}), path[1:], value)


def _fits(query: str, name: str, about: str, slots: Sequence[Documented]) -> float:
    """Words of the documentation, and values that its arguments would take, 0 to 2."""
    words = _terms(f"{name.replace('_', ' ')} {about}")
    kinds = Counter(slot.kind for slot in slots)
    asked = _kinds(query)
    taken = (asked & kinds).total() - (asked - kinds).total()
    return _overlap(_terms(query), words) + taken / max(1, asked.total())


def _terms(text: str) -> Counter[str]:
    return Counter(query_terms(bare(text)))


def _kinds(text: str) -> Counter[str]:
    return Counter(one.kind for one in mentions(text))


def _overlap(mine: Counter[str], other: Counter[str]) -> float:
    return (mine & other).total() / max(1, (mine | other).total())
