"""All scores of HaluMem, worked out from cases. What is undefined is NaN: it never passes for a score."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mnemic.bench.halumem.cases import Cases, MemoryCase, PointCase
from mnemic.bench.halumem.contract import Outcome
from mnemic.bench.halumem.diagnosis import Diagnosis, diagnosed

NAN = math.nan


def ratio(part: float, whole: float) -> float:
    return part / whole if whole else NAN


def harmonic(a: float, b: float) -> float:
    """F1; NaN when one is undefined, 0 when both are 0."""
    if math.isnan(a) or math.isnan(b):
        return NAN
    return 2 * a * b / (a + b) if a + b else 0.0


@dataclass(frozen=True)
class Pair:
    """A score over all verdicts, an unreadable one counting as none, and over the readable ones alone."""

    all: float
    valid: float


@dataclass(frozen=True)
class Extraction:
    """What sessions left in memory, against what they should have.

    recall              gold points wholly covered; updates and interference are scored elsewhere
    weighted_recall     half points for partly covered ones, weighted by importance
    target_precision    mean support of the memories whose field is gold
    accuracy            mean support of all memories: splitting or repeating them moves it, so see `extracted`
    fmr                 false memory resistance: interference that left no trace
    f1                  of target precision and recall; an empty memory has none, and an fmr of 1
    """

    recall: float
    weighted_recall: float
    target_precision: float
    accuracy: float
    fmr: float
    f1: float
    gold: int
    interference: int
    extracted: int
    included: int


@dataclass(frozen=True)
class Rates:
    """Shares of verdicts; "Other" is left over, so they need not sum to 1."""

    correct: float
    hallucination: float
    omission: float
    other: float
    n: int


def rates(outcomes: Sequence[Outcome | None], *, valid: bool = False) -> Rates:
    kept = [each for each in outcomes if each is not None] if valid else outcomes
    counts = Counter(kept)
    right, made_up, missing, other = (
        ratio(counts[name], len(kept)) for name in ("Correct", "Hallucination", "Omission", "Other")
    )
    return Rates(right, made_up, missing, other, len(kept))


@dataclass(frozen=True)
class Task(Rates):
    """Rates over all verdicts, with those over the readable ones and by type of question or memory."""

    valid: Rates
    by_type: Mapping[str, Rates]


def task(outcomes: Sequence[Outcome | None], types: Sequence[str]) -> Task:
    every = rates(outcomes)
    by_type = {
        name: rates([each for each, kind in zip(outcomes, types, strict=True) if kind == name])
        for name in dict.fromkeys(types)
    }
    return Task(every.correct, every.hallucination, every.omission, every.other, every.n,
                rates(outcomes, valid=True), by_type)  # fmt: skip


class Report:
    """Scores of an audit: `extraction`, `update`, `qa`, what they cost, and `diagnose()`."""

    def __init__(self, cases: Cases) -> None:
        self.cases = cases

    @property
    def extraction(self) -> Extraction:
        """Over all verdicts, unreadable ones counting as none."""
        return self._extraction(lambda score: True)

    @property
    def extraction_valid(self) -> Extraction:
        """Over the readable verdicts."""
        return self._extraction(lambda score: score is not None)

    def _extraction(self, counts: Callable[[int | None], bool]) -> Extraction:
        kept = [case for case in self.cases.points if counts(case.score)]
        gold = [case for case in kept if not case.interference and not case.update]
        false = [case for case in kept if case.interference]
        memories = [case for case in self.cases.memories if counts(case.score)]
        target = [case for case in memories if case.included]
        recall = ratio(sum(case.score == 2 for case in gold), len(gold))
        precision = _support(target)
        return Extraction(
            recall,
            ratio(
                sum(0.5 * (case.score or 0) * case.importance for case in gold), sum(case.importance for case in gold)
            ),
            precision,
            _support(memories),
            ratio(sum(case.score == 0 for case in false), len(false)),
            harmonic(precision, recall),
            len(gold),
            len(false),
            len(memories),
            len(target),
        )

    @property
    def update(self) -> Task:
        """Of updates searched by their new text; nothing returned is an omission."""
        return self.update_by("new")

    def update_by(self, query: str) -> Task:
        """The same for another query: "old" text or "slot"."""
        updates = self.cases.updates
        return task([case.outcomes.get(query) for case in updates], [case.type for case in updates])

    @property
    def qa(self) -> Task:
        questions = self.cases.questions
        return task([case.outcome for case in questions], [case.type for case in questions])

    @property
    def by_memory_type(self) -> dict[str, float]:
        """Share of points that came through, by type: covered extractions and correct updates over both."""
        hits: Counter[str] = Counter()
        totals: Counter[str] = Counter()
        for point in self._scored():
            totals[point.type] += 1
            hits[point.type] += point.score == 2
        for update in self.cases.updates:
            totals[update.type] += 1
            hits[update.type] += update.outcomes["new"] == "Correct"
        return {kind: hits[kind] / totals[kind] for kind in totals}

    def _scored(self) -> list[PointCase]:
        return [case for case in self.cases.points if not case.interference and not case.update]

    def diagnose(self, *, examples: int = 3) -> Diagnosis:
        """The stage that loses most of what reaches it, with cases to look at."""
        return diagnosed(self.cases, examples=examples)

    def row(self) -> dict[str, float]:
        """The numbers of the paper's table, as shares."""
        extraction, update, qa = self.extraction, self.update, self.qa
        return {
            "recall": extraction.recall, "weighted recall": extraction.weighted_recall,
            "target precision": extraction.target_precision, "accuracy": extraction.accuracy, "FMR": extraction.fmr,
            "F1": extraction.f1, "update C": update.correct, "update H": update.hallucination,
            "update O": update.omission, "QA C": qa.correct, "QA H": qa.hallucination, "QA O": qa.omission,
        }  # fmt: skip


def _support(cases: Sequence[MemoryCase]) -> float:
    return ratio(sum(0.5 * (case.score or 0) for case in cases), len(cases))
