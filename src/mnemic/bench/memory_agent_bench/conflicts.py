"""FactConsolidation: a pool of numbered facts, many of them rewritten later; the newest holds.

Facts are functional (a subject has one object of a relation at a time). Every version is a line of its own; lines lie
in random order, except that a newer version never comes before an older one. Single-hop questions ask for rewritten
facts, multi-hop ones follow 2 to 4 facts as they stand in the end, at least one of them rewritten.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mnemic.bench.memory_agent_bench.chunks import counted
from mnemic.bench.memory_agent_bench.contexts import Context, Question
from mnemic.bench.memory_agent_bench.names import named
from mnemic.bench.memory_agent_bench.relations import POOL, Relation
from mnemic.errors import InputError

Key = tuple[str, str]  # subject, relation

# How many subjects of a type there are, relative to each other: people and works have the most facts.
_SHARES = {"person": 6, "work": 5, "city": 5, "company": 5, "country": 3, "team": 3}
_OBJECTS = 40  # of a type that is only ever an object
_TRIES = 500  # walks to find one more question; a small pool may hold no further path of a length

# Twelve relations that lead on to each other: what most of them end at has facts of its own.
CHAINED = tuple(
    relation for relation in POOL if relation.id in "P50 P178 P19 P27 P26 P108 P17 P6 P36 P35 P169 P159".split()
)


@dataclass(frozen=True)
class Pool:
    """Versions of every fact, oldest first, and the lines in which they were told."""

    versions: Mapping[Key, tuple[str, ...]]
    lines: tuple[str, ...]
    relations: Mapping[str, Relation]

    @property
    def newest(self) -> dict[Key, str]:
        return {key: versions[-1] for key, versions in self.versions.items()}

    @property
    def oldest(self) -> dict[Key, str]:
        return {key: versions[0] for key, versions in self.versions.items()}


def pool(tokens: int, seed: int, *, relations: Sequence[Relation] = POOL, rewritten: float = 0.5,
         edits: tuple[int, int] = (1, 1), shared: bool = False) -> Pool:  # fmt: skip
    """A pool of about so many tokens.

    rewritten   share of the facts that are revised
    edits       how often such a fact is revised, at least and at most
    shared      names have no word of their own
    """
    if not 0 < rewritten <= 1 or not 1 <= edits[0] <= edits[1]:
        raise InputError(f"rewritten is {rewritten} and edits {edits}: give a share above 0 and two counts from 1 on.")
    rng = random.Random(f"conflicts:{seed}")
    versions: dict[Key, tuple[str, ...]] = {}
    size = 0
    things = _things(tokens, relations, rng, shared)
    for subject, relation in _pairs(things, relations, rng):
        times = rng.randint(*edits) if rng.random() < rewritten else 0
        objects = [name for name in things[relation.object] if name != subject]
        told = tuple(rng.sample(objects, min(times + 1, len(objects))))
        size += sum(counted(f"1000. {relation.state(subject, name)}") + 1 for name in told)
        if size > tokens:
            break
        versions[subject, relation.id] = told
    by_id = {relation.id: relation for relation in relations}
    return Pool(versions, _told(versions, by_id, rng), by_id)


def _things(tokens: int, relations: Sequence[Relation], rng: random.Random, shared: bool) -> dict[str, list[str]]:
    """Names by type, so many that their facts fill the tokens."""
    wanted = tokens / 15 / 1.2  # facts, at about 15 tokens a line
    per_unit = sum(_SHARES.get(relation.subject, 3) for relation in relations)
    unit = max(1.0, wanted / per_unit * 1.3)
    types = dict.fromkeys(t for relation in relations for t in (relation.subject, relation.object))
    subjects = {relation.subject for relation in relations}
    many = {t: max(6, round(unit * _SHARES.get(t, 3))) if t in subjects else _OBJECTS for t in types}
    return {t: named(t, many[t], rng, shared=shared) for t in types}


def _pairs(
    things: Mapping[str, Sequence[str]], relations: Sequence[Relation], rng: random.Random
) -> list[tuple[str, Relation]]:
    pairs = [(subject, relation) for relation in relations for subject in things[relation.subject]]
    rng.shuffle(pairs)
    return pairs


def _told(versions: Mapping[Key, Sequence[str]], by_id: Mapping[str, Relation], rng: random.Random) -> tuple[str, ...]:
    """Every version as a numbered line; versions of one fact keep their order."""
    placed: list[tuple[float, str]] = []
    for (subject, relation), objects in versions.items():
        places = sorted(rng.random() for _ in objects)
        placed += [(place, by_id[relation].state(subject, name)) for place, name in zip(places, objects, strict=True)]
    return tuple(f"{n}. {line}" for n, (_, line) in enumerate(sorted(placed), 1))


def single_hop(facts: Pool, n: int, seed: int) -> list[Question]:
    """Up to n questions on rewritten facts."""
    rng = random.Random(f"single:{seed}")
    revised = [key for key, versions in facts.versions.items() if len(versions) > 1]
    chosen = rng.sample(revised, min(n, len(revised)))
    return [
        Question(facts.relations[r].question.format(s=s), (facts.versions[s, r][-1],), f"sh-{i}", "1 hop")
        for i, (s, r) in enumerate(chosen)
    ]


def multi_hop(facts: Pool, n: int, seed: int, *, hops: tuple[int, int] = (2, 4)) -> list[Question]:
    """Up to n questions over several facts, at least one of them rewritten; the old facts lead elsewhere."""
    if not 2 <= hops[0] <= hops[1]:
        raise InputError(f"hops are {hops}: give the fewest and the most, from 2 on.")
    rng = random.Random(f"multi:{seed}")
    newest, oldest = facts.newest, facts.oldest
    by_subject: dict[str, list[str]] = defaultdict(list)
    for subject, relation in newest:
        by_subject[subject].append(relation)
    asked: dict[str, Question] = {}
    starts = list(by_subject)
    for i in range(n):
        length = hops[0] + i % (hops[1] - hops[0] + 1)  # as many questions of each length
        for _ in range(_TRIES):
            path = _walk(rng.choice(starts), length, newest, by_subject, rng)
            end = follow(*path, newest) if path else ""
            if not path or follow(*path, oldest) == end:
                continue
            text = nested(path[0], [facts.relations[r] for r in path[1]])
            if text not in asked:
                asked[text] = Question(text, (end,), f"mh-{i}", f"{length} hops")
                break
    return list(asked.values())


def _walk(start: str, length: int, facts: Mapping[Key, str], by_subject: Mapping[str, Sequence[str]],
          rng: random.Random) -> tuple[str, list[str]] | None:  # fmt: skip
    """A path of so many facts that never comes back to where it was; None when it ends early."""
    at, seen, path = start, {start}, []
    for _ in range(length):
        onward = [r for r in by_subject.get(at, ()) if facts[at, r] not in seen]
        if not onward:
            return None
        relation = rng.choice(onward)
        at = facts[at, relation]
        seen.add(at)
        path.append(relation)
    return start, path


def follow(subject: str, path: Sequence[str], facts: Mapping[Key, str]) -> str:
    """Where a path ends; empty when a fact is not there."""
    for relation in path:
        subject = facts.get((subject, relation), "")
    return subject


def nested(subject: str, relations: Sequence[Relation]) -> str:
    """One question over several relations: "Who or what is the capital of the birthplace of X?" """
    phrase = subject
    for relation in relations:
        phrase = relation.phrase.format(s=phrase)
    return f"Who or what is {phrase}?"


def factconsolidation(tokens: int, seed: int, *, questions: int = 100, relations: Sequence[Relation] = POOL,
                      edits: tuple[int, int] = (1, 1), hops: tuple[int, int] = (2, 4), shared: bool = False,
                      number: int = 0) -> tuple[Context, Context]:  # fmt: skip
    """One pool with single-hop questions, and the same pool with multi-hop ones."""
    facts = pool(tokens, seed, relations=relations, edits=edits, shared=shared)
    text, size = "\n".join(facts.lines), f"{round(tokens / 1000)}k"
    single = Context(f"factconsolidation_sh_{size}", text, tuple(single_hop(facts, questions, seed)), number=number)
    multi = Context(
        f"factconsolidation_mh_{size}", text, tuple(multi_hop(facts, questions, seed, hops=hops)), number=number
    )
    return single, multi
