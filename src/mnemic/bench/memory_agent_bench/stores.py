"""What a design keeps of the stream: everything, the newest tokens, one sentence in so many, the newest of each key.

A store takes chunks and has units, in the order of the stream; what it lets go is gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

from mnemic.bench.memory_agent_bench.chunks import counted, sentences, shortened
from mnemic.bench.memory_agent_bench.examples import read_example
from mnemic.bench.memory_agent_bench.readers import stays
from mnemic.bench.memory_agent_bench.relations import schema
from mnemic.meter import Budget
from mnemic.recall.terms import STOPWORDS, words


class Store(Protocol):
    """Units as they can be handed over; `restore` takes what `units` gave, after a load."""

    def add(self, chunk: str) -> None: ...
    def units(self) -> list[str]: ...
    def restore(self, units: Sequence[str]) -> None: ...


MakeStore = Callable[[Budget], Store]


class Everything:
    """Keeps every chunk."""

    def __init__(self, budget: Budget) -> None:
        self._units: list[str] = []

    def add(self, chunk: str) -> None:
        self._units.append(chunk)

    def units(self) -> list[str]:
        return list(self._units)

    def restore(self, units: Sequence[str]) -> None:
        self._units = list(units)


class Window(Everything):
    """Keeps the newest tokens of the budget; the oldest leave first, a chunk at the edge loses its beginning."""

    def __init__(self, budget: Budget) -> None:
        super().__init__(budget)
        self._most, self._tokens = budget.amount, 0

    def add(self, chunk: str) -> None:
        self._units.append(chunk)
        self._tokens += counted(chunk)
        while self._tokens > self._most:
            oldest = self._units.pop(0)
            self._tokens -= counted(oldest)
            if rest := _tail(oldest, self._most - self._tokens):
                self._units.insert(0, rest)
                self._tokens += counted(rest)
                return

    def restore(self, units: Sequence[str]) -> None:
        super().restore(units)
        self._tokens = sum(counted(unit) for unit in units)


def _tail(text: str, tokens: int) -> str:
    """The last lines of a text that fit; of a text in one line, the last words."""
    if tokens <= 0:
        return ""
    lines = text.splitlines()
    if len(lines) == 1:
        return shortened(text, tokens, last=True)
    kept: list[str] = []
    while lines and counted("\n".join([lines[-1], *kept])) <= tokens:
        kept.insert(0, lines.pop())
    return "\n".join(kept)


class Extract:
    """Keeps one sentence (line) of every 512 tokens: the one whose words are most frequent there."""

    def __init__(self, budget: Budget, *, of: int = 512) -> None:
        self._of, self._kept, self._open, self._tokens = of, list[str](), list[str](), 0

    def add(self, chunk: str) -> None:
        for sentence in sentences(chunk):
            self._open.append(sentence)
            self._tokens += counted(sentence)
            if self._tokens >= self._of:
                self._kept.append(_central(self._open))
                self._open, self._tokens = [], 0

    def units(self) -> list[str]:
        return [*self._kept, *([_central(self._open)] if self._open else [])]

    def restore(self, units: Sequence[str]) -> None:
        self._kept, self._open, self._tokens = list(units), [], 0


def _central(some: Sequence[str]) -> str:
    """The sentence with the highest mean frequency of its words, a summary in one sentence."""
    own = [[word for word in words(sentence) if word not in STOPWORDS] for sentence in some]
    frequency = Counter(word for sentence in own for word in sentence)
    worth = [sum(frequency[word] for word in set(sentence)) / max(len(sentence), 4) for sentence in own]
    return some[worth.index(max(worth))]


class Slots:
    """Keeps the newest statement of each key, for the keys that its schema foresees; all else is lost.

    Keys: subject and relation of a statement in its first wording, the class of an example, whose stay it is.
    """

    def __init__(self, budget: Budget) -> None:
        self._slots: dict[str, str] = {}

    def add(self, chunk: str) -> None:
        for sentence in sentences(chunk):
            if key := _key(sentence):
                self._slots.pop(key, None)  # the newest stands last
                self._slots[key] = sentence

    def units(self) -> list[str]:
        return list(self._slots.values())

    def restore(self, units: Sequence[str]) -> None:
        self._slots = {}
        for unit in units:
            self.add(unit)


def _key(sentence: str) -> str:
    if labelled := read_example(sentence):
        return f"class {labelled[1]}"
    if stay := stays(sentence):
        return f"stay {stay[0][1]}"
    facts = schema().facts(sentence)
    return f"{facts[0].relation} {facts[0].subject}" if facts else ""
