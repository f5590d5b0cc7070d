"""How the scripted actor finds its next command, world by world. It reads a page, and reads all of it anew each time.

One way of trying serves all: `tried(wanted, examples, ...)` puts in order what could be tried, first what experiences
did with the same thing, then what they did with others, then the rest in an order that the task's text fixes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from mnemic.bench.streams.reading import Example, Page

_TAKE = re.compile(r"take (.+) \d+ from (.+)")
_TAKEN = re.compile(r"take (.+) from (.+)")
_GO = re.compile(r"go to (.+)")
_PICK = re.compile(r"pick up (\S+) ball \d+ with (left|right) gripper")
_MOVE = re.compile(r"move to (.+)")
_LIFT = re.compile(r"lift the (\S+) block with the (\S+)")
_TREATED = {"clean": "clean", "hot": "heat", "cool": "cool"}


def command(page: Page) -> str:
    """The next command of whichever world the goal speaks of."""
    if page.goal.startswith("bring "):
        return _haul(page)
    return _build(page) if page.goal.startswith("build ") else _errand(page)


# ---- the household


@dataclass
class _Tour:
    """What the actor did in the house so far.

    at, held   where it is, what it carries; `ready` is True once what it carries was treated
    seen       place -> what was seen there last
    """

    at: str = ""
    held: str = ""
    ready: bool = False
    seen: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, page: Page) -> _Tour:
        tour = cls()
        for action, told in page.moves:
            if not told.startswith("Nothing happens"):
                tour._follow(action, told)
        return tour

    def _follow(self, action: str, told: str) -> None:
        if match := _GO.fullmatch(action):
            self.at = match[1]
            self.seen[self.at] = told
        elif action.startswith("open "):
            self.seen[self.at] = told
        elif match := _TAKEN.fullmatch(action):
            self.held, self.ready = match[1], False
            self.seen[self.at] = self.seen[self.at].replace(self.held, "")
        elif action.startswith("put ") or "thrown away" in told:
            self.held = ""
        elif self.held:
            self.ready = True

    @property
    def shut(self) -> bool:
        return self.seen.get(self.at, "").endswith("It is closed.")


def _errand(page: Page) -> str:
    kind, target, treatment = _wanted(page.goal)
    tour, places = _Tour.of(page), _places(page.first)
    if tour.held and treatment and not tour.ready:
        return _treat(page, treatment, tour, places)
    if tour.held:
        return _put(tour, target, places)
    at_target = _class(tour.at) == target
    if tour.shut and not at_target:
        return f"open {tour.at}"
    thing = re.compile(rf"\b{re.escape(kind)} \d+")
    known = {place: found[0] for place, told in tour.seen.items()
             if _class(place) != target and (found := thing.search(told))}  # fmt: skip
    if tour.at in known:
        return f"take {known[tour.at]} from {tour.at}"
    fresh = (place for place in _search(page, kind, places) if place not in tour.seen and _class(place) != target)
    return f"go to {next(iter(known), '') or next(fresh, places[0])}"


def _put(tour: _Tour, target: str, places: Sequence[str]) -> str:
    if _class(tour.at) == target:
        return f"open {tour.at}" if tour.shut else f"put {tour.held} in {tour.at}"
    return f"go to {next((place for place in places if _class(place) == target), target)}"


def _wanted(goal: str) -> tuple[str, str, str]:
    """Kind of thing, class of the target, what is to be done with it."""
    if match := re.fullmatch(r"look at an? (.+) under a lamp", goal):
        return match[1], "", "look"
    if match := re.fullmatch(r"put two (.+)s in an? (.+)", goal):
        return match[1], match[2], ""
    if match := re.fullmatch(r"put an? (?:(clean|hot|cool) )?(.+) in an? (.+)", goal):
        return match[2], match[3], _TREATED.get(match[1] or "", "")
    return "", "", ""


def _search(page: Page, kind: str, places: Sequence[str]) -> Iterator[str]:
    """Places to look into: of the classes where experiences found things, the same kind first; then all others."""

    def found(example: Example) -> list[tuple[str, str]]:
        return [(match[1], _class(match[2])) for action in example.actions if (match := _TAKE.fullmatch(action))][::-1]

    def went(example: Example) -> list[str]:
        return [match[1] for action in example.actions if (match := _GO.fullmatch(action))]

    for choice in tried(kind, page.examples, found, went):
        yield from (place for place in places if choice in (place, _class(place)))
    yield from shuffled((place for place in places if _class(place) not in _appliances(page)), page)


def _treat(page: Page, treatment: str, tour: _Tour, places: Sequence[str]) -> str:
    link = ("look at", "under") if treatment == "look" else (treatment, "with")
    pattern = re.compile(rf"{link[0]} (.+) \d+ {link[1]} (.+)")

    def used(example: Example) -> list[tuple[str, str]]:
        return [(treatment, match[2]) for action in example.actions if (match := pattern.fullmatch(action))][-1:]

    failed = {match[2] for action, told in page.moves if (match := pattern.fullmatch(action))}
    sorts = [f"{name.strip()} 1" for name in _sorts(page)[treatment].split(",")]
    choices = [*tried(treatment, page.examples, used, lambda example: []), *shuffled(sorts, page)]
    best = next((place for place in choices if place in sorts and place in places and place not in failed), sorts[0])
    return f"{link[0]} {tour.held} {link[1]} {best}" if tour.at == best else f"go to {best}"


def _sorts(page: Page) -> dict[str, str]:
    """Treatment -> the appliances that the rules name for it."""
    return dict(re.findall(r"To (clean|heat|cool|look): ([^.]+)\.", page.instructions))


def _appliances(page: Page) -> set[str]:
    return {name.strip() for names in _sorts(page).values() for name in names.split(",")}


def _places(first: str) -> list[str]:
    rooms = first.partition("Places by room: ")[2].rstrip(".").split("; ")
    return [place for room in rooms for place in room.partition(": ")[2].split(", ")]


def _class(place: str) -> str:
    return re.sub(r" \d+$", "", place)


# ---- the gripper


def _haul(page: Page) -> str:
    target = page.goal.rpartition(" to the ")[2]
    needed = re.findall(r"(\S+) balls?\b", page.goal)
    colours = needed * 2 if page.goal.startswith("bring two") else needed
    room, lies, held = _robot(page)
    rest = list(colours)
    for ball, where in lies.items():
        if where == target and ball.split()[0] in rest:
            rest.remove(ball.split()[0])
    carried = [ball for ball in held.values() if ball.split()[0] in rest]
    if carried and room == target:
        return f"drop {carried[0]}"
    for ball in carried:
        rest.remove(ball.split()[0])
    slipped = {(match[1], match[2]) for action, told in page.moves
               if "slips" in told and (match := _PICK.fullmatch(action))}  # fmt: skip
    for colour in rest:
        here = [ball for ball, where in lies.items() if where == room and ball.split()[0] == colour]
        hand = next((h for h in _hands(page, colour) if h not in held and (colour, h) not in slipped), "")
        if here and room != target and hand:
            return f"pick up {here[0]} with {hand} gripper"
    open_ = [c for c in rest if any(h not in held and (c, h) not in slipped for h in ("left", "right"))]
    if not open_:
        return f"move to {target}"
    known = next((where for ball, where in lies.items() if ball.split()[0] in open_ and where != target), "")
    been = {page.first.partition("The robot is in the ")[2].partition(".")[0]}
    been |= {match[1] for action, _ in page.moves if (match := _MOVE.fullmatch(action))}
    return f"move to {known or next((r for r in _rooms(page, open_) if r not in been), target)}"


def _robot(page: Page) -> tuple[str, dict[str, str], dict[str, str]]:
    """Where the robot is, where it saw balls last, what its grippers hold."""
    room, lies, held = "", dict[str, str](), dict[str, str]()
    for action, told in (("", page.first), *page.moves):
        if match := re.search(r"The robot is in the (\S+)\. It sees (.+)\.", told):
            room = match[1]
            lies.update({ball: room for ball in match[2].split(", ") if ball != "no balls"})
        elif match := re.fullmatch(r"The (left|right) gripper holds the (.+)\.", told):
            held[match[1]] = match[2]
            lies.pop(match[2], None)
        elif action.startswith("drop ") and not told.startswith("Nothing happens"):
            ball = action.removeprefix("drop ")
            held = {hand: each for hand, each in held.items() if each != ball}
            if " lies in the " in told:
                lies[ball] = room
    return room, lies, held


def _hands(page: Page, colour: str) -> list[str]:
    def used(example: Example) -> list[tuple[str, str]]:
        return [(m[1], m[2]) for action in example.actions if (m := _PICK.fullmatch(action))][::-1]

    same = tried(colour, page.examples, used, lambda example: [], others=False)
    return list(dict.fromkeys([*same, *shuffled(("left", "right"), page, colour)]))


def _rooms(page: Page, colours: Sequence[str]) -> Iterator[str]:
    def found(example: Example) -> list[tuple[str, str]]:
        pairs, room = [], ""
        for action in example.actions:
            if match := _MOVE.fullmatch(action):
                room = match[1]
            elif room and (match := _PICK.fullmatch(action)):
                pairs.append((match[1], room))
        return pairs[::-1]

    def went(example: Example) -> list[str]:
        return [match[1] for action in example.actions if (match := _MOVE.fullmatch(action))]

    rooms = re.sub(r".*Rooms: ([^.]+)\..*", r"\1", page.first).split(", ")
    for colour in colours:
        yield from (room for room in tried(colour, page.examples, found, went, others=False) if room in rooms)
    yield from (room for room in tried("", page.examples, found, went) if room in rooms)
    yield from shuffled(rooms, page)


# ---- the blocks


def _build(page: Page) -> str:
    tower = re.findall(r"the (\S+) block", page.goal)
    told = next((seen for _, seen in reversed(page.moves) if "Stacked: " in seen), page.first)
    on = dict(re.findall(r"(\S+) on ([^\s,.]+)", told.partition("Stacked: ")[2].partition(". On")[0]))
    held = ""
    for _, seen in page.moves:
        if match := re.fullmatch(r"You hold the (\S+) block\.", seen):
            held = match[1]
        elif "Stacked: " in seen:
            held = ""
    on.pop(held, None)
    for top, bottom in reversed(list(pairwise(tower))):
        if on.get(top) == bottom and held != top:
            continue
        cover = next(iter([*_stack(bottom, on), *_stack(top, on)]), "")
        if held == top and bottom not in on.values():
            return f"stack the {top} block on the {bottom} block"
        if held:
            return f"put down the {held} block"
        return _lifted(page, cover or top)
    return "inventory"


def _stack(block: str, on: dict[str, str]) -> list[str]:
    """What stands on a block, the topmost first."""
    top = next((each for each, under in on.items() if under == block), "")
    return [*_stack(top, on), top] if top else []


def _lifted(page: Page, block: str) -> str:
    def used(example: Example) -> list[tuple[str, str]]:
        return [(m[1], m[2]) for action in example.actions if (m := _LIFT.fullmatch(action))][::-1]

    failed = {match[1] for _, told in page.moves
              if (match := re.match(rf"The (\S+) slips off the {block} block|", told)) and match[1]}  # fmt: skip
    failed |= {
        match[1] for _, told in page.moves if (match := re.match(rf"The {block} block slips out of the (\S+)", told))
    }
    tools = re.sub(r".*Tools: ([^.]+)\..*", r"\1", page.first).split(", ")
    same = tried(block, page.examples, used, lambda example: [], others=False)
    choices = [*same, *shuffled(tools, page, block)]
    tool = next((each for each in choices if each in tools and each not in failed), tools[0])
    return f"lift the {block} block with the {tool}"


# ---- the order in which things are tried


def tried(wanted: str, examples: Iterable[Example], found: Callable[[Example], list[tuple[str, str]]],
          went: Callable[[Example], list[str]], *, others: bool = True) -> list[str]:  # fmt: skip
    """What experiences say to try, each once, the most similar experience first.

    found   what an experience did: (thing, where or with what)
    went    what it tried, when it found nothing: it is followed as it went
    others  also what was done with other things, after what was done with the same one
    """
    same: list[str] = []
    rest: list[str] = []
    for example in examples:
        pairs = found(example)
        same += [choice for thing, choice in pairs if thing == wanted]
        rest += [choice for thing, choice in pairs if thing != wanted] if pairs else went(example)
    return list(dict.fromkeys([*same, *rest] if others else same))


def shuffled(choices: Iterable[str], page: Page, about: str = "") -> list[str]:
    """An order that the task's goal and first sight fix: two tasks search differently, the same one always alike."""

    def key(choice: str) -> bytes:
        return hashlib.blake2b(f"{page.goal}|{page.first}|{about}|{choice}".encode(), digest_size=8).digest()

    return sorted(choices, key=key)
