"""Which stage loses most: each is scored against what reached it, so an early error is not charged to a later stage.

missing    of the gold, the share that was taken at all: recall / target precision
wrong      of what was taken, the support it has: target precision
invented   of the assistant's false claims, the share that was kept out: false memory resistance
update     of the updates that were extracted, the share that any query finds
search     of the searches whose answer was taken in, the share that returned it (it may be gone since, or not found)
answer     of the questions whose evidence was returned (or has none), the share answered rightly
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mnemic.bench.halumem.cases import Cases, QuestionCase, UpdateCase

STAGES = ("missing", "wrong", "invented", "update", "search", "answer")
_EXPLAINED = {
    "missing": "facts are not taken out of the conversation",
    "wrong": "facts are taken wrongly",
    "invented": "what only the assistant claimed is kept as true",
    "update": "a change is noticed but the memory keeps what was before",
    "search": "it was taken in, and the search does not return it: gone since, or not found",
    "answer": "the evidence is there and the answer is not drawn from it",
}


@dataclass(frozen=True)
class Diagnosis:
    """The stage with the lowest score, all scores, and examples to read. stage is "" when none loses anything."""

    stage: str
    scores: Mapping[str, float]
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.stage:
            return "no stage loses anything."
        lines = [f"{self.stage} ({self.scores[self.stage]:.2f}): {_EXPLAINED[self.stage]}"]
        return "\n".join([*lines, *(f"  {example}" for example in self.examples)])


def diagnosed(cases: Cases, *, examples: int = 3) -> Diagnosis:
    """The fixed rule: the lowest of the stage scores."""
    scores = stage_scores(cases)
    stage = lowest(scores)
    return Diagnosis(stage, scores, tuple(_examples(cases, stage)[:examples]))


def lowest(scores: Mapping[str, float]) -> str:
    """The stage with the lowest score; of equal ones the earlier. NaN is no score."""
    known = {stage: scores[stage] for stage in STAGES if not math.isnan(scores.get(stage, math.nan))}
    stage = min(known, key=lambda stage: known[stage], default="")
    return stage if stage and known[stage] < 1 else ""


def stage_scores(cases: Cases) -> dict[str, float]:
    gold = [case for case in cases.points if not case.interference and not case.update]
    false = [case for case in cases.points if case.interference]
    target = [case for case in cases.memories if case.included]
    recall = _share([case.score == 2 for case in gold])
    precision = _mean([0.5 * (case.score or 0) for case in target])
    return {
        "missing": 0.0 if gold and not target and cases.tells else _of(recall, precision),
        "wrong": precision,
        "invented": _share([case.score == 0 for case in false]),
        "update": _share([case.held for case in _extracted_updates(cases)]),
        "search": _share(_searches(cases)),
        "answer": _share([case.outcome == "Correct" for case in cases.questions if case.found]),
    }


def _extracted_updates(cases: Cases) -> list[UpdateCase]:
    """Updates whose new value was taken out of the session; all of them when the system does not tell."""
    taken = {(case.user, case.session, case.text) for case in cases.points if case.update and case.score == 2}
    return [case for case in cases.updates if not cases.tells or (case.user, case.session, case.text) in taken]


def _searches(cases: Cases) -> list[bool]:
    """Of every search whose answer the memory holds: did it return it?"""
    of_updates = [outcome == "Correct" for case in cases.updates if case.held for outcome in case.outcomes.values()]
    return of_updates + [case.found for case in held_questions(cases)]


def held_questions(cases: Cases) -> list[QuestionCase]:
    """Questions whose evidence is in the memory: it was extracted, and if it is an update, some query finds it."""
    gone = {(case.user, case.text) for case in cases.points if case.score != 2 and not case.update}
    gone |= {(case.user, case.text) for case in cases.updates if not case.held}
    return [
        case
        for case in cases.questions
        if case.evidence and not any((case.user, text) in gone for text in case.evidence)
    ]


def _examples(cases: Cases, stage: str) -> list[str]:
    if stage == "missing":
        return [f"not taken: {each.text}" for each in cases.points
                if each.score == 0 and not each.interference and not each.update]  # fmt: skip
    if stage == "wrong":
        return [f"not supported: {each.text}" for each in cases.memories if each.included and each.score != 2]
    if stage == "invented":
        return [f"kept though false: {each.text}" for each in cases.points if each.interference and each.score != 0]
    if stage == "update":
        return [f"not taken over: {each.text}" for each in _extracted_updates(cases) if not each.held]
    if stage == "search":
        return [f"not returned for {each.question!r}: {text}" for each in held_questions(cases)
                for text, found in each.evidence.items() if not found]  # fmt: skip
    return [f"{each.question} Answered {each.response!r}, right is {each.answer!r}." for each in cases.questions
            if each.found and each.outcome != "Correct"]  # fmt: skip


# ---- what answers alone can tell


def triple(cases: Cases) -> tuple[float, float, float]:
    """Shares of correct, hallucinated and omitted answers: all that a score of answers knows."""
    outcomes = [case.outcome for case in cases.questions]
    shares = [_share([outcome == name for outcome in outcomes]) for name in ("Correct", "Hallucination", "Omission")]
    return shares[0], shares[1], shares[2]


def nearest(seen: Sequence[float], known: Mapping[str, Sequence[Sequence[float]]]) -> str:
    """The stage whose scores lie nearest on the mean: more than a person with one table would have to go by."""

    def distance(name: str) -> float:
        centre = [sum(column) / len(column) for column in zip(*known[name], strict=True)]
        return math.dist(seen, centre)

    return min(known, key=distance)


def shuffled(scores: Mapping[str, float], rng: random.Random) -> dict[str, float]:
    """The same scores under other stages: what is left when a table does not say which operation it is about."""
    values = list(scores.values())
    rng.shuffle(values)
    return dict(zip(scores, values, strict=True))


def _share(hits: Sequence[bool]) -> float:
    return sum(hits) / len(hits) if hits else math.nan


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _of(part: float, whole: float) -> float:
    """A score relative to what came before it, at most 1."""
    return min(1.0, part / whole) if whole else math.nan
