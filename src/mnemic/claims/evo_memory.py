"""Evo-Memory: experiences of earlier tasks, pruned while they are used, make the next task of a stream easier.

Three generated streams whose tasks share hidden rules (household, gripper, blocks) and a control stream whose tasks
share none; each method starts with an empty memory file and goes through the same 120 tasks in the same order, with 20
steps for each. The model is the scripted actor of mnemic.bench.streams: a function of the prompt's text, so what a
method gains it gains by what it puts into the prompt. It prunes with a given skill (right about nine experiences in
ten; the arm "p = .5" guesses). Whether a language model prunes well, this does not show.

The control of the claim lets every search answer with experiences from a house, plant or yard with other rules.

Also measured, and not held against a bar: a pruner that goes by the family of tasks, streams in which a wrong choice
costs steps and does not lose the task, and the correlation of similarity and gain over History.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mnemic.bench.streams import SIMILAR, Report, TaskStream, evaluate, stream
from mnemic.bench.streams.actor import Topic, scripted
from mnemic.bench.streams.evaluating import gain_by_similarity
from mnemic.bench.streams.methods import LAST, Embedded, open_memory
from mnemic.bench.streams.tasks import spread
from mnemic.claims import Check, Claim, Point, Scale, Verdict, better
from mnemic.lm.minilm import MiniLM
from mnemic.meter import Used
from mnemic.store.evo_memory import (
    Agent,
    Baseline,
    Experience,
    ExperienceMemory,
    ExpRAG,
    ExpRecent,
    Found,
    History,
    ReMem,
)
from mnemic.store.evo_memory.pool import Store

SEEDS = (0, 1, 2, 3, 4)
ALL = ", failures too"
GUESS, BY_FAMILY = "ReMem, p = .5", "ReMem, by family"
_SKILL = 0.9
_ELSEWHERE = 500  # added to a seed: a stream whose rules are others


@dataclass(frozen=True)
class Size:
    """Tasks of each stream; whether the arms with failures, the control stream and their bars are there."""

    tasks: int
    bars: bool


SIZES: Mapping[Scale, Size] = {"smoke": Size(30, False), "laptop": Size(120, True), "full": Size(500, True)}


@dataclass(frozen=True)
class Arm:
    """A method: its agent, what its memory keeps, how skilled its pruner is and by what it goes."""

    make: type[Agent]
    store: Store = "success"
    p: float = _SKILL
    by: Topic = "thing"


CORE = {"Baseline": Arm(Baseline), "ExpRAG": Arm(ExpRAG), "ReMem": Arm(ReMem)}
MORE = {
    "History": Arm(History, "all"),
    "ExpRecent": Arm(ExpRecent),
    f"ExpRAG{ALL}": Arm(ExpRAG, "all"),
    f"{GUESS}{ALL}": Arm(ReMem, "all", 0.5),
    BY_FAMILY: Arm(ReMem, by="family"),
    f"ReMem{ALL}": Arm(ReMem, "all"),
}


class Elsewhere(ExperienceMemory):
    """Keeps what it is given and finds what another stream left: the control's memory."""

    other: ExperienceMemory

    def similar(self, goal: str, k: int | None = None) -> list[Found]:
        return self.other.similar(goal, k)

    def recent(self, k: int | None = None) -> list[Found]:
        return self.other.recent(k)


class Bench:
    """The streams of one seed, and the run of an arm over one of them."""

    def __init__(self, seed: int, tasks: int, sabotage: bool) -> None:
        self.seed, self.tasks, self.sabotage = seed, tasks, sabotage
        self.embedder = Embedded(MiniLM())
        self._left: dict[str, list[Experience]] = {}

    def stream(self, domain: str, *, fatal: bool = True) -> TaskStream:
        return stream(domain, self.seed, self.tasks, fatal=fatal)

    def run(self, arm: Arm, domain: str, *, fatal: bool = True) -> Report:
        memory = open_memory(self.embedder, arm.store)
        if self.sabotage:
            memory = self._elsewhere(memory, domain)
        options = {"last": LAST} if arm.make is History else {}
        agent = arm.make(scripted(arm.p, self.seed, arm.by), memory, **options)
        report = evaluate(agent, self.stream(domain, fatal=fatal))
        memory.memory.close()
        return report

    def _elsewhere(self, memory: ExperienceMemory, domain: str) -> ExperienceMemory:
        """The same memory, whose searches go to what a stream with other rules left."""
        foreign = open_memory(self.embedder, "all")
        if domain not in self._left:
            evaluate(ExpRAG(scripted(), foreign), stream(domain, self.seed + _ELSEWHERE, self.tasks))
            self._left[domain] = foreign.all()
        else:
            for experience in self._left[domain]:
                foreign.add(experience)
        swapped = Elsewhere(memory.memory, store=memory.store)
        swapped.other = foreign
        return swapped


def run(scale: Scale, seed: int, *, sabotage: bool = False) -> Claim:
    """Every arm over every stream, one after the other, each with its own empty memory."""
    size = SIZES[scale]
    bench = Bench(seed, size.tasks, sabotage)
    arms = {**CORE, **MORE} if size.bars else CORE
    reports = {name: [bench.run(arm, domain) for domain in SIMILAR] for name, arm in arms.items()}
    extra: dict[str, dict[str, float]] = {name: {} for name in arms}
    if size.bars:
        _control(bench, reports, extra)
        _lenient(bench, extra)
    points = [_point(name, reports[name], extra[name], seed) for name in arms]
    return Claim(
        says="experience that is pruned while it is used makes the next task of a stream easier",
        points=points,
        holds=[*_gains(), *(_bars() if size.bars else [])],
        quality="success",
        baseline="Baseline",
        method="ReMem",
        paper={"Baseline": 0.24, "ExpRAG": 0.63, "ReMem": 0.78, **({"History": 0.49, "ExpRecent": 0.58} if size.bars
               else {})},
        setting="paper: Claude 3.7 Sonnet on ALFWorld, BabyAI, PDDL and ScienceWorld; here generated worlds and a "
        "scripted actor that reads the prompt and nothing else, its pruner right about nine experiences in ten",
    )  # fmt: skip


def _point(name: str, reports: Sequence[Report], extra: Mapping[str, float], seed: int) -> Point:
    calls = sum(report.calls for report in reports)
    numbers = {
        "steps": statistics.fmean(report.steps for report in reports),
        "progress": statistics.fmean(report.progress for report in reports),
        "pruned": statistics.fmean(report.prune_rate for report in reports),
        "calls": calls / sum(len(report.results) for report in reports),
        "tokens": sum(report.tokens for report in reports) / calls,
        **{domain: report.success for domain, report in zip(SIMILAR, reports, strict=True)},
        **extra,
    }
    each = [float(result.success) for report in reports for result in report.results]
    used = Used(round(statistics.fmean(report.used.amount for report in reports)), "bytes",
                {"records": round(statistics.fmean(report.used.parts["records"] for report in reports))})  # fmt: skip
    return Point(name, used, statistics.fmean(report.success for report in reports), seed, numbers, each)


def _control(bench: Bench, reports: Mapping[str, Sequence[Report]], extra: dict[str, dict[str, float]]) -> None:
    """Success where tasks share no rules, and how gain over History goes with similarity (over the four streams)."""
    domains = (*SIMILAR, "control")
    spreads = [spread([task.goal for task in bench.stream(one).tasks], bench.embedder.embed) for one in domains]
    arms = {**CORE, **MORE}
    control = {name: bench.run(arms[name], "control").success for name in ("Baseline", "History", "ExpRAG", "ReMem")}
    for name, success in control.items():
        rates = [*(report.success for report in reports[name]), success]
        past = [*(report.success for report in reports["History"]), control["History"]]
        extra[name]["control"] = success
        if name in ("ExpRAG", "ReMem"):
            gains = [mine - other for mine, other in zip(rates, past, strict=True)]
            extra[name]["r of similarity and gain"] = gain_by_similarity(gains, spreads)


def _lenient(bench: Bench, extra: dict[str, dict[str, float]]) -> None:
    """Success where a wrong choice costs steps alone: there a failure tells as much as a success."""
    for name in ("ExpRAG", f"ExpRAG{ALL}"):
        arm = {**CORE, **MORE}[name]
        extra[name]["lenient"] = statistics.fmean(bench.run(arm, one, fatal=False).success for one in SIMILAR)


def _gains() -> list[Check | Verdict]:
    return [
        better("ReMem", than="Baseline", by=0.15, surely=True),
        better("ExpRAG", than="Baseline", by=0.15, surely=True),
        _fewer_steps("ReMem"),
        _fewer_steps("ExpRAG"),
    ]


def _bars() -> list[Check | Verdict]:
    return [
        better("ReMem", than="History", surely=True),
        _nothing_on_control("ReMem"),
        _nothing_on_control("ExpRAG"),
        _loses("ReMem", at_most=0.05),
        _loses("ExpRAG", at_least=0.05),
    ]


def _fewer_steps(name: str) -> Check:
    def verdict(claim: Claim) -> Verdict:
        share = 1 - claim.arm(name).extra["steps"] / claim.base().extra["steps"]
        return Verdict(f"{name} saves steps against no memory, share", share, ">= 0.25", share >= 0.25)

    return verdict


def _nothing_on_control(name: str) -> Check:
    def verdict(claim: Claim) -> Verdict:
        gain = claim.arm(name).extra["control"] - claim.base().extra["control"]
        return Verdict(f"{name} gains about nothing where tasks share no rules", gain, "within 0.05", abs(gain) <= 0.05)

    return verdict


def _loses(name: str, *, at_least: float | None = None, at_most: float | None = None) -> Check:
    """What an arm loses when failures are stored too."""

    def verdict(claim: Claim) -> Verdict:
        loss = claim.arm(name).quality - claim.arm(f"{name}{ALL}").quality
        ok = loss >= at_least if at_least is not None else at_most is not None and loss < at_most
        bar = f">= {at_least:g}" if at_least is not None else f"< {at_most:g}"
        return Verdict(f"success that {name} loses when failures are stored", loss, bar, ok)

    return verdict
