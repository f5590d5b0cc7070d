"""What a claim is made of: points that were measured, checks that must hold between them, verdicts."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mnemic.errors import InputError, NotFound
from mnemic.meter import Used

Scale = Literal["smoke", "laptop", "full"]
SCALES: tuple[Scale, ...] = ("smoke", "laptop", "full")


@dataclass(frozen=True)
class Point:
    """One arm of the experiment with one seed: what it used and what it reached.

    name      the arm, as tables and pictures call it
    used      measured, in the system's unit
    quality   the number that the claim is about; Claim.quality names it
    extra     further numbers worth a column or a check: {"query_ms": 3.1, "recall@2": 0.46}
    each      quality per question, in the same order for all arms: gives differences an interval
    """

    name: str
    used: Used
    quality: float
    seed: int = 0
    extra: Mapping[str, float] = field(default_factory=dict)
    each: Sequence[float] = ()

    def __post_init__(self) -> None:
        if not math.isfinite(self.quality):
            raise InputError(f'the arm "{self.name}" (seed {self.seed}) reached {self.quality}: a quality is a number.')


@dataclass(frozen=True)
class Verdict:
    """What became of one check.

    says      the sentence that should be true
    value     what was measured
    bar       what it was held against, in words: ">= 0.05"
    interval  95 % interval of the value, where there is one
    """

    says: str
    value: float
    bar: str
    ok: bool
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Arm:
    """All points of one name: means over the seeds.

    spread    standard deviation of the quality over the seeds, None with one seed
    """

    name: str
    used: Used
    quality: float
    spread: float | None
    extra: Mapping[str, float]
    each: Sequence[float]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Claim:
    """What is claimed, what was measured, and what must hold for the claim to stand.

    says      the claim in one sentence
    points    one per arm and seed; the trivial baseline is among them
    holds     checks, made by better, within, at_least, at_most, uses_at_most and check
    quality   what Point.quality is, with its unit: "recall@5", "accuracy (%)"
    lower     True when less is better (a loss, an error, a time)
    baseline  the arm that ratios are taken to; the first one unless named
    method    the arm that the claim is about; the last one unless named
    paper     arm -> the quality that the paper reports for it
    setting   one sentence: why the paper's numbers are not ours (other data, model, size)
    """

    says: str
    points: Sequence[Point]
    holds: Check | Verdict | Sequence[Check | Verdict]
    quality: str = "quality"
    lower: bool = False
    baseline: str = ""
    method: str = ""
    paper: Mapping[str, float] = field(default_factory=dict)
    setting: str = ""

    def __post_init__(self) -> None:
        if len({point.used.unit for point in self.points}) != 1:
            raise InputError(f'the arms of "{self.says}" must be measured in one unit, and there must be some.')
        for name in (self.baseline, self.method, *self.paper):
            if name and name not in self.names:
                raise NotFound(f'"{name}" is no arm of "{self.says}": the arms are {", ".join(self.names)}.')

    @property
    def names(self) -> list[str]:
        """Arms in the order of their first point."""
        return list(dict.fromkeys(point.name for point in self.points))

    def arm(self, name: str = "") -> Arm:
        """The means of one arm; without a name, of the method."""
        name = name or self.method or self.names[-1]
        points = [point for point in self.points if point.name == name]
        if not points:
            raise NotFound(f'"{name}" is no arm of "{self.says}": the arms are {", ".join(self.names)}.')
        qualities = [point.quality for point in points]
        return Arm(
            name=name,
            used=_mean_used([point.used for point in points]),
            quality=statistics.fmean(qualities),
            spread=statistics.stdev(qualities) if len(points) > 1 else None,
            extra=_mean_by_key([point.extra for point in points]),
            each=_mean_by_place([point.each for point in points]),
            seeds=tuple(point.seed for point in points),
        )

    def base(self) -> Arm:
        """The means of the baseline."""
        return self.arm(self.baseline or self.names[0])

    def verdicts(self) -> list[Verdict]:
        """Every check, worked out on the points."""
        checks = [self.holds] if isinstance(self.holds, Verdict) or callable(self.holds) else self.holds
        return [each if isinstance(each, Verdict) else each(self) for each in checks]

    @property
    def stands(self) -> bool:
        """True when there are checks and all of them hold."""
        verdicts = self.verdicts()
        return bool(verdicts) and all(verdict.ok for verdict in verdicts)


Check = Callable[[Claim], Verdict]


def pooled(claims: Sequence[Claim]) -> Claim:
    """The same claim run with several seeds, as one: all points; a ready verdict holds if it always did."""
    first = claims[0]
    points = [point for claim in claims for point in claim.points]
    holds = [_as_list(claim.holds) for claim in claims]
    together = [_worst(same) if isinstance(same[0], Verdict) else same[0] for same in zip(*holds, strict=True)]
    return Claim(
        first.says, points, together, first.quality, first.lower,
        first.baseline or first.names[0], first.method or first.names[-1], first.paper, first.setting,
    )  # fmt: skip


def _as_list(holds: Check | Verdict | Sequence[Check | Verdict]) -> list[Check | Verdict]:
    return [holds] if isinstance(holds, Verdict) or callable(holds) else list(holds)


def _worst(same: Sequence[Check | Verdict]) -> Check | Verdict:
    """Of one verdict per seed: the first that failed, else the first."""
    return next((each for each in same if isinstance(each, Verdict) and not each.ok), same[0])


def _mean_used(all_used: Sequence[Used]) -> Used:
    amounts = [used.amount for used in all_used]
    parts = _mean_by_key([used.parts for used in all_used])
    return Used(round(statistics.fmean(amounts)), all_used[0].unit, {name: round(part) for name, part in parts.items()})


def _mean_by_key(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: statistics.fmean(row[name] for row in rows if name in row) for name in names}


def _mean_by_place(rows: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Row-wise mean; nothing when the seeds have different numbers of questions."""
    if len({len(row) for row in rows}) != 1:
        return ()
    return tuple(statistics.fmean(column) for column in zip(*rows, strict=True))
