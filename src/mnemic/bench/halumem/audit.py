"""The runner: sessions in order, what each left, whether updates are found, what is answered; every step judged.

    report = evaluate(lambda: Extractor(), users, judge=SlotJudge(), reader=RuleReader())

An Audit takes user after user and can be saved between them: verdicts of a language model are worth keeping.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeVar

from mnemic.bench.halumem.cases import Cases, MemoryCase, PointCase, QuestionCase, UpdateCase
from mnemic.bench.halumem.contract import Found, Judge, MemorySystem, Reader, Weighed
from mnemic.bench.halumem.judge import SlotJudge
from mnemic.bench.halumem.prompts import quoted_memories
from mnemic.bench.halumem.reader import RuleReader
from mnemic.bench.halumem.records import MemoryPoint, Question, Session, User
from mnemic.bench.halumem.report import Report
from mnemic.errors import BudgetError, InputError
from mnemic.lm.exchange import estimate
from mnemic.meter import Budget, Used

T = TypeVar("T")

PARTS = ("extraction", "update", "qa")
QUERIES = ("new", "old", "slot")


class Audit:
    """Operation-level scores of a memory system.

    system            makes a new, empty memory: called once per user
    judge, reader     who scores, who answers
    k_update, k_qa    memories that a search returns for an update, for a question
    budget            tokens of a prompt: the question and as many of the found memories as fit, best first
    queries           what updates are searched by: "new" text (the score), "old" text, "slot" (what both share)
    parts             what is run: extraction, update, qa
    """

    def __init__(self, system: Callable[[], MemorySystem], *, judge: Judge | None = None, reader: Reader | None = None,
                 k_update: int = 10, k_qa: int = 20, budget: Budget | str = "2000 tokens",
                 queries: Sequence[str] = QUERIES, parts: Sequence[str] = PARTS) -> None:  # fmt: skip
        self.system, self.judge, self.reader = system, judge or SlotJudge(), reader or RuleReader()
        self.k_update, self.k_qa = k_update, k_qa
        self.budget = Budget.of(budget)
        if self.budget.unit != "tokens":
            raise BudgetError(f'an audit is given tokens of a prompt, not {self.budget}: write it like "2000 tokens".')
        if k_update < 1 or k_qa < 1:
            raise InputError(f"a search returns at least one memory, got k_update={k_update} and k_qa={k_qa}.")
        if "new" not in queries or not set(queries) <= set(QUERIES) or not set(parts) <= set(PARTS):
            raise InputError(f"queries are some of {QUERIES}, new among them, and parts some of {PARTS}.")
        self.queries, self.parts = tuple(queries), frozenset(parts)
        self.cases = Cases()

    def add(self, user: User) -> None:
        """Run all sessions of one user through a new memory. A user who is in already is passed over."""
        if user.id in self.cases.users:
            return
        memory = self.system()
        for number, session in enumerate(user.sessions):
            self._timed("ingest", partial(memory.add, session.dialogue, session.start))
            if not session.filler:  # filler is remembered, never scored
                self._judge(memory, user.id, number, session)
        self.cases.kept_bytes += memory.kept_bytes() if isinstance(memory, Weighed) else 0
        self.cases.users.append(user.id)

    def _judge(self, memory: MemorySystem, user: str, number: int, session: Session) -> None:
        if "extraction" in self.parts:
            self._extraction(memory.session_memories(), user, number, session)
        if "update" in self.parts:
            self.cases.updates += [
                self._update(memory, user, number, point) for point in session.points if point.update
            ]
        if "qa" in self.parts:
            self.cases.questions += [self._question(memory, user, number, each) for each in session.questions]

    def _extraction(self, memories: list[str] | None, user: str, number: int, session: Session) -> None:
        if memories is None:
            self.cases.tells = False
            return
        self.cases.read_tokens["extraction"] += sum(_tokens(text) for text in memories)
        for point in session.points:
            score = self.judge.integrity(memories, point)
            self.cases.points.append(PointCase(user, number, point.text, point.type, point.source, point.importance,
                                               point.update, score))  # fmt: skip
        true = [point for point in session.points if not point.interference]
        for text in memories:
            verdict = self.judge.accuracy(session.dialogue, true, text)
            score, included = verdict if verdict is not None else (None, False)
            self.cases.memories.append(MemoryCase(user, number, text, score, included))

    def _update(self, memory: MemorySystem, user: str, number: int, point: MemoryPoint) -> UpdateCase:
        words = {"new": point.text, "old": point.original[0], "slot": slot_query(point)}
        found = {name: self._searched(memory, words[name], self.k_update) for name in self.queries}
        self.cases.read_tokens["update"] += sum(_tokens(each.text) for hits in found.values() for each in hits)
        # Nothing found is an omission, whatever the judge would say: a system cannot escape by returning nothing.
        outcomes = {name: self.judge.update(hits, point) if hits else "Omission" for name, hits in found.items()}
        returned = {name: len(hits) for name, hits in found.items()}
        return UpdateCase(user, number, point.text, point.type, outcomes, returned)

    def _question(self, memory: MemorySystem, user: str, number: int, question: Question) -> QuestionCase:
        found, tokens = within(self._searched(memory, question.text, self.k_qa), question.text, self.budget)
        self.cases.read_tokens["qa"] += tokens
        response = self.reader.answer(question.text, found)
        texts = [each.text for each in found]
        evidence = {point.text: self.judge.integrity(texts, point) == 2 for point in question.evidence}
        outcome = self.judge.answer(question, response)
        return QuestionCase(user, number, question.text, question.type, question.answer, response, outcome, evidence,
                            tokens)  # fmt: skip

    def _searched(self, memory: MemorySystem, query: str, k: int) -> list[Found]:
        return self._timed("search", partial(memory.search, query, k))[:k]

    def _timed(self, what: str, call: Callable[[], T]) -> T:
        start = time.perf_counter()
        result = call()
        self.cases.seconds[what] += time.perf_counter() - start
        return result

    def report(self) -> Report:
        return Report(self.cases)

    def used(self) -> Used:
        """The largest prompt, in tokens; parts: all tokens that answering and judging had to read, by task."""
        largest = max((case.prompt_tokens for case in self.cases.questions), default=0)
        return Used(largest, "tokens", dict(self.cases.read_tokens))

    def save(self, path: str | Path) -> None:
        """Write all cases as JSON: whole, or the old file stays."""
        file = Path(path)
        part = file.with_name(file.name + ".part")
        part.write_text(json.dumps(self.cases.as_json(), ensure_ascii=False), encoding="utf-8")
        os.replace(part, file)

    def load(self, path: str | Path) -> None:
        """Go on from what `save` wrote: its users are not run again."""
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: no audit in it ({error}): give a file that Audit.save wrote.") from None
        self.cases = Cases.of_json(data)


def evaluate(system: Callable[[], MemorySystem], users: Iterable[User], *, judge: Judge | None = None,
             reader: Reader | None = None, k_update: int = 10, k_qa: int = 20, budget: Budget | str = "2000 tokens",
             queries: Sequence[str] = QUERIES, parts: Sequence[str] = PARTS) -> Report:  # fmt: skip
    """Audit a memory system on all users; arguments as in Audit."""
    audit = Audit(system, judge=judge, reader=reader, k_update=k_update, k_qa=k_qa, budget=budget, queries=queries,
                  parts=parts)  # fmt: skip
    for user in users:
        audit.add(user)
    return audit.report()


def within(found: Sequence[Found], question: str, budget: Budget) -> tuple[list[Found], int]:
    """The best memories that fit beside the question, and the tokens of both."""
    used = _tokens(question)
    if used > budget.amount:
        raise BudgetError(f"the question alone takes {used} tokens and the budget is {budget}: give a larger one.")
    kept = []
    for each in found:
        more = _tokens(quoted_memories([each])) + 1  # and the line break
        if used + more > budget.amount:
            break
        kept.append(each)
        used += more
    return kept, used


def slot_query(point: MemoryPoint) -> str:
    """What the new and the old text begin with in common, else the words that they share: the slot without a value."""
    new, old = point.text.split(), point.original[0].split()
    same = next((n for n, (a, b) in enumerate(zip(new, old, strict=False)) if a != b), min(len(new), len(old)))
    shared = new[:same] if same > 1 else [word for word in new if word in old]
    return " ".join(shared) or point.text


@lru_cache(maxsize=100_000)
def _tokens(text: str) -> int:
    return estimate(text)
