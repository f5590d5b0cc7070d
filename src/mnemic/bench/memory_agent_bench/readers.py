"""Readers without a language model, the same for every memory: what a memory hands over is all they see.

icl                          votes of the ten examples nearest to the sentence, weighted by BM25
inserted, factconsolidation  the first statement, in the order handed over, that fits subject and relation; a longer
                             question is followed fact by fact
whole                        counts days and places over the statements handed over, or reads a tally of them
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from mnemic.bench.memory_agent_bench.bm25 import BM25
from mnemic.bench.memory_agent_bench.contexts import Task
from mnemic.bench.memory_agent_bench.examples import read_example
from mnemic.bench.memory_agent_bench.relations import everything
from mnemic.errors import InputError

Recall = Callable[[str], Sequence[str]]  # a question -> texts, most trusted first

VOTES = 10
_STAY = re.compile(r"On day (\d+) ([A-Z]\w+ [A-Z]\w+) lodged at ([A-Z]\w+ [A-Z]\w+)\.")
_TALLY = re.compile(r"TALLY of ([^:]+): (\d+) days; last (.+?); places (.+)")


def read(task: Task, question: str, recall: Recall) -> str:
    """The answer; empty when it does not follow from what was handed over."""
    if task.name not in _READERS:
        raise InputError(
            f'no reader without a language model answers "{task.name}": use LLMAgent; these can be read: '
            f"{', '.join(_READERS)}."
        )
    return _READERS[task.name](question, recall)


def vote(question: str, recall: Recall) -> str:
    """The class that most of the nearest examples have."""
    rows = [row for text in recall(question) for line in text.splitlines() if (row := read_example(line))]
    if not rows:
        return ""
    ranker = _ranker(tuple(text for text, _ in rows))
    scores = ranker.scores(question)
    votes: dict[str, float] = defaultdict(float)
    for near in ranker.top(question, VOTES) or range(min(VOTES, len(rows))):
        votes[rows[near][1]] += float(scores[near])
    return f"label: {max(votes, key=lambda number: votes[number])}"


@lru_cache(maxsize=8)
def _ranker(texts: tuple[str, ...]) -> BM25:
    """A window hands the same examples over for every question: they are indexed once."""
    return BM25(texts)


def find(question: str, recall: Recall) -> str:
    """Follow the question from its subject, one fact after the other."""
    asked = everything().question(question)
    if asked is None:
        return ""
    at, relations = asked
    handed = recall(question)
    for n, relation in enumerate(relations):
        if n:  # the next question, as a person would put it
            handed = recall(everything().asks[relation].format(s=at))
        at = first_hit(at, relation, handed)
        if not at:
            return ""
    return at


def first_hit(subject: str, relation: str, texts: Sequence[str]) -> str:
    """The object of the first statement about a subject and a relation; empty without one."""
    for text in texts:
        if subject in text:
            for fact in everything().facts(text):
                if fact.relation == relation and fact.subject == subject:
                    return fact.object
    return ""


# ---- counting


def stays(text: str) -> list[tuple[int, str, str]]:
    """(day, who, where) of every stay that a text tells of."""
    return [(int(day), who, where) for day, who, where in _STAY.findall(text)]


def tally(where: Mapping[int, str], who: str) -> str:
    """What a counter keeps of a person: as a line that `count` reads."""
    return (
        f"TALLY of {who}: {len(where)} days; last {where[max(where)]}; places {'; '.join(sorted(set(where.values())))}"
    )


def count(question: str, recall: Recall) -> str:
    """Answer a question about all of a diary from the stays, or the tallies, that were handed over."""
    handed = recall(question)
    seen: dict[str, dict[int, str]] = defaultdict(dict)
    tallies: dict[str, tuple[int, str, str]] = {}
    for text in handed:
        for day, who, where in stays(text):
            seen[who][day] = where
        for who, days, last, places in _TALLY.findall(text):
            tallies[who] = (int(days), last, places)
    for who, where_on in seen.items():
        tallies.setdefault(who, (len(where_on), where_on[max(where_on)], "; ".join(sorted(set(where_on.values())))))
    return _counted(question, tallies)


def _counted(question: str, tallies: Mapping[str, tuple[int, str, str]]) -> str:
    if question.startswith("Who is named on the most days: "):
        four = question.partition(": ")[2].rstrip("?").split("; ")
        known = [who for who in four if who in tallies]
        return max(known, key=lambda who: tallies[who][0], default="")
    who = next((who for who in tallies if who in question), "")
    if not who:
        return "0" if question.startswith("On how many") else ""
    days, last, places = tallies[who]
    return str(days) if question.startswith("On how many") else last if question.endswith("last?") else places


_READERS: Mapping[str, Callable[[str, Recall], str]] = {
    "icl": vote,
    "inserted": find,
    "factconsolidation": find,
    "whole": count,
}
