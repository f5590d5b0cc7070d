"""LoCoMo: in a conversation of months, find the turns that answer a question.

Source   Maharana et al., "Evaluating Very Long-Term Conversational Memory of LLM Agents", ACL 2024, arXiv:2402.17753;
         the seven conversations of locomo_dev (data set "locomo"), each a memory of its own
Measure  evidence recall@k: the share of a question's evidence turns among the first k, averaged over questions;
         questions without a piece of evidence that exists are left out
Honest   hybrid's shipped weights were fitted on these conversations. The row "hybrid, held out" fits them anew for
         every conversation on the other six, through the same features, and ranks the seventh with them
Axes     q questions, n turns of a conversation, f features
"""

from __future__ import annotations

import json
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mnemic import data
from mnemic.errors import DataMissing
from mnemic.memory import Memory
from mnemic.recall.corpus import Corpus
from mnemic.recall.hybrid import WEIGHTS, Question, features
from mnemic.recall.lexical import bm25
from mnemic.recall.terms import query_terms

CUTS = (5, 10, 20)
CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}
_FUSION = 60  # of reciprocal rank fusion (Cormack, Clarke, Buettcher 2009)
_MULTI_HOP = 3.0  # what a multi-hop question weighs in the fit: they are few, and need every piece
_RIDGE = 1.0  # keeps a weight that no question asks for near 0; 1,345 questions hardly feel it

Floats = npt.NDArray[np.float64]
Ranking = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Asked:
    """A question of one conversation.

    evidence   rows of the turns that answer it
    ranked     method -> rows, best first, at least the first twenty
    features   of every turn, [n f]
    """

    conversation: str
    text: str
    category: str
    evidence: frozenset[int]
    ranked: dict[str, Ranking]
    features: Floats


@dataclass(frozen=True)
class Study:
    """Everything that was measured.

    weights   conversation -> what was fitted on the others, [f] in the order of WEIGHTS; "" -> on all
    wait_ms   median of a recall with the default retriever, embedding included
    """

    asked: Sequence[Asked]
    weights: Mapping[str, Floats]
    wait_ms: float

    def recall(self, method: str, cut: int, category: str = "") -> Floats:
        """Of each question (of one category), [q]."""
        some = [one for one in self.asked if category in ("", one.category)]
        return np.array([share(one.ranked[method], one.evidence, cut) for one in some])

    def rows(self) -> list[dict[str, Any]]:
        """A row a method: recall at the cuts, recall@10 by category, and the gain over BM25 with its 95 % interval."""
        return [
            {
                "method": method,
                **{f"recall@{cut}": float(self.recall(method, cut).mean()) for cut in CUTS},
                **{name: _mean(self.recall(method, 10, name)) for name in CATEGORIES.values()},
                "over BM25": _gain(self.recall(method, 10), self.recall("BM25", 10)),
            }
            for method in self.asked[0].ranked
        ]


def run(*, limit: int | None = None) -> list[dict[str, Any]]:
    """A row for each method; `limit` takes so many questions, spread over all conversations."""
    return study(limit=limit).rows()


def study(*, limit: int | None = None, watch: Callable[[str], None] = lambda what: None) -> Study:
    """Load, ask, fit, rank. Raises DataMissing when the data set is not here.

    watch   told what runs now, for a progress line
    """
    samples = json.loads(data.read("locomo"))
    if not samples:
        raise DataMissing("the data set locomo is empty: fetch it again.")
    asked: list[Asked] = []
    waits: list[float] = []
    for sample in samples:
        watch(f"{sample['sample_id']}: remembering and asking")
        asked += _conversation(sample, limit and -(-limit // len(samples)), waits)
    return with_held_out(asked, statistics.median(waits), watch)


def with_held_out(asked: Sequence[Asked], wait_ms: float, watch: Callable[[str], None] = lambda what: None) -> Study:
    """Fit the weights for every conversation on the others, and rank it with them."""
    weights = {"": fit(asked)}
    for name in dict.fromkeys(one.conversation for one in asked):
        watch(f"{name}: fitting on the others")
        others = [one for one in asked if one.conversation != name]
        weights[name] = fit(others) if others else np.zeros(len(WEIGHTS))
        for one in asked:
            if one.conversation == name:
                one.ranked["hybrid, held out"] = _order(one.features @ weights[name])
    return Study(asked, weights, wait_ms)


# ---- asking


def _conversation(sample: Mapping[str, Any], limit: int | None, waits: list[float]) -> Iterator[Asked]:
    """Remember one conversation as `mnemic add` would, and rank its turns for every question."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{sample['sample_id']}.json"
        file.write_text(json.dumps([sample]), encoding="utf-8")
        with Memory(Path(folder) / "memory.db") as memory:
            for _ in memory.ingest([file]):
                pass
            corpus = memory.corpus
            row = {id: n for n, id in enumerate(corpus.ids)}
            turn = {record.metadata.get("turn"): row[record.id] for record in memory.records()}
            rankings = Rankings(memory, row)
            for qa in _spread(sample["qa"], limit):
                evidence = frozenset(turn[name] for name in evidence_of(qa) if name in turn)
                if not evidence:
                    continue
                text, category = qa["question"], CATEGORIES[qa["category"]]
                start = time.perf_counter()
                hybrid = rankings.by("hybrid", text)
                waits.append(1000 * (time.perf_counter() - start))
                ranked = {**rankings.controls(text), "hybrid, shipped weights": hybrid}
                yield Asked(sample["sample_id"], text, category, evidence, ranked, all_features(corpus, text))


def evidence_of(qa: Mapping[str, Any]) -> list[str]:
    """Names of the turns that answer a question; some entries name two turns, some none that exists."""
    return re.findall(r"D\d+:\d+", " ".join(qa.get("evidence", ())))


def all_features(corpus: Corpus, text: str) -> Floats:
    """What hybrid's score is made of, unweighted, for every turn, [n f]."""
    everything = np.arange(corpus.size, dtype=np.int32)
    parts = features(Question(text, corpus), everything)
    return np.stack([parts[name] for name in WEIGHTS], axis=1).astype(np.float64)


class Rankings:
    """Rankings of one conversation's turns.

    row    record id -> row of the corpus
    """

    def __init__(self, memory: Memory, row: Mapping[str, int]) -> None:
        self.memory, self.corpus, self.row = memory, memory.corpus, row
        spoken = {row[r.id]: f"{r.speaker}: {r.text}" if r.speaker else r.text for r in memory.records()}
        self.vectors = memory.embedder.embed([spoken[n] for n in range(len(spoken))])  # [n d]

    def by(self, retriever: str, text: str) -> Ranking:
        """The first twenty of a retriever, through Memory.recall."""
        with_retriever = self.memory if retriever == "hybrid" else self._other(retriever)
        return np.array([self.row[hit.record.id] for hit in with_retriever.recall(text, k=max(CUTS))], np.int64)

    def _other(self, retriever: str) -> Memory:
        if not hasattr(self, f"_{retriever}"):
            setattr(self, f"_{retriever}", Memory(self.memory.path, retriever=retriever))
        memory: Memory = getattr(self, f"_{retriever}")
        return memory

    def controls(self, text: str) -> dict[str, Ranking]:
        """BM25, MiniLM, their fusion by rank, and the formula of a first trial; all see who speaks.

        MiniLM has the name before the text, where it finds a quarter more than in the text alone; hybrid's dense
        part does without, since it scores the speaker on its own and gains nothing from the name.
        """
        words, near = self._words(text), (self.vectors @ self.corpus.embed(text)).astype(np.float64)
        return {
            "BM25": _order(words),
            "MiniLM": _order(near),
            "rank fusion": _order(1 / (_FUSION + _places(words)) + 1 / (_FUSION + _places(near))),
            "trial's formula": _order(self._trial(text, words, near)),
        }

    def _words(self, text: str) -> Floats:
        scores = np.zeros(self.corpus.size)
        rows, found = bm25(self.corpus, query_terms(text))
        scores[rows] = found
        return scores

    def _trial(self, text: str, words: Floats, near: Floats) -> Floats:
        """z-scored sum, smoothed over the turns around it (.5, .25) in the session, and 0.3 of the session's BM25."""
        corpus, both = self.corpus, _z(words) + _z(near)
        smooth = both.copy()
        for beside in (corpus.before, corpus.after):
            rows = np.arange(corpus.size)
            for weight in (0.5, 0.25):
                rows = np.where(rows >= 0, beside[rows], -1)
                smooth += np.where(rows >= 0, weight * both[rows], 0)
        return smooth + 0.3 * _z(self._sessions(text))

    def _sessions(self, text: str) -> Floats:
        """BM25 of the session that a turn is in, taken as one text (k1 1.2, b 0.75), [n]."""
        corpus = self.corpus
        lengths, total = corpus.episode_words.astype(np.float64), np.zeros(len(corpus.episode_words))
        for term in query_terms(text):
            rows, count = corpus.postings(term)
            counts = np.bincount(corpus.episode[rows], count, len(lengths))
            held = int((counts > 0).sum())
            idf = np.log1p((len(lengths) - held + 0.5) / (held + 0.5))
            total += idf * counts * 2.2 / (counts + 1.2 * (0.25 + 0.75 * lengths / lengths.mean()))
        scores: Floats = total[corpus.episode]
        return scores


# ---- fitting


def fit(asked: Sequence[Asked], steps: int = 30) -> Floats:
    """Weights [f] under which the evidence is most likely among all turns of its conversation.

    A listwise softmax (ListNet's top-one likelihood, Cao et al. 2007): minimise the cross entropy between
    softmax(features @ w) and equal shares for the evidence, multi-hop questions counting three times, plus a
    ridge. Convex, so Newton's method finds the one minimum from anywhere.
    """
    x = np.concatenate([one.features for one in asked])  # [turns of all questions, f]
    sizes = np.array([len(one.features) for one in asked])
    starts = np.cumsum(sizes) - sizes
    target = np.concatenate([_shares(one) for one in asked])
    counts = np.repeat([_MULTI_HOP if one.category == "multi-hop" else 1.0 for one in asked], sizes)
    w = np.zeros(x.shape[1])
    for _ in range(steps):
        scores = x @ w
        likely = np.exp(scores - np.repeat(np.maximum.reduceat(scores, starts), sizes))
        likely /= np.repeat(np.add.reduceat(likely, starts), sizes)
        gradient = x.T @ (counts * (likely - target)) + _RIDGE * w
        means = np.add.reduceat(likely[:, None] * x, starts)  # [q f]
        weighted = x * (counts * likely)[:, None]
        hessian = weighted.T @ x - (means * counts[starts][:, None]).T @ means + _RIDGE * np.eye(len(w))
        step = np.linalg.solve(hessian, gradient)
        step *= min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))  # far from the minimum a full step may overshoot
        w = w - step
        if np.abs(step).max() < 1e-6:
            break
    return w


def _shares(one: Asked) -> Floats:
    shares = np.zeros(len(one.features))
    shares[list(one.evidence)] = 1 / len(one.evidence)
    return shares


# ---- measuring


def share(ranked: Ranking, evidence: frozenset[int], cut: int) -> float:
    """Recall of one question."""
    return len(evidence.intersection(ranked[:cut].tolist())) / len(evidence)


def _order(scores: Floats) -> Ranking:
    return np.argsort(-scores, kind="stable")[: max(CUTS)]


def _places(scores: Floats) -> Floats:
    """Place of every turn in the order of its score, from 1."""
    places = np.empty(len(scores))
    places[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
    return places


def _z(scores: Floats) -> Floats:
    spread = float(scores.std())
    return (scores - scores.mean()) / spread if spread > 0 else np.zeros(len(scores))


def _spread(items: Sequence[Any], limit: int | None) -> list[Any]:
    """So many items at equal distances; all without a limit."""
    if limit is None or limit >= len(items):
        return list(items)
    return [items[round(n * len(items) / limit)] for n in range(limit)]


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _gain(mine: Floats, other: Floats, seed: int = 0) -> str:
    """Mean gain with its 95 % interval, by a paired bootstrap over the questions."""
    gains, rng = mine - other, np.random.default_rng(seed)
    means = [gains[rng.integers(0, len(gains), len(gains))].mean() for _ in range(1000)]
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{gains.mean():+.3f} [{low:+.3f}, {high:+.3f}]"
