"""Streams of related questions, generated: fill in operators, make 24. No question comes twice.

One function can solve all questions of a family, and no answer helps with another question: a memory that keeps
answers gains nothing here, one that keeps the way to them gains everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import product

import numpy as np

from mnemic.bench.cheatsheet.scorers import Scorer, balanced, makes_24, value_of
from mnemic.errors import InputError

_MOST = 30  # of an operand in an equation
_CARDS = 13  # of a number in Game of 24
_ASKS_OPERATORS = "Fill in the operators (+, -, *, /): "
_ASKS_24 = "Make 24 from these numbers, each used once: "
# How to answer. A scripted model needs no telling, a real one answers with the number behind the = otherwise.
TASK = (
    "Answer with the whole equation when operators are missing, and with one expression of the four numbers when 24 is "
    "to be made."
)
_ENOUGH = 1000  # distinct questions of a family that there are for sure


@dataclass(frozen=True)
class Item:
    """A question with what decides about an answer. target: one right answer, for people; no arm is shown it."""

    question: str
    target: str
    scorer: Scorer

    def right(self, answer: str) -> bool:
        return self.scorer(self.question, answer, self.target)


def equations(n: int, seed: int) -> list[Item]:
    """ "27 ? 28 ? 6 ? 1 = 5" with two to five whole numbers from 1 to 30, and a whole result."""
    return _distinct(n, _equation, seed)


def games(n: int, seed: int) -> list[Item]:
    """Game of 24 with numbers from 1 to 13; each can be solved."""
    return _distinct(n, _game, seed)


def mixed(n: int, seed: int, *, block: int = 10) -> list[Item]:
    """Both families, in blocks of so many questions by turns: what was learned must outlive the other family."""
    families = [iter(equations(n, seed)), iter(games(n, seed))]
    return [next(families[(place // block) % 2]) for place in range(n)]


def _distinct(n: int, make: Callable[[np.random.Generator], Item | None], seed: int) -> list[Item]:
    if not 0 < n <= _ENOUGH:
        raise InputError(f"a stream of {n} questions cannot be made: ask for 1 to {_ENOUGH}.")
    rng = np.random.default_rng(seed)
    found: dict[str, Item] = {}
    while len(found) < n:
        item = make(rng)
        if item is not None:
            found.setdefault(item.question, item)
    return list(found.values())


def _equation(rng: np.random.Generator) -> Item | None:
    numbers = rng.integers(1, _MOST + 1, rng.integers(2, 6)).tolist()
    signs = rng.choice(list("+-*/"), len(numbers) - 1).tolist()
    left = filled(numbers, signs)
    value = value_of(left)
    if value is None or value.denominator != 1:
        return None
    question = f"{_ASKS_OPERATORS}{' ? '.join(map(str, numbers))} = {value}"
    return Item(question, f"{left} = {value}", balanced)


def _game(rng: np.random.Generator) -> Item | None:
    numbers = sorted(rng.integers(1, _CARDS + 1, 4).tolist())
    found = solution_24(numbers)
    return Item(_ASKS_24 + " ".join(map(str, numbers)), found, makes_24) if found else None


def filled(numbers: Sequence[int], signs: Sequence[str]) -> str:
    """Numbers with signs between them."""
    return str(numbers[0]) + "".join(f" {sign} {number}" for sign, number in zip(signs, numbers[1:], strict=True))


def solution(numbers: Sequence[int], result: int) -> str | None:
    """The first filling of an equation that has the result."""
    for signs in product("+-*/", repeat=len(numbers) - 1):
        left = filled(numbers, signs)
        if value_of(left) == result:
            return f"{left} = {result}"
    return None


def solution_24(numbers: Sequence[int]) -> str | None:
    """An expression that makes 24 of all numbers; None when none does."""
    return _found(tuple(numbers))


@lru_cache(2000)  # the same puzzle comes in every arm
def _found(numbers: tuple[int, ...]) -> str | None:
    return next(_reaching([(Fraction(number), str(number)) for number in numbers]), None)


def _reaching(parts: list[tuple[Fraction, str]]) -> Iterator[str]:
    """Join two parts in every way until one is left."""
    if len(parts) == 1:
        if parts[0][0] == 24:
            yield parts[0][1]
        return
    for i, j in product(range(len(parts)), repeat=2):
        if i != j:
            rest = [part for k, part in enumerate(parts) if k not in (i, j)]
            for joined in _joined(parts[i], parts[j], ordered=i < j):
                yield from _reaching([*rest, joined])


def _joined(
    left: tuple[Fraction, str], right: tuple[Fraction, str], *, ordered: bool
) -> Iterator[tuple[Fraction, str]]:
    (a, x), (b, y) = left, right
    if ordered:  # a + b and b + a are the same
        yield a + b, f"({x} + {y})"
        yield a * b, f"({x} * {y})"
    yield a - b, f"({x} - {y})"
    if b:
        yield a / b, f"({x} / {y})"
