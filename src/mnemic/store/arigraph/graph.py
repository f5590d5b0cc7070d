"""The memory graph: facts as triplets, observations as episodic vertices, hyper-edges between them, visited places.

Nothing here calls a model: the graph is what was said about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from mnemic.store.arigraph.triplets import Replacement, Triplet, facts

# How alike the left side of a replacement and a fact must be when they are not the same text. High on purpose: a
# fact that is dropped by mistake is lost, one that stays too long is only out of date.
NEAR = 0.93
_KEPT_APART = ("west", "east", "south", "north", "associated with", "used for", "to be")


@dataclass(frozen=True)
class Episode:
    """An episodic vertex with its hyper-edge: an observation and the facts that were read in it."""

    text: str
    triplets: tuple[Triplet, ...]
    place: str | None = None


@dataclass(frozen=True)
class Change:
    """What became of one proposed replacement.

    found    the fact that was meant; None when there is none
    how      exact, near (matched by similarity), missing, or navigation (never deleted)
    """

    proposed: Replacement
    found: Triplet | None
    how: str


@dataclass
class Graph:
    """triplets   fact -> None, in the order they came
    episodes   in the order they happened
    places     visited places, as the world named them
    """

    triplets: dict[Triplet, None] = field(default_factory=dict)
    episodes: list[Episode] = field(default_factory=list)
    places: dict[str, None] = field(default_factory=dict)

    def add(self, triplets: Iterable[tuple[str, str, str]]) -> list[Triplet]:
        """Add what is not there yet; returns what was new."""
        new = [each for each in facts(triplets) if each not in self.triplets]
        self.triplets.update(dict.fromkeys(new))
        return new

    def around(self, entities: Collection[str]) -> list[Triplet]:
        """Facts within one hop of the entities."""
        return [each for each in self.triplets if each.subject in entities or each.object in entities]

    def refinable(self, new: Iterable[Triplet]) -> list[Triplet]:
        """Facts that a refiner may look at: around the new ones, without directions, purposes and properties."""
        entities = {part for each in new for part in (each.subject, each.object)}
        return [each for each in self.around(entities) if not any(word in str(each) for word in _KEPT_APART)]

    def replace(self, proposed: Iterable[Replacement], *, near: float = NEAR) -> list[Change]:
        """Delete the left sides. The new facts are not added here: they come from the observation.

        A fact between two visited places is a way and stays, whatever the refiner says.
        """
        return [self._drop(each, near) for each in proposed]

    def _drop(self, proposed: Replacement, near: float) -> Change:
        found, how = self._meant(proposed.old, near)
        if found is not None and found.subject in self.places and found.object in self.places:
            return Change(proposed, found, "navigation")
        if found is not None:
            del self.triplets[found]
        return Change(proposed, found, how)

    def _meant(self, old: Triplet, near: float) -> tuple[Triplet | None, str]:
        """The fact that a left side means. Near: same numbers in it ("key 1" is not "key 2") and a very like text."""
        if old in self.triplets:
            return old, "exact"
        spoken = {str(each): each for each in self.triplets if _numbers(each) == _numbers(old)}
        best = difflib.get_close_matches(str(old), spoken, n=1, cutoff=near)
        return (spoken[best[0]], "near") if best else (None, "missing")

    def entities(self) -> Iterator[str]:
        """Vertices: subjects and objects, each once."""
        return iter(dict.fromkeys(part for each in self.triplets for part in (each.subject, each.object)))


def _numbers(triplet: Triplet) -> list[str]:
    return [word for word in str(triplet).replace(",", " ").split() if any(char.isdigit() for char in word)]
