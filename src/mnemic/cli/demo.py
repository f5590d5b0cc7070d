"""`mnemic demo`: remember a conversation, ask about it, show what it cost."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnemic.cli.failing import NOTHING, leave
from mnemic.cli.options import Place, json_option, lm_option, retriever_option
from mnemic.cli.printing import emit, one_line, show
from mnemic.quote import visible

if TYPE_CHECKING:
    from rich.text import Text

    from mnemic.demo import Asked, Correction, Demo
    from mnemic.record import Hit


@click.command()
@click.option(
    "--db", type=click.Path(path_type=Path), help="Keep the memory in this new file.  [default: a temporary one]"
)
@click.option("--space", default="default", show_default=True, help="Whose memory.")
@retriever_option
@lm_option
@json_option
def demo(db: Path | None, space: str, retriever: str | None, lm: str | None, as_json: bool) -> None:
    """Remember a conversation of twelve sessions, ask eight questions about it, and one that it does not answer.

    Shows where each answer comes from, how a corrected fact replaces the old one, and what all of it cost. Exit
    code 1 when the evidence of more than one question is not found.
    """
    with tempfile.TemporaryDirectory(prefix="mnemic-demo-") as folder:
        done = _run(Place(db or Path(folder, "demo.db"), space), retriever, lm)
    if as_json:
        emit({"found": done.found, **done.__dict__})
    else:
        _print(done, db)
    if done.found < len(done.asked) - 1:
        leave(NOTHING)


def _run(place: Place, retriever: str | None, lm: str | None) -> Demo:
    from mnemic import demo as story

    with place.open(make=True, retriever=retriever, lm=lm) as memory:
        return story.run(memory, watch=_progress)


def _progress(what: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"{what} ...", err=True)


def _print(done: Demo, db: Path | None) -> None:
    from rich.text import Text

    *others, last = done.speakers
    show(Text.assemble(("A conversation: ", "bold"), f"{', '.join(others)} and {last}, {done.messages} messages in "
                       f"{done.sessions} sessions, {done.first} to {done.last}."), Text())  # fmt: skip
    for number, asked in enumerate(done.asked, 1):
        show(*_question(number, asked))
    _print_unanswerable(done.unanswerable, len(done.asked) + 1)
    _print_correction(done.correction)
    _print_cost(done, db)


def _question(number: int, asked: Asked) -> list[Text]:
    """The question, its answer (or the best passages), each with where it is from; * marks the evidence."""
    from rich.text import Text

    lines = [Text(f"{number}. {asked.question}", style="bold")]
    if asked.answer.model is not None:
        lines.append(Text(f"   {visible(asked.answer.text)}", style="yellow"))
    shown = {1: asked.hits[0]} if asked.hits else {}
    if asked.rank is not None:
        shown[asked.rank] = asked.hits[asked.rank - 1]
    lines += [_hit(rank, hit, evidence=rank == asked.rank) for rank, hit in shown.items()]
    if asked.evidence:
        told = f"evidence found, place {asked.rank}" if asked.rank else "the evidence is not among the first five"
        lines.append(Text(f"   {told}: {asked.expected}", style="green" if asked.rank else "red"))
    return [*lines, Text()]


def _hit(rank: int, hit: Hit, *, evidence: bool) -> Text:
    from rich.text import Text

    record = hit.record
    origin = ", ".join(filter(None, (record.speaker, (record.time or "")[:10], record.episode or record.kind)))
    return Text.assemble(f"   {'*' if evidence else ' '}{rank} ", one_line(hit.passage), (f"  ({origin})", "dim"))


def _print_unanswerable(asked: Asked, number: int) -> None:
    from rich.text import Text

    if asked.answer.model is None:
        told = ("The conversation never says it. Without a language model mnemic cannot tell: it shows what comes "
                "nearest. With one (MNEMIC_LLM_MODEL) it says that the memory does not hold the answer.")  # fmt: skip
    elif asked.answer.known:
        told = "The conversation never says it: the model has made this up, or cites what does not answer."
    else:
        told = "Right: the conversation never says it."
    show(*_question(number, asked)[:-1], Text(f"   {told}", style="green"), Text())


def _print_correction(correction: Correction) -> None:
    from rich.text import Text

    from mnemic.cli.log import line

    n = correction.operation
    show(Text(f"A fact is put right: {correction.question}", style="bold"))
    for when, hits in ((f"as of operation {n - 1}", correction.before), ("now", correction.after)):
        show(*(Text(f"   {when:24} {one_line(hit.record.text)}  ({hit.record.time})") for hit in hits))
    for record in correction.stale:
        show(Text(f"   {'stale, concluded from it':24} {one_line(record.text)}", style="yellow"))
    show(*(Text("   ") + line(operation) for operation in correction.log), Text())


def _print_cost(done: Demo, db: Path | None) -> None:
    from rich.text import Text

    cost = done.cost
    show(Text("What it cost", style="bold"),
         Text(f"   remembering   {cost.remember_seconds:.2f} s, {done.messages / cost.remember_seconds:,.0f} messages "
              "a second"),
         Text(f"   a question    {cost.question_seconds * 1000:,.0f} ms"),
         Text(f"   on disk       {cost.disk}"),
         Text(f"   tokens        {cost.embedded_tokens:,} embedded, {cost.model_tokens:,} of a language model "
              f"({done.model or 'none configured'})"), Text())  # fmt: skip
    show(Text(f"The evidence of {done.found} of {len(done.asked)} questions is among the first five.", style="bold"))
    kept = f"mnemic recall --db {db} QUERY" if db else "mnemic demo --db demo.db"
    show(Text(f"{'Look around' if db else 'Keep it'}: {kept}", style="dim"))
