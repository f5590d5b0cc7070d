"""The sentences that a claim is made of. Each is a small function from the claim's points to a verdict.

better("HippoRAG 2", than="dense", by=0.05)          quality, on the mean of the seeds; direction is the claim's
better("HippoRAG 2", than="dense", surely=True)      and the 95 % interval of the gain lies above zero
within("HippoRAG 2", of="official package", by=0.02) not worse by more than that
at_least("HippoRAG 2", 0.69)                         the quality itself, or of="recall@2" from Point.extra
at_most("HippoRAG 2", 15, of="query_ms")             likewise
uses_at_most("LST", 0.35, of="full", part="saved")   memory as a share of another arm's, whole or one part
uses_at_most("LST", "60 kB")                         memory against a budget
measured("a rebuild gives the same graph", same)     anything else the experiment looked at
measured("an index takes a minute", s, at_most=60)   likewise, with a bar
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mnemic.claims._claim import Arm, Check, Claim, Verdict
from mnemic.errors import InputError, NotFound
from mnemic.meter import Budget

_RESAMPLES = 2000  # enough that the interval's ends move by less than a percent of its width


def better(name: str, *, than: str = "", by: float = 0.0, surely: bool = False) -> Check:
    """The arm beats another (all others when none is named) by at least `by` of the claim's quality.

    surely    the lower end of the gain's interval must be above zero too; needs Point.each
    """

    def verdict(claim: Claim) -> Verdict:
        arm = claim.arm(name)
        rivals = [claim.arm(than)] if than else [claim.arm(other) for other in claim.names if other != name]
        rival = (min if claim.lower else max)(rivals, key=lambda other: other.quality)
        gain = _gain(arm, rival, lower=claim.lower)
        interval = gain_interval(arm.each, rival.each, lower=claim.lower)
        if surely and interval is None:
            raise InputError(f'"{name}" can only be surely better with Point.each: give the quality of each question.')
        ok = gain >= by - 1e-12 and (by > 0 or gain > 0) and not (surely and interval and interval[0] <= 0)
        bar = (f">= {by:g}" if by > 0 else "> 0") + (", surely > 0" if surely else "")
        return Verdict(f"{name} beats {rival.name} in {claim.quality}", gain, bar, ok, interval)

    return verdict


def within(name: str, *, of: str, by: float) -> Check:
    """The arm is not worse than another by more than `by`."""

    def verdict(claim: Claim) -> Verdict:
        arm, other = claim.arm(name), claim.arm(of)
        gain = _gain(arm, other, lower=claim.lower)
        interval = gain_interval(arm.each, other.each, lower=claim.lower)
        sentence = f"{name} is within {by:g} of {of} in {claim.quality}"
        return Verdict(sentence, gain, f">= {-by:g}", gain >= -by - 1e-12, interval)

    return verdict


def at_least(name: str, bar: float, *, of: str = "") -> Check:
    """The arm's quality, or the number `of` in its extra, reaches the bar."""

    def verdict(claim: Claim) -> Verdict:
        value = _number(claim.arm(name), of)
        return Verdict(f"{name}: {of or claim.quality} reaches {bar:g}", value, f">= {bar:g}", value >= bar)

    return verdict


def at_most(name: str, bar: float, *, of: str = "") -> Check:
    """The arm's quality, or the number `of` in its extra, stays below the bar."""

    def verdict(claim: Claim) -> Verdict:
        value = _number(claim.arm(name), of)
        return Verdict(f"{name}: {of or claim.quality} stays within {bar:g}", value, f"<= {bar:g}", value <= bar)

    return verdict


def uses_at_most(name: str, bar: float | str | Budget, *, of: str = "", part: str = "") -> Check:
    """The arm's memory, or a part of it, is at most a share of another arm's, or within a budget.

    bar     a share (0.35) together with `of`, else a budget ("60 kB")
    """

    def share(claim: Claim, bar: float) -> Verdict:
        mine, other = _memory(claim.arm(name), part), _memory(claim.arm(of), part)
        if other == 0:
            raise InputError(f'"{of}" used none of {part or "its memory"}: a share of nothing cannot be taken.')
        sentence = f"{name} uses at most {bar:g} x the {part or claim.arm(name).used.unit} of {of}"
        return Verdict(sentence, mine / other, f"<= {bar:g}", mine / other <= bar)

    def verdict(claim: Claim) -> Verdict:
        if of and isinstance(bar, int | float):
            return share(claim, bar)
        if of or isinstance(bar, int | float):
            raise InputError(f"uses_at_most({name!r}, {bar!r}): give a share and of=ARM, or a budget alone.")
        budget, used = Budget.of(bar), claim.arm(name).used
        if used.unit != budget.unit:
            raise InputError(f'"{name}" is measured in {used.unit}, its bar in {budget.unit}: use one unit.')
        value = _memory(claim.arm(name), part)
        return Verdict(f"{name} uses at most {bar}", value, f"<= {budget.amount:g}", value <= budget.amount)

    return verdict


def measured(says: str, value: float | bool, *, at_least: float | None = None, at_most: float | None = None) -> Verdict:
    """Something the experiment looked at itself: True or False, or a number with a bar."""
    if at_least is None and at_most is None:
        if not isinstance(value, bool | np.bool_):
            raise InputError(f'"{says}" is {value}: give at_least or at_most, or True or False.')
        return Verdict(says, float(value), "true", bool(value))
    low = float("-inf") if at_least is None else at_least
    high = float("inf") if at_most is None else at_most
    bars = [f">= {at_least:g}" if at_least is not None else "", f"<= {at_most:g}" if at_most is not None else ""]
    return Verdict(says, float(value), ", ".join(bar for bar in bars if bar), bool(low <= value <= high))


def gain_interval(
    mine: Sequence[float], other: Sequence[float], *, lower: bool = False, seed: int = 0
) -> tuple[float, float] | None:
    """95 % interval of the mean gain, by a paired bootstrap over the questions; None without them.

    mine, other     quality per question, the same questions in the same order
    """
    if not mine or len(mine) != len(other):
        return None
    gains = np.asarray(mine, dtype=np.float64) - np.asarray(other, dtype=np.float64)  # [n]
    gains = -gains if lower else gains
    rng = np.random.default_rng(seed)
    means = [gains[rng.integers(0, len(gains), len(gains))].mean() for _ in range(_RESAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def _gain(arm: Arm, rival: Arm, *, lower: bool) -> float:
    return rival.quality - arm.quality if lower else arm.quality - rival.quality


def _number(arm: Arm, of: str) -> float:
    if not of:
        return arm.quality
    if of not in arm.extra:
        has = ", ".join(arm.extra) or "none besides its quality"
        raise NotFound(f'"{arm.name}" has no number "{of}": it has {has}.')
    return arm.extra[of]


def _memory(arm: Arm, part: str) -> int:
    if not part:
        return arm.used.amount
    if part not in arm.used.parts:
        raise NotFound(f'"{arm.name}" has no part "{part}": its parts are {", ".join(arm.used.parts) or "none"}.')
    return arm.used.parts[part]
