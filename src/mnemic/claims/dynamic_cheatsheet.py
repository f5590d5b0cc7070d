"""Dynamic Cheatsheet: once a solver is in the memory it is used, whatever came in between, in a prompt that is bounded.

Two families of puzzles in blocks by turns (mnemic.bench.cheatsheet), one scripted model, one budget. The model is a
fixed function of the prompt: it guesses, now and then it writes a program, and it uses a program that its memory
holds. So this measures the plumbing (what reaches the prompt, when, at what cost), and nothing about how well a real
model curates. What real models made of it stands in the paper's recorded runs: at scale laptop these go through our
parser, scorers and control flow and must give the published numbers. At scale "full" the configured model answers.

The control's curator forgets to close its tag: nothing is ever kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from mnemic.bench.cheatsheet.comparing import Outcome, Remembering, outcome
from mnemic.bench.cheatsheet.replay import CLAUDE, GPT, ROUNDED, cells, followed, memories_follow, right, run_of
from mnemic.bench.cheatsheet.scorers import balanced
from mnemic.bench.cheatsheet.student import Curator, student
from mnemic.bench.cheatsheet.tasks import TASK, Item, mixed
from mnemic.claims import Check, Claim, Point, Scale, Verdict, at_least, better, measured, uses_at_most, within
from mnemic.errors import InputError
from mnemic.lm.embedders import open_embedder
from mnemic.lm.models import open_model
from mnemic.lm.scripted import ScriptedLM
from mnemic.meter import Budget
from mnemic.sandbox import SandboxRunner
from mnemic.seams import LanguageModel

SEEDS = (0, 1, 2, 3, 4)

ENDLESS = Budget(10**9, "tokens")
BL, EMPTY, FH, DR, CU, RS = "BL", "DC-empty", "FH", "DR", "DC-Cu", "DC-RS"
DROPS: Curator = "drops the tag"
UNCHECKED: Curator = "unchecked"
_ASKED_AGAIN = 60  # logged requests that a fresh model is asked again


@dataclass(frozen=True)
class Size:
    """Questions of the stream, how many of a family follow each other, and tokens of the memory part.

    budget    two solvers of the scripted model take about half of 1000 tokens, two or three pairs all of it
    """

    questions: int
    block: int
    budget: Budget


SIZES: Mapping[Scale, Size] = {
    "smoke": Size(36, 6, Budget(1000, "tokens")),
    "laptop": Size(200, 10, Budget(1000, "tokens")),
    "full": Size(200, 10, Budget(4000, "tokens")),
}


def run(scale: Scale, seed: int, *, sabotage: bool = False) -> Claim:
    """Every arm answers the same stream; then the recorded runs are scored again."""
    size = SIZES[scale]
    items = mixed(size.questions, seed, block=size.block)
    curator: Curator = DROPS if sabotage else "checks"
    scripted = student(seed, curator=curator)
    lm = _configured() if scale == "full" else scripted
    runner = Remembering(SandboxRunner())
    flows = {BL: "baseline", EMPTY: "empty", FH: "full_history", DR: "retrieval", RS: "retrieval_synthesis",
             CU: "cumulative"}  # fmt: skip
    near, task = open_embedder("minilm"), TASK if scale == "full" else ""
    arms = [
        outcome(name, items, lm, variant=flow, budget=size.budget, code=runner, embedder=near, task=task)
        for name, flow in flows.items()
    ]
    holds: list[Check | Verdict] = [
        better(CU, than=BL, by=0.1),
        better(CU, than=EMPTY, by=0.1, surely=scale != "smoke"),
        better(RS, than=EMPTY, by=0.1),
        better(CU, than=FH),
        uses_at_most(CU, size.budget, part="memory"),
        uses_at_most(RS, size.budget, part="memory"),
    ]
    if scale != "full":
        holds += _scripted(arms, items, seed, scripted, curator, size.budget, runner)
    if scale == "laptop":
        holds += [at_least(CU, 0.9), at_least(RS, 0.9), better(CU, than=EMPTY, by=0.35), within(CU, of=DR, by=0.05)]
        holds += [*_rescored(), *_replayed(), *_jump()]
    return Claim(
        says="a text that the model rewrites after every question raises accuracy over a stream, without labels",
        points=[_point(arm, seed) for arm in arms],
        holds=holds,
        quality="accuracy",
        baseline=EMPTY,
        method=CU,
        paper={BL: 0.50, EMPTY: 0.88, DR: 1.0, CU: 1.0, RS: 0.992},
        setting="paper: GPT-4o on 250 equations; here a scripted model on two families of puzzles by turns, so "
        "the levels say nothing about a real model; used is the longest prompt, of which the memory part is budgeted",
    )


def _configured() -> LanguageModel:
    lm = open_model(None)
    if lm is None:
        raise InputError('scale "full" asks a real model: set MNEMIC_LLM_BASE_URL and MNEMIC_LLM_MODEL.')
    return lm


def _point(arm: Outcome, seed: int) -> Point:
    extra = {"tokens/question": arm.tokens_per_question, "first code": arm.first_code, "kept kB": arm.kept_bytes / 1000}
    return Point(arm.name, arm.used, arm.accuracy, seed, extra, [float(right) for right in arm.right])


# ---- what must hold of the scripted arms


def _scripted(
    arms: Sequence[Outcome],
    items: Sequence[Item],
    seed: int,
    lm: ScriptedLM,
    curator: Curator,
    budget: Budget,
    runner: Remembering,
) -> list[Verdict]:
    of = {arm.name: arm for arm in arms}
    lost, unchecked = (
        outcome(careless, items, student(seed, curator=careless), variant="cumulative", budget=budget, code=runner)
        for careless in (DROPS, UNCHECKED)
    )
    whole = outcome(FH, items, lm, variant="full_history", budget=ENDLESS, code=runner)
    longer = whole.used.amount / of[CU].used.amount
    return [
        measured("a curator that drops its tag gives what no memory gives", lost.right == of[EMPTY].right),
        measured("a new model says the same, asked backwards", _stateless(lm, student(seed, curator=curator))),
        measured("accuracy that is lost when the curator checks nothing", of[CU].accuracy - unchecked.accuracy,
                 at_least=0.0),
        measured("full history without a budget: its longest prompt over that of DC-Cu", longer, at_least=4.0),
    ]  # fmt: skip


def _stateless(lm: ScriptedLM, fresh: ScriptedLM) -> bool:
    """Ask a model that has seen nothing, newest request first: what it says may depend on the prompt alone."""
    some = lm.requests[:: max(1, len(lm.requests) // _ASKED_AGAIN)]
    backwards = [fresh.function(request) for request in reversed(some)]
    return [lm.function(request) for request in some] == backwards[::-1]


# ---- the recorded runs of the paper


@cache
def _rescored() -> list[Verdict]:
    """Every published number whose file is here; the runs are not ours, so no seed plays a part."""
    here = [cell for cell in cells() if cell.here]
    verdicts = [measured("published numbers that can be scored again here", len(here), at_least=11)]
    for cell in here:
        says = f"{cell.task}, {cell.model}, {cell.variant}: {cell.right} of {cell.n}, published {cell.published:g} %"
        verdicts.append(
            measured(says, cell.percent, at_least=cell.published - ROUNDED, at_most=cell.published + ROUNDED)
        )
    return verdicts


@cache
def _replayed() -> list[Verdict]:
    """The recorded memories through our DC-Cu and DC-RS: the same memory in every prompt, the same answers."""
    verdicts, shrunk, updates = [], 0, 0
    for model in (CLAUDE, GPT):
        rows = run_of("AIME_2024", model, "cumulative")
        steps = followed(rows, "cumulative")
        shrunk += sum(step.curations[0].shrunk for step in steps)
        updates += memories_follow(rows)
        words = [step.curations[0].words[1] for step in steps]
        verdicts += [
            measured(f"{model}: places where the recorded memory after is the one before", memories_follow(rows),
                     at_least=29),
            measured(f"{model}: our DC-Cu shows the recorded memories and reads the recorded answers",
                     all((step.shown, step.cheatsheet_after, step.answer) == (row.before, row.after, row.answer)
                         for step, row in zip(steps, rows, strict=True))),
            measured(f"{model}: words of the longest memory", max(words), at_least=600, at_most=1400),
            measured(f"{model}: questions that left the memory as it was",
                     sum(step.curations[0].state == "unchanged" for step in steps), at_most=3),
        ]  # fmt: skip
        rows = run_of("AIME_2024", model, "retrieval_synthesis")
        steps = followed(rows, "retrieval_synthesis")
        same = all((step.shown, step.answer) == (row.before, row.answer) for step, row in zip(steps, rows, strict=True))
        verdicts.append(measured(f"{model}: our DC-RS shows the recorded memories before answering", same))
    verdicts.append(
        measured(f"memory losses that the guard flags, of {updates} updates", shrunk, at_least=1, at_most=1)
    )
    return verdicts


@cache
def _jump() -> list[Verdict]:
    """Where code enters a recorded memory, accuracy jumps: Claude's DC-RS on equations."""
    rows = run_of("MathEquationBalancer", CLAUDE, "retrieval_synthesis")
    ran = next(n for n, row in enumerate(rows, 1) if "EXECUTE CODE!" in row.transcript)
    held = next(n for n, row in enumerate(rows, 1) if "```python" in (row.before or ""))
    wrong = len(rows[held - 1 :]) - right(rows[held - 1 :], balanced)
    return [
        measured("equations, Claude, DC-RS: first question that ran code", ran, at_least=5, at_most=5),
        measured("equations, Claude, DC-RS: first question whose memory held code", held, at_least=6, at_most=6),
        measured("equations, Claude, DC-RS: wrong answers from there on, of 134", wrong, at_most=1),
    ]
