"""CLAIMS.md: every measured claim on one page, made from the JSON of the runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mnemic import catalog
from mnemic.claims._claim import Scale
from mnemic.claims._run import Result
from mnemic.claims._table import check_row, columns, number, quality, ratio, rows
from mnemic.meter import readable

_HEAD = """# Claims

Written by `mnemic claims report` from the results in `{folder}`; never edited by hand.
One experiment per system: the paper's headline at the scale that the row names, baselines and method in one
process, on the same data, at the same budget. What does not hold says so.
"""


def report(folder: Path, out: Path) -> Path:
    """Write CLAIMS.md from the results in a folder; returns the file."""
    results = [Result.read(file) for file in sorted(folder.glob("*.json"))]
    controls = {(each.slug, each.scale): each for each in results if each.sabotage}
    shown = _in_catalog_order([each for each in results if not each.sabotage and each.scale != "smoke"])
    lines = [_HEAD.format(folder=_relative(folder, out)), *_summary(shown, controls), "", *_missing(shown), ""]
    for result in shown:
        lines += _section(result, folder, out)
    out.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    return out


def _in_catalog_order(results: Sequence[Result]) -> list[Result]:
    order = {row.slug: n for n, row in enumerate(catalog.systems())}
    return sorted(results, key=lambda result: (order.get(result.slug, len(order)), result.scale != "laptop"))


def _summary(results: Sequence[Result], controls: Mapping[tuple[str, Scale], Result]) -> list[str]:
    lines = [
        "| system | scale | what is measured | paper | baseline | ours | ratio | memory | ratio | holds? | control |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        claim = result.claim
        arm, base = claim.arm(), claim.base()
        control = controls.get((result.slug, result.scale))
        cells = [
            f"[{result.slug}](#{result.slug}-{result.scale})", result.scale, claim.quality,
            number(claim.paper[arm.name]) if arm.name in claim.paper else "",
            f"{quality(base)} ({base.name})", quality(arm), ratio(arm.quality, base.quality),
            readable(arm.used.amount, arm.used.unit), ratio(arm.used.amount, base.used.amount),
            "yes" if claim.stands else "**NO**", _control(control),
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _control(control: Result | None) -> str:
    if control is None:
        return "not run"
    return "**STANDS**" if control.claim.stands else "falls"


def _missing(results: Sequence[Result]) -> list[str]:
    """Systems that are built and not measured here, and how many are not built."""
    shown = {result.slug for result in results}
    built = [row.slug for row in catalog.systems() if row.state == "built" and row.slug not in shown]
    planned = sum(row.state == "planned" for row in catalog.systems())
    lines = [f"Built, not measured yet: {', '.join(built)}."] if built else []
    return [*lines, f"{planned} of {len(catalog.systems())} systems are planned, not built yet: `mnemic systems`."]


def _section(result: Result, folder: Path, out: Path) -> list[str]:
    claim, machine = result.claim, ", ".join(f"{name} {fact}" for name, fact in result.machine.items())
    libraries = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    seeds, row = ", ".join(map(str, result.seeds)), catalog.system(result.slug)
    lines = [
        f"## {result.slug} {result.scale}", "", f"{row.title} ({row.paper})", "",
        f"**{claim.says}: {'holds' if claim.stands else 'DOES NOT HOLD'}.** {claim.setting}".rstrip(), "",
        *_markdown(columns(claim), rows(claim)), "",
        *_markdown(["what must hold", "measured", "bar", "holds?"], [check_row(each) for each in claim.verdicts()]), "",
    ]  # fmt: skip
    if (folder / f"{result.name}.png").exists():
        lines += [f"![quality against memory]({_relative(folder, out)}/{result.name}.png)", ""]
    lines += [f"{result.date}, seeds {seeds}, {result.seconds:.0f} s; {machine}; {libraries}.", ""]
    return lines


def _markdown(headings: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    lines = [headings, ["---"] * len(headings), *cells]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def _relative(folder: Path, out: Path) -> str:
    """The folder as seen from the report, so that links work wherever both are moved together."""
    try:
        return folder.resolve().relative_to(out.resolve().parent).as_posix()
    except ValueError:
        return folder.as_posix()
