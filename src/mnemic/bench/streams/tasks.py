"""Streams of tasks: what comes one after the other, the same for every method."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import numpy as np

from mnemic.bench.worlds import household, planning
from mnemic.environment import Environment
from mnemic.errors import InputError, NotFound
from mnemic.store.evo_memory import Brief

Order = Literal["as_drawn", "easy_to_hard", "hard_to_easy", "shuffled"]

MAX_STEPS = 20
DOMAINS = ("household", "gripper", "blocks", "control")
_COMMON = 0.5  # share of tasks of a stream's main family


@dataclass(frozen=True)
class Task:
    """One task of a stream.

    goal        what is asked: the goal of its world, or a question
    brief       rules and demonstrations
    family      what sort of task it is; never shown
    difficulty  steps of a way for somebody who knows the rules (a world), or any number that orders questions
    world       makes the world of the task; None for a question
    gold        the right answer of a question; the judge sees it, the agent never
    """

    goal: str
    brief: Brief
    family: str
    difficulty: float = 0.0
    world: Callable[[], Environment] | None = None
    gold: str | Mapping[str, Any] = ""


@dataclass(frozen=True)
class TaskStream:
    """Tasks in the order in which every method gets them."""

    name: str
    tasks: tuple[Task, ...]

    def __len__(self) -> int:
        return len(self.tasks)

    def ordered(self, order: Order, *, seed: int = 0) -> TaskStream:
        """The same tasks in another order; equally hard ones stay as they were."""
        if order not in get_args(Order):
            raise InputError(f'there is no order "{order}": use one of {", ".join(get_args(Order))}.')
        tasks = list(self.tasks)
        if order == "shuffled":
            tasks = [tasks[n] for n in np.random.default_rng([seed, 21]).permutation(len(tasks))]
        elif order != "as_drawn":
            tasks.sort(key=lambda task: task.difficulty, reverse=order == "hard_to_easy")
        return dataclasses.replace(self, tasks=tuple(tasks))


def stream(domain: str, seed: int, n: int = 120, *, fatal: bool = True) -> TaskStream:
    """A generated stream of a domain; raises NotFound for another name than those of DOMAINS.

    household, gripper, blocks  one set of hidden rules for all tasks, half of them of one family
    control                     every task has rules and words of its own, from all three worlds in turn
    fatal                       False: a trap costs steps and does not lose the task
    """
    if domain not in DOMAINS:
        raise NotFound(f'there is no domain "{domain}": use one of {", ".join(DOMAINS)}.')
    rng = np.random.default_rng([seed, 20, DOMAINS.index(domain)])
    names = [name for name in DOMAINS if name != "control"]
    if domain == "control":
        tasks = [_drawn(names[t % 3], 10_000 * (seed + 1) + t, _families(names[t % 3], rng), rng, fatal)
                 for t in range(n)]  # fmt: skip
    else:
        families = _families(domain, rng)
        tasks = [_drawn(domain, seed, families, rng, fatal) for _ in range(n)]
    return TaskStream(domain, tuple(tasks))


def _families(domain: str, rng: np.random.Generator) -> list[str]:
    """The families of a domain, the main one of a stream first."""
    families = list(_DOMAINS[domain][1])
    main = families[rng.integers(len(families))]
    return [main, *(family for family in families if family != main)]


def _drawn(domain: str, rules: int, families: Sequence[str], rng: np.random.Generator, fatal: bool) -> Task:
    """One task under the rules of a seed: half of the time of the first family."""
    make, _, instructions = _DOMAINS[domain]
    family = families[0] if rng.random() < _COMMON else families[int(rng.integers(1, len(families)))]
    world = make(rules, rng, family, fatal)
    made = world()
    return Task(made.goal, Brief(instructions), family, len(made.solution()), world)


def _household(rules: int, rng: np.random.Generator, family: str, fatal: bool) -> Callable[[], Solvable]:
    house = household.House(rules)
    errand = house.errand(rng, family)
    return lambda: household.Household(house, errand, max_steps=MAX_STEPS, fatal=fatal)


def _gripper(rules: int, rng: np.random.Generator, family: str, fatal: bool) -> Callable[[], Solvable]:
    plant = planning.Plant(rules)
    haul = plant.haul(rng, family)
    return lambda: planning.Gripper(plant, haul, max_steps=MAX_STEPS, fatal=fatal)


def _blocks(rules: int, rng: np.random.Generator, family: str, fatal: bool) -> Callable[[], Solvable]:
    yard = planning.Yard(rules)
    tower = yard.tower(rng, family)
    return lambda: planning.Blocks(yard, tower, max_steps=MAX_STEPS, fatal=fatal)


class Solvable(Environment, Protocol):
    """A world that can tell a way to its goal; how long that is orders tasks by difficulty."""

    def solution(self) -> list[str]: ...


_Maker = Callable[[int, np.random.Generator, str, bool], Callable[[], Solvable]]
_DOMAINS: Mapping[str, tuple[_Maker, Sequence[str], str]] = {
    "household": (_household, household.FAMILIES, household.INSTRUCTIONS),
    "gripper": (_gripper, planning.GRIPPER_FAMILIES, planning.GRIPPER_INSTRUCTIONS),
    "blocks": (_blocks, planning.BLOCKS_FAMILIES, planning.BLOCKS_INSTRUCTIONS),
}


def spread(goals: Sequence[str], embed: Callable[[Sequence[str]], Any]) -> float:
    """Mean cosine distance of the goals to their centroid: 0 for equal goals; smaller means more similar."""
    if not goals:
        raise InputError("a stream without tasks has no centroid: give at least one goal.")
    vectors = np.asarray(embed(goals), dtype=np.float64)  # [n d], rows of length 1
    centroid = vectors.mean(0)  # [d]
    length = np.linalg.norm(centroid)
    return float(1 - (vectors @ centroid).mean() / length) if length > 0 else 1.0
