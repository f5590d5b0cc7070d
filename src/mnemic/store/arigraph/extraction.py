"""Who reads triplets out of an observation, and who names what to look up: a language model."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from mnemic.errors import ModelError
from mnemic.lm.exchange import complete_many
from mnemic.seams import LanguageModel
from mnemic.store.arigraph.prompts import ENTITIES, EXTRACT, Turns, data, listed, turns
from mnemic.store.arigraph.triplets import Triplet, read_triplets

TEMPERATURE = 0.001  # of whatever writes the graph: the paper's
_TOKENS = 512
_DIRECTIONS = re.compile(r"\b(north|south|east|west)\b")


class Extractor(Protocol):
    """Reads the facts of an observation.

    known    facts that were retrieved a step ago: examples of names
    place    where it was made, when the world tells
    """

    def read(self, observation: str, *, known: Sequence[Triplet] = (), place: str | None = None) -> list[Triplet]: ...


class LLMTriplets:
    """Extractor: one call an observation; parts of the reply that are no triplet are left out."""

    def __init__(self, lm: LanguageModel, *, max_tokens: int = _TOKENS) -> None:
        self.lm, self.max_tokens = lm, max_tokens

    def read(self, observation: str, *, known: Sequence[Triplet] = (), place: str | None = None) -> list[Triplet]:
        """Raises ModelError when the model is down."""
        reply = self.lm.complete(_request(observation, known), max_tokens=self.max_tokens, temperature=TEMPERATURE)
        return read_triplets(reply.text)

    def read_many(self, texts: Sequence[str], *, at_once: int = 4) -> list[list[Triplet]]:
        """Facts of many texts, `at_once` calls at a time: for documents, which have no order in time."""
        asked = [_request(text, ()) for text in texts]
        replies = complete_many(self.lm, asked, at_once=at_once, max_tokens=self.max_tokens, temperature=TEMPERATURE)
        for reply in replies:
            if isinstance(reply, ModelError):
                raise reply
        return [read_triplets(reply.text) for reply in replies if not isinstance(reply, ModelError)]


def _request(observation: str, known: Sequence[Triplet]) -> Turns:
    return turns(EXTRACT, {"Known facts": listed(known), "Observation": data(observation)})


class Entities(Protocol):
    """Names what to look up, each with the depth to which it is followed."""

    def name(self, situation: str) -> Mapping[str, int]: ...


class LLMEntities:
    """Entities by a language model. A reply that is no list of things and numbers names nothing.

    deepest   2 for games, 3 for questions
    """

    def __init__(self, lm: LanguageModel, *, deepest: int = 2) -> None:
        self.lm, self.deepest = lm, deepest

    def name(self, situation: str) -> dict[str, int]:
        request = turns(ENTITIES.format(deepest=self.deepest), {"Situation": data(situation)})
        found = _mapping(self.lm.complete(request, max_tokens=_TOKENS, temperature=TEMPERATURE).text)
        return {
            str(thing).strip().lower(): min(max(depth, 1), self.deepest)
            for thing, depth in found.items()
            if isinstance(depth, int) and not _DIRECTIONS.search(str(thing).lower()) and str(thing).strip()
        }


def _mapping(reply: str) -> Mapping[object, object]:
    """The first {...} of a reply, as JSON or as Python writes it; empty when there is none."""
    found = re.search(r"\{[^{}]*\}", reply)
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(found[0]) if found else {}
        except (ValueError, SyntaxError):
            continue
        return value if isinstance(value, dict) else {}
    return {}
