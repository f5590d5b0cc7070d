"""The four verdicts from a language model, and how far it agrees with the exact judge where both can judge.

judge = LLMJudge(lm)
agreed = agreement(judge, judge_cases(SlotWorld(users=2).build(), 200))     # kappa by task
trusted(agreed)                                                            # all of them at least 0.8
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mnemic.bench.halumem import prompts
from mnemic.bench.halumem.contract import Found, Judge, Outcome, Score
from mnemic.bench.halumem.faults import Fault, Misreader
from mnemic.bench.halumem.judge import SlotJudge
from mnemic.bench.halumem.prompts import SCHEMAS, quoted_dialogue, quoted_lines, quoted_memories
from mnemic.bench.halumem.reader import RuleReader
from mnemic.bench.halumem.records import MemoryPoint, Question, Session, Turn, User
from mnemic.bench.halumem.systems import Extractor, Verbatim
from mnemic.errors import InputError, ModelError
from mnemic.lm.schema import valid_json
from mnemic.seams import LanguageModel

TRIES = 3  # a verdict that cannot be read three times is none
TASKS = ("integrity", "accuracy", "update", "answer")
BAR = 0.8  # kappa from which a judge may score what no exact judge can


class LLMJudge:
    """Asks a language model at temperature 0; None when its verdict cannot be read.

    A model that is down or refuses the prompt raises ModelError: that is no verdict, and no judgement goes on without.
    """

    def __init__(self, lm: LanguageModel, *, tries: int = TRIES) -> None:
        if tries < 1:
            raise InputError(f"a judge is asked at least once, got tries={tries}.")
        self.lm, self.tries = lm, tries
        self.name = f"llm:{lm.name}"

    def integrity(self, memories: Sequence[str], point: MemoryPoint) -> Score | None:
        asked = f"Memories:\n{quoted_lines(memories)}\n\nFact:\n{quoted_lines([point.text])}"
        said = self._asked("integrity", prompts.INTEGRITY, asked)
        return said["score"] if said else None

    def accuracy(self, dialogue: Sequence[Turn], points: Sequence[MemoryPoint],
                 memory: str) -> tuple[Score, bool] | None:  # fmt: skip
        asked = (f"Dialogue:\n{quoted_dialogue(dialogue)}\n\nFacts known to be true:\n"
                 f"{quoted_lines([point.text for point in points])}\n\nMemory:\n{quoted_lines([memory])}")  # fmt: skip
        said = self._asked("accuracy", prompts.ACCURACY, asked)
        return (said["accuracy_score"], said["is_included_in_golden"]) if said else None

    def update(self, memories: Sequence[Found], point: MemoryPoint) -> Outcome | None:
        asked = (f"Memories returned:\n{quoted_memories(memories)}\n\nNew fact:\n{quoted_lines([point.text])}\n\n"
                 f"It replaces:\n{quoted_lines(point.original)}")  # fmt: skip
        said = self._asked("update", prompts.UPDATE, asked)
        return said["verdict"] if said else None

    def answer(self, question: Question, response: str) -> Outcome | None:
        asked = "\n\n".join((
            f"Question:\n{quoted_lines([question.text])}",
            f"Reference answer:\n{quoted_lines([question.answer])}",
            f"Facts:\n{quoted_lines([point.text for point in question.evidence])}",
            f"Answer given:\n{quoted_lines([response])}",
        ))  # fmt: skip
        said = self._asked("answer", prompts.QA, asked)
        return said["verdict"] if said else None

    def _asked(self, task: str, rules: str, data: str) -> dict[str, Any] | None:
        """First with the schema, then in words: a model that is down fails in both, one that rambles in the first."""
        schema = SCHEMAS[task]
        form = f"Give JSON like {_example(schema)}."
        messages = ({"role": "system", "content": f"{rules} {form}"}, {"role": "user", "content": data})
        for attempt in range(self.tries):
            try:
                if attempt == 0:
                    text = self.lm.complete(messages, max_tokens=60, schema=schema, temperature=0.0).text
                else:
                    text = self._in_words(messages)
                found: dict[str, Any] = json.loads(valid_json(text, schema, self.lm.name))
                return found
            except _Down as down:
                raise down.error from None
            except ModelError:
                continue
        return None

    def _in_words(self, messages: Sequence[Mapping[str, str]]) -> str:
        try:
            return self.lm.complete(messages, max_tokens=120, temperature=0.0).text
        except ModelError as error:
            raise _Down(error) from error


class _Down(Exception):
    """The model itself failed, not its verdict."""

    def __init__(self, error: ModelError) -> None:
        super().__init__(str(error))
        self.error = error


def _example(schema: Mapping[str, Any]) -> str:
    return json.dumps({name: rule.get("enum", [True, False])[0] for name, rule in schema["properties"].items()})


# ---- how far to trust it


@dataclass(frozen=True)
class JudgeCase:
    """One thing to judge: the task, what a judge's method of that name is given, and the exact verdict."""

    task: str
    given: tuple[Any, ...]
    exact: str


@dataclass(frozen=True)
class Agreement:
    """Two judges on the same cases of one task: Cohen's kappa over the readable verdicts, and how many were not."""

    kappa: float
    same: float
    n: int
    unreadable: int


def label(verdict: Any) -> str | None:
    """A verdict as one word; of an accuracy the score and the inclusion."""
    return None if verdict is None else str(verdict)


def judge_cases(users: Sequence[User], n: int = 200, seed: int = 0) -> list[JudgeCase]:
    """Cases of a SlotWorld, a quarter of each task, with every exact verdict as often as there are such cases.

    They come from a memory that keeps everything and from one that drops, distorts and forgets: verdicts differ.
    """
    pools: dict[str, dict[str, list[JudgeCase]]] = defaultdict(lambda: defaultdict(list))
    for number, user in enumerate(users):
        fault = Fault(("corrupt", "drop", "skip")[number % 3], 0.4, seed)
        for system in (Extractor(fault=fault), Verbatim(("user", "assistant"))):
            for session in user.sessions:
                system.add(session.dialogue, session.start)
                for case in _cases(system, session, seed):
                    pools[case.task][case.exact].append(case)
    rng = random.Random(f"judge/{seed}")
    chosen: list[JudgeCase] = []
    for task in TASKS:
        classes = list(pools[task].values())
        for cases in classes:
            rng.shuffle(cases)
        rounds = [case for row in _rounds(classes) for case in row]
        chosen += rounds[: n // len(TASKS)]
    return chosen


def _rounds(classes: Sequence[Sequence[JudgeCase]]) -> list[list[JudgeCase]]:
    return [[cases[n] for cases in classes if n < len(cases)] for n in range(max(map(len, classes), default=0))]


def _cases(system: Extractor | Verbatim, session: Session, seed: int) -> list[JudgeCase]:
    exact = SlotJudge()
    memories = system.session_memories() or []
    true = [point for point in session.points if not point.interference]
    reader = Misreader(RuleReader(), Fault("misread", 0.4, seed))
    given: list[tuple[str, tuple[Any, ...]]] = [("integrity", (memories, point)) for point in session.points]
    given += [("accuracy", (session.dialogue, true, text)) for text in memories]
    updates = [(system.search(point.text, 3), point) for point in session.points if point.update]
    given += [("update", each) for each in updates if each[0]]
    given += [("answer", (q, reader.answer(q.text, system.search(q.text, 20)))) for q in session.questions]
    return [JudgeCase(task, each, str(label(getattr(exact, task)(*each)))) for task, each in given]


def agreement(judge: Judge, cases: Sequence[JudgeCase]) -> dict[str, Agreement]:
    """A judge against the exact one, by task."""
    found: dict[str, Agreement] = {}
    for task in TASKS:
        mine = [case for case in cases if case.task == task]
        if mine:
            said = [label(getattr(judge, task)(*case.given)) for case in mine]
            pairs = [(case.exact, each) for case, each in zip(mine, said, strict=True) if each is not None]
            same = sum(a == b for a, b in pairs) / len(pairs) if pairs else float("nan")
            found[task] = Agreement(kappa(pairs), same, len(mine), len(mine) - len(pairs))
    return found


def kappa(pairs: Sequence[tuple[str, str]]) -> float:
    """Cohen's kappa: agreement beyond what both would reach by chance; NaN when neither ever says anything else."""
    if not pairs:
        return float("nan")
    n = len(pairs)
    seen = sum(a == b for a, b in pairs) / n
    names = {name for pair in pairs for name in pair}
    chance = sum(sum(a == name for a, _ in pairs) * sum(b == name for _, b in pairs) for name in names) / n**2
    return (seen - chance) / (1 - chance) if chance < 1 else float("nan")


def trusted(agreed: Mapping[str, Agreement], bar: float = BAR) -> bool:
    """True when every task was judged, readably and like the exact judge."""
    return set(agreed) == set(TASKS) and all(each.kappa >= bar for each in agreed.values())
