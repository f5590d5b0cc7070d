"""HippoRAG 2: passages that a question only reaches through other passages are found, and plain ones not lost.

MuSiQue's hundred questions over 1,890 passages with ready triples (mnemic.bench.multihop), everything with the
embedder that ships inside; all arms search one file. The control gives every passage another passage's triples.

Beside recall@5 the claim holds three promises: single-hop questions lose nothing (factual), a graph that grew in
five steps equals one that was built at once and gains at every step (continual), and what is forgotten is not found
again while what others share stays (deletion). At scale "full" the configured language model is the filter.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from mnemic.bench.multihop import Question, Scores, Task, asked, load, remember
from mnemic.choose import RetrieverChoice
from mnemic.claims import Check, Claim, Point, Scale, Verdict, at_least, at_most, better, measured
from mnemic.errors import InputError
from mnemic.lm.models import open_model
from mnemic.memory import Memory
from mnemic.meter import Used, disk_bytes, peak_of
from mnemic.recall.packed import Codes, Floats, cosines
from mnemic.store.hipporag2 import HippoRAG2, LLMFilter, keep_all, keep_lexical
from mnemic.store.hipporag2.graph import TripleGraph
from mnemic.store.hipporag2.ranking import minmax
from mnemic.store.hipporag2.slots import Slots
from mnemic.store.hipporag2.triples import Triple, spoken

OURS, DENSE, LEXICAL = "HippoRAG 2", "MiniLM", partial(HippoRAG2, triple_filter=keep_lexical)
_STEPS = 5  # the memory grows in so many
_ENOUGH = 20  # questions, for a gain in mid-growth to mean anything


@dataclass(frozen=True)
class Size:
    """How much of the task: the first questions (None: all); and whether the claim's bars are all held."""

    questions: int | None
    bars: bool


SIZES: Mapping[Scale, Size] = {"smoke": Size(12, False), "laptop": Size(None, True), "full": Size(None, True)}


class PhraseLinked(HippoRAG2):
    """The paper's ablation "query to node": the walk starts at the phrases nearest to the question, not at facts."""

    def seeds(self, query: str) -> dict[str, float]:
        graph = self.graph
        vector = self._memory.corpus.embed(query)
        near = minmax(cosines(graph.phrases.codes, graph.phrases.scale, vector))
        top = np.argsort(-near, kind="stable")[: self.settings.linked].tolist()
        return {str(graph.phrases.keys[slot]): float(near[slot]) / int(graph.spread_of[slot]) for slot in top}


def run(scale: Scale, seed: int, *, sabotage: bool = False) -> Claim:
    """Build one file, search it with every arm; then let memories grow and forget."""
    size, ours = SIZES[scale], _ours(scale)
    task = the_task(size.questions, seed if sabotage else None)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "musique.db"
        built = peak_of(build, str(file), size.questions, seed if sabotage else None)
        arms: dict[str, RetrieverChoice] = {
            "BM25": "lexical", DENSE: "dense", "query to node": PhraseLinked,
            "HippoRAG 2, no filter": partial(HippoRAG2, triple_filter=keep_all), OURS: ours,
        }  # fmt: skip
        scores = {name: _searched(file, retriever, task.questions) for name, retriever in arms.items()}
        hops = [_searched(file, arms[name], task.hops, cuts=(5,)).mean(5) for name in (DENSE, OURS)]
        promises = [
            measured("factual: recall@5 of single hops, ours - dense", hops[1] - hops[0], at_least=-0.02),
            *_grown(Path(folder) / "grown.db", task),
            measured("deletion: nothing forgotten is found, shared phrases stay", _forgets(file, task)),
        ]
        points = [_point(name, found, file, seed) for name, found in scores.items()]
    gains: list[Check | Verdict] = [better(OURS, than=DENSE, by=0.05, surely=size.bars), better(OURS, than="BM25")]
    bars: list[Check | Verdict] = [
        at_least(OURS, 0.69),
        at_most(OURS, 15, of="query_ms"),
        measured("index: seconds, embedding included", built.result, at_most=60),
        measured("index: peak of the process, MB", built.used.amount / 1e6, at_most=500),
    ]
    return Claim(
        says="a graph of phrases and passages finds scattered evidence that dense retrieval misses",
        points=points,
        holds=[*gains, *promises, *(bars if size.bars else [])],
        quality="recall@5",
        baseline=DENSE,
        method=OURS,
        paper={DENSE: 0.697, OURS: 0.747},
        setting="paper: NV-Embed-v2 (7 B) alone and inside, triples and filter by a 70 B model, 1,000 questions; here "
        "MiniLM in int8, ready triples, shared words as the filter, 100 questions",
    )


def the_task(questions: int | None, shuffle: int | None) -> Task:
    """The task or its beginning; with a seed to shuffle by, every passage gets another one's triples."""
    task = load() if questions is None else load().among(questions)
    task = task if questions is None else _thinned(task)
    if shuffle is None:
        return task
    order = np.random.default_rng(shuffle).permutation(len(task.passages))
    return replace(task, triples=[task.triples[n] for n in order])


def _thinned(task: Task) -> Task:
    """Every passage that is asked for, and each twelfth of the others: at scale "smoke" embedding takes longest."""
    needed = {n for question in [*task.questions, *task.hops] for n in question.gold}
    kept = sorted(needed | set(range(0, len(task.passages), 12)))
    number = {old: new for new, old in enumerate(kept)}
    questions, hops = (
        [replace(question, gold=frozenset(number[n] for n in question.gold)) for question in some]
        for some in (task.questions, task.hops)
    )
    return Task([task.passages[n] for n in kept], [task.triples[n] for n in kept], questions, hops)


def build(file: str, questions: int | None, shuffle: int | None) -> float:
    """Index the task into a new file; returns the seconds from the first passage to the first answer."""
    task = the_task(questions, shuffle)
    start = time.perf_counter()
    with Memory(file, retriever=LEXICAL) as memory:
        remember(memory, task)
        memory.recall("warm up")
    return time.perf_counter() - start


def _ours(scale: Scale) -> RetrieverChoice:
    if scale != "full":
        return LEXICAL
    lm = open_model(None)
    if lm is None:
        raise InputError('scale "full" filters with a language model: set MNEMIC_LLM_BASE_URL and MNEMIC_LLM_MODEL.')
    return partial(HippoRAG2, triple_filter=LLMFilter(lm))


def _searched(
    file: Path, retriever: RetrieverChoice, questions: list[Question], cuts: tuple[int, ...] = (2, 5, 10)
) -> Scores:
    with Memory(file, retriever=retriever) as memory:
        memory.recall("warm up")
        return asked(memory, questions, cuts)


def _point(name: str, found: Scores, file: Path, seed: int) -> Point:
    """What an arm reached, and what it keeps on disk: the file, and for a graph the cache of its vectors."""
    on_disk = disk_bytes(file).parts
    graph = sum(size for part, size in on_disk.items() if part.endswith(".cache"))
    parts = {"file": sum(on_disk.values()) - graph}
    if name == "query to node" or "HippoRAG" in name:
        parts["graph cache"] = graph
    used = Used(sum(parts.values()), "bytes", parts)
    extra = {"recall@2": found.mean(2), "recall@10": found.mean(10), "query_ms": found.wait_ms}
    return Point(name, used, found.mean(5), seed, extra, found.recall[5])


# ---- the promises of a memory


def _grown(file: Path, task: Task) -> list[Verdict]:
    """Let a memory grow in five steps, asking at each what it can know by then; then build its graph at once.

    With the same vectors: a text's int8 vector depends a little on what it was embedded together with.
    """
    gains = []
    with Memory(file, retriever=LEXICAL) as memory:
        for step in np.array_split(np.arange(len(task.passages)), _STEPS):
            remember(memory, task, step.tolist())
            known = [question for question in task.questions if max(question.gold) <= step[-1]]
            if len(known) >= _ENOUGH or step[-1] == len(task.passages) - 1:
                ours = asked(memory, known, cuts=(5,)).mean(5)
                gains.append(ours - _searched(file, "dense", known, cuts=(5,)).mean(5))
        grown = _graph(memory)
        same = named(grown, memory) == named(rebuilt(grown), memory)
    return [
        measured("continual: a graph grown in five steps equals one built at once", same),
        measured(f"continual: least gain over dense at {len(gains)} of the steps", min(gains), at_least=0.0),
    ]


def _forgets(file: Path, task: Task) -> bool:
    """Forget the passages that a question needs: they are not found, what others say stays, a rebuild is the same."""
    question = task.questions[0]
    with Memory(file, retriever=LEXICAL) as memory:
        of = {int(record.place or -1): record.id for record in memory.records()}
        gone = {of[n] for n in question.gold}
        stated = _graph(memory).triples()
        shared = {phrase for id, facts in stated.items() if id not in gone for s, _, o in facts for phrase in (s, o)}
        memory.forget(where={"id": sorted(gone)})
        found = {hit.record.id for hit in memory.recall(question.text, k=50)}
        clean = not found & gone and set(_graph(memory).phrases.of) == shared
        followed = named(_graph(memory), memory)
    with Memory(file, retriever=LEXICAL) as memory:
        return clean and followed == named(_graph(memory), memory)


def rebuilt(graph: TripleGraph) -> TripleGraph:
    """The graph of the same passages, added at once, with the same vectors."""
    rows: dict[str, tuple[Slots[str] | Slots[Triple], int]] = {
        **{phrase: (graph.phrases, slot) for phrase, slot in graph.phrases.of.items()},
        **{spoken(fact): (graph.facts, slot) for fact, slot in graph.facts.of.items()},
    }

    def known(texts: Sequence[str]) -> tuple[Codes, Floats]:
        found = [rows[text] for text in texts]
        codes = np.array([slots.codes[slot] for slots, slot in found])
        return codes, np.array([slots.scale[slot] for slots, slot in found])

    fresh = TripleGraph(graph.phrases.codes.shape[1])
    fresh.add(graph.triples(), known)
    return fresh


def _graph(memory: Memory) -> TripleGraph:
    graph: TripleGraph = memory.retriever.graph  # type: ignore[attr-defined]
    return graph


def named(graph: TripleGraph, memory: Memory) -> dict[tuple[str, str], float]:
    """Edges of a graph by the names of their ends (passages by their place), with the chance to follow them."""
    place = {record.id: f"passage {record.place}" for record in memory.records()}
    names = [*graph.phrases.keys, *(place.get(id or "") for id in graph.passages.keys)]
    ends = np.repeat(np.arange(len(graph)), np.diff(graph.walk.start)).tolist()
    edges = zip(ends, graph.walk.to.tolist(), graph.walk.share.tolist(), strict=True)
    return {(str(names[a]), str(names[b])): round(share, 9) for a, b, share in edges}
