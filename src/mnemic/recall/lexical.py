"""Lexical recall: BM25 over stemmed words (Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework")."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mnemic.filter import Filter
from mnemic.recall.corpus import Corpus, Rows, Scores
from mnemic.recall.terms import query_terms
from mnemic.record import Hit
from mnemic.seams import View

K1, B = 1.2, 0.75
READ = 60_000  # occurrences read for one question: beyond, its most frequent words are left out


class Lexical:
    """Retriever "lexical"; parts: lexical (BM25). A record without any word of the query is not found."""

    name = "lexical"

    def __init__(self, view: View) -> None:
        self._view = view

    def search(self, query: str, k: int, where: Filter) -> list[Hit]:
        corpus = self._view.corpus
        rows, scores = bm25(corpus, affordable(corpus, query_terms(query)))
        passes = corpus.mask(where)[rows]
        rows, scores = rows[passes], scores[passes]
        top = np.argsort(-scores, kind="stable")[:k]
        return corpus.hits(rows[top].tolist(), scores[top], {"lexical": scores[top]}, query)


def bm25(corpus: Corpus, terms: Sequence[str]) -> tuple[Rows, Scores]:
    """Rows with any of the terms (ascending) and their scores, [r]."""
    found = [corpus.postings(term) for term in terms]
    rows = np.unique(np.concatenate([rows for rows, _ in found])) if found else np.zeros(0, np.int32)
    scores = np.zeros(len(rows), np.float32)
    for holds, count in found:
        worth = saturated(count, corpus.length[holds] / np.float32(corpus.mean_length))
        scores[np.searchsorted(rows, holds)] += np.float32(idf(len(holds), corpus.living)) * worth
    return rows, scores


def idf(holds: int, of: int) -> float:
    """How telling a term is that stands in so many of so many; above 0 even when it stands in all."""
    holds = min(holds, of)  # a count over all spaces can be larger than this one
    return float(np.log1p((of - holds + 0.5) / (holds + 0.5)))


def saturated(count: Scores, length: Scores) -> Scores:
    """Occurrences, each worth less than the one before, less in long texts; length 1 is the mean."""
    return (count * (K1 + 1) / (count + K1 * (1 - B + B * length))).astype(np.float32)


def affordable(corpus: Corpus, terms: Sequence[str]) -> list[str]:
    """The terms that the corpus knows, rarest first, as long as reading them stays quick; at least one."""
    kept: list[str] = []
    read = 0
    for term, frequency in sorted(corpus.frequencies(terms).items(), key=lambda item: item[1]):
        read += frequency
        if frequency and (not kept or read <= READ):
            kept.append(term)
    return kept
