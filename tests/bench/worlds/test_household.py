"""The household keeps its rules, tells no secret, and can be solved by who knows them."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.bench.worlds.household import APPLIANCES, FAMILIES, Errand, House, Household


def drawn(seed: int, family: str, *, fatal: bool = True) -> Household:
    house = House(seed)
    return Household(house, house.errand(np.random.default_rng(seed), family), fatal=fatal)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", range(8))
def test_who_knows_the_rules_reaches_the_goal_by_valid_actions(family: str, seed: int) -> None:
    world = drawn(seed, family)
    seen = world.reset()
    for command in world.solution():
        assert not seen.done
        assert command in world.valid_actions()
        seen = world.step(command)
    assert (seen.score, seen.done) == (1.0, True)


def by_hand(*, fatal: bool = True, broken: bool = True) -> tuple[Household, str, str]:
    """A mug to be heated: its place, and the place of the broken one."""
    house = House(3)
    home, stray, target = house.classes[0], house.classes[1], house.classes[2]  # open ones
    errand = Errand("heat", "mug", target, (f"{home} 1",), f"{stray} 1" if broken else "")
    return Household(house, errand, fatal=fatal), f"{home} 1", f"{stray} 1"


def test_progress_by_hand() -> None:
    world, home, _ = by_hand(broken=False)
    heater, target = f"{world.house.works['heat']} 1", f"{world.errand.target} 1"
    commands = [f"go to {home}", f"take mug 1 from {home}", f"go to {heater}", f"heat mug 1 with {heater}",
                f"go to {target}", f"put mug 1 in {target}"]  # fmt: skip
    assert [world.step(command).score for command in commands] == [0.0, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 1.0]


def test_only_one_appliance_heats() -> None:
    world, home, _ = by_hand(broken=False)
    wrong = next(f"{name} 1" for name in APPLIANCES["heat"] if name != world.house.works["heat"])
    for command in (f"go to {home}", f"take mug 1 from {home}", f"go to {wrong}"):
        world.step(command)
    assert world.step(f"heat mug 1 with {wrong}").text == f"Nothing happens: the {wrong} does not heat anything."


@pytest.mark.parametrize(("fatal", "text"), [(True, "The task is lost."), (False, "It is thrown away.")])
def test_a_broken_thing_looks_sound_until_it_is_used(fatal: bool, text: str) -> None:
    world, _, stray = by_hand(fatal=fatal)
    number = next(thing for thing in world.step(f"go to {stray}").text.split("You see ")[1].strip(".").split(", "))
    assert number.startswith("mug ")
    world.step(f"take {number} from {stray}")
    target = f"{world.errand.target} 1"
    world.step(f"go to {target}")
    seen = world.step(f"put {number} in {target}")
    assert seen.text.endswith(text)
    assert seen.done is fatal
    assert seen.score < 1.0


def test_nothing_is_told_of_the_rules() -> None:
    for seed in range(5):
        world = drawn(seed, "heat")
        told = world.goal + world.reset().text
        assert "broken" not in told
        places = [place for places in world.house.rooms.values() for place in places]
        assert all(place in told for place in places)


def test_a_house_has_its_rules_from_its_seed() -> None:
    assert House(1).kept == House(1).kept
    assert House(1).kept != House(2).kept
    assert all(House(1).strays[kind] != House(1).kept[kind] for kind in House(1).strays)


def test_an_unknown_command_costs_a_step_and_is_answered_in_words() -> None:
    world, *_ = by_hand()
    assert world.step("sing").text == "Nothing happens: there is no such command."
    for _ in range(18):
        assert not world.step("").done
    assert world.step("sing").done


def test_helper_commands_tell() -> None:
    world, home, _ = by_hand()
    assert world.step("inventory").text == "You carry nothing."
    world.step(f"go to {home}")
    told = world.step("check valid actions").text
    assert re.search(rf"take mug [12] from {home}", told)
    assert told == f"You can: {', '.join(world.valid_actions())}."


def test_closed_places_must_be_opened() -> None:
    house = House(3)
    closed = sorted(house.closed)[0]
    world = Household(house, Errand("put", "mug", house.classes[0], (f"{closed} 1",)))
    assert world.step(f"go to {closed} 1").text.endswith("It is closed.")
    assert "you see no mug 1" in world.step(f"take mug 1 from {closed} 1").text
    assert world.step(f"open {closed} 1").text.endswith("You see mug 1.")
    assert world.step(f"take mug 1 from {closed} 1").score == 0.5


@given(st.integers(0, 50), st.sampled_from(FAMILIES), st.lists(st.integers(0, 10_000), max_size=25))
def test_the_same_actions_give_the_same_observations(seed: int, family: str, picks: list[int]) -> None:
    world, again = drawn(seed, family), drawn(seed, family)
    world.step("go to nowhere")
    assert world.reset() == again.reset()
    best = 0.0
    for pick in picks:
        actions = world.valid_actions()
        assert actions == sorted(actions)
        action = actions[pick % len(actions)]
        seen = world.step(action)
        assert seen == again.step(action)
        assert "no such command" not in seen.text
        assert seen.score >= best
        best = seen.score
