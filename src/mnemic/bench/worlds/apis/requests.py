"""Requests to the APIs: which details they mention, in the words and values of one half, and the call behind each."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mnemic.bench.worlds.apis.api import Api, Slot
from mnemic.bench.worlds.apis.entities import Half, draw, mentions, surface
from mnemic.bench.worlds.apis.functions import APIS
from mnemic.context.ste import Item, ToolSet

Pattern = frozenset[str]  # names of the optional arguments that a request mentions

BY_NAME: Mapping[str, Api] = {api.name: api for api in APIS}


@dataclass(frozen=True)
class Asked(Item):
    """A request of the test set, with the call that works.

    misleading   the documentation is wrong about something that this request needs
    """

    misleading: bool = False


def tool_set(names: Sequence[str] | None = None) -> ToolSet:
    """The APIs as tools: documentation as published, behaviour as it is."""
    return ToolSet([BY_NAME[name].tool() for name in names or BY_NAME])


def patterns(api: Api) -> list[Pattern]:
    """All sets of optional arguments, small ones first."""
    names = [slot.name for slot in api.optional]
    return [frozenset(some) for n in range(len(names) + 1) for some in itertools.combinations(names, n)]


def request(api: Api, pattern: Pattern, half: Half, rng: np.random.Generator) -> tuple[str, dict[str, Any]]:
    """A random request with these details; values by documented name."""
    used = [*api.required, *(slot for slot in api.optional if slot.name in pattern)]
    values: dict[str, Any] = {}
    for slot in used:
        taken = [values[other.name] for other in used if other.name in values and other.kind == slot.kind]
        value = draw(slot.kind, half, rng)
        while value in taken:  # nobody flies from Oslo to Oslo
            value = draw(slot.kind, half, rng)
        values[slot.name] = value
    starts = api.bank if half == "bank" else api.test
    said = {slot.name: surface(slot.kind, values[slot.name]) for slot in used}
    text = starts[int(rng.integers(len(starts)))].format(**said)
    for slot in used[len(api.required) :]:
        text += (slot.bank if half == "bank" else slot.test).format(said[slot.name])
    return f"{text}?" if half == "bank" else f"{text}.", values


def bound(api: Api, text: str) -> dict[str, Any]:
    """Values of a request by documented name: the mentions of a kind belong to its slots in their order."""
    left: dict[str, list[Slot]] = {}
    for slot in [*api.required, *api.optional]:
        left.setdefault(slot.kind, []).append(slot)
    values = {}
    for mention in mentions(text):
        if left.get(mention.kind):
            values[left[mention.kind].pop(0).name] = mention.value
    return values


def pattern_of(api: Api, text: str) -> Pattern:
    return frozenset(bound(api, text)) & {slot.name for slot in api.optional}


def held_out(seed: int = 0, *, each: int = 15, names: Sequence[str] | None = None) -> list[Asked]:
    """Held-out requests, `each` of every API, all of its patterns in turn; words and values are the test half's."""
    items = []
    for name in names or BY_NAME:
        api, rng = BY_NAME[name], np.random.default_rng([seed, *name.encode()])
        kinds = patterns(api)
        order = rng.permutation(len(kinds)).tolist()
        for n in range(each):
            text, values = request(api, kinds[order[n % len(kinds)]], "test", rng)
            items.append(Asked(text, name, api.gold(values), misleading=is_misleading(api, values)))
    return items


def is_misleading(api: Api, values: Mapping[str, Any]) -> bool:
    return bool(api.constants) or any(slot.misleading for slot in api.slots if slot.name in values)
