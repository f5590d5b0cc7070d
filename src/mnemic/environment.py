"""The contract of text worlds: an agent acts by commands and reads what it sees.

world.reset() -> Observation, then world.step(command) -> Observation until one is `done`. Worlds live in
mnemic.bench.worlds; an agent of any level takes one as an argument, yours too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Observation:
    """What an agent is told after an action.

    text    what it sees
    score   what has been reached so far, from 0 to 1
    done    the episode is over: the goal is reached, or lost, or the steps are used up
    place   name of where it is, when the world tells (a privilege: give it to every method compared, or to none)
    """

    text: str
    score: float = 0.0
    done: bool = False
    place: str | None = None


class Environment(Protocol):
    """A world with one goal. Deterministic: the same actions after `reset` give the same observations."""

    @property
    def goal(self) -> str:
        """What is to be reached, in words."""

    @property
    def max_steps(self) -> int:
        """Steps after which an episode ends, reached or not."""

    def reset(self) -> Observation: ...

    def step(self, action: str) -> Observation:
        """An action that the world does not know costs a step and is answered in words, never with an error."""

    def valid_actions(self) -> list[str]:
        """Commands that the world would take now, sorted."""


@dataclass(frozen=True)
class Step:
    """One action and what came of it, as an agent remembers it."""

    action: str
    observation: Observation


@dataclass(frozen=True)
class Episode:
    """A task as it was played: the goal, what was first seen, and every step."""

    goal: str
    first: Observation
    steps: tuple[Step, ...] = field(default=())

    @property
    def score(self) -> float:
        """What was reached in the end, from 0 to 1."""
        return (self.steps[-1].observation if self.steps else self.first).score
