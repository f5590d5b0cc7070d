"""A result as tables for people: the arms beside the paper's numbers, then what had to hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mnemic.claims._claim import Arm, Claim, Verdict
from mnemic.meter import readable

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table

    from mnemic.claims._run import Result


def tables(result: Result) -> Group:
    """Both tables and the verdict, for a rich console."""
    from rich.console import Group
    from rich.text import Text

    claim = result.claim
    lines: list[RenderableType] = [Text(f"{result.slug}: {claim.says}", style="bold"), _arms(claim), _checks(claim)]
    if claim.setting:
        lines.insert(1, Text(claim.setting, style="dim"))
    lines.append(Text(verdict(result), style="bold green" if claim.stands != result.sabotage else "bold red"))
    return Group(*lines)


def verdict(result: Result) -> str:
    """The last line: does it hold? For a control: did the claim fall, as it should?"""
    stands = result.claim.stands
    if result.sabotage and stands:
        return "control: the claim STILL STANDS without its idea"
    if result.sabotage:
        return "control: the claim falls, as it should"
    return "the claim holds" if stands else "the claim DOES NOT HOLD"


def number(value: float) -> str:
    """A number with as many digits as a reader needs: 0.697, 12.3, 103."""
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 100 else f"{value:,.0f}"


def quality(arm: Arm) -> str:
    """Mean, and the spread over the seeds where there are several."""
    return number(arm.quality) + ("" if arm.spread is None else f" ± {number(arm.spread)}")


def ratio(mine: float, other: float) -> str:
    """How many times the baseline's; empty where the baseline has nothing."""
    return f"{mine / other:.2f} x" if other else ""


def columns(claim: Claim) -> list[str]:
    """Headings of the table of arms."""
    extras = list(dict.fromkeys(name for point in claim.points for name in point.extra))
    unit = claim.arm().used.unit
    return ["arm", "paper", claim.quality, "ratio", "memory" if unit == "bytes" else unit, "ratio", *extras]


def rows(claim: Claim) -> list[list[str]]:
    """One row per arm, as texts: the columns of `columns`."""
    base, extras = claim.base(), columns(claim)[6:]
    return [_row(claim.arm(name), base, claim.paper, extras) for name in claim.names]


def _row(arm: Arm, base: Arm, paper: Mapping[str, float], extras: list[str]) -> list[str]:
    return [
        arm.name,
        number(paper[arm.name]) if arm.name in paper else "",
        quality(arm),
        ratio(arm.quality, base.quality),
        readable(arm.used.amount, arm.used.unit),
        ratio(arm.used.amount, base.used.amount),
        *(number(arm.extra[name]) if name in arm.extra else "" for name in extras),
    ]


def check_row(each: Verdict) -> list[str]:
    """Sentence, measured value with its interval, bar, holds or not."""
    value = number(each.value) if each.bar != "true" else str(bool(each.value)).lower()
    if each.interval:
        value += f" [{number(each.interval[0])}, {number(each.interval[1])}]"
    return [each.says, value, each.bar, "yes" if each.ok else "NO"]


def _arms(claim: Claim) -> Table:
    from rich.table import Table

    table = Table()
    for n, heading in enumerate(columns(claim)):
        table.add_column(heading, justify="left" if n == 0 else "right")
    method = claim.arm().name
    for row in rows(claim):
        table.add_row(*row, style="bold" if row[0] == method else "")
    return table


def _checks(claim: Claim) -> Table:
    from rich.table import Table

    table = Table("what must hold", "measured", "bar", "holds?")
    for each in claim.verdicts():
        table.add_row(*check_row(each), style="" if each.ok else "red")
    return table
