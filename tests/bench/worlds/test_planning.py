"""Gripper and blocks keep their rules and can be solved by who knows them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.bench.worlds.planning import (
    BLOCKS_FAMILIES,
    GRIPPER_FAMILIES,
    Blocks,
    Gripper,
    Haul,
    Plant,
    Tower,
    Yard,
)

CASES = [("gripper", family) for family in GRIPPER_FAMILIES] + [("blocks", family) for family in BLOCKS_FAMILIES]


def drawn(kind: str, family: str, seed: int, **options: Any) -> Gripper | Blocks:
    rng = np.random.default_rng(seed)
    if kind == "gripper":
        return Gripper(Plant(seed), Plant(seed).haul(rng, family), **options)
    return Blocks(Yard(seed), Yard(seed).tower(rng, family), **options)


@pytest.mark.parametrize(("kind", "family"), CASES)
@pytest.mark.parametrize("seed", range(8))
def test_who_knows_the_rules_reaches_the_goal_by_valid_actions(kind: str, family: str, seed: int) -> None:
    world = drawn(kind, family, seed)
    seen = world.reset()
    for command in world.solution():
        assert not seen.done
        assert command in world.valid_actions()
        seen = world.step(command)
    assert (seen.score, seen.done) == (1.0, True)


def test_gripper_by_hand() -> None:
    plant = Plant(0)
    colour = next(one for one in plant.colours if one not in plant.flat)
    home, hand = plant.lie[colour], plant.hand[colour]
    other = {"left": "right", "right": "left"}[hand]
    target = next(room for room in plant.rooms if room != home)
    world = Gripper(plant, Haul("one", (colour,), target, target))
    ball = f"{colour} ball 1"
    assert f"{ball}" in world.step(f"move to {home}").text
    assert world.step(f"pick up {ball} with {other} gripper").text == f"The {ball} slips out of the {other} gripper."
    assert world.step(f"pick up {ball} with {hand} gripper").score == 0.5
    assert world.step("inventory").text.count("nothing") == 1
    world.step(f"move to {target}")
    assert world.step(f"drop {ball}").score == 1.0


def flat_ball(fatal: bool) -> tuple[Gripper, list[str]]:
    """A world, and the way of somebody who takes the flat ball."""
    plant = Plant(0)
    colour, room = next(iter(plant.flat.items()))
    target = next(each for each in plant.rooms if each not in (room, plant.lie[colour]))
    world = Gripper(plant, Haul("one", (colour,), target, target), fatal=fatal)
    ball = f"{colour} ball {1 if room < plant.lie[colour] else 2}"
    return world, [f"move to {room}", f"pick up {ball} with {plant.hand[colour]} gripper", f"move to {target}",
                   f"drop {ball}"]  # fmt: skip


def breaking_tool(fatal: bool) -> tuple[Blocks, list[str]]:
    yard = Yard(0)
    top, tool = next(iter(yard.weak.items()))
    bottom = next(each for each in yard.materials if each != top)
    world = Blocks(yard, Tower("two", (top, bottom), {}, (top, bottom)), fatal=fatal)
    return world, [f"lift the {top} block with the {tool}", f"stack the {top} block on the {bottom} block"]


@pytest.mark.parametrize("trap", [flat_ball, breaking_tool])
@pytest.mark.parametrize("fatal", [True, False])
def test_a_trap_shows_itself_at_the_end(trap: Any, fatal: bool) -> None:
    world, way = trap(fatal)
    *before, last = [world.step(command) for command in way]
    assert not any("Nothing happens" in seen.text or "slips off" in seen.text for seen in before)
    assert last.done is fatal
    assert ("The task is lost." in last.text) is fatal
    assert last.score < 1.0


def test_blocks_by_hand() -> None:
    yard = Yard(0)
    a, b, c = yard.materials[-3:]  # without a tool that breaks them
    world = Blocks(yard, Tower("two", (a, b), {a: c}, (a, b, c)))
    assert world.goal == f"build a tower: the {a} block on the {b} block"
    assert f"Stacked: {c} on {a}." in world.reset().text
    assert "cannot be lifted" in world.step(f"lift the {a} block with the {yard.lifts[a]}").text
    wrong = next(tool for tool in yard.tools if tool != yard.lifts[c])
    assert world.step(f"lift the {c} block with the {wrong}").text == f"The {wrong} slips off the {c} block."
    for command in (f"lift the {c} block with the {yard.lifts[c]}", f"put down the {c} block",
                    f"lift the {a} block with the {yard.lifts[a]}"):  # fmt: skip
        assert world.step(command).score == 0.0
    assert world.step(f"stack the {a} block on the {b} block").score == 1.0


def test_rules_come_from_the_seed() -> None:
    assert (Plant(1).lie, Yard(1).lifts) == (Plant(1).lie, Yard(1).lifts)
    assert Plant(1).lie != Plant(2).lie
    assert all(Yard(1).weak[one] != Yard(1).lifts[one] for one in Yard(1).weak)


@given(st.sampled_from(CASES), st.integers(0, 50), st.lists(st.integers(0, 10_000), max_size=25))
def test_the_same_actions_give_the_same_observations(case: tuple[str, str], seed: int, picks: list[int]) -> None:
    world, again = drawn(*case, seed), drawn(*case, seed)
    world.step("sing")
    assert world.reset() == again.reset()
    best = 0.0
    for pick in picks:
        actions = world.valid_actions()
        assert actions == sorted(actions)
        seen = world.step(actions[pick % len(actions)])
        assert seen == again.step(actions[pick % len(actions)])
        assert "no such command" not in seen.text
        assert seen.score >= best
        best = seen.score


@pytest.mark.parametrize(("kind", "family"), CASES)
def test_steps_are_used_up_at_the_limit(kind: str, family: str) -> None:
    world = drawn(kind, family, 1, max_steps=3)
    assert [world.step("sing").done for _ in range(3)] == [False, False, True]
