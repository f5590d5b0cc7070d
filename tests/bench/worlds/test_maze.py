"""Treasure mazes keep the contract of worlds, can be won, and repeat themselves."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.bench.worlds.maze import LARGEST, SMALLEST, Maze, needed
from mnemic.errors import InputError
from mnemic.store.arigraph import RuleTriplets

OPPOSITE = {"north": "south", "south": "north", "east": "west", "west": "east"}


def winning(maze: Maze) -> list[str]:
    """What somebody does who knows the whole maze."""
    actions, here = ["take key 1"], maze.plan.rooms[0]
    for number, (key, locker) in enumerate(maze.plan.chain, 2):
        actions += way(maze, here, maze.plan.lockers[locker])
        here = maze.plan.lockers[locker]
        inside = [item for item, place in maze.plan.inside.items() if place == locker and not item.startswith("note")]
        actions += [f"unlock {locker} with {key}", f"open {locker}", f"take {inside[0]} from {locker}"]
        actions += [f"examine note {number}"] if number <= len(maze.plan.chain) else []
    return actions


def way(maze: Maze, start: str, goal: str) -> list[str]:
    queue = [(start, list[str]())]
    for room, moves in queue:
        if room == goal:
            return moves
        queue += [(other, [*moves, f"go {step}"]) for step, other in maze.plan.ways[room].items() if len(moves) < 30]
    raise AssertionError("no way")


@pytest.mark.parametrize(("rooms", "seed"), [(6, 0), (12, 1), (12, 2)])
def test_a_maze_can_be_won_in_the_steps_that_are_needed(rooms: int, seed: int) -> None:
    maze = Maze(rooms, seed)
    actions = winning(maze)
    scores = [maze.step(action).score for action in actions]
    assert len(actions) == needed(maze.plan) == round(maze.max_steps / 1.5)
    assert scores == sorted(scores)  # never less
    assert (scores[0], scores[-1]) == (pytest.approx(1 / (rooms + 1)), 1.0)
    assert maze.step("look").done


@given(st.integers(SMALLEST, LARGEST), st.integers(0, 1000))
def test_a_plan_is_whole(rooms: int, seed: int) -> None:
    plan = Maze(rooms, seed, max_steps=5).plan
    assert len(set(plan.rooms)) == rooms
    assert sorted(plan.lockers.values()) == sorted(plan.rooms)  # one locker each
    assert {locker for _, locker in plan.chain} == set(plan.lockers)  # the chain goes through all of them
    assert plan.chain[-1] == ("golden key", "golden locker")
    for room, ways in plan.ways.items():
        assert all(plan.ways[other][OPPOSITE[step]] == room for step, other in ways.items())
    reached = {plan.rooms[0]}
    for _ in range(rooms):
        reached |= {other for room in reached for other in plan.ways[room].values()}
    assert reached == set(plan.rooms)


def test_the_same_actions_give_the_same_observations() -> None:
    one, two = Maze(12, 3), Maze(12, 3)
    dice = random.Random(0)
    for _ in range(60):
        action = dice.choice(one.valid_actions())
        assert one.step(action) == two.step(action)
    assert one.reset() == two.reset() == Maze(12, 3).reset()
    assert Maze(12, 3).plan != Maze(12, 4).plan


def test_a_room_is_told_in_other_words_each_time() -> None:
    maze = Maze(12, 0)
    assert len({maze.step("look").text for _ in range(20)}) > 10


def test_things_move() -> None:
    maze = Maze(6, 0)
    start, (_, locker) = maze.plan.rooms[0], maze.plan.chain[0]
    assert maze.whereabouts()["key 1"] == start
    maze.step("take key 1")
    assert maze.whereabouts()["key 1"] == "inventory"
    maze.step("drop key 1")
    assert maze.whereabouts()["key 1"] == start
    for action in winning(maze)[: len(way(maze, start, maze.plan.lockers[locker])) + 2]:
        seen = maze.step(action)
    assert "which stays in its lock" in seen.text
    assert maze.whereabouts()["key 1"] == locker
    maze.step(f"open {locker}")
    assert f"take key 1 from {locker}" not in maze.valid_actions()
    assert f"take key 2 from {locker}" in maze.valid_actions()
    maze.step(f"take key 2 from {locker}")
    maze.step(f"put key 2 into {locker}")
    assert maze.whereabouts()["key 2"] == locker
    maze.step(f"close {locker}")
    assert f"open {locker}" in maze.valid_actions()


def test_only_the_right_key_is_offered() -> None:
    maze = Maze(12, 0)
    maze.step("take key 1")
    dice = random.Random(0)
    for _ in range(100):
        offered = [action for action in maze.valid_actions() if action.startswith("unlock")]
        assert set(offered) <= {f"unlock {maze.plan.chain[0][1]} with key 1"}
        maze.step(dice.choice([action for action in maze.valid_actions() if action.startswith("go")]))


def test_an_unknown_action_costs_a_step_and_is_answered_in_words() -> None:
    maze = Maze(6, 0, max_steps=2)
    assert "can't" in maze.step("fly to the moon").text
    assert maze.step("").done


def test_the_first_observation_holds_the_task_and_every_one_the_place() -> None:
    maze = Maze(12, 0)
    first = maze.reset()
    assert "Your task is to get the treasure." in first.text
    assert first.place == maze.plan.rooms[0]
    assert first.score == 0


def test_the_rules_read_every_phrasing() -> None:
    maze, reader, dice = Maze(12, 5, max_steps=10_000), RuleTriplets(), random.Random(1)
    seen = maze.reset()
    for _ in range(300):
        room, read = seen.place or "", reader.read(seen.text)
        if "-= " in seen.text:
            locker = next(name for name, place in maze.plan.lockers.items() if place == room)
            assert (locker, "is in", room) in read, seen.text
            assert {fact.object for fact in read if fact.relation == "has exit"} == set(maze.plan.ways[room]), seen.text
        where = maze.whereabouts()
        assert all(where[each.subject] == each.object for each in read if each.relation == "is in"), seen.text
        better = [action for action in maze.valid_actions() if action.split()[0] in ("take", "unlock", "open")]
        seen = maze.step(dice.choice(better or [each for each in maze.valid_actions() if each.startswith("go")]))


@pytest.mark.parametrize("rooms", [0, 5, 37])
def test_a_maze_has_six_to_thirty_six_rooms(rooms: int) -> None:
    with pytest.raises(InputError, match=f"not {rooms}"):
        Maze(rooms)
