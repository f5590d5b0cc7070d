"""One experiment per system: a paper's headline, reproduced next to its baselines at the same budget.

A claim's file offers `run(scale, seed, *, sabotage=False) -> Claim`. It returns what each arm used and
reached (points) and what must hold between them (checks); tables, ratios, pictures and verdicts follow.

    return Claim(
        says="herding beats random exemplars at equal bytes",
        points=[Point("random exemplars", used, quality, seed), Point("iCaRL", used, quality, seed)],
        holds=[better("iCaRL", than="random exemplars", by=1.0), uses_at_most("iCaRL", "60 kB")],
        quality="accuracy (%)",
        paper={"random exemplars": 44.1, "iCaRL": 49.9},
    )

`mnemic claims run SLUG` runs it from a shell; from Python `run("icarl", "laptop", seeds=(0, 1, 2))`.
"""

from mnemic.claims._checks import at_least, at_most, better, measured, uses_at_most, within
from mnemic.claims._claim import SCALES, Arm, Check, Claim, Point, Scale, Verdict
from mnemic.claims._picture import picture
from mnemic.claims._report import report
from mnemic.claims._run import Result, run

__all__ = [
    "SCALES",
    "Arm",
    "Check",
    "Claim",
    "Point",
    "Result",
    "Scale",
    "Verdict",
    "at_least",
    "at_most",
    "better",
    "measured",
    "picture",
    "report",
    "run",
    "uses_at_most",
    "within",
]
