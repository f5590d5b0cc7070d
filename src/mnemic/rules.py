"""Facts that follow from facts: rules over subject, relation and object, forward until nothing new follows.

works = Rule("works in", [("?who", "works at", "?firm"), ("?firm", "is in", "?town")], ("?who", "works in", "?town"))
conclude(memory, [works])

A fact is a record whose metadata has "subject", "relation" and "object". A conclusion is one too; it knows its
premises (`derived_from`) and carries its rule, so that it is derived again when a premise changes, by anyone who
opens the file (see mnemic.revision). The evaluation is semi-naive, after Bancilhon and Ramakrishnan, "An Amateur's
Introduction to Recursive Query Processing Strategies", SIGMOD 1986: each round joins what the last one found.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mnemic.db.changes import uuid7
from mnemic.errors import InputError
from mnemic.moment import moment
from mnemic.record import Operation, Outcome, Record
from mnemic.revision import REPLACES

if TYPE_CHECKING:
    from mnemic.memory import Memory

Pattern = tuple[str, str, str]  # subject, relation, object; a word that begins with ? stands for anything
Binding = Mapping[str, str]

_NAMED = re.compile(r"\{(\w+)\}")
_PARTS = ("subject", "relation", "object")
_ROUNDS = 50  # steps of a chain; a rule that makes new things out of its own conclusions would never end


class Rule:
    """If all premises hold for the same ?names, so does the conclusion.

    name         what it is called in the log
    says         the conclusion as a sentence, "{who} works in {town}."; subject, relation and object otherwise

    Raises InputError for a conclusion or a sentence with a ?name that no premise has.
    """

    def __init__(self, name: str, premises: Sequence[Pattern], conclusion: Pattern, says: str = "") -> None:
        self.name, self.says = name, says
        self.premises = [_pattern(premise) for premise in premises]
        self.conclusion = _pattern(conclusion)
        known = {word for premise in self.premises for word in premise if word.startswith("?")}
        if not isinstance(name, str) or not isinstance(says, str):
            raise InputError("the name of a rule and what it says are text.")
        said = [f"?{word}" for word in _NAMED.findall(says)]
        unknown = [word for word in (*self.conclusion, *said) if word.startswith("?") and word not in known]
        if unknown or not self.premises:
            raise InputError(f'the rule "{name}" concludes about {unknown or "nothing"}: name it in a premise.')

    def bind(self, facts: Sequence[Pattern]) -> Binding | None:
        """What the ?names stand for when the facts are the premises, in order; None when they are not."""
        bound: dict[str, str] = {}
        for pattern, fact in zip(self.premises, facts, strict=True):
            if not _unify(pattern, fact, bound):
                return None
        return bound

    def fact(self, bound: Binding) -> Pattern:
        """The conclusion with its ?names filled in."""
        subject, relation, object = (bound.get(word, word) for word in self.conclusion)
        return subject, relation, object

    def sentence(self, bound: Binding) -> str:
        if not self.says:
            return " ".join(self.fact(bound)) + "."
        return _NAMED.sub(lambda name: bound[f"?{name[1]}"], self.says)  # no str.format: records bring rules along

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "premises": [list(p) for p in self.premises], "conclusion": list(self.conclusion),
                "says": self.says}  # fmt: skip


@dataclass(frozen=True)
class Fact:
    """A record that says subject, relation, object."""

    record: Record
    says: Pattern


def conclude(memory: Memory, rules: Sequence[Rule], *, why: str = "conclude") -> list[Outcome]:
    """Write what follows from the facts that hold now and is not there yet, in one transaction.

    A conclusion that takes the place of one that ended, because one of its premises did, links to it. Raises Conflict
    when the memory changes meanwhile: call it again. Returns an outcome per new conclusion.
    """
    position = memory.position
    facts = [fact for record in memory.records({"current": True, "stale": False}) if (fact := read(record))]
    inserts = list(_follow(facts, rules, memory.space))
    if not inserts:
        return []
    links = list(_successions(memory, inserts))
    return memory.propose([*inserts, *links], who="rules", why=why, read_at=position)[: len(inserts)]


def read(record: Record) -> Fact | None:
    """What a record says, when its metadata tells; None otherwise."""
    values = [record.metadata.get(part) for part in _PARTS]
    if not all(isinstance(value, str) and value for value in values):
        return None
    subject, relation, object = (str(value) for value in values)
    return Fact(record, (subject, relation, object))


def derive(record: Record, sources: Sequence[Record]) -> Mapping[str, Any] | None:
    """A conclusion as it follows from its premises now; None when they do not bear it (a mnemic.revision.Deriver)."""
    rule = _rule(record.metadata.get("rule"))
    facts = [fact for source in sources if (fact := read(source))]
    if rule is None or len(facts) != len(rule.premises):
        return None
    bound = rule.bind([fact.says for fact in facts])
    return None if bound is None else _state(rule, bound, [fact.record for fact in facts])


def _follow(facts: Sequence[Fact], rules: Sequence[Rule], space: str) -> Iterator[Operation]:
    known = {fact.says for fact in facts}
    index, fresh = Index(), list(facts)
    for _ in range(_ROUNDS):
        index.add(fresh)
        new: list[Fact] = []
        for rule in rules:
            for premises, bound in _joined(rule, index, fresh):
                if (says := rule.fact(bound)) in known:
                    continue
                known.add(says)
                state, id = _state(rule, bound, [fact.record for fact in premises]), uuid7()
                yield Operation("insert", id, after=state, why=rule.name)
                new.append(Fact(Record(id, space, "fact", state["text"], time=state["time"]), says))
        if not new:
            return
        fresh = new
    raise InputError(f"after {_ROUNDS} rounds there are still new conclusions: a rule feeds itself without end.")


def _successions(memory: Memory, inserts: Sequence[Operation]) -> Iterator[Operation]:
    """Links from new conclusions to those that they come after: the same rule on the same subject, from a premise
    that took the place of one of theirs."""
    after = {edge.tail: edge.head for edge in memory.edges() if edge.relation == REPLACES and edge.source is None}
    waiting: dict[tuple[Any, Any], list[tuple[str, Sequence[str]]]] = defaultdict(list)
    for record in memory.records({"metadata": {"deriver": "rules"}}):
        if record.until and record.id not in after:
            waiting[_about(record.metadata)].append((record.id, record.derived_from))
    for new in inserts:
        state = new.after or {}
        for old, premises in waiting.get(_about(state["metadata"]), ()):
            if old not in after and any(
                map(lambda was, now: _follows(now, was, after), premises, state["derived_from"])
            ):
                after[old] = new.target
                yield Operation("link", new.target, after={"edge": [new.target, REPLACES, old, 1.0]})
                break


def _about(metadata: Mapping[str, Any]) -> tuple[Any, Any]:
    rule = metadata.get("rule")
    return (rule.get("name") if isinstance(rule, Mapping) else None), metadata.get("subject")


def _follows(now: str, was: str, after: Mapping[str, str]) -> bool:
    """True when one record came after the other, directly or through others."""
    seen = set()
    while was in after and was not in seen:
        seen.add(was)
        was = after[was]
        if was == now:
            return True
    return False


class Index:
    """Facts by relation, and by relation with subject or object."""

    def __init__(self) -> None:
        self._facts: dict[tuple[str, ...], list[Fact]] = defaultdict(list)

    def add(self, facts: Sequence[Fact]) -> None:
        for fact in facts:
            subject, relation, object = fact.says
            for key in ((), (relation,), (relation, "subject", subject), (relation, "object", object)):
                self._facts[key].append(fact)

    def fitting(self, pattern: Pattern, bound: Binding) -> Sequence[Fact]:
        """Facts that may fill a pattern, as few as the index can tell."""
        subject, relation, object = (bound.get(word, word) for word in pattern)
        if relation.startswith("?"):
            return self._facts.get((), ())
        if not subject.startswith("?"):
            return self._facts.get((relation, "subject", subject), ())
        if not object.startswith("?"):
            return self._facts.get((relation, "object", object), ())
        return self._facts.get((relation,), ())


def _joined(rule: Rule, index: Index, fresh: Sequence[Fact]) -> Iterator[tuple[list[Fact], Binding]]:
    """All ways to fill the premises with a fact of the last round at one place; that place is filled first."""

    def fill(places: list[int], chosen: dict[int, Fact], bound: Binding) -> Iterator[tuple[list[Fact], Binding]]:
        if not places:
            yield [chosen[place] for place in range(len(rule.premises))], bound
            return
        place, *others = places
        pattern = rule.premises[place]
        for fact in index.fitting(pattern, bound) if chosen else fresh:
            extended = dict(bound)
            if _unify(pattern, fact.says, extended):
                yield from fill(others, {**chosen, place: fact}, extended)

    for first in range(len(rule.premises)):
        yield from fill([first, *(place for place in range(len(rule.premises)) if place != first)], {}, {})


def _state(rule: Rule, bound: Binding, premises: Sequence[Record]) -> dict[str, Any]:
    """A conclusion as the state of a record: true since the last of its premises, until the first of them ended."""
    begins = [premise.time for premise in premises if premise.time]
    ends = [premise.until for premise in premises if premise.until]
    return {
        "kind": "fact", "text": rule.sentence(bound), "source": f"rule {rule.name}",
        "time": max(begins, key=lambda time: moment(time).start, default=None),
        "until": min(ends, key=lambda time: moment(time).start, default=None),
        "metadata": dict(zip(_PARTS, rule.fact(bound), strict=True)) | {"deriver": "rules", "rule": rule.as_json()},
        "derived_from": [premise.id for premise in premises],
    }  # fmt: skip


def _rule(state: Any) -> Rule | None:
    """The rule that a record carries; None for what is none."""
    try:
        return Rule(state["name"], state["premises"], state["conclusion"], state.get("says", ""))
    except (KeyError, TypeError, AttributeError, InputError):
        return None


def _pattern(words: Sequence[str]) -> Pattern:
    if isinstance(words, str) or len(words) != 3 or not all(isinstance(word, str) and word for word in words):
        raise InputError(
            f'a premise is (subject, relation, object), like ("?who", "works at", "?firm"), got {words!r}.'
        )
    subject, relation, object = words
    return subject, relation, object


def _unify(pattern: Pattern, fact: Pattern, bound: dict[str, str]) -> bool:
    """Extend the binding so that the pattern says the fact; False when it cannot."""
    for word, value in zip(pattern, fact, strict=True):
        if not word.startswith("?"):
            if word != value:
                return False
        elif bound.setdefault(word, value) != value:
            return False
    return True
