"""Hybrid recall, the default: what a record says, what stands around it, who says it, and when.

A score is a weighted sum of nine parts over a pool of candidates (all rows of a small memory; of a large one
the nearest by vector and by words, and their neighbours):

dense     cosine of question and record (its best window), in standard deviations of the pool
lexical   for each word of the question the best of the record's words that are the same or related (a table of
          related words ships inside), times how telling the word is; in standard deviations
context   dense + lexical of the neighbours in the episode, half as much at distance two: a short turn leaves out
          what the turns around it say (temporal contiguity: Howard and Kahana 2002); a long text does less
session   BM25 of the whole episode, in standard deviations; of a record that is its own episode (a diary day, a
          section) the mean of dense and lexical, since its words alone would only count twice
speaker   1 when the question names who said it
date      1 when the question names a time that the record lies in
answer    1 for what follows another speaker's question
question  1 for what ends with a question itself (its weight is negative)
form      0 to 1: longer texts say more; 12 words are half of it

The weights were fitted on seven LoCoMo conversations as a listwise softmax over evidence turns and rounded (see
docs/recall.md).

Axes  n rows, p rows of the pool
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from mnemic.filter import Filter
from mnemic.recall.corpus import Corpus, Rows, Scores
from mnemic.recall.dates import spans
from mnemic.recall.lexical import affordable, idf, saturated
from mnemic.recall.related import related
from mnemic.recall.terms import query_terms, words
from mnemic.record import Hit
from mnemic.seams import View

WEIGHTS = {
    "dense": 0.57, "lexical": 0.30, "context": 0.22, "session": 0.56, "speaker": 1.5, "date": 4.5,
    "answer": 0.65, "question": -0.88, "form": 2.8,
}  # fmt: skip
_POOL = 500  # candidates by vector, and as many by words; up to twice as many rows are all scored
_AROUND = 50  # of the best candidates, the neighbours come in too
_LOOKED, _USED = 24, 10  # related words of one word that are looked up, and that count
_RARE = 4000  # occurrences that are read of all related words together
_HALF_SAID = 12  # words
_ALONE = 30  # words: of a text so long the context counts half of what it counts for a word
_MANY = 20_000  # rows from which on the best are found by way of a sample

Parts = dict[str, Scores]


class Hybrid:
    """Retriever "hybrid"; parts as above, weighted, so that they add up to the score."""

    name = "hybrid"

    def __init__(self, view: View) -> None:
        self._view = view

    def search(self, query: str, k: int, where: Filter) -> list[Hit]:
        corpus = self._view.corpus
        mask = corpus.mask(where)
        if not mask.any():
            return []
        question = Question(query, corpus)
        pool = _pool(question, mask, max(_POOL, k))
        parts = {name: WEIGHTS[name] * values for name, values in features(question, pool).items()}
        scores = np.sum(list(parts.values()), axis=0)  # [p]
        top = np.argsort(-scores, kind="stable")[:k]
        shown = {name: values[top] for name, values in parts.items() if values.any()}
        return corpus.hits(pool[top].tolist(), scores[top], shown, query)

    def index(self) -> Iterator[tuple[int, int]]:
        """Build the approximate index of a large memory; yields (vectors done, of all)."""
        return self._view.corpus.index()


class Question:
    """A question read against a corpus: its vector, words, speakers and times."""

    def __init__(self, text: str, corpus: Corpus) -> None:
        self.text, self.corpus = text, corpus
        said = set(words(text))
        self.speakers = [i for i, name in enumerate(corpus.speakers) if said & _words_of(name)]
        names = {term for i in self.speakers for term in query_terms(corpus.speakers[i])}
        terms = query_terms(text)
        self.named = affordable(corpus, terms)  # the whole episode may hold a speaker's name as a word
        self.terms = [term for term in terms if term not in names] or terms
        self.spans = spans(text)

    @cached_property
    def vector(self) -> Scores:
        """[d]"""
        return self.corpus.embed(self.text)

    @cached_property
    def dense(self) -> Scores:
        """Cosine of every row, [n]."""
        return self.corpus.dense(self.vector)

    def cosines(self, pool: Rows) -> Scores:
        """Cosine of every row, [n]; with an index only of a pool and of the rows around it, 0 elsewhere."""
        if not self.corpus.indexed:
            return self.dense
        rows, scores = _around(self.corpus, pool), np.zeros(self.corpus.size, np.float32)
        scores[rows] = self.corpus.dense(self.vector, rows)
        return scores

    @cached_property
    def lexical(self) -> Scores:
        """Words said in the same or in related words, [n]."""
        corpus, total = self.corpus, np.zeros(self.corpus.size, np.float32)
        others = {term: related(term)[:_LOOKED] for term in self.terms}
        held = corpus.frequencies([*self.terms, *(other for found in others.values() for other, _ in found)])
        known = set(affordable(corpus, self.terms))
        room, matched = _RARE, {term: [(term, 1.0)] if term in known else [] for term in self.terms}
        for term in self.terms:
            for other, weight in others[term]:
                if 0 < held[other] <= room and len(matched[term]) <= _USED:
                    matched[term].append((other, weight))
                    room -= held[other]
        corpus.prepare([*self.named, *(each for found in matched.values() for each, _ in found)])
        for term in self.terms:
            total += idf(held[term], corpus.living) * self._best(matched[term])
        return total

    def _best(self, matched: Sequence[tuple[str, float]]) -> Scores:
        """What the best of some terms is worth in each row that holds one, [n]."""
        corpus, best = self.corpus, np.zeros(self.corpus.size, np.float32)
        for term, weight in matched:
            rows, count = corpus.postings(term)
            worth = np.float32(weight) * saturated(count, corpus.length[rows] / corpus.mean_length)
            best[rows] = np.maximum(best[rows], worth)
        return best


@lru_cache(maxsize=10_000)
def _words_of(name: str) -> frozenset[str]:
    return frozenset(words(name))


def features(question: Question, pool: Rows) -> Parts:
    """The parts of the score before they are weighted, each [p]."""
    corpus = question.corpus
    dense, lexical = Standard(question.cosines(pool), pool), Standard(question.lexical, pool)
    before, length = corpus.before[pool], corpus.length[pool]
    alone = (before < 0) & (corpus.after[pool] < 0)
    replies = (before >= 0) & (corpus.asks[before] > 0) & (corpus.speaker[before] != corpus.speaker[pool])
    return {
        "dense": dense.of(pool),
        "lexical": lexical.of(pool),
        "context": _context(corpus, pool, dense, lexical),
        "session": np.where(alone, (dense.of(pool) + lexical.of(pool)) / 2, _sessions(question, pool)),
        "speaker": np.isin(corpus.speaker[pool], question.speakers).astype(np.float32),
        "date": _dated(question, corpus.time[pool]),
        "answer": replies.astype(np.float32),
        "question": (corpus.asks[pool] == 2).astype(np.float32),
        "form": length / (length + _HALF_SAID),
    }


class Standard:
    """Scores [n] in standard deviations from their mean over a pool, so that parts can be added."""

    def __init__(self, scores: Scores, pool: Rows) -> None:
        self._scores = scores
        self._mean, spread = float(scores[pool].mean()), float(scores[pool].std())
        self._per = 1 / spread if spread > 0 else 0.0

    def of(self, rows: Rows) -> Scores:
        """[p] rows -> [p]; 0, the mean, for a row of -1."""
        values: Scores = (self._scores[rows] - self._mean) * np.float32(self._per)
        return np.where(rows >= 0, values, np.float32(0))


def _context(corpus: Corpus, pool: Rows, *scores: Standard) -> Scores:
    """What the neighbours score: those next to it in full, those after them by half; less for longer texts."""
    total = np.zeros(len(pool), np.float32)
    for beside in (corpus.before, corpus.after):
        rows = pool
        for weight in (1.0, 0.5):
            rows = np.where(rows >= 0, beside[rows], np.int32(-1))
            total += np.float32(weight) * np.sum([score.of(rows) for score in scores], axis=0)
    return (total * (_ALONE / (_ALONE + corpus.length[pool]))).astype(np.float32)


def _around(corpus: Corpus, pool: Rows) -> Rows:
    """A pool and all rows that its context is read from, ascending."""
    found = [pool]
    for beside in (corpus.before, corpus.after):
        rows = pool
        for _ in range(2):
            rows = np.where(rows >= 0, beside[rows], np.int32(-1))
            found.append(rows)
    around = np.unique(np.concatenate(found))
    return around[around >= 0]


def _sessions(question: Question, pool: Rows) -> Scores:
    """BM25 of the pool's episodes, each taken as one text."""
    corpus = question.corpus
    episodes, place = np.unique(corpus.episode[pool], return_inverse=True)
    lengths = corpus.episode_words
    mean = max(float(lengths.sum()) / max(corpus.episodes, 1), 1.0)
    scores = np.zeros(len(episodes), np.float32)
    for term in question.named:
        rows, count = corpus.postings(term)
        holding, inside = np.unique(corpus.episode[rows], return_inverse=True)
        counts = np.bincount(inside, count).astype(np.float32)
        _, ours, theirs = np.intersect1d(episodes, holding, assume_unique=True, return_indices=True)
        weight = saturated(counts[theirs], lengths[holding[theirs]] / mean)
        scores[ours] += idf(len(holding), corpus.episodes) * weight
    each = scores[place]
    return Standard(each, np.arange(len(each), dtype=np.int32)).of(np.arange(len(each), dtype=np.int32))


def _dated(question: Question, times: npt.NDArray[np.float64]) -> Scores:
    fits = np.zeros(len(times), np.bool_)
    for span in question.spans:
        fits |= span.holds(times)
    return fits.astype(np.float32)


def _pool(question: Question, mask: npt.NDArray[np.bool_], each: int) -> Rows:
    """Rows worth a closer look, ascending: all of a few; else the best by vector and by words, and neighbours."""
    rows = np.flatnonzero(mask).astype(np.int32)
    if len(rows) <= 2 * each:
        return rows
    corpus = question.corpus
    near = corpus.nearest(question.vector, each, mask) if corpus.indexed else _best(question.dense, rows, each)
    chosen = [near, _best(question.lexical, rows, each)]
    around = [beside[best[:_AROUND]] for best in chosen for beside in (corpus.before, corpus.after)]
    pool: Rows = np.unique(np.concatenate([*chosen, *around]))
    kept: Rows = pool[(pool >= 0) & mask[pool]]
    return kept


def _best(scores: Scores, rows: Rows, k: int) -> Rows:
    """The k best of some rows, best first; of many, those above what a sample says are looked at alone."""
    values = scores[rows]
    if len(rows) > _MANY:
        sample = values[:: len(rows) // _MANY + 1]
        bar = np.partition(sample, -(8 * k * len(sample) // len(rows) + 8))[-(8 * k * len(sample) // len(rows) + 8)]
        above = np.flatnonzero(values > bar)
        if len(above) >= k:
            rows, values = rows[above], values[above]
    if len(rows) > k:
        top = np.argpartition(-values, k - 1)[:k]
        rows, values = rows[top], values[top]
    return rows[np.argsort(-values, kind="stable")]
