"""Memories that are audited side by side: verbatim, extracting, full, empty, and one that knows the gold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from mnemic.bench.halumem.contract import Found
from mnemic.bench.halumem.extractor import Extracted, extracted
from mnemic.bench.halumem.faults import Fault
from mnemic.bench.halumem.index import Index
from mnemic.bench.halumem.language import values_of
from mnemic.bench.halumem.records import MemoryPoint, Turn, User
from mnemic.errors import InputError


class Indexed:
    """Texts by key, searched with BM25; what the memories below share."""

    def __init__(self) -> None:
        self.index = Index()
        self._time: dict[str, str] = {}
        self._session: list[str] = []

    def session_memories(self) -> list[str] | None:
        return list(self._session)

    def search(self, query: str, k: int) -> list[Found]:
        return [Found(self.index.texts[key], self._time[key]) for key in self.index.search(query, k)]

    def kept_bytes(self) -> int:
        return sum(len(text.encode()) for text in self.index.texts.values())

    def _keep(self, key: str, text: str, time: str) -> None:
        self.index.set(key, text)
        self._time[key] = time


class Empty(Indexed):
    """Keeps nothing. Resists every false memory, and is worth nothing: FMR is to be read beside F1."""

    def add(self, dialogue: Sequence[Turn], time: str) -> None:
        self._session = []


class Verbatim(Indexed):
    """Keeps turns word for word, those of the user or of both."""

    def __init__(self, speakers: tuple[str, ...] = ("user",)) -> None:
        super().__init__()
        self.speakers = speakers

    def add(self, dialogue: Sequence[Turn], time: str) -> None:
        said = [f"{turn.role}: {turn.content}" for turn in dialogue if turn.role in self.speakers]
        self._session = list(dict.fromkeys(said))
        for text in said:
            self._keep(f"{len(self.index)} {text}", text, time)


class Extractor(Indexed):
    """Keeps facts that patterns find in the user's turns.

    overwrite   a new value takes the place of the old one; else it is kept beside it
    capacity    so many memories are kept, the newest; None for all
    fault       what goes wrong, and how often
    """

    def __init__(self, *, overwrite: bool = True, capacity: int | None = None, fault: Fault | None = None) -> None:
        super().__init__()
        if capacity is not None and capacity < 1:
            raise InputError(f"a capacity of {capacity} memories holds nothing: give at least 1, or None for all.")
        self.overwrite, self.capacity, self.fault = overwrite, capacity, fault or Fault("none", 0.0)
        self._before: dict[str, list[Found]] = defaultdict(list)  # key -> earlier versions

    def add(self, dialogue: Sequence[Turn], time: str) -> None:
        self._session = []
        for fact in extracted(tuple(turn.content for turn in dialogue if turn.role == "user")):
            field = f"{fact.subject}/{fact.attribute}"
            if self.fault.strikes("drop", field, time):
                continue
            if self.fault.strikes("corrupt", field, time):
                fact = self._distorted(fact)
            if fact.text not in self._session:
                self._session.append(fact.text)
            self._store(field if self.overwrite else f"{field}/{time}/{fact.value}", fact.text, time)
        while self.capacity is not None and len(self.index) > self.capacity:
            self.index.drop(next(iter(self.index.texts)))

    def _store(self, key: str, text: str, time: str) -> None:
        old = self.index.texts.get(key)
        if old == text:
            return
        if old is not None:
            if self.fault.strikes("skip", key, time):
                return
            self._before[key].append(Found(old, self._time[key]))
        self._keep(key, text, time)

    def _distorted(self, fact: Extracted) -> Extracted:
        others = [value for value in values_of(fact.attribute) if value.lower() != fact.value.lower()]
        return Extracted(fact.subject, fact.attribute, self.fault.choice(others, fact.text))

    def search(self, query: str, k: int) -> list[Found]:
        found = []
        for key in self.index.search(query, k):
            earlier = self._before.get(key)
            if earlier and self.fault.strikes("stale", query, key):
                found.append(earlier[-1])
            else:
                found.append(Found(self.index.texts[key], self._time[key]))
        return found


class Oracle(Indexed):
    """Keeps the gold texts themselves, and takes out what they replace. Knows the records: a ceiling, no system."""

    def __init__(self, users: Sequence[User]) -> None:
        super().__init__()
        self._gold: dict[tuple[str, ...], tuple[MemoryPoint, ...]] = {
            _said(session.dialogue): session.points for user in users for session in user.sessions
        }

    def add(self, dialogue: Sequence[Turn], time: str) -> None:
        points = [point for point in self._gold[_said(dialogue)] if not point.interference]
        self._session = [point.text for point in points]
        for point in points:
            for old in point.original:
                self.index.drop(old)
            self._keep(point.text, point.text, time)


def _said(dialogue: Sequence[Turn]) -> tuple[str, ...]:
    return tuple(turn.content for turn in dialogue)
