"""The searchable columns of one space: what retrievers score, row by row, with numpy.

A row is a record. Rows keep their number for as long as the corpus lives; new records get new rows at
the end, records that are gone stay as dead rows (`alive` is False) until the corpus is made again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mnemic.filter import Filter
from mnemic.record import Hit

Rows = npt.NDArray[np.int32]
Scores = npt.NDArray[np.float32]


class Corpus(Protocol):
    """Read-only; n is `size`, rows are 0 <= row < n.

    ids       record ids, [n]
    alive     False for rows of records that are gone, bool [n]
    episode   number of the episode (chat session, document); records without one have their own, int32 [n]
    before    row of the neighbour before it in the same episode, -1 for none, int32 [n]
    after     row of the neighbour after it, -1 for none, int32 [n]
    order     position within the episode, 0, 1, ..., int32 [n]
    speaker   index into `speakers`, -1 for none, int32 [n]
    time      start of when it was true, seconds since 1970, nan for unknown, float64 [n]
    length    stemmed words in the text, float32 [n]
    asks      1 when the text holds a question mark, 2 when it ends with one, int8 [n]

    living         live rows
    mean_length    of live rows, at least 1
    episodes       episodes with live rows
    episode_words  summed length of each episode's live rows, float32 [episode numbers]
    """

    size: int
    living: int
    mean_length: float
    episodes: int
    episode_words: Scores
    alive: npt.NDArray[np.bool_]
    episode: npt.NDArray[np.int32]
    before: Rows
    after: Rows
    order: npt.NDArray[np.int32]
    speaker: npt.NDArray[np.int32]
    time: npt.NDArray[np.float64]
    length: Scores
    asks: npt.NDArray[np.int8]

    @property
    def ids(self) -> Sequence[str]: ...
    @property
    def speakers(self) -> Sequence[str]: ...

    def embed(self, query: str) -> Scores:
        """The query's vector, [d], from the memory's embedder."""

    def dense(self, vector: Scores, rows: Rows | None = None) -> Scores:
        """Cosine of a unit vector with every row (best of the row's windows), [n] or [len(rows)]."""

    @property
    def indexed(self) -> bool:
        """True where `nearest` need not look at every row, so that nobody else should."""

    def nearest(self, vector: Scores, k: int, mask: npt.NDArray[np.bool_] | None = None) -> Rows:
        """The k nearest live rows, or those of a mask, best first; all of them when there are fewer.

        Exact while that is fast; from the approximate index where `indexed`: then one may be missing, never the count.
        """

    def index(self) -> Iterator[tuple[int, int]]:
        """Build or bring up the approximate index, if the space is large enough to want one; yields (done, total)."""

    def sample(self) -> Rows:
        """A fixed random sample of up to 2,000 live rows: for means and spreads that do not depend on n."""

    def postings(self, term: str) -> tuple[Rows, Scores]:
        """Rows that hold a stemmed term (ascending) and how often each does, both [df]; dead rows excluded."""

    def prepare(self, terms: Sequence[str]) -> None:
        """The postings of these terms are about to be asked for: where each costs a journey, fetch them at once."""

    def frequencies(self, terms: Sequence[str]) -> dict[str, int]:
        """About how many rows hold each stemmed term, without reading them; 0 only when none does."""

    def text(self, row: int) -> str:
        """The record's text."""

    def mask(self, where: Filter) -> npt.NDArray[np.bool_]:
        """Live rows that a filter lets through, bool [n]."""

    def hits(self, rows: Sequence[int], scores: Scores, parts: dict[str, Scores], query: str) -> list[Hit]:
        """Make hits of scored rows: fetches the records, finds the passage. parts: name -> [len(rows)]."""
