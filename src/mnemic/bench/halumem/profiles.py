"""Real changes behind HaluMem: states before and after each stage of a life, with the keys that changed.

The files of its third stage hold no dialogues, but what was before and after an event is exact gold for updates. They
are under CC BY-NC-ND 4.0: read them where you have them, ship nothing made of them.

    changes = load_changes(data.path("halumem", "arc"))
    evaluate(Verbatim, as_users(changes), judge=SlotJudge(state_facts), parts=("extraction", "update"))
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

from mnemic.bench.halumem.language import Fact, Mode
from mnemic.bench.halumem.records import MemoryPoint, Session, Turn, User, read_time
from mnemic.errors import DataMissing, InputError

_STATE = re.compile(r'(?:^|: )The (?P<key>[\w ./-]+?) of (?P<who>[^"]+?) (?P<mode>is|was) "(?P<value>[^"]*)"\.')


@dataclass(frozen=True)
class Change:
    """One key of one person's state that an event changed. A text of the state never holds a quotation mark."""

    user: str
    name: str
    time: str
    key: str
    before: str
    after: str


def load_changes(path: str | Path) -> list[Change]:
    """All changes of a narrative-arc file (stage 3.1): by user in the order of time; keys that stayed are left out."""
    file = Path(path)
    if not file.is_file():
        raise DataMissing(f"{file} is not there: it is data/stage3_1_narrative_arc.jsonl of MemTensor/HaluMem.")
    found: list[Change] = []
    for n, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        try:
            item = json.loads(line)
            found += sorted(_of_user(item), key=lambda change: change.time)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{file}:{n}: no narrative arc ({error!r}): give stage3_1_narrative_arc.jsonl.") from None
    return found


def _of_user(item: Mapping[str, Any]) -> Iterator[Change]:
    name = str(item["profile"]["fixed"]["basic_info"]["name"])
    for event in item["narrative_arc"]["career_events"]:
        for stage in event["stages"]:
            time = read_time(stage["time_point"]) or ""
            for update in stage.get("dynamic_updates") or ():
                before, after = update["before_dynamic"], update["after_dynamic"]
                for key in update.get("changed_keys") or ():
                    old, new = _flat(before.get(key)), _flat(after.get(key))
                    if old and new and old != new:
                        yield Change(str(item["uuid"]), name, time, _spoken(update["type_to_update"], key), old, new)


def _spoken(kind: str, key: str) -> str:
    return f"{kind} {key}".replace("_", " ").lower()


def _flat(value: Any) -> str:
    """A value on one line without quotation marks; "" for nothing."""
    if value is None:
        return ""
    told = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return " ".join(told.replace('"', "'").split())


def as_users(changes: Iterable[Change]) -> list[User]:
    """Records to audit updates on: an introduction with every first value, then a session for each date of changes."""
    return [_user(id, list(own)) for id, own in groupby(changes, key=lambda change: change.user)]


def _user(id: str, changes: Sequence[Change]) -> User:
    now: dict[str, str] = {}
    for change in changes:
        now.setdefault(change.key, change.before)
    start = changes[0].time
    first = [(key, _text(changes[0].name, key, value)) for key, value in now.items()]
    sessions = [_session("2000-01-01T00:00:00", [text for _, text in first], [MemoryPoint(text) for _, text in first])]
    for time, same in groupby(changes, key=lambda change: change.time):
        points, said = [], []
        for change in same:
            if now[change.key] == change.after:
                continue
            new, old = (_text(change.name, change.key, value) for value in (change.after, now[change.key]))
            now[change.key] = change.after
            points.append(MemoryPoint(new, "Event Memory", "system", True, (old,), 1.0, time))
            said.append(new)
        if points:
            sessions.append(_session(time or start, said, points))
    return User(id, changes[0].name, tuple(sessions))


def _text(name: str, key: str, value: str) -> str:
    return f'The {key} of {name} is "{value}".'


def _session(time: str, said: Sequence[str], points: Sequence[MemoryPoint]) -> Session:
    turns = [turn for text in said for turn in (Turn("user", text, time), Turn("assistant", "Noted.", time))]
    return Session(time, time, tuple(turns), tuple(points))


@lru_cache(maxsize=50_000)
def state_facts(text: str) -> tuple[Fact, ...]:
    """What the sentences of `as_users` say; a SlotJudge reads with it."""
    modes: dict[str, Mode] = {"is": "is", "was": "was"}
    return tuple(
        Fact(match["who"], match["key"], match["value"], modes[match["mode"]]) for match in _STATE.finditer(text)
    )
