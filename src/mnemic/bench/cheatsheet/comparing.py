"""Variants side by side: the same stream in the same order, the same model, the same budget."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from mnemic.bench.cheatsheet.tasks import Item
from mnemic.context.dynamic_cheatsheet import EMPTY, Answered, DynamicCheatsheet, Settings
from mnemic.errors import InputError
from mnemic.lm.embedders import open_embedder
from mnemic.meter import Budget, Used
from mnemic.sandbox import CodeRunner, Ran
from mnemic.seams import Embedder, LanguageModel


@dataclass(frozen=True)
class Outcome:
    """What one arm reached. right: per question, in the order of the stream."""

    name: str
    steps: tuple[Answered, ...]
    right: tuple[bool, ...]
    kept_bytes: int

    @property
    def accuracy(self) -> float:
        return fmean(self.right)

    @property
    def used(self) -> Used:
        """Tokens of the longest prompt for an answer; parts: the longest memory part of one, and the rest of it."""
        longest = max(self.steps, key=lambda step: step.spent.prompt).spent
        memory = max(step.spent.memory for step in self.steps)
        return Used(longest.prompt, "tokens", {"memory": memory, "instructions and question": longest.prompt - memory})

    @property
    def tokens_per_question(self) -> float:
        """Tokens read and written in all calls for a question, the curator's too."""
        return fmean(step.spent.read + step.spent.written for step in self.steps)

    @property
    def first_code(self) -> int:
        """The question whose memory part first showed code; 0 when none did."""
        return next((step.n for step in self.steps if "```python" in (step.shown or "")), 0)


class Remembering:
    """A runner that runs equal code once: arms that share a stream share its outputs."""

    def __init__(self, runner: CodeRunner) -> None:
        self.runner = runner
        self._known: dict[str, Ran] = {}

    def run(self, code: str) -> Ran:
        if code not in self._known:
            self._known[code] = self.runner.run(code)
        return self._known[code]


def outcome(
    name: str,
    items: Sequence[Item],
    lm: LanguageModel,
    *,
    variant: str,
    budget: Budget,
    code: CodeRunner | None = None,
    embedder: Embedder | None = None,
    task: str = "",
    start: str = EMPTY,
    settings: Settings | None = None,
) -> Outcome:
    """One arm over a stream. Targets and scorer stay outside: the sheet is given the question alone."""
    sheet = DynamicCheatsheet(
        lm, variant=variant, budget=budget, code=code, embedder=embedder, task=task, start=start, settings=settings
    )
    steps = tuple(sheet.answer_stream(item.question for item in items))
    return Outcome(name, steps, graded(items, steps), _bytes(sheet))


def compared(
    variants: Sequence[str],
    items: Sequence[Item],
    lm: LanguageModel,
    *,
    budget: Budget,
    code: CodeRunner | None = None,
    embedder: Embedder | None = None,
    task: str = "",
    settings: Settings | None = None,
) -> list[Outcome]:
    """Several variants over one stream, in the order given."""
    near = embedder or open_embedder()  # one for all arms; nothing is loaded before the first text
    return [
        outcome(name, items, lm, variant=name, budget=budget, code=code, embedder=near, task=task, settings=settings)
        for name in variants
    ]


def graded(items: Sequence[Item], steps: Iterable[Answered]) -> tuple[bool, ...]:
    """Which answers are right."""
    if not items:
        raise InputError("there are no questions to compare on: give at least one.")
    return tuple(item.right(step.answer) for item, step in zip(items, steps, strict=True))


def _bytes(sheet: DynamicCheatsheet) -> int:
    """What is kept between two questions: the memory, and the pairs where a variant keeps them."""
    memory = "" if sheet.memory == EMPTY else sheet.memory
    return sum(len(text.encode()) for text in [memory, *(pair.question + pair.transcript for pair in sheet.pairs)])
