"""What a request allows: which tools, with which arguments, how often. Made before any memory is read."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from mnemic.errors import InputError
from mnemic.gate.trust import PERSON, UNTRUSTED, Level, Trust
from mnemic.lm.exchange import ToolCall
from mnemic.record import Record
from mnemic.seams import View

if TYPE_CHECKING:
    from mnemic.gate.actions import Action, Write
    from mnemic.gate.agent import Acted
    from mnemic.memory import Memory
    from mnemic.meter import Budget
    from mnemic.seams import LanguageModel


class Origin(Enum):
    """Where the value of an argument may come from, once something untrusted was read."""

    REQUEST = "request"  # it stands in the request
    TRUSTED = "trusted"  # it stands in the request or in a trusted record
    FREE = "free"  # anywhere, untrusted memories too: for text that a person will read


REQUEST, TRUSTED, FREE = Origin.REQUEST, Origin.TRUSTED, Origin.FREE


@dataclass(frozen=True)
class OneOf:
    """An argument may have one of these values."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Grant:
    """Calls of one tool that the request allows.

    arguments   name -> REQUEST, TRUSTED, FREE, OneOf(...), or the one value it may have; an argument that is not named
                here may not be given
    times       how often
    """

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    times: int = 1

    def free(self, call: ToolCall) -> bool:
        """May a part of the call have come from anywhere?"""
        return any(self.arguments.get(name) is FREE for name in call.arguments)

    def agrees(self, call: ToolCall, planned: ToolCall) -> bool:
        """Do two calls differ in free arguments at most?"""

        def bound(each: ToolCall) -> dict[str, Any]:
            return {name: value for name, value in each.arguments.items() if self.arguments.get(name) is not FREE}

        return call.name == planned.name and same(bound(call), bound(planned))


@dataclass
class Seen:
    """What whoever proposes a call has read.

    level   the lowest trust of it
    texts   what of it is trusted, the request left out
    read    ids of the untrusted records
    plan    calls that were proposed before anything untrusted was read; with a plan, whatever is not free has to be
            as planned. None for no plan: then it has to come from the request or from trusted texts
    """

    level: Level = PERSON
    texts: list[str] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    plan: list[ToolCall] | None = None

    def note(self, record: Record, level: Level) -> None:
        if level == UNTRUSTED:
            self.level = UNTRUSTED
            self.read.append(record.id)
        else:
            fields = (record.text, record.speaker, record.time, record.source, record.place)
            self.texts += [text for text in fields if text]


@dataclass(frozen=True)
class Refusal:
    """A call that was not let through.

    reason   in one sentence
    read     ids of the untrusted records that whoever proposed it had read
    """

    call: ToolCall
    reason: str
    read: tuple[str, ...] = ()


class Gate:
    """Made from a request and what it grants; lets calls through, or refuses them with a reason. Thread-safe.

    grants    see Grant, and gate.planned for a model that works them out from the request alone
    trust     which records are trusted
    refusals  everything that was refused so far
    """

    def __init__(self, request: str, grants: Sequence[Grant] = (), *, trust: Trust | None = None) -> None:
        if not isinstance(request, str) or not request.strip():
            raise InputError("there is no request: give at least one word.")
        self.request, self.grants, self.trust = request, tuple(grants), trust or Trust()
        self.refusals: list[Refusal] = []
        self._used: Counter[int] = Counter()  # by place of the grant
        self._lock = threading.Lock()

    def seen(self, records: Sequence[Record], view: View) -> Seen:
        """What a model has read whose prompt quotes these records: `[hit.record for hit in prompt.quoted]`."""
        seen = Seen()
        for record in records:
            seen.note(record, self.trust.of(record, view))
        return seen

    def admit(self, call: ToolCall, seen: Seen) -> Refusal | None:
        """None when the call may be made, and then it counts as made; else why not."""
        with self._lock:
            number, reason = self._grant(call, seen)
            if number is not None:
                self._used[number] += 1
                return None
            return self._log(call, reason, seen)

    def covering(self, call: ToolCall, seen: Seen) -> Grant | None:
        """The grant that a call would pass by; nothing is counted or logged."""
        with self._lock:
            number, _ = self._grant(call, seen)
        return None if number is None else self.grants[number]

    def refuse(self, call: ToolCall, reason: str, seen: Seen) -> Refusal:
        """Log a call that is refused for a reason of somebody else's."""
        with self._lock:
            return self._log(call, reason, seen)

    def act(self, memory: Memory, lm: LanguageModel, actions: Sequence[Action | Write], *, k: int = 10,
            budget: Budget | str = "2000 tokens", steps: int = 4, max_tokens: int = 600) -> Acted:  # fmt: skip
        """Carry the request out: recall, ask the model, let through what is granted; see mnemic.gate.agent."""
        from mnemic.gate.agent import act

        return act(self, memory, lm, actions, k=k, budget=budget, steps=steps, max_tokens=max_tokens)

    def _log(self, call: ToolCall, reason: str, seen: Seen) -> Refusal:
        refusal = Refusal(call, reason, tuple(seen.read))
        self.refusals.append(refusal)
        return refusal

    def _grant(self, call: ToolCall, seen: Seen) -> tuple[int | None, str]:
        """Place of the grant that covers a call, or why none does."""
        reason = f'the request grants no call of "{call.name}".'
        for number, grant in enumerate(self.grants):
            if grant.tool != call.name:
                continue
            against = self._against(grant, call, seen)
            if against is None and self._used[number] < grant.times:
                return number, ""
            used_up = f'the request grants "{call.name}" {grant.times} times, and that is used up.'
            reason = against or used_up
        return None, reason

    def _against(self, grant: Grant, call: ToolCall, seen: Seen) -> str | None:
        for name, allowed in grant.arguments.items():
            if not isinstance(allowed, Origin) and name not in call.arguments:  # a limit left out is no limit
                return f'the request grants "{call.name}" only with "{name}".'
        for name, value in call.arguments.items():
            if name not in grant.arguments:
                return f'the request does not grant "{call.name}" with the argument "{name}".'
            allowed = grant.arguments[name]
            values = allowed.values if isinstance(allowed, OneOf) else (allowed,)
            if not isinstance(allowed, Origin) and not any(same(value, one) for one in values):
                return f'the request grants "{call.name}" with another value of "{name}".'
        if seen.level == PERSON:
            return None
        if seen.plan is not None:
            planned = any(grant.agrees(call, one) for one in seen.plan)
            return None if planned else f'"{call.name}" was not called so before untrusted memories were read.'
        return self._from_elsewhere(grant, call, seen)

    def _from_elsewhere(self, grant: Grant, call: ToolCall, seen: Seen) -> str | None:
        for name, value in call.arguments.items():
            allowed = grant.arguments[name]
            if allowed is REQUEST and not stands_in(value, [self.request]):
                return f'"{name}" of "{call.name}" does not stand in the request, and untrusted memories were read.'
            if allowed is TRUSTED and not stands_in(value, [self.request, *seen.texts]):
                return (
                    f'"{name}" of "{call.name}" stands neither in the request nor in a trusted memory, and untrusted '
                    "ones were read."
                )
        return None


# ---- where a value comes from

_NUMBER = re.compile(r"(?<![\w.])(?<!\d,)-?\d+(?:[,_]\d{3})*(?:\.\d+)?(?!\w|,\d)")
# Whole words: ana@x.org stands neither in ana@x.org.evil.example nor in b+ana@x.org, 500 not in 1,500.
_BEFORE = r"(?<![\w@./-])(?<!\w[+'’!#$%&*?^`{|}~])(?<!\d[,:])"
_AFTER = r"(?![\w@/-]|[.?#&=%+]\w|[,:]\d)"


def stands_in(value: Any, texts: Sequence[str]) -> bool:
    """Does a value stand in one of the texts, as whole words? All of a list must.

    Case and white space do not count; a number is compared as a number. True, false, null and what is empty stand in
    no text: to many a tool nothing means everything.
    """
    if isinstance(value, str):
        words = _plain(value)
        pattern = re.compile(_BEFORE + re.escape(words) + _AFTER)
        return bool(words) and any(pattern.search(_plain(text)) for text in texts)
    if isinstance(value, bool) or value is None:
        return False
    if isinstance(value, int | float):
        found = (number for text in texts for number in _NUMBER.findall(text))
        return any(float(re.sub("[,_]", "", number)) == value for number in found)
    inside = value.values() if isinstance(value, Mapping) else value
    names = list(value) if isinstance(value, Mapping) else []
    parts = [*names, *inside]
    return bool(parts) and all(stands_in(each, texts) for each in parts)


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: true is not 1."""
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)
