"""Treasure mazes: rooms with a locked locker each, keys in lockers, notes that name the next one; TextWorld's English.

Rooms lie on a grid, 12 to 36 of them. Key 1 lies on the floor of the first room; key i opens a locker that holds key
i+1 and a note that says which locker that one opens; so through all lockers to the golden one, with the treasure.
Nobody says where a locker stands: it has to have been seen. Rooms are described at every visit in other words. Things
move: keys are taken out of lockers and stay in the locks that they open.

An episode has one and a half times the steps of somebody who knows the whole maze: about 150 for 12 rooms. The same
seed and the same actions give the same observations.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mnemic.environment import Observation
from mnemic.errors import InputError

GOAL = "Get the treasure. It is in the golden locker. The golden locker opens with the golden key."
SMALLEST, LARGEST = 6, 36
SLACK = 1.5  # steps there are / steps that are needed; gives about the paper's 150 for its 12 rooms

_ROOMS = (
    "attic pantry cellar library nursery ballroom chapel studio veranda laundry workshop greenhouse armory "
    "observatory kitchen lounge foyer vault garage terrace scullery gallery parlour bathroom bedroom office den "
    "conservatory courtyard barn stable boathouse gatehouse infirmary dormitory refectory"
).split()
_COLOURS = (
    "white red blue green yellow orange purple brown black grey pink cyan crimson silver bronze azure emerald amber "
    "violet ivory scarlet teal maroon olive beige coral indigo lime navy ochre magenta turquoise lavender copper jade"
).split()
_GOLDEN = "golden locker"
_WAYS = {"north": (0, 1), "east": (1, 0), "south": (0, -1), "west": (-1, 0)}
_OPPOSITE = {"north": "south", "south": "north", "east": "west", "west": "east"}

_INTROS = ("You are in the {room}. An ordinary one.", "You find yourself in a {room}.", "You've entered the {room}.",
           "You arrive in the {room}. A standard kind of place.", "Well, here we are in the {room}.")  # fmt: skip
_SEEN = (
    "You can make out a {locker}.", "You see a {locker} in the corner.", "Look over there, it's a {locker}.",
    "You smell an interesting smell, and follow it to a {locker}.", "A {locker} stands by the wall.",
    "You bend down to tie your shoe. When you stand up, you notice a {locker}.",
)  # fmt: skip
_HELD = ("The {locker} contains {items}.", "In the {locker} you can see {items}.", "Inside the {locker} lies {items}.")
_EXITS = (
    "There is an exit to the {way}.", "There is an unblocked exit to the {way}. Don't worry, it is unguarded.",
    "You don't like doors? Why not try going {way}, that entranceway is unblocked.", "A narrow passage leads {way}.",
    "You need an exit without a door? You should try going {way}.",
)  # fmt: skip
_FLOOR = ("There is a {item} on the floor.", "On the floor lies a {item}.")
_NOTES = (
    "The {key} unlocks the {locker}.", "The {key} opens the {locker}.", "The {locker} opens with the {key}.",
    "The {key} fits the {locker}.",
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """A maze before anybody walks in it.

    ways      room -> direction -> room
    lockers   locker -> room
    chain     (key, the locker it opens), in order
    inside    thing -> locker it starts in
    """

    rooms: tuple[str, ...]
    ways: Mapping[str, Mapping[str, str]]
    lockers: Mapping[str, str]
    chain: tuple[tuple[str, str], ...]
    inside: Mapping[str, str] = field(default_factory=dict)


class Maze:
    """A world with the contract of mnemic.environment.

    rooms      6 to 36
    seed       which maze, and in which words
    max_steps  None for 1.5 times what is needed
    """

    goal = GOAL

    def __init__(self, rooms: int = 12, seed: int = 0, *, max_steps: int | None = None) -> None:
        if not SMALLEST <= rooms <= LARGEST:
            raise InputError(f"a maze has {SMALLEST} to {LARGEST} rooms, not {rooms}: choose a number between them.")
        self.seed = seed
        self.plan = _planned(rooms, random.Random(f"maze {rooms} {seed}"))
        self.max_steps = round(SLACK * needed(self.plan)) if max_steps is None else max_steps
        self.reset()

    def reset(self) -> Observation:
        self._room, self._steps, self._told = self.plan.rooms[0], 0, 0
        self._holder = {**self.plan.inside, "key 1": self._room}  # thing -> locker, room or inventory
        self._state = dict.fromkeys(self.plan.lockers, "locked")
        self._got: set[str] = set()
        self._stuck: set[str] = set()  # keys in the locks that they opened
        key, locker = self.plan.chain[0]
        task = f"Your task is to get the treasure. All lockers are locked. {_NOTES[0].format(key=key, locker=locker)}"
        return self._observed(f"{self._described()}\n{task} Read the notes that you find.")

    def step(self, action: str) -> Observation:
        self._steps += 1
        words = " ".join(action.lower().split())
        return self._observed(self._done(words) if words in self.valid_actions() else "You can't do that here.")

    def valid_actions(self) -> list[str]:
        locker, held, lying = self._locker(), self._at("inventory"), self._at(self._room)
        actions = [f"go {way}" for way in self.plan.ways[self._room]] + ["inventory", "look"]
        actions += [f"take {item}" for item in lying] + [f"drop {item}" for item in held]
        if self._state[locker] == "locked":
            opening = [key for key, opens in self.plan.chain if opens == locker and key in held]
            actions += [f"unlock {locker} with {key}" for key in opening]
        elif self._state[locker] == "unlocked":
            actions.append(f"open {locker}")
        else:
            inside = self._at(locker)
            actions += [f"close {locker}", *(f"take {item} from {locker}" for item in inside)]
            actions += [f"put {item} into {locker}" for item in held]
            held = [*held, *inside]
        notes = [item for item in [*held, *lying] if item.startswith("note")]
        return sorted([*actions, *(f"examine {note}" for note in notes)])

    def whereabouts(self) -> dict[str, str]:
        """Thing -> where it is now. For whoever judges; a player must not look."""
        return {**self._holder, **self.plan.lockers}

    def _done(self, action: str) -> str:
        """Do a valid action and say what came of it."""
        verb, _, rest = action.partition(" ")
        if verb == "go":
            self._room = self.plan.ways[self._room][rest]
            return self._described()
        if verb == "take":
            return self._taken(*rest.split(" from ")) if " from " in rest else self._taken(rest)
        if verb in ("drop", "put"):
            item, _, locker = rest.partition(" into ")
            self._holder[item] = locker or self._room
            return f"You put the {item} into the {locker}." if locker else f"You drop the {item} on the ground."
        if verb == "examine":
            return self._read(rest)
        if verb == "unlock":
            return self._unlocked(*rest.split(" with "))
        if verb in ("open", "close"):
            return self._turned(verb, rest)
        return self._described() if verb == "look" else ""

    def _taken(self, item: str, locker: str | None = None) -> str:
        self._holder[item] = "inventory"
        if not item.startswith("note"):
            self._got.add(item)
        return f"You take the {item} from the {locker}." if locker else f"You pick up the {item} from the ground."

    def _read(self, note: str) -> str:
        number = int(note.split()[-1])
        key, locker = self.plan.chain[number - 1]
        return self._said(_NOTES).format(key=key, locker=locker)

    def _unlocked(self, locker: str, key: str) -> str:
        self._state[locker], self._holder[key] = "unlocked", locker
        self._stuck.add(key)
        return f"You unlock the {locker} with the {key}, which stays in its lock."

    def _turned(self, verb: str, locker: str) -> str:
        self._state[locker] = "open" if verb == "open" else "unlocked"
        held = self._at(locker)
        if verb == "open" and held:
            return f"You open the {locker}, revealing {_listed(held)}."
        return f"You {verb} the {locker}."

    def _described(self) -> str:
        """The room in words of this visit."""
        room, locker = self._room, self._locker()
        held = self._at(locker) if self._state[locker] == "open" else []
        contents = [self._said(_HELD).format(locker=locker, items=_listed(held))] if held else []
        lines = [
            f"-= {room.title()} =-",
            self._said(_INTROS).format(room=room),
            " ".join([self._said(_SEEN).format(locker=locker), *contents]),
            " ".join(self._said(_EXITS).format(way=way) for way in self.plan.ways[room]),
            *(self._said(_FLOOR).format(item=item) for item in self._at(room)),
        ]
        return "\n".join(lines)

    def _observed(self, text: str) -> Observation:
        held = self._at("inventory")
        carried = f"You are carrying: {_listed(held)}." if held else "You are carrying nothing."
        score = len(self._got) / (len(self.plan.chain) + 1)
        done = score == 1 or self._steps >= self.max_steps
        return Observation(f"{text}\n{carried}".strip(), score, done, self._room)

    def _said(self, phrasings: Sequence[str]) -> str:
        """One of the phrasings, another one each time."""
        self._told += 1
        return random.Random(f"words {self.seed} {self._told}").choice(phrasings)

    def _locker(self) -> str:
        return next(locker for locker, room in self.plan.lockers.items() if room == self._room)

    def _at(self, holder: str) -> list[str]:
        """What is there, the newest key first; not what sticks in a lock."""
        found = (item for item, place in self._holder.items() if place == holder and item not in self._stuck)
        return sorted(found, key=_order)


def _planned(number: int, rng: random.Random) -> Plan:
    """Grow the rooms on a grid, connect neighbours, hang the chain of keys over random lockers."""
    rooms = rng.sample(_ROOMS, number)
    cells = [(0, 0)]
    ways: dict[str, dict[str, str]] = {room: {} for room in rooms}
    while len(cells) < number:
        (x, y), way = rng.choice(cells), rng.choice(list(_WAYS))
        cell = (x + _WAYS[way][0], y + _WAYS[way][1])
        if cell not in cells:
            _joined(ways, rooms[cells.index((x, y))], way, rooms[len(cells)])
            cells.append(cell)
    for (x, y), room in zip(cells, rooms, strict=True):  # a quarter of the walls between neighbours has a door too
        for way in ("north", "east"):
            cell = (x + _WAYS[way][0], y + _WAYS[way][1])
            if cell in cells and rng.random() < 0.25:
                _joined(ways, room, way, rooms[cells.index(cell)])
    names = [_GOLDEN, *(f"{colour} locker" for colour in rng.sample(_COLOURS, number - 1))]
    lockers = dict(zip(names, rng.sample(rooms, number), strict=True))
    keys = [f"key {n}" for n in range(1, number)] + ["golden key"]
    opened = [*rng.sample(names[1:], number - 1), _GOLDEN]
    inside = dict(zip([*keys[1:], "treasure"], opened, strict=True))
    inside |= {f"note {n + 1}": inside[key] for n, key in enumerate(keys) if n > 0}
    return Plan(tuple(rooms), ways, lockers, tuple(zip(keys, opened, strict=True)), inside)


def needed(plan: Plan) -> int:
    """Steps of somebody who knows the maze: the shortest ways; unlock, open, take and read at every locker."""
    steps, here = 1, plan.rooms[0]
    for _, locker in plan.chain:
        steps += _distance(plan, here, plan.lockers[locker]) + 4
        here = plan.lockers[locker]
    return steps - 1  # nothing is read at the last one


def _distance(plan: Plan, start: str, goal: str) -> int:
    reached, steps = {start}, 0
    while goal not in reached:
        reached |= {room for each in reached for room in plan.ways[each].values()}
        steps += 1
    return steps


def _joined(ways: dict[str, dict[str, str]], room: str, way: str, other: str) -> None:
    if way not in ways[room] and _OPPOSITE[way] not in ways[other]:
        ways[room][way], ways[other][_OPPOSITE[way]] = other, room


def _order(item: str) -> tuple[int, str]:
    """Treasure and golden key before key 2, key 2 before key 1, notes last."""
    number = int(item.split()[-1]) if item[-1].isdigit() else 99
    return (1000 if item.startswith("note") else 0) - number, item


def _listed(items: Sequence[str]) -> str:
    named = [f"a {item}" for item in items]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
