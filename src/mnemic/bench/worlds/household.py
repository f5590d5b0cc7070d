"""A generated household: rooms, receptacles and things, with house rules that stay and that nobody is told.

A `House` is what a stream of tasks shares: where each kind of thing is kept, and which appliance really cleans, heats,
cools or gives light. Of half of the kinds broken ones lie about, always in the same class of receptacle; one looks
sound until it is used, and then the task is lost (as in ScienceWorld, where a wrong choice ends a task): who follows
a way that failed fails the same way. The tasks of a house differ in what is wanted, in which of its kind's receptacles
the thing lies, and in where the agent starts. Each house draws its rules and its words from its seed, so what holds in
one does not hold in another.

The form is ALFWorld's (Shridhar et al. 2021): go to, open, take from, put in, clean/heat/cool with, look at under.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mnemic.environment import Observation

FAMILIES = ("put", "clean", "heat", "cool", "look", "put two")
APPLIANCES: Mapping[str, tuple[str, ...]] = {
    "clean": ("sink", "dishwasher", "bathtub", "washing machine"),
    "heat": ("stove", "microwave", "oven", "toaster"),
    "cool": ("fridge", "freezer", "ice chest", "wine cooler"),
    "look": ("desk lamp", "floor lamp", "wall lamp"),
}
DONE: Mapping[str, str] = {"clean": "clean", "heat": "hot", "cool": "cool"}  # treatment -> what the thing is then
_ROOMS = ("kitchen", "living room", "bedroom", "study", "hall")
_OPEN = "shelf table counter desk sofa bed bench rack mantel stool windowsill tray ledge crate basket cart".split()
_CLOSED = "drawer cabinet dresser wardrobe safe trunk locker chest cupboard box vanity sideboard".split()
_KINDS = (
    "mug plate bowl apple egg potato tomato bread book pen pencil notebook newspaper watch candle vase towel cloth "
    "soap sponge spoon fork knife ladle pan pot kettle cup glass bottle jar lettuce pillow blanket remote laptop phone "
    "keychain wallet statue clock mirror brush comb razor spray scarf glove hat umbrella ball racket dice card letter "
    "stamp coin ring"
).split()
_KINDS_OF_A_HOUSE, _OPEN_OF_A_HOUSE, _CLOSED_OF_A_HOUSE = 8, 5, 4  # two receptacles of each: 18 places to look into
_EACH = 2
_TRAPPED = 0.5  # share of kinds of which broken ones lie about
INSTRUCTIONS = (
    "You are in a house and have one task. Commands: go to PLACE, open PLACE, take THING from PLACE, put THING in "
    "PLACE, clean THING with APPLIANCE, heat THING with APPLIANCE, cool THING with APPLIANCE, look at THING under "
    "LAMP, check valid actions, inventory. You must be at a place to do anything with it, closed places must be opened "
    "first, and you carry one thing at a time. Only one appliance of each sort does its work in this house. "
    + " ".join(f"To {what}: {', '.join(names)}." for what, names in APPLIANCES.items())
)


@dataclass(frozen=True)
class Errand:
    """One task of a house.

    family   one of FAMILIES
    kind     what is wanted: "mug"
    target   the class of receptacle it shall be in; empty for "look"
    lies     receptacles that hold the wanted things at the start
    broken   a receptacle that holds a broken thing of the kind; empty for none
    others   further things: receptacle -> what lies there
    start    room in which the agent begins, and the time of day: they make no two tasks look the same
    """

    family: str
    kind: str
    target: str
    lies: tuple[str, ...]
    broken: str = ""
    others: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    start: tuple[str, str] = ("hall", "08:00")

    @property
    def goal(self) -> str:
        if self.family == "look":
            return f"look at a {self.kind} under a lamp"
        if self.family == "put two":
            return f"put two {self.kind}s in a {self.target}"
        state = f"{DONE[self.family]} " if self.family in DONE else ""
        return f"put a {state}{self.kind} in a {self.target}"


class House:
    """Rules and words of one house, drawn from a seed.

    kept      kind of thing -> class of receptacle where it is kept
    strays    kind of thing -> class of receptacle where broken ones lie, for the kinds that have them
    works     what is to be done -> the appliance that does it
    rooms     room -> its places, receptacles and appliances
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 11])
        open_, closed = _some(rng, _OPEN, _OPEN_OF_A_HOUSE), _some(rng, _CLOSED, _CLOSED_OF_A_HOUSE)
        self.classes, self.closed = [*open_, *closed], frozenset(closed)
        self.kinds = _some(rng, _KINDS, _KINDS_OF_A_HOUSE)
        self.kept = {kind: self.classes[rng.integers(len(self.classes))] for kind in self.kinds}
        trapped = self.kinds[: round(_TRAPPED * len(self.kinds))]
        self.strays = {kind: _other(rng, self.classes, self.kept[kind]) for kind in trapped}
        self.works = {what: names[rng.integers(len(names))] for what, names in APPLIANCES.items()}
        places = [f"{one} {n}" for one in self.classes for n in range(1, _EACH + 1)]
        places += [f"{name} 1" for names in APPLIANCES.values() for name in names]
        self.rooms: dict[str, list[str]] = {room: [] for room in _ROOMS}
        for place in places:
            self.rooms[_ROOMS[rng.integers(len(_ROOMS))]].append(place)

    def errand(self, rng: np.random.Generator, family: str) -> Errand:
        """A task of a family in this house."""
        kind = self.kinds[rng.integers(len(self.kinds))]
        home = self.kept[kind]
        targets = [one for one in self.classes if one != home]
        target = "" if family == "look" else targets[rng.integers(len(targets))]
        stray = self.strays.get(kind, target)
        broken = "" if stray == target else f"{stray} {rng.integers(1, _EACH + 1)}"
        lies = tuple(f"{home} {rng.integers(1, _EACH + 1)}" for _ in range(2 if family == "put two" else 1))
        others: dict[str, tuple[str, ...]] = {}
        for other in self.kinds:
            if other != kind:
                place = f"{self.kept[other]} {rng.integers(1, _EACH + 1)}"
                others[place] = (*others.get(place, ()), f"{other} 1")
        hour = f"{rng.integers(24):02d}:{rng.integers(60):02d}"
        return Errand(family, kind, target, lies, broken, others, (_ROOMS[rng.integers(len(_ROOMS))], hour))


class Household:
    """One task of a house as a world (mnemic.environment.Environment).

    fatal   True: who uses a broken thing has lost the task. False: it is thrown away, and costs the steps it took
    """

    def __init__(self, house: House, errand: Errand, *, max_steps: int = 20, fatal: bool = True) -> None:
        self.house, self.errand, self._max_steps, self.fatal = house, errand, max_steps, fatal
        self.reset()

    @property
    def goal(self) -> str:
        return self.errand.goal

    @property
    def max_steps(self) -> int:
        return self._max_steps

    def reset(self) -> Observation:
        self._steps, self._best, self._lit, self._lost = 0, 0.0, False, False
        self._at, self._held = "", ""
        self._opened: set[str] = set()
        self._state: dict[str, str] = {}
        self._room_of = {place: room for room, places in self.house.rooms.items() for place in places}
        self._holds = {place: list(things) for place, things in self.errand.others.items()}
        self._wanted, self._broken = self._numbered()
        for thing, place in [*zip(self._wanted, self.errand.lies, strict=True), (self._broken, self.errand.broken)]:
            if place:
                self._holds.setdefault(place, []).append(thing)
        room, hour = self.errand.start
        rooms = "; ".join(f"{name}: {', '.join(places)}" for name, places in self.house.rooms.items() if places)
        return Observation(f"It is {hour}. You are in the {room}. Places by room: {rooms}.", place=room)

    def step(self, action: str) -> Observation:
        self._steps += 1
        text = self._act(" ".join(action.lower().split()))
        self._best = max(self._best, self._reached())
        done = self._best == 1.0 or self._lost or self._steps >= self._max_steps
        return Observation(text, self._best, done, self._room_of.get(self._at, self.errand.start[0]))

    def valid_actions(self) -> list[str]:
        actions = ["check valid actions", "inventory", *(f"go to {place}" for place in self._room_of)]
        at = self._at
        if at and self._shut(at):
            actions.append(f"open {at}")
        elif at and not self._held:
            actions += [f"take {thing} from {at}" for thing in self._holds.get(at, ())]
        if at and self._held:
            what = next((what for what, names in APPLIANCES.items() if at[:-2] in names), "")
            if what == "look":
                actions.append(f"look at {self._held} under {at}")
            elif what:
                actions.append(f"{what} {self._held} with {at}")
            elif not self._shut(at):
                actions.append(f"put {self._held} in {at}")
        return sorted(actions)

    def solution(self) -> list[str]:
        """A shortest way for somebody who knows the rules: for tests and for how hard a task is."""
        target, wanted = f"{self.errand.target} 1", self.errand.family
        commands: list[str] = []
        opened: set[str] = set()

        def visit(place: str) -> None:
            commands.append(f"go to {place}")
            if place[:-2] in self.house.closed and place not in opened:
                commands.append(f"open {place}")
                opened.add(place)

        for thing, place in zip(self._wanted, self.errand.lies, strict=True):
            visit(place)
            commands.append(f"take {thing} from {place}")
            if wanted in self.house.works:
                appliance = f"{self.house.works[wanted]} 1"
                commands.append(f"go to {appliance}")
                link = ("look at", "under") if wanted == "look" else (wanted, "with")
                commands.append(f"{link[0]} {thing} {link[1]} {appliance}")
            if wanted != "look":
                visit(target)
                commands.append(f"put {thing} in {target}")
        return commands

    def _numbered(self) -> tuple[list[str], str]:
        """Names of the sound things and of the broken one: by the order of their places, so that no name tells."""
        places = [*self.errand.lies, *([self.errand.broken] if self.errand.broken else [])]
        order = sorted(range(len(places)), key=lambda n: (places[n], n))
        names = {n: f"{self.errand.kind} {number}" for number, n in enumerate(order, 1)}
        many = len(self.errand.lies)
        return [names[n] for n in range(many)], names.get(many, "")

    # ---- what commands do

    def _act(self, action: str) -> str:
        if action == "check valid actions":
            return "You can: " + ", ".join(self.valid_actions()) + "."
        if action == "inventory":
            return f"You carry {self._named(self._held)}." if self._held else "You carry nothing."
        for pattern, do in _COMMANDS:
            if match := pattern.fullmatch(action):
                told: str = do(self, *match.groups())
                return told
        return "Nothing happens: there is no such command."

    def _go(self, place: str) -> str:
        if place not in self._room_of:
            return f"Nothing happens: there is no {place} here."
        self._at = place
        return f"You are at the {place}. {self._content(place)}"

    def _open(self, place: str) -> str:
        if place != self._at or not self._shut(place):
            return "Nothing happens: that cannot be opened from here."
        self._opened.add(place)
        return f"You open the {place}. {self._content(place)}"

    def _take(self, thing: str, place: str) -> str:
        if place != self._at or self._shut(place) or thing not in self._holds.get(place, ()):
            return f"Nothing happens: you see no {thing} there."
        if self._held:
            return f"Nothing happens: you already carry the {self._held}."
        self._holds[place].remove(thing)
        self._held = thing
        return f"You take the {thing}."

    def _put(self, thing: str, place: str) -> str:
        if place != self._at or thing != self._held or self._shut(place) or place[:-2] not in self.house.classes:
            return "Nothing happens: that cannot be put there."
        if thing == self._broken:
            return self._thrown(thing)
        self._holds.setdefault(place, []).append(thing)
        self._held = ""
        return f"You put the {thing} in the {place}."

    def _treat(self, what: str, thing: str, appliance: str) -> str:
        if appliance != self._at or thing != self._held or appliance[:-2] not in APPLIANCES[what]:
            return "Nothing happens: that cannot be done here."
        if appliance[:-2] != self.house.works[what]:
            return f"Nothing happens: the {appliance} does not {what} anything."
        self._state[thing] = DONE[what]
        return f"The {thing} is {DONE[what]} now."

    def _look(self, thing: str, lamp: str) -> str:
        if lamp != self._at or thing != self._held or lamp[:-2] not in APPLIANCES["look"]:
            return "Nothing happens: that cannot be done here."
        if lamp[:-2] != self.house.works["look"]:
            return f"Nothing happens: the {lamp} stays dark."
        if thing == self._broken:
            return self._thrown(thing)
        self._lit = self._lit or thing in self._wanted
        return f"You look at the {thing} in the light of the {lamp}."

    def _thrown(self, thing: str) -> str:
        self._held, self._lost = "", self.fatal
        end = " The task is lost." if self.fatal else ""
        return f"The {thing} is broken. It is thrown away.{end}"

    # ---- what is the case

    def _shut(self, place: str) -> bool:
        return place[:-2] in self.house.closed and place not in self._opened

    def _content(self, place: str) -> str:
        if self._shut(place):
            return "It is closed."
        things = self._holds.get(place, [])
        return f"You see {', '.join(self._named(thing) for thing in things)}." if things else "There is nothing here."

    def _named(self, thing: str) -> str:
        return f"{self._state[thing]} {thing}" if thing in self._state else thing

    def _reached(self) -> float:
        """Share of sub-goals: found, made ready, at its place, for every wanted thing."""
        family, parts = self.errand.family, []
        for thing in self._wanted:
            where = next((place for place, things in self._holds.items() if thing in things), "")
            placed = bool(self.errand.target) and where[:-2] == self.errand.target
            parts.append(self._held == thing or placed)
            if family in DONE:
                parts.append(self._state.get(thing) == DONE[family])
            parts.append(self._lit if family == "look" else placed and (family not in DONE or parts[-1]))
        return sum(parts) / len(parts)


_COMMANDS = (
    (re.compile(r"go to (.+)"), Household._go),
    (re.compile(r"open (.+)"), Household._open),
    (re.compile(r"take (.+) from (.+)"), Household._take),
    (re.compile(r"put (.+) in (.+)"), Household._put),
    (re.compile(r"(clean|heat|cool) (.+) with (.+)"), Household._treat),
    (re.compile(r"look at (.+) under (.+)"), Household._look),
)


def _some(rng: np.random.Generator, words: Sequence[str], many: int) -> list[str]:
    return [words[n] for n in rng.permutation(len(words))[:many]]


def _other(rng: np.random.Generator, words: Sequence[str], than: str) -> str:
    rest = [word for word in words if word != than]
    return rest[rng.integers(len(rest))]
