"""AriGraph: a graph of facts, with the observations behind them, plans where history, retrieval and summary fail.

One scripted player, mazes of 12, 24 and 36 rooms with a locker in each, one budget of tokens for every memory
(mnemic.bench.exploration). Nobody's memory is asked for more than text; "go to" and the names of visited places are
given to all; one reader makes AriGraph's facts and reads raw observations for the player. Two more arms read with one
that misses 3 % of all sentences, the same ones for both: how much the graph loses then is reported, not gated.

Beside the score the claim holds three promises: retrieved facts about places are true now, and would not be without
refinement; on MuSiQue, observations found through their facts are not worse than similarity alone; logged runs of
the paper's agent with GPT-4 give the logged graph (no model is asked: the replies are in the log).

The control looks up random facts and observations, and drops random facts instead of outdated ones.
"""

from __future__ import annotations

import json
import random
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from mnemic import data
from mnemic.bench.exploration import (
    BUDGET,
    MEMORIES,
    METHODS,
    GraphMemory,
    Make,
    Played,
    Remembering,
    graph,
    mazes,
    row,
)
from mnemic.claims import Check, Claim, Point, Scale, Verdict, at_least, at_most, better, measured
from mnemic.claims._checks import gain_interval
from mnemic.lm.doubles import HashEmbedder
from mnemic.lm.minilm import MiniLM
from mnemic.meter import Budget, Used
from mnemic.seams import Embedder
from mnemic.store.arigraph import AriGraph, Replacement, RuleTriplets, Settings, Triplet, logged_runs, replayed
from mnemic.store.arigraph.search import episodic, match_term, semantic
from mnemic.store.arigraph.vectors import VectorCache

OURS, NO_REFINING = "AriGraph", "AriGraph without refining"
RIVALS = ("full history", "summary", "RAG")
MISREAD = ("summary", OURS)  # with the suffix below
_SUFFIX, _MISSES = ", 3 % misread", 0.03
SEEDS = (0, 1, 2)
_CUTS = (2, 3, 5)
_TAU = 0.5  # of the MuSiQue check, for cosines of MiniLM


@dataclass(frozen=True)
class Size:
    """How many mazes of each number of rooms, and whether all bars are held."""

    rooms: tuple[int, ...]
    mazes: int
    bars: bool


SIZES: Mapping[Scale, Size] = {
    "smoke": Size((12,), 2, False),
    "laptop": Size((12, 24, 36), 3, True),
    "full": Size((12, 24, 36), 30, True),
}


class RandomLookUp(AriGraph):
    """The control: as many facts and observations as the method finds, but any; as many deletions, but of any facts."""

    dice = random.Random(0)

    def _refined(self, read: Sequence[Triplet]) -> list[Replacement]:
        known = list(self.graph.triplets)
        meant = super()._refined(read)
        return [Replacement(self.dice.choice(known), each.new) for each in meant]

    def _found(self, queries: Mapping[str, int]) -> dict[Triplet, float]:
        found = super()._found(queries)
        known = list(self.graph.triplets)
        return dict.fromkeys(self.dice.sample(known, min(len(found), len(known))), 1.0)


def control(budget: Budget, reader: RuleTriplets, seed: int) -> Remembering:
    """AriGraph with random look-ups, from the same parts."""
    whole = graph(budget, reader).memory
    scrambled = RandomLookUp(
        budget=budget, extractor=whole.extractor, refiner=whole.refiner, embedder=whole.vectors.embedder,
        settings=whole.settings,
    )  # fmt: skip
    scrambled.dice = random.Random(f"control {seed}")
    return GraphMemory(scrambled)


def run(scale: Scale, seed: int, *, sabotage: bool = False) -> Claim:
    """Play every maze with every memory, then look at facts, questions and logs."""
    size = SIZES[scale]
    arms: dict[str, Make] = {**MEMORIES, **({OURS: control} if sabotage else {})}
    told = [(name, name, 0.0) for name in METHODS if name != OURS]
    told += [(name + _SUFFIX, name, _MISSES) for name in MISREAD] + [(OURS, OURS, 0.0)]
    played = {
        title: {
            rooms: mazes(name, rooms, number=size.mazes, seed=seed, make=arms[name], misses=misses)
            for rooms in size.rooms
        }
        for title, name, misses in told
    }
    points = [_point(name, some, seed) for name, some in played.items()]
    return Claim(
        says="under one budget of tokens a graph with its observations finds the way where history, summary and RAG "
        "do not",
        points=points,
        holds=[*_gains(size), *(_bars(size) if size.bars else [])],
        quality="score",
        baseline="full history",
        method=OURS,
        paper={OURS: 1.0, "full history": 0.49, "summary": 0.33, "RAG": 0.33},
        setting="paper: a treasure hunt of 12 rooms, GPT-4 reads, plans and acts; here generated mazes, rules read, "
        "one scripted player for all, 200 tokens of memory",
    )


def _point(name: str, played: Mapping[int, Sequence[Played]], seed: int) -> Point:
    games = [game for some in played.values() for game in some]
    told = row(name, played)
    used = Used(max(game.tokens for game in games), "tokens", {"mean": round(statistics.fmean(g.mean for g in games))})
    extra = {key: float(told[key]) for key in told if key not in ("method", "score", "tokens")}
    return Point(name, used, told["score"], seed, extra, [game.score for game in games])


def _gains(size: Size) -> list[Check | Verdict]:
    gains: list[Check | Verdict] = [better(OURS, than=rival, by=0.2, surely=size.bars) for rival in RIVALS]
    misread = better(OURS + _SUFFIX, than="summary" + _SUFFIX, by=0.2)
    return [*gains, misread, better(OURS, than="no memory", by=0.3), at_most(OURS, 0.02, of="stale"),
            at_least(NO_REFINING, 0.15, of="stale")]  # fmt: skip


def _bars(size: Size) -> list[Check | Verdict]:
    """What the issue asks for, size by size, then questions and logs."""
    sizes = [f"score, {rooms} rooms" for rooms in size.rooms]
    reached: list[Check | Verdict] = [at_least(OURS, 0.9, of=each) for each in sizes]
    failed: list[Check | Verdict] = [at_most(rival, 0.7, of=each) for each in sizes for rival in RIVALS]
    return [*reached, *failed, *questions(), *_replays()]


@cache
def _replays() -> list[Verdict]:
    """Logged runs of the paper's agent. Raises DataMissing when the logs are nowhere."""
    verdicts = []
    for game in ("hunt", "cook"):
        log = replayed(logged_runs(data.read("arigraph_logs", game)))
        says = f"replay of {game}: share of {log.steps} steps after which the graph is the logged one"
        verdicts.append(measured(says, log.stepwise, at_least=0.9))
        verdicts.append(measured(f"replay of {game}: facts in common, never put right", log.kept, at_least=0.9))
    return verdicts


# Observations found through facts: MuSiQue, every question among its own twenty paragraphs.


@cache
def questions(limit: int | None = None) -> list[Verdict]:
    """Recall of supporting paragraphs at 5: both terms against similarity alone, and against the match term alone.

    No seed is in it: worked out once for all.
    """
    found = musique(MiniLM(), limit)
    both, dense, match = (found[name][5] for name in ("both", "dense", "match"))
    gain = gain_interval(both, dense)
    means = {name: "/".join(f"{statistics.fmean(cuts[cut]):.3f}" for cut in _CUTS) for name, cuts in found.items()}
    told = ", ".join(f"{name} {mean}" for name, mean in means.items())
    over, beyond = (statistics.fmean(both) - statistics.fmean(other) for other in (dense, match))
    return [
        Verdict(f"MuSiQue recall@2/3/5: {told}; both - dense at 5", over, ">= -0.02", over >= -0.02, gain),
        Verdict("MuSiQue: both terms - match term alone, recall@5", beyond, "> 0", beyond > 0),
    ]


def musique(embedder: Embedder, limit: int | None = None) -> dict[str, dict[int, list[float]]]:
    """Ranking -> cut -> recall of each question's supporting paragraphs. Raises DataMissing."""
    ready = {doc["passage"]: doc["extracted_triples"] for doc in json.loads(data.read("musique", "triples"))["docs"]}
    vectors = VectorCache(embedder)
    found: dict[str, dict[int, list[float]]] = {
        name: {cut: [] for cut in _CUTS} for name in ("dense", "match", "both")
    }  # fmt: skip
    for question in json.loads(data.read("musique", "questions"))[:limit]:
        texts = [f"{part['title']}\n{part['paragraph_text']}" for part in question["paragraphs"]]
        gold = {n for n, part in enumerate(question["paragraphs"]) if part["is_supporting"]}
        for name, scores in _rankings(question["question"], texts, ready, vectors).items():
            order = sorted(range(len(texts)), key=lambda n, scores=scores: -scores[n])  # type: ignore[misc]
            for cut in _CUTS:
                found[name][cut].append(len(gold.intersection(order[:cut])) / len(gold))
    return found


def _rankings(question: str, texts: Sequence[str], ready: Mapping[str, Sequence[Sequence[str]]],
              vectors: VectorCache) -> dict[str, list[float]]:  # fmt: skip
    """Scores of paragraphs. Queries: the question and its capitalised spans, depth 1."""
    memory = AriGraph(budget=BUDGET, extractor=RuleTriplets(), embedder=HashEmbedder(), settings=Settings(tau=_TAU))
    memory.learn(texts, [[(s, r, o) for s, r, o in (t for t in ready.get(text, ()) if len(t) == 3)] for text in texts])
    spans = re.findall(r"[A-Z][\w'.-]*(?: (?:(?:of|the|and|de) )?[A-Z][\w'.-]*)*", question)
    queries = dict.fromkeys([question, *(span.lower() for span in spans)], 1)
    subgraph = frozenset(semantic(queries, list(memory.graph.triplets), vectors, top=memory.settings.k, tau=_TAU))
    dense = vectors.scores(question, list(texts)).tolist()
    match = [match_term(each.triplets, subgraph) for each in memory.graph.episodes]
    return {"dense": dense, "match": match, "both": episodic(question, subgraph, memory.graph.episodes, vectors)}
