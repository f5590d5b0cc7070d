"""Two planning worlds in the manner of PDDL, each with rules that a stream shares and that nobody is told.

Gripper   a robot with two grippers carries balls between rooms. It sees the room it is in; the hidden rules say in
          which room balls of a colour lie and which gripper holds them.
Blocks    towers are built of blocks of several materials. Everything is seen; the hidden rules say which tool carries
          which material, and for some materials which tool lifts a block and breaks it as it is stacked: then the
          task is lost.

Rules and words are drawn from the seed of a `Plant` (gripper) and a `Yard` (blocks), as in
mnemic.bench.worlds.household.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mnemic.environment import Observation

GRIPPER_FAMILIES = ("one", "same", "pair")
BLOCKS_FAMILIES = ("two", "three", "clear")
_ROOMS = (
    "attic cellar garage kitchen library office studio pantry workshop greenhouse garden lobby gallery nursery laundry "
    "porch terrace den vault chapel stable barn shed hangar dock archive theatre gym clinic classroom canteen foyer"
).split()
_COLOURS = (
    "red green blue yellow orange purple pink brown black white grey silver golden teal violet amber crimson ivory "
    "olive navy coral maroon"
).split()
_MATERIALS = (
    "oak pine steel glass marble granite copper brass rubber cork wax clay ice foam slate bamboo plaster leather felt "
    "zinc lead chalk salt coal"
).split()
_TOOLS = "hook clamp magnet tongs suction-cup sling fork strap chain ladle net wedge vice harness scoop pincer".split()
_ROOMS_OF_A_PLANT, _COLOURS_OF_A_PLANT = 24, 8
_MATERIALS_OF_A_YARD, _TOOLS_OF_A_YARD = 8, 11
_TRAPPED_COLOURS, _TRAPPED_MATERIALS = 0.5, 0.5  # shares that have a flat ball, a tool that breaks them
GRIPPER_INSTRUCTIONS = (
    "You steer a robot with a left and a right gripper that carries balls between rooms; each gripper holds one ball. "
    "It sees only the room it is in. Commands: move to ROOM, pick up BALL with left gripper, pick up BALL with right "
    "gripper, drop BALL, check valid actions, inventory. Not every gripper holds every ball."
)
BLOCKS_INSTRUCTIONS = (
    "You build with blocks on a table and lift one block at a time. Commands: lift the MATERIAL block with the TOOL, "
    "stack the MATERIAL block on the MATERIAL block, put down the MATERIAL block, check valid actions, inventory. A "
    "block can be lifted when nothing is on it, and each material can be carried with one tool alone."
)


class _Counted:
    """What both worlds share: steps are counted, the best that was reached is the score, unknown commands are told.

    fatal   True: a trap loses the task. False: it costs the steps it took
    """

    def __init__(self, max_steps: int, fatal: bool) -> None:
        self._max_steps, self.fatal = max_steps, fatal

    @property
    def max_steps(self) -> int:
        return self._max_steps

    def _begin(self) -> None:
        self._steps, self._best, self._lost = 0, 0.0, False

    def step(self, action: str) -> Observation:
        self._steps += 1
        text = self._act(" ".join(action.lower().split()))
        self._best = max(self._best, self._reached())
        done = self._best == 1.0 or self._lost or self._steps >= self._max_steps
        return Observation(text, self._best, done, self._where())

    def _trap(self, told: str) -> str:
        """What was done cannot be undone: the task is lost, where that is fatal."""
        self._lost = self.fatal
        return f"{told} The task is lost." if self.fatal else told

    def valid_actions(self) -> list[str]:
        return sorted(["check valid actions", "inventory", *self._valid()])

    def _act(self, action: str) -> str:
        if action == "check valid actions":
            return "You can: " + ", ".join(self.valid_actions()) + "."
        return self._inventory() if action == "inventory" else self._do(action)

    def _do(self, action: str) -> str:
        raise NotImplementedError

    def _inventory(self) -> str:
        raise NotImplementedError

    def _valid(self) -> list[str]:
        raise NotImplementedError

    def _reached(self) -> float:
        raise NotImplementedError

    def _where(self) -> str | None:
        return None


class Plant:
    """Rooms and colours of one plant, drawn from a seed.

    lie    colour -> room where balls of it lie
    flat   colour -> room where a flat one lies, for the colours that have one
    hand   colour -> the gripper that holds them
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 12])
        self.rooms = sorted(_some(rng, _ROOMS, _ROOMS_OF_A_PLANT))
        self.colours = _some(rng, _COLOURS, _COLOURS_OF_A_PLANT)
        self.lie = {colour: self.rooms[rng.integers(len(self.rooms))] for colour in self.colours}
        trapped = self.colours[: round(_TRAPPED_COLOURS * len(self.colours))]
        self.flat = {colour: _other(rng, self.rooms, self.lie[colour]) for colour in trapped}
        self.hand = {colour: ("left", "right")[rng.integers(2)] for colour in self.colours}

    def haul(self, rng: np.random.Generator, family: str) -> Haul:
        """A task: one ball, two of the same colour, or a pair of two colours, into one room."""
        first, second = _some(rng, self.colours, 2)
        colours = {"one": (first,), "same": (first, first), "pair": (first, second)}[family]
        taken = {rooms.get(colour) for colour in colours for rooms in (self.lie, self.flat)}
        free = [room for room in self.rooms if room not in taken]
        start = free[rng.integers(len(free))]
        return Haul(family, colours, free[rng.integers(len(free))], start, int(rng.integers(100, 1000)))


@dataclass(frozen=True)
class Haul:
    """One task of a plant: balls of these colours into the target room. `number` makes no two tasks look the same."""

    family: str
    colours: tuple[str, ...]
    target: str
    start: str
    number: int = 100

    @property
    def goal(self) -> str:
        if self.family == "same":
            return f"bring two {self.colours[0]} balls to the {self.target}"
        return f"bring {' and '.join(f'a {colour} ball' for colour in self.colours)} to the {self.target}"


class Gripper(_Counted):
    """One haul as a world (mnemic.environment.Environment)."""

    def __init__(self, plant: Plant, haul: Haul, *, max_steps: int = 20, fatal: bool = True) -> None:
        super().__init__(max_steps, fatal)
        self.plant, self.haul = plant, haul
        self.reset()

    @property
    def goal(self) -> str:
        return self.haul.goal

    def reset(self) -> Observation:
        self._begin()
        self._room = self.haul.start
        self._held: dict[str, str] = {}  # gripper -> ball
        self._lies: dict[str, str] = {}  # ball -> room
        self._flat: set[str] = set()
        self._sound: dict[str, list[str]] = {}  # colour -> balls that are not flat
        for colour in self.plant.colours:
            homes = [self.plant.lie[colour]] * max(1, self.haul.colours.count(colour))
            flats = [(self.plant.flat[colour], True)] if colour in self.plant.flat else []
            places = sorted([*((room, False) for room in homes), *flats])
            for n, (room, flat) in enumerate(places, 1):  # numbered by room, so that no name tells
                self._lies[ball := f"{colour} ball {n}"] = room
                if flat:
                    self._flat.add(ball)
                else:
                    self._sound.setdefault(colour, []).append(ball)
        rooms = ", ".join(self.plant.rooms)
        return Observation(f"Order {self.haul.number}. Rooms: {rooms}. {self._seen()}", place=self._room)

    def solution(self) -> list[str]:
        """A way for somebody who knows the rules, not always the shortest: one trip where the grippers allow it."""
        commands: list[str] = []
        full: set[str] = set()
        at, target = self.haul.start, self.haul.target
        for ball in self._wanted():
            colour = ball.split()[0]
            hand, home = self.plant.hand[colour], self.plant.lie[colour]
            if hand in full:
                commands += _deliver(at, target, [b for b in self._wanted() if _picked(commands, b)])
                full, at = set(), target
            commands += [f"move to {home}"] if at != home else []
            commands.append(f"pick up {ball} with {hand} gripper")
            full.add(hand)
            at = home
        return [*commands, *_deliver(at, target, [b for b in self._wanted() if _picked(commands, b)])]

    def _do(self, action: str) -> str:
        if match := re.fullmatch(r"move to (.+)", action):
            if match[1] not in self.plant.rooms:
                return f"Nothing happens: there is no {match[1]}."
            self._room = match[1]
            return self._seen()
        if match := re.fullmatch(r"pick up (.+) with (left|right) gripper", action):
            return self._pick(match[1], match[2])
        if match := re.fullmatch(r"drop (.+)", action):
            hand = next((hand for hand, ball in self._held.items() if ball == match[1]), "")
            if not hand:
                return f"Nothing happens: the robot does not hold the {match[1]}."
            self._held.pop(hand)
            if match[1] in self._flat:
                return self._trap(f"The {match[1]} is flat. It is thrown away.")
            self._lies[match[1]] = self._room
            return f"The {match[1]} lies in the {self._room}."
        return "Nothing happens: there is no such command."

    def _pick(self, ball: str, hand: str) -> str:
        if self._lies.get(ball) != self._room:
            return f"Nothing happens: there is no {ball} here."
        if hand in self._held:
            return f"Nothing happens: the {hand} gripper holds the {self._held[hand]}."
        if self.plant.hand[ball.split()[0]] != hand:
            return f"The {ball} slips out of the {hand} gripper."
        del self._lies[ball]
        self._held[hand] = ball
        return f"The {hand} gripper holds the {ball}."

    def _valid(self) -> list[str]:
        here = [ball for ball, room in self._lies.items() if room == self._room]
        free = [hand for hand in ("left", "right") if hand not in self._held]
        return [
            *(f"move to {room}" for room in self.plant.rooms),
            *(f"pick up {ball} with {hand} gripper" for ball in here for hand in free),
            *(f"drop {ball}" for ball in self._held.values()),
        ]

    def _inventory(self) -> str:
        return " ".join(f"The {hand} gripper holds {self._held.get(hand, 'nothing')}." for hand in ("left", "right"))

    def _seen(self) -> str:
        here = ", ".join(sorted(ball for ball, room in self._lies.items() if room == self._room))
        return f"The robot is in the {self._room}. It sees {here or 'no balls'}."

    def _wanted(self) -> list[str]:
        left = {colour: iter(balls) for colour, balls in self._sound.items()}
        return [next(left[colour]) for colour in self.haul.colours]

    def _reached(self) -> float:
        parts = []
        for ball in self._wanted():
            placed = self._lies.get(ball) == self.haul.target
            parts += [ball in self._held.values() or placed, placed]
        return sum(parts) / len(parts)

    def _where(self) -> str:
        return self._room


class Yard:
    """Materials and tools of one yard, drawn from a seed; `lifts` is material -> the tool that carries it.

    weak   material -> a tool that lifts a block of it and breaks it later, for the materials that have one
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 13])
        self.materials = _some(rng, _MATERIALS, _MATERIALS_OF_A_YARD)
        self.tools = sorted(_some(rng, _TOOLS, _TOOLS_OF_A_YARD))
        self.lifts = {material: self.tools[rng.integers(len(self.tools))] for material in self.materials}
        trapped = self.materials[: round(_TRAPPED_MATERIALS * len(self.materials))]
        self.weak = {material: _other(rng, self.tools, self.lifts[material]) for material in trapped}

    def tower(self, rng: np.random.Generator, family: str) -> Tower:
        """A task: a tower of two or of three, or a block that two others stand on is cleared and raised."""
        some = _some(rng, self.materials, 6)
        number = int(rng.integers(100, 1000))
        if family == "two":
            return Tower(family, tuple(some[:2]), {some[0]: some[2]}, tuple(some), number)
        if family == "three":
            return Tower(family, tuple(some[:3]), {some[1]: some[3]}, tuple(some), number)
        return Tower(family, tuple(some[:2]), {some[0]: some[2], some[2]: some[3]}, tuple(some), number)


@dataclass(frozen=True)
class Tower:
    """One task of a yard: blocks from the top down, and what stands on what at the start.

    blocks    the tower that is wanted, top first
    covered   block -> the block that stands on it at the start
    there     all blocks on the table, by material
    """

    family: str
    blocks: tuple[str, ...]
    covered: Mapping[str, str]
    there: tuple[str, ...]
    number: int = 100

    @property
    def goal(self) -> str:
        return "build a tower: " + " on ".join(f"the {block} block" for block in self.blocks)


class Blocks(_Counted):
    """One tower as a world (mnemic.environment.Environment)."""

    def __init__(self, yard: Yard, tower: Tower, *, max_steps: int = 20, fatal: bool = True) -> None:
        super().__init__(max_steps, fatal)
        self.yard, self.tower = yard, tower
        self.reset()

    @property
    def goal(self) -> str:
        return self.tower.goal

    def reset(self) -> Observation:
        self._begin()
        self._held = self._tool = ""
        self._on = {top: bottom for bottom, top in self.tower.covered.items()}  # block -> what it stands on
        tools = ", ".join(self.yard.tools)
        return Observation(f"Order {self.tower.number}. Tools: {tools}. {self._seen()}")

    def solution(self) -> list[str]:
        """A shortest way for somebody who knows which tool lifts what."""
        commands: list[str] = []
        on = {top: bottom for bottom, top in self.tower.covered.items()}
        for top, bottom in reversed(list(zip(self.tower.blocks, self.tower.blocks[1:], strict=False))):
            for block in (*_above(bottom, on), *_above(top, on)):
                commands += [f"lift the {block} block with the {self.yard.lifts[block]}", f"put down the {block} block"]
                on.pop(block)
            commands += [f"lift the {top} block with the {self.yard.lifts[top]}",
                         f"stack the {top} block on the {bottom} block"]  # fmt: skip
            on[top] = bottom
        return commands

    def _do(self, action: str) -> str:
        if match := re.fullmatch(r"lift the (\S+) block with the (\S+)", action):
            return self._lift(match[1], match[2])
        if match := re.fullmatch(r"stack the (\S+) block on the (\S+) block", action):
            return self._stack(match[1], match[2])
        if match := re.fullmatch(r"put down the (\S+) block", action):
            if self._held != match[1]:
                return f"Nothing happens: you do not hold the {match[1]} block."
            self._held = ""
            return self._seen()
        return "Nothing happens: there is no such command."

    def _lift(self, block: str, tool: str) -> str:
        if self._held:
            return f"Nothing happens: you hold the {self._held} block."
        if block not in self.tower.there or tool not in self.yard.tools or block in self._on.values():
            return f"Nothing happens: the {block} block cannot be lifted with the {tool}."
        if tool not in (self.yard.lifts[block], self.yard.weak.get(block)):
            return f"The {tool} slips off the {block} block."
        self._tool = tool
        self._on.pop(block, None)
        self._held = block
        return f"You hold the {block} block."

    def _stack(self, block: str, under: str) -> str:
        free = under in self.tower.there and under not in self._on.values() and under != block
        if self._held != block or not free:
            return f"Nothing happens: the {block} block cannot be stacked there."
        self._held = ""
        if self._tool != self.yard.lifts[block]:
            return self._trap(f"The {block} block slips out of the {self._tool} and falls. {self._seen()}")
        self._on[block] = under
        return self._seen()

    def _valid(self) -> list[str]:
        free = [block for block in self.tower.there if block not in self._on.values() and block != self._held]
        if self._held:
            on = [f"stack the {self._held} block on the {block} block" for block in free]
            return [f"put down the {self._held} block", *on]
        return [f"lift the {block} block with the {tool}" for block in free for tool in self.yard.tools]

    def _inventory(self) -> str:
        return f"You hold the {self._held} block." if self._held else "You hold nothing."

    def _seen(self) -> str:
        standing = [f"{top} on {bottom}" for top, bottom in sorted(self._on.items())]
        table = [block for block in sorted(self.tower.there) if block not in self._on and block != self._held]
        return f"Stacked: {', '.join(standing) or 'nothing'}. On the table: {', '.join(table)}."

    def _reached(self) -> float:
        pairs = list(zip(self.tower.blocks, self.tower.blocks[1:], strict=False))
        return sum(self._on.get(top) == bottom for top, bottom in pairs) / len(pairs)


def _above(block: str, on: Mapping[str, str]) -> list[str]:
    """What stands on a block, the topmost first."""
    top = next((each for each, under in on.items() if under == block), None)
    return [*_above(top, on), top] if top else []


def _picked(commands: Sequence[str], ball: str) -> bool:
    """Is the ball in a gripper after these commands?"""
    return sum(f" {ball} " in command for command in commands) > sum(command == f"drop {ball}" for command in commands)


def _deliver(at: str, target: str, balls: Sequence[str]) -> list[str]:
    return [*([f"move to {target}"] if at != target else []), *(f"drop {ball}" for ball in balls)]


def _some(rng: np.random.Generator, words: Sequence[str], many: int) -> list[str]:
    return [words[n] for n in rng.permutation(len(words))[:many]]


def _other(rng: np.random.Generator, words: Sequence[str], than: str) -> str:
    rest = [word for word in words if word != than]
    return rest[rng.integers(len(rest))]
