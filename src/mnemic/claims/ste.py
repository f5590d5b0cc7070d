"""STE: calls tried in advance and kept beat the documentation alone, and each part of the trials is needed.

Sixteen local APIs whose documentation misleads (mnemic.bench.worlds.apis), 15 held-out requests each; a call is right
when executing it gives what the right call gives. Explorer, judge and solver are scripted: below scale "full" no
language model is involved, so this proves the machinery, not a model's skill. All banks are made with the same number
of trials; the arms differ in one place (mnemic.bench.tools._variant). The control answers every trial with what
another API said: feedback without meaning.

At laptop scale the paper's table is recomputed from the predictions that its authors recorded, and a small classifier
learns the paper's batches of APIs one after another, with and without replay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mnemic.bench import _tools_recorded as recorded
from mnemic.bench._tools_replay import forgetting
from mnemic.bench.tools import ARMS, DOCUMENTATION, RANDOM, STE, Models, Outcome, Size, study, swapped
from mnemic.bench.worlds.apis import Asked, held_out
from mnemic.claims import Check, Claim, Point, Scale, Verdict, better, measured
from mnemic.context.ste import execute
from mnemic.errors import InputError
from mnemic.lm.models import open_model

SEEDS = (0, 1, 2)
_ABLATIONS = ("no execution", "no short-term memory", "no long-term memory", "no reflection")
_FEW = ("flight_search", "parcel_price", "weather", "add_days")

SIZES: Mapping[Scale, Size] = {
    "smoke": Size(episodes=2, slots=3, asked=8, target=10, apis=_FEW),
    "laptop": Size(),
    "full": Size(episodes=15, target=150),
}


def run(scale: Scale, seed: int, *, sabotage: bool = False) -> Claim:
    """Every arm explores, keeps what worked, and fulfils the same requests."""
    size = SIZES[scale]
    arms = (DOCUMENTATION, "no execution", STE) if scale == "smoke" else tuple(ARMS)
    items = held_out(seed, each=size.asked, names=size.apis)
    outcomes = study(size, seed, arms, models=_models(scale), run=swapped if sabotage else execute)
    by_name = {one.name: one for one in outcomes}
    holds: list[Check | Verdict] = [
        better(STE, than=DOCUMENTATION, by=0.3, surely=True),
        _on_misleading(by_name, items),
        measured("every bank was made with the same number of trials", _fair(outcomes)),
        *(better(STE, than=name) for name in arms if name in (RANDOM, *_ABLATIONS)),
    ]
    if scale != "smoke":
        holds += [_covers(by_name), *_published(), *_replay(seed)]
    return Claim(
        says="calls tried in advance and kept beat the documentation alone, and each part of the trials is needed",
        points=[_point(one, items, seed) for one in outcomes],
        holds=holds,
        quality="right calls",
        baseline=DOCUMENTATION,
        method=STE,
        paper={DOCUMENTATION: 0.107, STE: 0.417},
        setting="paper: Llama-2-7B with 8 examples in the prompt, 50 public APIs, 60 trials each; here 16 local APIs, "
        "12 trials each, a scripted explorer and a scripted solver. The paper's ablations are of the fine-tuned model.",
    )


def _models(scale: Scale) -> Models | None:
    if scale != "full":
        return None
    lm = open_model(None)
    if lm is None:
        raise InputError('scale "full" explores with a language model: set MNEMIC_LLM_BASE_URL and MNEMIC_LLM_MODEL.')
    return Models(lm, lm)


def _point(one: Outcome, items: Sequence[Asked], seed: int) -> Point:
    extra = {
        "api match": one.report.api_match, "misleading": one.correct(items, misleading=True),
        "truthful": one.correct(items, misleading=False), "coverage": one.coverage, "trials": float(one.trials),
    }  # fmt: skip
    return Point(one.name, one.used, one.report.correct, seed, extra, [float(m.correct) for m in one.report.marks])


def _on_misleading(by_name: Mapping[str, Outcome], items: Sequence[Asked]) -> Verdict:
    gain = by_name[STE].correct(items, misleading=True) - by_name[DOCUMENTATION].correct(items, misleading=True)
    return measured("where the documentation misleads: right calls, ours - documentation", gain, at_least=0.3)


def _fair(outcomes: Sequence[Outcome]) -> bool:
    return len({one.trials for one in outcomes if one.name != DOCUMENTATION}) == 1


def _covers(by_name: Mapping[str, Outcome]) -> Verdict:
    gain = by_name[STE].coverage - by_name["no long-term memory"].coverage
    return measured("long-term memory: share of argument patterns covered, with - without", gain, at_least=0.05)


def _published() -> list[Verdict]:
    return [measured("the paper's table from its recorded predictions: largest difference, points",
                     recorded.furthest(), at_most=0.1)]  # fmt: skip


def _replay(seed: int) -> list[Verdict]:
    with_replay, without = (forgetting(seed, replayed=share).first[-1] for share in (0.1, 0.0))
    return [
        measured("continual: first batch after four rounds without replay", without, at_most=0.1),
        measured("continual: what replay of a tenth keeps of it", with_replay - without, at_least=0.3),
    ]
