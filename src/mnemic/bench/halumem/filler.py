"""Talk about nothing that matters: a third explanations, a third sums, a third questions about the world.

Half of it falls into the sessions, half into sessions of its own, which are remembered and never scored. It uses the
words of the slots (cities, trades, drinks) without saying anything about the user: that is what crowds a search.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Sequence
from dataclasses import replace

from mnemic.bench.halumem.attributes import OF_PEOPLE
from mnemic.bench.halumem.records import Session, Turn

_EXPLAIN = ("How does {v} come about?", "Why do people talk about {v}?", "Is {v} a good {name} for most people?",
            "What is the story of {v} as a {name}?")  # fmt: skip
_EXPLAINED = ("In simple words: it began small, and then one thing led to another.",
              "Think of a big puzzle in which every piece has its place.",
              "It has many sides, and people have argued about it for a long time.")  # fmt: skip
_WORLD = ("Which {name} is more common, {v} or {w}?", "How do {v} and {w} differ?",
          "What does {v} have to do with {w}?", "Where can one read about {v}?")  # fmt: skip
_ANSWERED = ("That depends on whom one asks.", "The figures vary from source to source.",
             "There is a good overview in most libraries.")  # fmt: skip


def mixed(sessions: Sequence[Session], times: float, rng: random.Random) -> list[Session]:
    """The sessions with filler: so many times their own turns, half inside, half as sessions of their own."""
    if times == 0:
        return list(sessions)
    out: list[Session] = []
    for session in sessions:
        exchanges = round(times * len(session.dialogue) / 2)
        inside = exchanges // 2
        out.append(replace(session, dialogue=_inserted(session, _talk(inside, rng), rng)))
        out.append(_own(session, _talk(exchanges - inside, rng)))
    return out


def _talk(exchanges: int, rng: random.Random) -> list[tuple[Turn, Turn]]:
    makers = (_explanation, _sum, _world)
    return [makers[n % 3](rng) for n in range(exchanges)]


def _explanation(rng: random.Random) -> tuple[Turn, Turn]:
    attribute = rng.choice(OF_PEOPLE)
    asked = rng.choice(_EXPLAIN).format(v=rng.choice(attribute.values), name=attribute.name)
    return Turn("user", asked), Turn("assistant", rng.choice(_EXPLAINED))


def _sum(rng: random.Random) -> tuple[Turn, Turn]:
    a, b = rng.randint(12, 99), rng.randint(12, 99)
    return Turn("user", f"What is {a} times {b}?"), Turn("assistant", f"{a} times {b} makes {a * b}.")


def _world(rng: random.Random) -> tuple[Turn, Turn]:
    attribute = rng.choice(OF_PEOPLE)
    v, w = rng.sample(attribute.values, 2)
    asked = rng.choice(_WORLD).format(v=v, w=w, name=attribute.name)
    return Turn("user", asked), Turn("assistant", rng.choice(_ANSWERED))


def _inserted(session: Session, talk: Sequence[tuple[Turn, Turn]], rng: random.Random) -> tuple[Turn, ...]:
    """The dialogue with exchanges put between its own: the order of both is kept."""
    own = [session.dialogue[n : n + 2] for n in range(0, len(session.dialogue), 2)]
    places = sorted(rng.randint(0, len(own)) for _ in talk)
    pairs: list[Sequence[Turn]] = []
    for n in range(len(own) + 1):
        pairs += [
            [replace(turn, time=session.start) for turn in pair]
            for pair, place in zip(talk, places, strict=True)
            if place == n
        ]
        pairs += own[n : n + 1]
    return tuple(turn for pair in pairs for turn in pair)


def _own(session: Session, talk: Sequence[tuple[Turn, Turn]]) -> Session:
    start = dt.datetime.fromisoformat(session.start) + dt.timedelta(days=3)
    turns = tuple(replace(turn, time=start.isoformat()) for pair in talk for turn in pair)
    return Session(start.isoformat(), (start + dt.timedelta(hours=1)).isoformat(), turns, filler=True)
