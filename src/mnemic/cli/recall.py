"""`mnemic recall`: ranked memories with where and when they came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mnemic.cli.failing import NOTHING, leave
from mnemic.cli.options import (
    Place,
    as_of,
    as_of_option,
    budget_option,
    filter_options,
    k_option,
    memory_options,
    retriever_option,
)
from mnemic.cli.printing import emit, hit_lines, show

if TYPE_CHECKING:
    from mnemic.filter import Filter


@click.command()
@click.argument("query", nargs=-1, required=True)
@k_option
@filter_options
@as_of_option
@retriever_option
@budget_option
@memory_options
def recall(query: tuple[str, ...], k: int, where: Filter, moment: str | None, retriever: str | None,
           budget: str | None, place: Place, as_json: bool) -> None:  # fmt: skip
    """Show the memories that fit QUERY best, with where and when they came from.

    Exit code 1 when nothing fits. With a budget, what is found is kept longer.
    """
    words = " ".join(query)
    with place.open(retriever=retriever, budget=budget) as memory:
        hits = (memory.as_of(as_of(moment)) if moment else memory).recall(words, k=k, where=where)
    if as_json:
        emit({"query": words, "hits": hits})
    elif hits:
        for number, hit in enumerate(hits, 1):
            show(*hit_lines(number, hit))
    else:
        click.echo("Nothing in the memory fits.", err=True)
    if not hits:
        leave(NOTHING)
