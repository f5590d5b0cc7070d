"""What a writer makes of a conversation: is it supported, is it junk, and does it help to find the evidence?

Source   LoCoMo (Maharana et al., ACL 2024, arXiv:2402.17753), the conversations of data set "locomo"
Measure  recall: share of a question's evidence turns among what fits so many tokens of quoted memories, a fact
         standing for the turns that it was read in; the budget is the same for every method
         supported: share of facts whose every word of meaning stands in a source, its speaker or its dates
         sound: share of facts that are supported and neither small talk nor vague nor said twice; both are 1 where
         there are no facts
Control  verbatim keeps the turns alone; "first sentence" writes the beginning of each turn down as a fact
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from mnemic import data
from mnemic.bench._methods import chosen
from mnemic.bench.locomo import evidence_of
from mnemic.commit import state_of_chunk
from mnemic.db.changes import uuid7
from mnemic.errors import BudgetError, InputError
from mnemic.meter import Budget
from mnemic.quote import quoted
from mnemic.record import Chunk, Hit, Operation, Record
from mnemic.seams import View, Writer
from mnemic.writers import Verbatim
from mnemic.writers.facts import FactWriter
from mnemic.writers.facts.candidate import content
from mnemic.writers.facts.clauses import unresolved
from mnemic.writers.facts.revising import holds
from mnemic.writers.facts.sentences import idle, sentences

METHODS = {
    "verbatim": "the turns as they are",
    "facts": "the turns, and the facts that rules read in them",
    "facts alone": "the same memory, asked for its facts only",
    "first sentence": "the turns, and the first sentence of each as a fact (control)",
}
_TOKENS = Budget(500, "tokens")
_K = 60  # hits that are looked through until the tokens are used up
_FIRST_PERSON = re.compile(r"\b(?:i|me|my|mine|we|us|our|ours)\b", re.IGNORECASE)
_SAMPLE = 100  # facts of a conversation that are judged


def run(*, limit: int | None = None, methods: Sequence[str] = (), budget: Budget | None = None,
        seed: int = 0) -> list[dict[str, Any]]:  # fmt: skip
    """A row for each method. Raises DataMissing when the data set is not here.

    limit    questions, at most 150 of one conversation; 300 when not given
    budget   tokens of quoted memories for each question
    """
    names = chosen(methods, METHODS)
    budget = budget or _TOKENS
    if budget.unit != "tokens":
        raise BudgetError(f'quoted memories are measured in tokens, not in {budget.unit}: write it like "500 tokens".')
    if limit is not None and limit < 1:
        raise InputError(f"limit is {limit}: give a whole number, at least 1.")
    talks = list(_talks(json.loads(data.read("locomo")), limit or 300))
    return [measure(name, talks, budget, seed).row() for name in names]


Talk = tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]  # a conversation and some of its questions


def _talks(samples: Sequence[Mapping[str, Any]], limit: int) -> Iterator[Talk]:
    """At most 150 questions of a conversation: more of them would measure the same facts again."""
    for sample in samples:
        asked = [qa for qa in sample["qa"] if evidence_of(qa)][: min(150, limit)]
        if asked:
            yield sample, asked
        limit -= len(asked)
        if limit <= 0:
            return


# ---- measuring


@dataclass
class Measured:
    """What one method did, over all conversations.

    flaws   of the judged facts: what is wrong -> how many
    calls   of a language model, and of how many chunks
    """

    method: str
    tokens: list[int] = field(default_factory=list)
    recalls: list[float] = field(default_factory=list)
    bytes: int = 0
    facts: int = 0
    judged: int = 0
    flaws: dict[str, int] = field(default_factory=dict)
    calls: int = 0
    chunks: int = 0

    def row(self) -> dict[str, Any]:
        judged = max(1, self.judged)
        return {
            "method": self.method,
            "tokens": round(sum(self.tokens) / max(1, len(self.tokens))),
            "bytes": self.bytes,
            "recall": sum(self.recalls) / max(1, len(self.recalls)),
            "supported": 1 - self.flaws.get("unsupported", 0) / judged,
            "sound": 1 - sum(self.flaws.values()) / judged,
            "facts": self.facts,
            "questions": len(self.recalls),
            "flaws": dict(self.flaws),
            "calls per 100 chunks": 100 * self.calls / max(1, self.chunks),
        }


def measure(method: str, talks: Sequence[Talk], budget: Budget, seed: int) -> Measured:
    from mnemic.memory import Memory

    done = Measured(method)
    for sample, asked in talks:
        writer = _WRITERS[method]()
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "talk.json"
            file.write_text(json.dumps([sample]), encoding="utf-8")
            with Memory(Path(folder) / "memory.db", writer=writer) as memory:
                for _ in memory.ingest([file]):
                    pass
                done.bytes += memory.used("bytes").amount
                _judge_all(list(memory.records({"kind": "fact"})), memory, done, seed)
                turns = _Turns(memory)
                for qa in asked:
                    _ask(qa, memory, turns, budget, done)
        tally = getattr(writer, "tally", None)
        done.calls, done.chunks = done.calls + (tally.calls if tally else 0), done.chunks + len(turns.named)
    return done


class _Turns:
    """Which turns a record stands for.

    named   names of all turns: "D1:3"
    """

    def __init__(self, view: View) -> None:
        self._of: dict[str, frozenset[str]] = {}
        later: list[Record] = []
        for record in view.records():
            if "turn" in record.metadata and not record.derived_from:
                self._of[record.id] = frozenset({str(record.metadata["turn"])})
            else:
                later.append(record)
        for record in later:
            found = [self._of.get(id, frozenset()) for id in record.derived_from]
            self._of[record.id] = frozenset().union(*found)
        self.named = frozenset().union(*self._of.values()) if self._of else frozenset()

    def of(self, record: Record) -> frozenset[str]:
        return self._of.get(record.id, frozenset())


def _ask(qa: Mapping[str, Any], view: View, turns: _Turns, budget: Budget, done: Measured) -> None:
    wanted = frozenset(evidence_of(qa))
    where = {"kind": "fact"} if done.method == "facts alone" else None
    found, tokens = _within(view.recall(qa["question"], k=_K, where=where), budget, view)
    seen = frozenset().union(*(turns.of(hit.record) for hit in found)) if found else frozenset()
    done.tokens.append(tokens)
    done.recalls.append(len(wanted & seen) / len(wanted))


def _within(hits: Sequence[Hit], budget: Budget, view: View) -> tuple[list[Hit], int]:
    """The best hits, in order, until the next one does not fit; quoted as `ask` quotes them."""
    count: Callable[[str], int] = view.embedder.count  # type: ignore[attr-defined]
    used, taken = 0, []
    for number, hit in enumerate(hits, 1):
        cost = count(quoted(number, hit, hit.record.text))
        if used + cost > budget.amount:
            break
        used += cost
        taken.append(hit)
    return taken, used


# ---- judging


def _judge_all(facts: Sequence[Record], view: View, done: Measured, seed: int) -> None:
    done.facts += len(facts)
    sample = Random(seed).sample(list(facts), min(_SAMPLE, len(facts)))
    texts = [fact.text for fact in facts if fact.until is None]
    for fact in sample:
        done.judged += 1
        flaw = flaw_of(fact, view, texts)
        if flaw:
            done.flaws[flaw] = done.flaws.get(flaw, 0) + 1


def flaw_of(fact: Record, view: View, texts: Sequence[str]) -> str:
    """What is wrong with a fact: unsupported, talk, vague, twice; empty when nothing is. Words only, nobody judges.

    texts   of all facts that hold: one that stands there twice is once too many
    """
    sources = [view.get(id) for id in fact.derived_from]
    if sources and not any(holds(_said(fact), source) for source in sources):
        return "unsupported"
    subject = str(fact.metadata.get("subject", ""))
    if idle(fact.text.removeprefix(f"{subject}: ")):
        return "talk"
    rest = fact.text.removeprefix(subject)
    news = set(content(rest)) - set(content(subject))
    if not subject or len(news) < 2 or _FIRST_PERSON.search(rest) or unresolved(rest):
        return "vague"
    return "twice" if texts.count(fact.text) > 1 else ""


def _said(fact: Record) -> Record:
    """A fact without the word of its relation, where that is the rules' own ("moved to" becomes "lives in")."""
    from dataclasses import replace

    about = fact.metadata
    if "object" not in about:
        return fact
    return replace(fact, text=f"{about.get('subject', '')} {about['object']}")


# ---- writers


class FirstSentence:
    """Control: the beginning of every chunk is a fact."""

    name = "first_sentence"
    keeps_chunks = True

    def observe(self, chunk: Chunk, view: View) -> list[Operation]:
        keep = Operation("insert", uuid7(), after=state_of_chunk(chunk))
        first = next(iter(sentences(chunk.text)), "")
        if not first:
            return [keep]
        state = {"kind": "fact", "text": f"{chunk.speaker or 'Somebody'}: {first}", "source": chunk.source,
                 "time": (keep.after or {})["time"], "derived_from": [keep.target],
                 "metadata": {"subject": chunk.speaker or ""}}  # fmt: skip
        return [keep, Operation("insert", uuid7(), after=state)]


_WRITERS: dict[str, Callable[[], Writer]] = {
    "verbatim": Verbatim, "facts": FactWriter, "facts alone": FactWriter, "first sentence": FirstSentence,
}  # fmt: skip
