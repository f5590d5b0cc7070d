"""Earlier questions with their solutions, as they are shown again: all of them, or the most similar ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mnemic.context.dynamic_cheatsheet.prompts import EMPTY
from mnemic.seams import Vectors

_CAUTION = (
    "Earlier questions and how they were answered. Old answers may be wrong, and what was right there may not fit "
    "here: check before you use it, never copy blindly."
)


@dataclass(frozen=True)
class Pair:
    """A question that was answered.

    n           its number in the stream, 1 for the first
    similarity  cosine to the question at hand; None where nothing was compared
    """

    n: int
    question: str
    transcript: str
    similarity: float | None = None


def nearest(query: Vectors, vectors: Vectors, k: int) -> list[tuple[int, float]]:
    """Rows most similar to a question, best first, with their cosine; of equal ones the newer first.

    query     [d], of length 1
    vectors   [n d], rows of length 1
    """
    if not len(vectors):
        return []
    cosines = vectors @ query  # [n]
    order = sorted(range(len(cosines)), key=lambda row: (-float(cosines[row]), -row))
    return [(row, float(cosines[row])) for row in order[:k]]


def laid_out(pairs: Sequence[Pair]) -> str:
    """Pairs as one text, in the order given (so the last stands nearest to the question); EMPTY for none."""
    if not pairs:
        return EMPTY
    return "\n\n".join([_CAUTION, *map(block, pairs)])


def block(pair: Pair) -> str:
    """One pair, with its number and how similar it is."""
    how = "" if pair.similarity is None else f" (similarity {pair.similarity:.2f})"
    return f"--- Question #{pair.n}{how}\n{pair.question}\n\n--- Answer to question #{pair.n}\n{pair.transcript}"


def fitting(pairs: Sequence[Pair], count: Callable[[str], int], room: int) -> list[Pair]:
    """The last of the pairs, as many as fit into so many tokens; the very last one is shortened if it must be.

    pairs   the one to keep longest stands last: the newest, or the most similar
    """
    kept: list[Pair] = []
    spent = count(_CAUTION)
    for pair in reversed(pairs):
        spent += count(block(pair)) + 2  # the empty line between them
        if spent > room:
            break
        kept.insert(0, pair)
    while kept and count(laid_out(kept)) > room:
        kept.pop(0)  # joined texts may count a few tokens more than their parts
    return kept or _shortened(pairs[-1:], count, room)


def _shortened(pairs: Sequence[Pair], count: Callable[[str], int], room: int) -> list[Pair]:
    """The pair with the longest beginning of its transcript that fits; none when not even an empty one does."""
    best: list[Pair] = []
    for pair in pairs:
        low, high = 0, len(pair.transcript)
        while low <= high:
            middle = (low + high) // 2
            cut = replace(pair, transcript=f"{pair.transcript[:middle]} ...")
            if count(laid_out([cut])) <= room:
                best, low = [cut], middle + 1
            else:
                high = middle - 1
    return best


def stacked(vectors: Sequence[Vectors]) -> Vectors:
    """[n] vectors of [d] as [n d]."""
    return np.stack(list(vectors)) if vectors else np.zeros((0, 0), np.float32)
