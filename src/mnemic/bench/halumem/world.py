"""SlotWorld: people with slots that change on dates, dialogues that say so, and everything that is true, known.

    users = SlotWorld(users=10, sessions=20, seed=0).build()     # records as load_halumem gives them

Each user has 20 slots, five people with eight and twelve events with four. The first sessions introduce them; later
ones change one to three slots at a time. The same seed gives the same gold with and without filler.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from mnemic.bench.halumem import dialogue, filler, questions
from mnemic.bench.halumem.attributes import EVENTS, FIRST, HE, LAST, OF_EVENTS, OF_PEOPLE, RELATION, SHE
from mnemic.bench.halumem.dialogue import Statement, Voice
from mnemic.bench.halumem.language import ATTRIBUTES, USER, Fact, values_of
from mnemic.bench.halumem.records import MemoryPoint, Session, User
from mnemic.errors import InputError

_PEOPLE, _THEIR_SLOTS, _EVENTS = 5, 7, 12
_DAY_ONE = dt.datetime(2025, 1, 6, 18, 0)
_MOST = len(FIRST) * len(LAST)


@dataclass(frozen=True)
class SlotWorld:
    """What to generate.

    users, sessions, turns   how many; turns are messages of both sides in a session
    changes        share of the sessions after the introduction in which something changes
    interference   claims of the assistant in a session with a change, from and to
    held_out       share of statements in words that no extractor may be written against
    pronouns       share of turns that begin with a pronoun whose name stands in the turn before
    traps          share of claims that the user repeats without saying yes or no
    filler         turns about nothing that matters, as a multiple of the session's own (Medium 0, Long 8)
    """

    users: int = 10
    sessions: int = 20
    turns: int = 8
    changes: float = 0.6
    interference: tuple[int, int] = (1, 3)
    held_out: float = 0.15
    pronouns: float = 0.1
    traps: float = 0.1
    filler: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.users <= _MOST or self.sessions < 3 or self.turns < 2 or self.turns % 2:
            raise InputError(f"a SlotWorld has 1 to {_MOST} users, at least 3 sessions and an even number of turns, "
                             f"got {self.users}, {self.sessions} and {self.turns}.")  # fmt: skip
        low, high = self.interference
        shares = (self.changes, self.held_out, self.pronouns, self.traps)
        if not all(0 <= share <= 1 for share in shares) or self.filler < 0 or not 0 <= low <= high:
            raise InputError("changes, held_out, pronouns and traps are shares from 0 to 1, filler is 0 or more, "
                             "interference a pair (from, to).")  # fmt: skip

    def build(self) -> list[User]:
        """The users, in the form in which HaluMem's own files are read."""
        return [self._user(n) for n in range(self.users)]

    def _user(self, n: int) -> User:
        name = f"{FIRST[n % len(FIRST)]} {LAST[(n // len(FIRST) + n) % len(LAST)]}"
        rng = random.Random(f"{self.seed}/{n}")  # of text: the same on every machine and version
        life = Life(name, rng)
        plan = life.plan(self.sessions, self.changes)
        voice = Voice(self.held_out, self.pronouns, self.traps)
        sessions = [self._session(life, number, statements, rng, voice) for number, statements in enumerate(plan)]
        words = random.Random(f"{self.seed}/{n}/filler")
        return User(f"user-{self.seed}-{n}", f"{name}.", tuple(filler.mixed(sessions, self.filler, words)))

    def _session(self, life: Life, number: int, statements: list[Statement], rng: random.Random,
                 voice: Voice) -> Session:  # fmt: skip
        start = _DAY_ONE + dt.timedelta(days=7 * number)
        exchanges = self.turns // 2
        stages = sum(statement.old is not None for statement in statements)
        count = rng.randint(*self.interference) if stages else 0
        false = life.false_twins(statements, count, exchanges, rng)
        turns = dialogue.spoken(statements, false, exchanges, rng, voice)
        points = [life.learn(statement, start.isoformat()) for statement in statements]
        points += [life.twin(fact) for _, fact in false]
        asked = questions.asked(life.known(), stages, number, rng)
        minute = dt.timedelta(minutes=1)
        return Session(
            start.isoformat(),
            (start + minute * self.turns).isoformat(),
            tuple(replace(turn, time=(start + minute * at).isoformat()) for at, turn in enumerate(turns)),
            tuple(replace(point, index=at, time=start.isoformat()) for at, point in enumerate(points)),
            tuple(asked),
        )


@dataclass
class Life:
    """What is true of one user as the sessions go by."""

    name: str
    rng: random.Random
    now: dict[tuple[str, str], MemoryPoint] = field(default_factory=dict)  # what was said so far, by field
    value: dict[tuple[str, str], str] = field(default_factory=dict)
    past: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    claimed: dict[tuple[str, str], set[str]] = field(default_factory=dict)  # what the assistant made up
    ever: dict[tuple[str | None, str], set[str]] = field(default_factory=dict)  # what is true at some time

    def plan(self, sessions: int, changes: float) -> list[list[Statement]]:
        """What the user says in each session, in order."""
        first = max(1, sessions // 5)
        plan: list[list[Statement]] = [[] for _ in range(sessions)]
        for n, fact in enumerate(self._shuffled(self._facts(USER, self._slots(len(OF_PEOPLE))))):
            plan[n % first].append(Statement(fact))
        changing = sorted(self.rng.sample(range(first, sessions), max(1, round(changes * (sessions - first)))))
        stages = {n: self.rng.randint(1, 3) for n in changing}
        for group in self._groups():
            room = [n for n in range(sessions) if n >= first or group[0].subject not in EVENTS]
            n = min(room, key=lambda n: (len(plan[n]) + stages.get(n, 0), self.rng.random()))
            plan[n] += [Statement(fact) for fact in group]
        for n in changing:
            plan[n] += self._changes(plan, n, stages[n])
        for said in (said for part in plan for said in part):
            self.ever.setdefault(said.fact.field, set()).add(said.fact.value)
        return [sorted(part, key=lambda said: str(said.fact.subject)) for part in plan]

    def _slots(self, count: int) -> list[str]:
        return self.rng.sample([each.name for each in OF_PEOPLE], count)

    def _facts(self, subject: str, names: Iterable[str]) -> list[Fact]:
        return [Fact(subject, name, self.rng.choice(ATTRIBUTES[name].values)) for name in names]

    def _shuffled(self, facts: list[Fact]) -> list[Fact]:
        return self.rng.sample(facts, len(facts))

    def _groups(self) -> list[list[Fact]]:
        """Facts that are said together: a person in two halves, an event as a whole."""
        people = self.rng.sample((*SHE, *HE), _PEOPLE)
        groups = []
        for person in people:
            relation = Fact(person, RELATION.name, self.rng.choice(RELATION.values))
            facts = [relation, *self._facts(person, self._slots(_THEIR_SLOTS))]
            groups += [facts[:4], facts[4:]]
        for event in self.rng.sample(EVENTS, _EVENTS):
            values = {each.name: self.rng.choice(each.values) for each in OF_EVENTS if each.name != "companion"}
            values["companion"] = self.rng.choice(people)
            groups.append(self._shuffled([Fact(event, name, value) for name, value in values.items()]))
        return groups

    def _changes(self, plan: list[list[Statement]], session: int, count: int) -> list[Statement]:
        """New values for slots that were told in an earlier session; mostly the user's own."""
        current: dict[tuple[str | None, str], str] = {}
        for said in (said for part in plan[:session] for said in part):
            if ATTRIBUTES[said.fact.attribute].changes:
                current[said.fact.field] = said.fact.value
        current = {each: value for each, value in current.items() if each[0] not in EVENTS and each[1] != RELATION.name}
        own = [each for each in current if each[0] == USER]
        others = [each for each in current if each[0] != USER]
        chosen: list[tuple[str | None, str]] = []
        while len(chosen) < min(count, len(current)):
            pool = [each for each in (own if self.rng.random() < 0.7 else others) if each not in chosen]
            if pool:
                chosen.append(self.rng.choice(pool))
        seen = {(*said.fact.field, said.fact.value) for part in plan[:session] for said in part}
        made = []
        for subject, attribute in chosen:
            new = [each for each in values_of(attribute) if (subject, attribute, each) not in seen]
            value = self.rng.choice(new)
            made.append(Statement(Fact(subject, attribute, value), old=current[subject, attribute]))
        return made

    def false_twins(self, statements: list[Statement], count: int, exchanges: int,
                    rng: random.Random) -> list[tuple[int, Fact]]:  # fmt: skip
        """Claims about slots of this session with values that were never true, and in which exchange they fall."""
        made = []
        for at in sorted(rng.sample(range(len(statements)), min(count, len(statements)))):
            fact = statements[at].fact
            field = (str(fact.subject), fact.attribute)
            wrong = rng.choice([value for value in values_of(fact.attribute) if value not in self.ever[fact.field]])
            self.claimed.setdefault(field, set()).add(wrong)
            said_in = next(n for n in range(exchanges) if at < (n + 1) * len(statements) // exchanges)
            made.append((rng.randrange(said_in, exchanges), Fact(fact.subject, fact.attribute, wrong)))
        return made

    def learn(self, statement: Statement, time: str) -> MemoryPoint:
        """The memory point of a statement; from now on it is what is true."""
        fact = statement.fact
        field = (str(fact.subject), fact.attribute)
        text = self.gold(fact)
        original: tuple[str, ...] = ()
        if statement.old is not None:
            original = (self.now[field].text,)
            self.past.setdefault(field, []).append(statement.old)
            text = f"{text[:-1]} now, no longer {statement.old}."
        weight = 1.0 if original else ATTRIBUTES[fact.attribute].importance
        source = "system" if original else "secondary" if fact.subject in EVENTS else "primary"
        point = MemoryPoint(text, _type(fact), source, bool(original), original, weight, time)  # type: ignore[arg-type]
        self.now[field], self.value[field] = point, fact.value
        return point

    def twin(self, fact: Fact) -> MemoryPoint:
        """The point that a memory should resist: it names the true one that it distorts."""
        true = self.now[str(fact.subject), fact.attribute]
        return MemoryPoint(self.gold(fact), _type(fact), "interference", False, (true.text,), 0.25)

    def gold(self, fact: Fact) -> str:
        """A fact as gold texts say it."""
        whose = self.name if fact.subject == USER else str(fact.subject)
        return f"{whose[0].upper()}{whose[1:]}'s {fact.attribute} is {fact.value}."

    def known(self) -> questions.Known:
        return questions.Known(dict(self.now), dict(self.value), self.past, self.claimed)


def _type(fact: Fact) -> str:
    if fact.subject == USER:
        return "Persona Memory"
    return "Event Memory" if fact.subject in EVENTS else "Relationship Memory"
