"""`mnemic ask`: an answer with citations; the best passages when no language model is configured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mnemic.cli.failing import NOTHING, leave
from mnemic.cli.options import MOST, Place, filter_options, lm_option, memory_options, retriever_option
from mnemic.cli.printing import emit, origin_of, show
from mnemic.quote import visible

if TYPE_CHECKING:
    from mnemic.filter import Filter
    from mnemic.record import Answer


@click.command()
@click.argument("question", nargs=-1, required=True)
@click.option("-k", type=click.IntRange(1, MOST), default=20, show_default=True, help="How many memories to look at.")
@click.option("--prompt", metavar="AMOUNT", default="2000 tokens", show_default=True, help="What the prompt may take.")
@filter_options
@lm_option
@retriever_option
@memory_options
def ask(question: tuple[str, ...], k: int, prompt: str, where: Filter, lm: str | None, retriever: str | None,
        place: Place, as_json: bool) -> None:  # fmt: skip
    """Answer QUESTION from the memory, with citations.

    Without a language model the best passages are shown. Exit code 1 when the memory does not hold the answer.
    """
    words = " ".join(question)
    with place.open(retriever=retriever, lm=lm) as memory:
        answer = memory.ask(words, k=k, where=where, budget=prompt)
    if as_json:
        emit({"question": words, "answer": answer})
    else:
        _print(answer)
    if not answer.known:
        leave(NOTHING)


def _print(answer: Answer) -> None:
    from rich.text import Text

    show(Text(visible(answer.text)))
    if answer.model is None:
        return  # the passages stand in the answer with where they are from
    for number, hit in enumerate(answer.citations, 1):
        show(Text(f"[{number}] {origin_of(hit.record)}  id {hit.record.id}", style="green"))
    show(Text(f"{answer.model}, {answer.used}", style="dim"))
