"""A real diary as a haystack: facts about invented people put between its sentences.

`inserted` asks for single facts (accurate retrieval), `whole` for counts, sets and last places over all of it
(long-range understanding). Every asked fact has neighbours that share its subject or its relation.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

from mnemic import data
from mnemic.bench.memory_agent_bench.chunks import counted, sentences
from mnemic.bench.memory_agent_bench.contexts import Context, Question
from mnemic.bench.memory_agent_bench.names import named
from mnemic.bench.memory_agent_bench.relations import DIARY
from mnemic.errors import InputError

_DISTRACTORS = 3  # facts in all for each one that is asked
STAY = "On day {day} {who} lodged at {place}."


@lru_cache(maxsize=4)
def book(tokens: int) -> tuple[str, ...]:
    """The first sentences of Pepys's diary, about so many tokens; raises DataMissing without it."""
    kept: list[str] = []
    size = 0
    for line in data.read("pepys").splitlines():
        for sentence in sentences(json.loads(line)["text"]):
            size += counted(sentence)
            if size > tokens:
                return tuple(kept)
            kept.append(sentence)
    raise InputError(f"the diary has {size:,} tokens, not {tokens:,}: ask for fewer.")


def spread(told: Sequence[tuple[float, str]], filler: Sequence[str]) -> str:
    """Sentences among others, each at its place between 0 and 1; a line per twenty or so, as paragraphs."""
    slots: dict[int, list[str]] = defaultdict(list)
    for place, sentence in sorted(told):
        slots[min(int(place * (len(filler) + 1)), len(filler))].append(sentence)
    mixed: list[str] = []
    for n in range(len(filler) + 1):
        mixed += slots[n]
        mixed += filler[n : n + 1]
    return "\n".join(mixed)


def inserted(tokens: int, seed: int, *, questions: int = 100, filler: Sequence[str] | None = None) -> Context:
    """Facts in a diary of about so many tokens, in three wordings, and questions for a third of them."""
    rng = random.Random(f"inserted:{seed}")
    people = named("person", max(8, questions * 4 // 5), rng)
    pairs = [(who, relation) for who in people for relation in DIARY]
    chosen = rng.sample(pairs, min(questions * _DISTRACTORS, len(pairs)))
    told: list[tuple[float, str]] = []
    asked: list[Question] = []
    for n, (who, relation) in enumerate(chosen):
        value = rng.choice(named(relation.object, 40, rng))
        told.append((rng.random(), relation.state(who, value, rng.randrange(3))))
        if n < questions:
            asked.append(Question(relation.question.format(s=who), (value,), f"ar-{n}", relation.object))
    text = spread(told, book(tokens) if filler is None else filler)
    return Context("inserted", text, tuple(asked))


def whole(tokens: int, seed: int, *, questions: int = 100, people: int = 25, days: int = 120,
          filler: Sequence[str] | None = None) -> Context:  # fmt: skip
    """People who lodge here and there over the days of a diary, and four questions about each.

    How many days they are named, at which places they lodged, where last, and who of four is named on most days.
    """
    rng = random.Random(f"whole:{seed}")
    stays = _stays(named("person", people, rng), named("city", 30, rng), days, rng)
    told = [
        ((day - 1 + rng.random()) / days, STAY.format(day=day, who=who, place=place))
        for who, where in stays.items()
        for day, place in where.items()
    ]
    asked = [*_own(stays), *_most(stays, len(stays), rng)]
    rng.shuffle(asked)
    text = spread(told, book(tokens) if filler is None else filler)
    return Context("whole", text, tuple(asked[:questions]))


def _stays(people: Sequence[str], places: Sequence[str], days: int, rng: random.Random) -> dict[str, dict[int, str]]:
    """Who lodged where on which day: on a fifth to a half of the days, at 5 to 12 places.

    Of 120 days these are 24 to 60, more than ten chunks can tell of: the questions are about the whole.
    """
    stays: dict[str, dict[int, str]] = {}
    for who in people:
        at = rng.sample(list(places), rng.randint(5, 12))
        on = sorted(rng.sample(range(1, days + 1), max(1, rng.randint(days // 5, days // 2))))
        stays[who] = {day: rng.choice(at) for day in on}
    return stays


def _own(stays: dict[str, dict[int, str]]) -> list[Question]:
    asked: list[Question] = []
    for n, (who, where) in enumerate(stays.items()):
        asked += [
            Question(f"On how many days is {who} named?", (str(len(where)),), f"count-{n}", "count"),
            Question(f"At which places did {who} lodge?", ("; ".join(sorted(set(where.values()))),), f"set-{n}", "set"),
            Question(f"At which place did {who} lodge last?", (where[max(where)],), f"last-{n}", "last"),
        ]
    return asked


def _most(stays: dict[str, dict[int, str]], n: int, rng: random.Random) -> list[Question]:
    """Who of four is named on the most days; never a tie."""
    asked: list[Question] = []
    for _ in range(100 * n):
        four = rng.sample(list(stays), 4)
        counts = sorted((len(stays[who]), who) for who in four)
        if len(asked) < n and counts[-1][0] > counts[-2][0]:
            text = f"Who is named on the most days: {'; '.join(four)}?"
            asked.append(Question(text, (counts[-1][1],), f"most-{len(asked)}", "most"))
    return asked
