"""HaluMem: scores of each operation name the stage where an error entered; the answers alone do not.

One fault at a time is put into the overwriting extractor (facts dropped, corrupted, not updated, found stale, answers
misread), each at the rate at which 60 % of the answers are right. Four ways to name the stage look at the same runs:
always the commonest stage; the shares of right, invented and missing answers, and the same by question type, both by
the nearest mean of the other trials, whose faults they are told; the operations, by a fixed rule that has seen none.
The control gives the rule the same scores under other operations' names.

Beside it the claim checks what the paper reads from its tables: upstream errors propagate, nothing both recalls all and
resists false memories by keeping both speakers, and longer histories hurt search and not slots.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mnemic.bench.halumem.audit import QUERIES, evaluate
from mnemic.bench.halumem.diagnosis import lowest, nearest, shuffled, stage_scores, triple
from mnemic.bench.halumem.faults import STAGE_OF, Fault
from mnemic.bench.halumem.questions import TYPES
from mnemic.bench.halumem.report import Report
from mnemic.bench.halumem.systems import Extractor, Verbatim
from mnemic.bench.halumem.trial import TARGET, Trial, at_equal_accuracy, drawn
from mnemic.bench.halumem.world import SlotWorld
from mnemic.claims import Check, Claim, Point, Scale, Verdict, at_least, better, measured
from mnemic.meter import Used

OPERATIONS, ANSWERS, BY_TYPE, GUESS = "operation scores", "QA C/H/O", "QA C/H/O by type", "commonest stage"
BOTH = ("user", "assistant")
SEEDS = (0,)  # one run is fifty trials, each with a world of its own
_TOLERANCE = 0.03  # of the accuracy that all faults are tuned to
_RATES = (0.0, 0.15, 0.3, 0.45, 0.6)  # of dropped facts, for propagation


@dataclass(frozen=True)
class Size:
    """How many blind trials, the world of each, the world of the other checks (None leaves them out)."""

    trials: int
    world: SlotWorld
    checks: SlotWorld | None


SIZES: Mapping[Scale, Size] = {
    "smoke": Size(10, SlotWorld(users=2, sessions=14), None),
    "laptop": Size(50, SlotWorld(users=5), SlotWorld(users=10)),
    "full": Size(250, SlotWorld(users=10), SlotWorld(users=20)),
}


def run(scale: Scale, seed: int, *, sabotage: bool = False) -> Claim:
    """Put a fault in, let every arm name its stage; then look at propagation, trade-off and length."""
    size = SIZES[scale]
    trials = [_trial(size.world, seed * size.trials + n) for n in range(size.trials)]
    arms: dict[str, list[bool]] = {
        GUESS: _guessed(trials),
        ANSWERS: _from_answers(trials, lambda trial: triple(trial.cases)),
        BY_TYPE: _from_answers(trials, _by_type),
        OPERATIONS: _from_operations(trials, seed if sabotage else None),
    }
    accuracies = [trial.accuracy for trial in trials]
    tuned = [
        measured("lowest accuracy of answers that a fault was tuned to", min(accuracies), at_least=TARGET - _TOLERANCE),
        measured("highest accuracy of answers that a fault was tuned to", max(accuracies), at_most=TARGET + _TOLERANCE),
    ]
    bars: list[Check | Verdict] = [at_least(OPERATIONS, 0.9), better(OPERATIONS, than=ANSWERS, by=0.2, surely=True)]
    checks: list[Check | Verdict] = []
    lost: dict[str, float] = {}
    if size.checks is not None:
        lost = _length(size.checks, seed)
        checks = [*tuned, *_propagation(size.checks, seed), *_trade_off(size.checks, seed), *_suffers(lost)]
    return Claim(
        says="scores of each operation name the stage where an error entered; the answers alone do not",
        points=[_point(name, hits, trials, seed, lost if name == OPERATIONS else {}) for name, hits in arms.items()],
        holds=[*(bars if size.checks is not None else [at_least(OPERATIONS, 0.8), better(OPERATIONS)]), *checks],
        quality="faults named",
        baseline=ANSWERS,
        method=OPERATIONS,
        setting="the paper scores published memories with GPT-4o and injects no fault; here five known faults in a "
        "pattern extractor on generated dialogues with an exact judge, all at 60 % right answers",
    )


def _trial(world: SlotWorld, seed: int) -> Trial:
    users = SlotWorld(users=world.users, sessions=world.sessions, seed=seed).build()
    return at_equal_accuracy(drawn(seed), users, seed)


def _point(name: str, hits: Sequence[bool], trials: Sequence[Trial], seed: int, more: Mapping[str, float]) -> Point:
    """What an arm reached. used: the largest prompt of an answer; parts: all tokens that its scores were read from."""
    tasks = ("extraction", "update", "qa") if name == OPERATIONS else () if name == GUESS else ("qa",)
    parts = {task: round(np.mean([trial.used.parts[task] for trial in trials])) for task in tasks}
    used = Used(max(trial.used.amount for trial in trials), "tokens", parts)
    by_stage = {
        stage: float(np.mean([hit for hit, trial in zip(hits, trials, strict=True) if trial.stage == stage]))
        for stage in dict.fromkeys(trial.stage for trial in trials)
    }
    return Point(name, used, float(np.mean(hits)), seed, {**by_stage, **more}, tuple(float(hit) for hit in hits))


# ---- who names the stage


def _guessed(trials: Sequence[Trial]) -> list[bool]:
    stages = [trial.stage for trial in trials]
    commonest = max(dict.fromkeys(stages), key=stages.count)
    return [stage == commonest for stage in stages]


def _from_answers(trials: Sequence[Trial], seen: Callable[[Trial], Sequence[float]]) -> list[bool]:
    """Each trial by the nearest mean of the others, of every kind at least one of which is among them."""
    hits = []
    for n, trial in enumerate(trials):
        known: dict[str, list[Sequence[float]]] = {}
        for other in (*trials[:n], *trials[n + 1 :]):
            known.setdefault(other.stage, []).append(seen(other))
        hits.append(nearest(seen(trial), known) == trial.stage)
    return hits


def _by_type(trial: Trial) -> tuple[float, ...]:
    """C, H and O of each type of question, one after the other; 0 where a type was not asked."""
    types = Report(trial.cases).qa.by_type
    rates = [types.get(kind) for kind in TYPES]
    return tuple(
        value
        for each in rates
        for value in ((each.correct, each.hallucination, each.omission) if each else (0.0, 0.0, 0.0))
    )


def _from_operations(trials: Sequence[Trial], shuffle: int | None) -> list[bool]:
    rng = random.Random(f"control/{shuffle}")
    hits = []
    for trial in trials:
        scores = stage_scores(trial.cases)
        hits.append(lowest(scores if shuffle is None else shuffled(scores, rng)) == trial.stage)
    return hits


# ---- what else the tables say


def _propagation(world: SlotWorld, seed: int) -> list[Verdict]:
    """Three extractors at five rates of dropped facts, and both verbatim memories: seventeen cells."""
    users = SlotWorld(users=world.users // 2, seed=seed).build()

    def extracting(fault: Fault, **options: object) -> Report:
        return evaluate(lambda: Extractor(fault=fault, **options), users)  # type: ignore[arg-type]

    dropping = [Fault("drop", rate, seed) for rate in _RATES]
    overwriting = [extracting(fault) for fault in dropping]
    others = [extracting(fault, **more) for more in ({"overwrite": False}, {"capacity": 40}) for fault in dropping]
    cells = [*overwriting, *others, evaluate(Verbatim, users), evaluate(lambda: Verbatim(BOTH), users)]
    answers = [cell.qa.correct for cell in cells]
    recall, reached = [cell.extraction.recall for cell in overwriting], [cell.qa.correct for cell in overwriting]
    slope = float(np.polyfit(recall, reached, 1)[0])
    return [
        measured("propagation: rank correlation of F1 and right answers",
                 spearman([cell.extraction.f1 for cell in cells], answers), at_least=0.8),
        measured("propagation: rank correlation of right updates and right answers",
                 spearman([cell.update.correct for cell in cells], answers), at_least=0.8),
        measured("propagation: points of answers lost with 10 points of recall", 10 * slope, at_least=5, at_most=10),
    ]  # fmt: skip


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """Rank correlation; ties share the mean of their ranks."""
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: Sequence[float]) -> np.ndarray:
    array = np.asarray(values)
    return np.array([(array < value).sum() + (array == value).sum() / 2 for value in array])


def _trade_off(world: SlotWorld, seed: int) -> list[Verdict]:
    users = SlotWorld(users=world.users, seed=seed).build()
    both = evaluate(lambda: Verbatim(BOTH), users, parts=("extraction",)).extraction
    user = evaluate(Verbatim, users, parts=("extraction",)).extraction
    return [
        measured("trade-off: recall with both speakers kept", both.recall, at_least=0.9),
        measured("trade-off: false memory resistance with both speakers kept", both.fmr, at_most=0.1),
        measured("trade-off: recall with the user alone kept", user.recall, at_least=0.9),
        measured("trade-off: false memory resistance with the user alone kept", user.fmr, at_least=0.85),
    ]


def _length(world: SlotWorld, seed: int) -> dict[str, float]:
    """Eight times as much talk about other things: points of right updates that are lost, by memory and query."""
    worlds = [SlotWorld(users=world.users, filler=filler, seed=seed).build() for filler in (0.0, 8.0)]
    lost = {}
    for name, system, queries in (("BM25", Verbatim, QUERIES), ("slots", Extractor, ("new",))):
        short, long = (evaluate(system, users, parts=("update",)) for users in worlds)
        for query in queries:
            fall = short.update_by(query).correct - long.update_by(query).correct
            lost[f"{name} loses, {query}"] = 100 * fall
    return lost


def _suffers(lost: Mapping[str, float]) -> list[Verdict]:
    """With the new text as query the value itself finds its turn: what that loses is reported, without a bar."""
    return [
        measured(
            "length: points that BM25 loses, asked by the old text", lost["BM25 loses, old"], at_least=5, at_most=25
        ),
        measured("length: points that BM25 loses, asked by the slot", lost["BM25 loses, slot"], at_least=5, at_most=25),
        measured("length: points by which the slots change", abs(lost["slots loses, new"]), at_most=0.5),
    ]


__all__ = ["ANSWERS", "OPERATIONS", "SEEDS", "STAGE_OF", "run", "spearman"]
