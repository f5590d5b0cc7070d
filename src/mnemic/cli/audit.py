"""`mnemic audit`: where the memory goes wrong, and what would put it right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mnemic.cli.failing import NOTHING, leave
from mnemic.cli.forget import confirm
from mnemic.cli.options import MOST, Place, memory_options, yes_option
from mnemic.cli.printing import counted, emit, one_line
from mnemic.errors import InputError

if TYPE_CHECKING:
    from mnemic.audit import Finding, Report
    from mnemic.memory import Memory

_MEANS = {
    "fabricated": "made from records of which none says it",
    "stale": "a source has changed or gone since",
    "contradictory": "two facts that cannot both hold",
    "duplicate": "said twice",
    "junk": "nothing that anybody could ask for",
    "orphaned": "made from, or linked to, what is gone",
}


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--only", multiple=True, metavar="KIND", help=f"Only this kind: {', '.join(_MEANS)} (may be repeated).")
@click.option("--show", "most", type=click.IntRange(0, MOST), default=5, show_default=True, help="Findings of a kind.")
@click.option("--repair", is_flag=True, help="Propose operations that put it right, and do them when you agree.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the whole report to this file (Markdown).")
@yes_option
@memory_options
def audit(file: Path | None, only: tuple[Any, ...], most: int, repair: bool, out: Path | None, yes: bool, place: Place,
          as_json: bool) -> None:  # fmt: skip
    """Look at every record of the memory (FILE, else --db): is it supported, current, said once, worth keeping?

    No language model is asked and nothing is written, unless --repair proposes repairs and you agree (--yes agrees).
    Each repair is an operation that `mnemic undo` takes back. Exit code 1 when something was found and is still there.
    """
    if as_json and repair and not yes:
        raise InputError("--json cannot ask: say --yes to do the repairs, or leave --repair out to see them.")
    place = Place(file, place.space) if file is not None else place
    with place.open() as memory:
        from mnemic.audit import audit as look

        report = look(memory, only=only)
        operations = report.repairs()
        if out is not None:
            out.write_text(markdown(report, place, memory), encoding="utf-8")
        if not as_json:
            _print(report, memory, most)
        done = _repaired(memory, report, ask=not yes, quiet=as_json) if repair and operations else 0
    if as_json:
        emit({"records": report.records, "sound": report.sound, "counts": report.counts, "findings": report.findings,
              "repairs": operations, "repaired": done})  # fmt: skip
    elif operations and not repair:
        click.echo(f"`mnemic audit --repair` would do {counted(len(operations), 'operation')}; each can be undone.")
    if any(not finding.repair for finding in report.findings) or len(operations) > done:
        leave(NOTHING)


def _print(report: Report, memory: Memory, most: int) -> None:
    click.echo(f"{counted(report.records, 'record')} looked at, {report.sound:.1%} without a finding.")
    for kind, count in report.counts.items():
        if not count:
            continue
        click.echo(f"\n{kind}: {count:,} ({_MEANS[kind]})")
        found = [finding for finding in report.findings if finding.kind == kind]
        for finding in found[:most]:
            click.echo(f"  {_line(finding, memory)}")
        if len(found) > most:
            click.echo(f"  ... and {len(found) - most:,} more (--show {len(found)}, --out FILE or --json)")
    click.echo("")


def _line(finding: Finding, memory: Memory) -> str:
    from mnemic.errors import NotFound

    id = finding.records[0]
    try:
        said = f'"{one_line(memory.get(id).text, 100)}"'
    except NotFound:
        said = "(gone)"
    does = ", ".join(operation.kind for operation in finding.repair) or "yours to decide"
    return f"{id}  {said}: {one_line(finding.why, 200)}  [{does}]"


def _repaired(memory: Memory, report: Report, *, ask: bool, quiet: bool) -> int:
    """Do the repairs in one transaction; returns how many operations were done."""
    operations = report.repairs()
    if ask:
        confirm(f"Do {counted(len(operations), 'operation')}?")
    outcomes = memory.propose(operations, who="audit", why="audit", read_at=report.position)
    done = sum(outcome.state != "refused" for outcome in outcomes)
    if not quiet:
        click.echo(
            f"Did {counted(done, 'operation')}; `mnemic log --last {done}` shows them, `mnemic undo` takes any back."
        )
    return done


def markdown(report: Report, place: Place, memory: Memory) -> str:
    """The whole report for people, as Markdown."""
    lines = [f"# Audit of {place.name}", "",
             f"{report.records:,} records, {report.sound:.1%} without a finding.", "", "| kind | records | means |",
             "|---|---|---|"]  # fmt: skip
    lines += [f"| {kind} | {count:,} | {_MEANS[kind]} |" for kind, count in report.counts.items()]
    for kind, count in report.counts.items():
        if count:
            found = [finding for finding in report.findings if finding.kind == kind]
            lines += ["", f"## {kind}", "", *(f"- {_line(finding, memory)}" for finding in found)]
    return "\n".join(lines) + "\n"
