"""Ways between places: the edges a move leaves behind, exits nobody took, the shortest way that is known."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator

from mnemic.errors import NotFound
from mnemic.store.arigraph.triplets import Triplet

OPPOSITE = {"north": "south", "south": "north", "east": "west", "west": "east"}
_MOVE = re.compile(r"(?:(?:go|walk|move|head) (?:to the )?)?(north|south|east|west)", re.IGNORECASE)
_EDGE = re.compile(r"\bis (north|south|east|west) of\b")
_WAY = re.compile(r"\b(north|south|east|west)\b")
_LEADS = re.compile(r"exit|lead|entr|path")


def direction(action: str) -> str | None:
    """The compass direction of a move; None for any other action, such as taking a west wing's key."""
    match = _MOVE.fullmatch(action.strip())
    return match[1].lower() if match else None


def edges(action: str, before: str | None, after: str | None) -> list[Triplet]:
    """Both edges of a compass move that changed the place; none otherwise."""
    way = direction(action)
    if way is None or before is None or after is None or before == after:
        return []
    return [Triplet(after, f"is {way} of", before), Triplet(before, f"is {OPPOSITE[way]} of", after)]


def unexplored(place: str, triplets: Iterable[Triplet]) -> list[str]:
    """Directions in which the place has an exit and no known neighbour."""
    exits: dict[str, None] = {}
    explored = set()
    for subject, relation, object in triplets:
        if subject == place and _LEADS.search(relation):
            exits |= dict.fromkeys(_WAY.findall(f"{relation} {object}"))
        if object == place and (edge := _EDGE.search(relation)):
            explored.add(edge[1])
        if subject == place and (edge := _EDGE.search(relation)):
            explored.add(OPPOSITE[edge[1]])
    return [way for way in exits if way not in explored]


class Map:
    """The compass edges between known places; an edge that is known one way is walked both ways."""

    def __init__(self, triplets: Iterable[Triplet], places: Collection[str]) -> None:
        self.places = places
        self.ways: dict[str, dict[str, str]] = {}  # place -> neighbour -> direction
        for subject, relation, object in triplets:
            edge = _EDGE.search(relation)
            if edge and subject in places and object in places:
                self.ways.setdefault(object, {})[subject] = edge[1]
                self.ways.setdefault(subject, {}).setdefault(object, OPPOSITE[edge[1]])

    def path(self, start: str, goal: str) -> list[str]:
        """Moves from one place to another, fewest first. Raises NotFound for a place or a way that is not known."""
        for name in (start, goal):
            if name not in self.places:
                raise NotFound(f'the place "{name}" is unknown: known are {", ".join(self.places) or "none"}.')
        for place, moves in self.reach(start):
            if place == goal:
                return moves
        raise NotFound(f'no way from "{start}" to "{goal}" is known: explore more, or move by compass.')

    def reach(self, start: str) -> Iterator[tuple[str, list[str]]]:
        """Places that can be reached, nearest first, each with the moves that lead there."""
        queue, seen = deque([(start, list[str]())]), {start}
        while queue:
            place, moves = queue.popleft()
            yield place, moves
            for neighbour, way in self.ways.get(place, {}).items():
                if neighbour not in seen:
                    seen.add(neighbour)
                    queue.append((neighbour, [*moves, f"go {way}"]))
