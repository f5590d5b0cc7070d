"""The scripted player: it reads a text, what it sees, the goal and the valid actions, and keeps nothing."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mnemic.environment import Observation
from mnemic.store.arigraph import RuleTriplets, Triplet
from mnemic.store.arigraph.navigation import Map, edges, unexplored

_PATIENCE = 0.7  # chance to read a note once more
_FROM = re.compile(r"^\(from (.+): (.+)\)$")
_ROOM = re.compile(r"^The (.+) has exits (.+)\.$")
_HEADING = re.compile(r"-= (.+?) =-")
_CARRIED = re.compile(r"You are carrying:? (.+)\.?$", re.MULTILINE)


@dataclass
class Reading:
    """What a text reveals.

    facts    in the order of the text
    listed   place -> exits that the text itself lists as not taken; None when it holds no such list
    """

    facts: list[Triplet] = field(default_factory=list)
    listed: dict[str, list[str]] | None = None


def read(text: str, reader: RuleTriplets) -> Reading:
    """Facts of a memory's text: AriGraph's sections, records, a summary's sentences; whatever there is."""
    found, part, blocks, told = Reading(), "", list[list[str]]([[]]), list[Triplet]()
    for line in (each.removeprefix("> ") for each in text.splitlines()):
        if line in ("Facts:", "Exits nobody took:", "Seen before:"):
            part = line
        elif part == "Facts:" and line.count(", ") == 2:
            told.append(Triplet(*line.split(", ")))
        elif part == "Exits nobody took:":
            place, _, ways = line.partition(": ")
            found.listed = (found.listed or {}) | ({place: ways.split(", ")} if ways else {})
        elif line.startswith(("(from ", "-= ")) and not (blocks[-1] and _FROM.match(blocks[-1][-1])):
            blocks.append([line])
        else:
            blocks[-1].append(line)
    found.facts = [fact for block in blocks for fact in _block(block, reader)] + told  # the facts are newer
    return found


def _block(lines: Sequence[str], reader: RuleTriplets) -> Iterator[Triplet]:
    """A record, or sentences of a summary: edges of the move that led there, then what was seen."""
    came = _FROM.match(lines[0]) if lines else None
    heading = _HEADING.search("\n".join(lines))
    place = heading[1].lower() if heading else (came[1] if came else None)
    if came:
        yield from edges(came[2], came[1], place)
    for line in lines:
        if room := _ROOM.match(line):
            for way, _, target in (exit.partition(" (to ") for exit in room[2].split(", ")):
                yield Triplet(room[1], "has exit", way)
                if target:
                    yield Triplet(target.rstrip(")"), f"is {way} of", room[1])
    yield from reader.read("\n".join(lines), place=place)


class Player:
    """The scripted planner. It has no memory of its own: give it the same and it does the same, but for dice."""

    def __init__(self, reader: RuleTriplets, dice: random.Random) -> None:
        self.reader, self.dice = reader, dice

    def wants(self, seen: Observation, goal: str) -> tuple[str, dict[str, int]]:
        """Plan and queries, before the memory is asked: from what is carried, and what the goal says about it."""
        key, queries = _key(seen.text), {(seen.place or "").lower(): 1}
        if key is None:
            return "Explore and find a key.", queries | {"key": 1}
        locker = _opened(key, RuleTriplets().read(goal))
        named = {locker: 1} if locker else {}
        return f"Find {locker or 'the locker'} that the {key} unlocks.", queries | named | {key: 2}

    def choose(self, text: str, seen: Observation, goal: str, valid: Sequence[str]) -> str:
        """The next action; see the head of the module for the rules."""
        possible = {action.lower(): action for action in valid}
        chosen = _at_once(possible, seen.text) or self._towards(text, seen, goal, possible)
        return possible.get(chosen, "look")

    def _towards(self, text: str, seen: Observation, goal: str, possible: Mapping[str, str]) -> str:
        here = (seen.place or "").lower()
        known = read(text, self.reader)
        facts = [*known.facts, *self.reader.read(seen.text, place=here)]
        key = _key(seen.text)
        locker = _opened(key, [*facts, *RuleTriplets().read(goal)])
        note = f"examine note {key.split()[-1]}" if key else ""
        # The note was read in words that nobody understands: they change, but may never be understood.
        if locker is None and note in possible and self.dice.random() < _PATIENCE:
            return note
        target = _place(locker, facts)
        if target != here and f"go to {target}" in possible:
            return f"go to {target}"
        for place, ways in self._unexplored(known.listed, facts, here):
            if place == here:
                return f"go {self.dice.choice(ways)}"
            if f"go to {place}" in possible:
                return f"go to {place}"
        return self.dice.choice([action for action in possible if re.fullmatch(r"go (north|south|east|west)", action)])

    def _unexplored(
        self, listed: Mapping[str, list[str]] | None, facts: Sequence[Triplet], here: str
    ) -> list[tuple[str, list[str]]]:
        """Places with exits nobody took, nearest first: as the text lists them, else worked out of its facts."""
        if listed is not None:
            return list(listed.items())
        places = dict.fromkeys([here, *(name for each in facts for name in (each.subject, each.object))])
        near = [place for place, _ in Map(facts, places).reach(here)]
        order = [*near, *(place for place in places if place not in near)]
        found = ((place, unexplored(place, facts)) for place in order)
        return [(place, ways) for place, ways in found if ways]


def _key(text: str) -> str | None:
    """The newest key that is carried: the inventory is told newest key first."""
    carried = _CARRIED.search(text)
    names = re.findall(r"(?:key \d+|golden key)", carried[1].lower()) if carried else []
    return max(names, key=lambda name: int(name.split()[-1]) if name[-1].isdigit() else 99) if names else None


def _opened(key: str | None, facts: Sequence[Triplet]) -> str | None:
    """The locker that a key opens; what is told last holds."""
    lockers = [each.object for each in facts if each.subject == key and each.relation == "unlocks"]
    return lockers[-1] if lockers else None


def _place(locker: str | None, facts: Sequence[Triplet]) -> str | None:
    """Where a locker stands, as far as is told."""
    told = [each.object for each in facts if each.subject == locker and each.relation == "is in"]
    told += [each.subject for each in facts if each.object == locker and each.relation == "contains"]
    return told[-1] if told else None


def _at_once(possible: Mapping[str, str], seen: str) -> str | None:
    """What serves right here: take the treasure or a key, read the note that came with a key, unlock, open."""
    taken = re.search(r"you take the key (\d+) from", seen.lower())
    note = f"examine note {taken[1]}" if taken else "$^"
    wanted = ("take treasure.*", "take .*key.*", note, "unlock .*", "open .*")
    return next((action for each in wanted for action in possible if re.fullmatch(each, action)), None)
