"""`mnemic add`: remember files, folders, or a text."""

from __future__ import annotations

import re
import sys
import time as clock
from collections.abc import Iterable, Iterator
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mnemic.cli.failing import PARTIAL, STOPPED, USAGE, leave
from mnemic.cli.options import (
    Place,
    budget_option,
    embedder_option,
    key_value,
    lm_option,
    memory_options,
    retriever_option,
    writer_option,
)
from mnemic.cli.printing import counted, emit, one_line
from mnemic.cli.progress import track
from mnemic.errors import InputError

if TYPE_CHECKING:
    from mnemic.files import Bad
    from mnemic.ingest import FileReport
    from mnemic.memory import Memory

_HERE = "here"  # --ray without an address
_REASONS = 5  # shown of one file; --json has up to a thousand
_STATES = ("added", "updated", "unchanged", "gone", "refused")


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, allow_dash=True), metavar="[PATH]...")
@click.option("--text", multiple=True, help="Remember this text (may be repeated).")
@click.option("--time", metavar="TIME", help="When the text was true: 2026, 2026-05, 2026-05-03, 2026-05-03T10:00.")
@click.option("--speaker", metavar="NAME", help="Who said the text.")
@click.option("--source", metavar="SOURCE", help="Where the text is from.")
@click.option("--episode", metavar="NAME", help="What the text happened together with: a session, a day.")
@click.option("--kind", metavar="KIND", help="Kind of the text: episode (the default), fact, ...")
@click.option("--metadata", multiple=True, metavar="KEY=VALUE", help="Kept with the text (may be repeated).")
@click.option(
    "--untrusted",
    is_flag=True,
    help="Others wrote it: it is kept and found, and can never call a tool or change what is yours.",
)
@click.option("--ray", is_flag=False, flag_value=_HERE, metavar="[ADDRESS]",
              help="Read and embed in many processes with Ray, here or in the cluster at HOST:PORT. After the paths.",
)  # fmt: skip
@writer_option
@lm_option
@embedder_option
@retriever_option
@budget_option
@click.option("--policy", metavar="NAME", help="What leaves when the budget is full: forgetting_curve, recency.")
@memory_options
def add(paths: tuple[Path, ...], text: tuple[str, ...], metadata: tuple[str, ...], untrusted: bool,
        ray: str | None, writer: str | None, lm: str | None, embedder: str | None, retriever: str | None,
        budget: str | None, policy: str | None, place: Place, as_json: bool,
        **fields: str | None) -> None:  # fmt: skip
    """Remember files and folders (PATH), the input ("-"), or a text (--text). What is there already is kept once.

    Stopped with Ctrl-C or worse, nothing that was reported as remembered is lost; the same command goes on where
    it stopped. Exit code 8 when something could not be read: it is listed with the reason.
    """
    if ray not in (None, _HERE, "auto") and not re.fullmatch(r"[^\s/]+:\d{1,5}", ray):
        raise InputError(f'--ray "{ray}" is no address: write HOST:PORT or auto, or put --ray after the paths.')
    given = {name: value for name, value in fields.items() if value is not None}
    files = [path for path in paths if str(path) != "-"]
    texts = [*text, *(_input() for path in paths if str(path) == "-")]
    if not files and not texts:
        raise InputError('say what to remember: files or folders, "-" for the input, or --text "...".')
    if (given or metadata) and not texts:
        raise InputError("--time, --speaker, --source, --episode, --kind and --metadata go with --text or the input.")
    extra = dict(key_value(pair, "--metadata") for pair in metadata) | ({"trust": "untrusted"} if untrusted else {})
    done = Done()
    with place.open(make=True, writer=writer, lm=lm, embedder=embedder, retriever=retriever, budget=budget,
                    policy=policy) as memory:  # fmt: skip
        # A path that does not exist is refused before all else.
        reports = _reports(memory, files, untrusted, ray) if files else None
        _add_texts(memory, [{"text": each, "metadata": extra, **given} for each in texts], done, untrusted)
        if reports is not None:
            with redirect_stdout(sys.stderr) if ray else nullcontext():  # where Ray tells of workers that died
                _add_files(reports, done, quiet=as_json)
        done.facts = _facts(memory)
    if as_json:
        emit(done.document())
    else:
        done.print()
    if done.code:
        leave(done.code)


def _reports(memory: Memory, files: list[Path], untrusted: bool, ray: str | None) -> Iterator[FileReport]:
    if ray is None:
        from mnemic.ingest import ingest

        return ingest(memory, files, untrusted=untrusted)
    from mnemic.ingest_ray import ingest_on_ray

    return ingest_on_ray(memory, files, untrusted=untrusted, address=None if ray == _HERE else ray)


def _input() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise InputError(
            f"the input is not UTF-8 (byte {error.start}): give the file itself, its encoding is found out then."
        ) from None


def _add_texts(memory: Memory, items: list[dict[str, Any]], done: Done, untrusted: bool) -> None:
    from mnemic.gate.marking import mark

    for outcome in memory.add_many(items):
        known = [outcome.record] if untrusted and outcome.record and outcome.state == "unchanged" else []
        state = "updated" if mark(memory, known) else outcome.state
        done.texts[state] = done.texts.get(state, 0) + 1
        if outcome.record is None:
            done.refusals.append(f"a text: {outcome.reason}")
        else:
            done.ids.append(outcome.record.id)
        done.left_out += [each.reason for each in outcome.outcomes if each.state == "refused"]


def _facts(memory: Memory) -> dict[str, int]:
    """What a writer of facts has read, counted; empty for another writer."""
    tally = getattr(memory.writer, "tally", None)
    return dict(vars(tally)) if tally is not None else {}


def _add_files(reports: Iterable[FileReport], done: Done, *, quiet: bool) -> None:
    with track("remembering", unit="bytes", quiet=quiet) as moved:
        try:
            for report in reports:
                done.files[report.path] = report
                moved(report.all_done, report.all_size)
        except KeyboardInterrupt:
            done.stopped = True


@dataclass
class Done:
    """What an add has done so far.

    texts      state -> how many; ids: of their records
    files      path -> its newest report
    refusals   why texts were refused; left_out: what of the others the writer looked at and did not keep as a fact
    facts      what a writer of facts counted
    """

    texts: dict[str, int] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)
    files: dict[str, FileReport] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    facts: dict[str, int] = field(default_factory=dict)
    stopped: bool = False
    start: float = field(default_factory=clock.perf_counter)

    def total(self, state: str) -> int:
        many: int = sum(getattr(report, state) for report in self.files.values())
        return self.texts.get(state, 0) + many

    @property
    def code(self) -> int:
        """Of the exit."""
        if self.stopped:
            return STOPPED
        kept = sum(self.total(state) for state in ("added", "updated", "unchanged"))
        if self.total("refused"):
            return PARTIAL if kept else USAGE
        return 0

    def document(self) -> dict[str, Any]:
        return {**{state: self.total(state) for state in _STATES}, "stopped": self.stopped,
                "seconds": round(clock.perf_counter() - self.start, 3), "ids": self.ids, "refusals": self.refusals,
                "facts": self.facts, "left_out": self.left_out,
                "files": list(self.files.values())}  # fmt: skip

    def print(self) -> None:
        seconds = clock.perf_counter() - self.start
        new = self.total("added") + self.total("updated")
        rate = f" in {seconds:.1f} s, {new / seconds:,.0f} a second" if new else ""
        told = ", ".join(f"{self.total(state):,} {state}" for state in _STATES if self.total(state)) or "nothing"
        many = sum(report.state != "bad" for report in self.files.values())
        what = f" from {counted(many, 'file')}" if self.files else ""
        click.echo(f"{'Stopped. ' if self.stopped else ''}Remembered{what}: {told}{rate}.")
        if self.facts:
            counts = ", ".join(f"{self.facts[name]:,} {name}" for name in ("inserted", "updated", "ended"))
            asked = f"; the language model was asked {self.facts['calls']:,} times" if self.facts["calls"] else ""
            click.echo(f"Facts: {counts}, {self.facts['refused']:,} left out{asked}.")
        if self.stopped:
            click.echo("All of that is on disk; the same command goes on from here.")
        _list("Not remembered", [*self.refusals, *_told(self.files.values(), "reasons")])
        more = len(self.left_out) - _REASONS
        cut = [f"{more:,} more like these (--json lists them)"] if more > 0 else []
        _list("Left out as facts", [*self.left_out[:_REASONS], *cut])
        _list("Remembered, with something lost or guessed", _told(self.files.values(), "notes"))


def _told(reports: Iterable[FileReport], name: str) -> list[str]:
    lines: list[str] = []
    for report in reports:
        bad: tuple[Bad, ...] = getattr(report, name)
        lines += [str(each) for each in bad[:_REASONS]]
        many = report.refused if name == "reasons" else len(bad)
        if many > _REASONS:
            lines.append(f"{report.path}: {many - _REASONS:,} more like these (--json lists them)")
    return lines


def _list(title: str, lines: list[str]) -> None:
    if lines:
        click.echo(f"{title}:", err=True)
        for line in lines:
            click.echo(f"  {one_line(line)}", err=True)
