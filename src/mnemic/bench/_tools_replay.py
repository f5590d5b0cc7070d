"""Learning APIs batch after batch, with and without replay, on the smallest learner that can forget.

A classifier with one hidden layer over the words of a request names its API; it is trained on the batches of the
paper's continual experiment in their order, on the real requests of the data set (ten of each API to learn from, five
to be asked). It shows what replay of a tenth does to a learner; it is no language model.

Axes     n requests, w words, h hidden units, a APIs
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mnemic import data
from mnemic.bench._tools_recorded import batches
from mnemic.context.ste import continual
from mnemic.recall.terms import query_terms

_LEARNED = 10  # requests of each API to learn from; the other five are asked
_HIDDEN = 64
_STEPS, _RATE = 300, 0.01  # of Adam in every round: enough that the round is learned

Pair = tuple[str, str]  # request, API
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Forgetting:
    """Share of right names on the first batch's held-out requests after every round, and on all after the last."""

    first: tuple[float, ...]
    all: float


def split(seed: int) -> tuple[list[list[Pair]], list[list[Pair]]]:
    """Requests to learn from and to be asked, both by batch."""
    rows: dict[str, list[dict[str, Any]]] = json.loads(data.read("tools", "test"))
    learned, asked = [], []
    for number, batch in enumerate(batches()):
        rng = np.random.default_rng([seed, number])
        order = {api: rng.permutation(len(rows[api])).tolist() for api in batch}
        learned.append([(rows[api][n]["query"], api) for api in batch for n in order[api][:_LEARNED]])
        asked.append([(rows[api][n]["query"], api) for api in batch for n in order[api][_LEARNED:]])
    return learned, asked


def forgetting(seed: int, *, replayed: float) -> Forgetting:
    """Train on round after round from where the last one ended."""
    learned, asked = split(seed)
    model = Words([pair for batch in learned for pair in batch], seed)
    first = []
    for pairs in continual(learned, replayed=replayed, seed=seed):
        model.train(pairs)
        first.append(model.share(asked[0]))
    return Forgetting(tuple(first), model.share([pair for batch in asked for pair in batch]))


class Words:
    """Words -> hidden units -> APIs. The hidden units are shared by all APIs: that is where a new batch overwrites.

    (Without them, words to APIs directly, little is forgotten: batches share few words.) The vocabulary is known from
    the start, as a tokenizer's is.
    """

    def __init__(self, pairs: Sequence[Pair], seed: int) -> None:
        self.word = {word: n for n, word in enumerate(sorted({w for text, _ in pairs for w in query_terms(text)}))}
        self.api = {api: n for n, api in enumerate(sorted({api for _, api in pairs}))}
        rng, apis = np.random.default_rng(seed), len(self.api)
        self.weights: list[Floats] = [
            rng.normal(0, 0.3, (len(self.word), _HIDDEN)), np.zeros(_HIDDEN),
            rng.normal(0, _HIDDEN**-0.5, (_HIDDEN, apis)), np.zeros(apis),
        ]  # fmt: skip

    def train(self, pairs: Sequence[Pair]) -> None:
        """Adam on all pairs at once."""
        x, y = self._words(pairs), np.eye(len(self.api))[[self.api[api] for _, api in pairs]]  # [n w], [n a]
        mean, square = ([np.zeros_like(one) for one in self.weights] for _ in range(2))
        for step in range(1, _STEPS + 1):
            for place, slope in enumerate(self._slopes(x, y)):
                mean[place] = 0.9 * mean[place] + 0.1 * slope
                square[place] = 0.999 * square[place] + 0.001 * slope**2
                change = mean[place] / (1 - 0.9**step) / (np.sqrt(square[place] / (1 - 0.999**step)) + 1e-8)
                self.weights[place] = self.weights[place] - _RATE * change

    def share(self, pairs: Sequence[Pair]) -> float:
        best = self._scores(self._words(pairs))[1].argmax(1)
        return float(np.mean(best == [self.api[api] for _, api in pairs]))

    def _scores(self, x: Floats) -> tuple[Floats, Floats]:
        hidden = np.maximum(0, x @ self.weights[0] + self.weights[1])  # [n h]
        return hidden, hidden @ self.weights[2] + self.weights[3]  # [n a]

    def _slopes(self, x: Floats, y: Floats) -> list[Floats]:
        """Of the mean cross-entropy, in the order of the weights."""
        hidden, scores = self._scores(x)
        chances = np.exp(scores - scores.max(1, keepdims=True))
        off = (chances / chances.sum(1, keepdims=True) - y) / len(x)  # [n a]
        back = off @ self.weights[2].T * (hidden > 0)  # [n h]
        return [x.T @ back, back.sum(0), hidden.T @ off, off.sum(0)]

    def _words(self, pairs: Sequence[Pair]) -> Floats:
        x = np.zeros((len(pairs), len(self.word)))  # [n w]
        for row, (text, _) in enumerate(pairs):
            known = [self.word[word] for word in query_terms(text) if word in self.word]
            x[row, known] = 1 / np.sqrt(max(1, len(known)))
        return x
