"""Who says which facts are out of date: a language model, or the rule that a thing has one place and one state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from mnemic.seams import LanguageModel
from mnemic.store.arigraph.extraction import TEMPERATURE
from mnemic.store.arigraph.prompts import REFINE, listed, turns
from mnemic.store.arigraph.triplets import Replacement, Triplet, read_replacements

_TOKENS = 512

# relation -> the aspect of its subject that has one value at a time
FUNCTIONAL: Mapping[str, str] = {"is in": "place", "is on": "place", "state is": "state"}
_INVERSE = "contains"  # "a, contains, b" is about the place of b


class Refiner(Protocol):
    """Proposes which known facts the new ones replace."""

    def replace(self, known: Sequence[Triplet], new: Sequence[Triplet]) -> list[Replacement]: ...


class LLMRefiner:
    """Refiner: one call a step, conservative; a reply that cannot be read replaces nothing."""

    def __init__(self, lm: LanguageModel) -> None:
        self.lm = lm

    def replace(self, known: Sequence[Triplet], new: Sequence[Triplet]) -> list[Replacement]:
        """Raises ModelError when the model is down."""
        request = turns(REFINE, {"Known facts": listed(known), "New facts": listed(new)})
        return read_replacements(self.lm.complete(request, max_tokens=_TOKENS, temperature=TEMPERATURE).text)


class FunctionalRefiner:
    """Refiner without a model: a newer value of an aspect that has only one replaces the older one.

    functional    relation -> aspect; several relations may tell the same aspect
    """

    def __init__(self, functional: Mapping[str, str] = FUNCTIONAL) -> None:
        self.functional = functional

    def replace(self, known: Sequence[Triplet], new: Sequence[Triplet]) -> list[Replacement]:
        latest: dict[tuple[str, str], Triplet] = {}
        for triplet in new:  # of two new values the later one holds: an observation tells in order
            if aspect := self.functional.get(triplet.relation):
                latest[triplet.subject, aspect] = triplet
        replaced = [(old, latest.get(self._about(old), old)) for old in known]
        return [Replacement(old, now) for old, now in replaced if _value(old) != _value(now)]

    def _about(self, triplet: Triplet) -> tuple[str, str]:
        """Thing and aspect that a fact tells the value of."""
        if triplet.relation == _INVERSE:
            return triplet.object, "place"
        return triplet.subject, self.functional.get(triplet.relation, "")


def _value(triplet: Triplet) -> tuple[str, ...]:
    """How and what a fact says of its aspect; "a, contains, b" says as much as "b, is in, a"."""
    if triplet.relation == _INVERSE:
        return (triplet.subject,)
    return (triplet.object,)
