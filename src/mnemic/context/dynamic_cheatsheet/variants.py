"""The control flows: what stands in the prompt, and when the memory is written.

baseline               the question alone: no place for a memory, nothing about code
empty                  the generator's prompt with a memory that stays empty: the control for all others
frozen                 the cheatsheet as it was given, never rewritten: to use a finished one, or to compare two
full_history           all earlier questions with their solutions, as many of the newest as fit
retrieval              the k most similar ones
cumulative             the cheatsheet, rewritten after each answer
retrieval_synthesis    the cheatsheet, rewritten before each answer, from the k most similar ones
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mnemic.context.dynamic_cheatsheet import prompts
from mnemic.context.dynamic_cheatsheet.curating import Curation, curated
from mnemic.context.dynamic_cheatsheet.prompts import EMPTY
from mnemic.context.dynamic_cheatsheet.retrieval import Pair, fitting, laid_out, nearest

if TYPE_CHECKING:
    from mnemic.context.dynamic_cheatsheet.cheatsheet import DynamicCheatsheet, Turn


@dataclass(frozen=True)
class Look:
    """What the generator is shown. text None: a prompt without a memory part."""

    text: str | None
    memory: str
    curations: tuple[Curation, ...] = ()
    retrieved: tuple[int, ...] = ()


def _nothing(sheet: DynamicCheatsheet, turn: Turn) -> Look:
    return Look(None, sheet.memory)


def _empty(sheet: DynamicCheatsheet, turn: Turn) -> Look:
    return Look(EMPTY, sheet.memory)


def _history(sheet: DynamicCheatsheet, turn: Turn) -> Look:
    return Look(laid_out(fitting(sheet.pairs, sheet.count, sheet.budget.amount)), sheet.memory)


def _retrieved(sheet: DynamicCheatsheet, turn: Turn) -> Look:
    pairs = similar(sheet, turn)
    return Look(laid_out(pairs), sheet.memory, retrieved=tuple(pair.n for pair in pairs))


def _kept(sheet: DynamicCheatsheet, turn: Turn) -> Look:
    return Look(sheet.memory, sheet.memory)


def _synthesised(sheet: DynamicCheatsheet, turn: Turn) -> Look:
    """Curation comes before the answer: the memory is fitted to the next question."""
    pairs = similar(sheet, turn)
    text = laid_out(pairs)
    prompt = prompts.synthesis(sheet.memory, text, turn.asked, words=sheet.words)
    result = curated(turn.curate, sheet.count, prompt, sheet.memory, sheet.limits)
    if result.reply and result.words[1] == 0 and sheet.settings.without_block == "pairs":
        # As the reference code does: the pairs stand in for the cheatsheet, in the next question too.
        result = replace(result, state="replaced", memory=text)
    return Look(result.memory, result.memory, (result,), tuple(pair.n for pair in pairs))


def similar(sheet: DynamicCheatsheet, turn: Turn) -> list[Pair]:
    """The k most similar earlier pairs that fit, the nearest last."""
    found = nearest(sheet.embedded(turn.question), sheet.vectors, sheet.settings.top_k)
    pairs = [replace(sheet.pairs[row], similarity=cosine) for row, cosine in reversed(found)]
    return fitting(pairs, sheet.count, sheet.budget.amount)


def rewritten(sheet: DynamicCheatsheet, turn: Turn, memory: str, transcript: str) -> Curation:
    """DC-Cu: the memory after an answer, which nobody has marked."""
    prompt = prompts.cumulative(memory, turn.asked, transcript, words=sheet.words)
    return curated(turn.curate, sheet.count, prompt, memory, sheet.limits)


VARIANTS: Mapping[str, Callable[[DynamicCheatsheet, Turn], Look]] = {
    "baseline": _nothing,
    "empty": _empty,
    "frozen": _kept,
    "full_history": _history,
    "retrieval": _retrieved,
    "cumulative": _kept,
    "retrieval_synthesis": _synthesised,
}
KEEP_PAIRS = ("full_history", "retrieval", "retrieval_synthesis")  # the others never look at an earlier answer
EMBED = ("retrieval", "retrieval_synthesis")
