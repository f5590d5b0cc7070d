"""The system itself: answers a stream of questions and keeps what it learned in one text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from mnemic.context.dynamic_cheatsheet import prompts
from mnemic.context.dynamic_cheatsheet.coding import Transcript, generated
from mnemic.context.dynamic_cheatsheet.curating import Curation, Limits
from mnemic.context.dynamic_cheatsheet.log import Log
from mnemic.context.dynamic_cheatsheet.parsing import final_answer
from mnemic.context.dynamic_cheatsheet.prompts import EMPTY
from mnemic.context.dynamic_cheatsheet.retrieval import Pair, stacked
from mnemic.context.dynamic_cheatsheet.saving import read, write
from mnemic.context.dynamic_cheatsheet.steps import Answered, Round, Spent
from mnemic.context.dynamic_cheatsheet.variants import EMBED, KEEP_PAIRS, VARIANTS, Look, rewritten
from mnemic.errors import BudgetError, InputError, NotFound
from mnemic.lm.embedders import open_embedder
from mnemic.lm.exchange import Message
from mnemic.meter import Budget, Used
from mnemic.sandbox import CodeRunner
from mnemic.seams import Embedder, LanguageModel, Vectors

_ROOM = Budget(4000, "tokens")  # 2,500 words of English and code, more or less
_LONG = 20_000  # characters
_WORDS_PER_TOKEN = 0.6  # of a cheatsheet: prose has 0.75, code about half of it


@dataclass(frozen=True)
class Settings:
    """The numbers of the method; the defaults are the paper's where it has one.

    max_tokens      of one answer; a curator may write twice as many
    top_k           pairs that are looked up
    rounds          answers to the same question, each after the memory was rewritten (cumulative only)
    max_words       of the memory, as the curator is told; fewer when the budget holds fewer
    shrink          a rewriting that keeps less than this share of the words is reported as shrunk
    refuse_shrunk   and does not replace the old memory
    without_block   retrieval_synthesis, when the curator returns no memory: "keep" the old one, or use the "pairs"
    """

    max_tokens: int = 2048
    temperature: float = 0.0
    top_k: int = 3
    rounds: int = 1
    max_words: int = 2500
    shrink: float = 0.6
    refuse_shrunk: bool = False
    without_block: Literal["keep", "pairs"] = "keep"

    def __post_init__(self) -> None:
        for name in ("max_tokens", "top_k", "rounds", "max_words"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}: give at least 1.")
        if self.without_block not in ("keep", "pairs"):
            raise InputError(f'without_block is "{self.without_block}": give "keep" or "pairs".')
        if not 0 <= self.shrink <= 1:
            raise InputError(f"shrink is {self.shrink:g}: give a share between 0 and 1.")


class DynamicCheatsheet:
    """Answers questions with a memory that the model itself writes; no labels, no training.

    variant    which control flow: one of VARIANTS
    budget     tokens of the memory part of the prompt
    code       runs the code that an answer flags, SandboxRunner(timeout=3) say; None: the model is not told of it
    embedder   for the two variants that retrieve; None for the one that ships inside
    task       what is to be done with every question; stands before it, and is not looked at when retrieving
    start      the memory to begin with
    """

    def __init__(
        self,
        lm: LanguageModel,
        *,
        variant: str = "cumulative",
        budget: Budget | str = _ROOM,
        code: CodeRunner | None = None,
        embedder: Embedder | None = None,
        task: str = "",
        start: str = EMPTY,
        settings: Settings | None = None,
    ) -> None:
        self.lm, self.variant, self.budget = lm, variant, Budget.of(budget)
        self.code, self.task, self.settings = code, task, settings or Settings()
        self._counted = lru_cache(1024)(lm.count)
        self._embedder = embedder
        self.memory, self.answered = start.strip() or EMPTY, 0
        self.pairs: list[Pair] = []
        self._vectors: list[Vectors] = []
        self._shown = 0
        self._check()

    def _check(self) -> None:
        if self.variant not in VARIANTS:
            raise NotFound(f'there is no variant "{self.variant}": there are {", ".join(VARIANTS)}.')
        if self.budget.unit != "tokens":
            raise BudgetError(
                f'a cheatsheet is measured in tokens, not in {self.budget.unit}: write it like "4000 tokens".'
            )
        if self.settings.rounds > 1 and self.variant != "cumulative":
            raise InputError(f"only cumulative answers a question {self.settings.rounds} times: leave rounds at 1.")
        if self.tokens(self.memory) > self.budget.amount:
            raise BudgetError(
                f"the cheatsheet takes {self.count(self.memory)} tokens, the budget is {self.budget}: give more, or "
                "shorten it by hand."
            )

    # ---- answering

    def answer(self, question: str) -> Answered:
        """Answer the next question of the stream. Raises ModelError when the model fails; then nothing changed."""
        if not question.strip():
            raise InputError("there is no question: give at least one word.")
        turn = Turn(self, question)
        look = VARIANTS[self.variant](self, turn)
        rounds, curations, memory = self._rounds(turn, look)
        done = Answered(
            n=turn.n, question=question, answer=rounds[-1].answer, transcript=rounds[-1].transcript, shown=look.text,
            cheatsheet_before=self.memory, cheatsheet_after=memory, rounds=tuple(rounds), curations=tuple(curations),
            retrieved=look.retrieved, spent=turn.spent(),
        )  # fmt: skip
        self._keep(done)
        return done

    def answer_stream(self, questions: Iterable[str], *, log: str | Path | None = None) -> Iterator[Answered]:
        """Answer one question after the other; each result is yielded when it is there.

        log   a JSONL file: every step is written and synced before it is yielded. When it holds steps already, they
              are read instead of asked again (for a sheet that has answered nothing yet), and the stream goes on.
        """
        if log is None:
            for question in questions:
                yield self.answer(question)
            return
        with Log(Path(log), self._identity()) as steps:
            for n, question in enumerate(questions, 1):
                yield self._logged(steps, n, question)

    def _logged(self, log: Log, n: int, question: str) -> Answered:
        past = log.step(n, question)
        if past is not None:
            if self.answered < n:
                self._keep(past)
            return past
        if self.answered != n - 1:
            raise InputError(
                f"{log.path} holds {n - 1} answers and this sheet has given {self.answered}: go on with the sheet that "
                "wrote the log, with a fresh one, or with another file."
            )
        done = self.answer(question)
        log.append(done)
        return done

    def _identity(self) -> dict[str, object]:
        """What must be the same for a log to be gone on with."""
        return {"model": self.lm.name, "variant": self.variant, "budget": self.budget.amount, "task": self.task,
                "code": self.code is not None, "settings": vars(self.settings)}  # fmt: skip

    def _rounds(self, turn: Turn, look: Look) -> tuple[list[Round], list[Curation], str]:
        """Answers, rewritings and the memory that results; nothing is kept yet."""
        rounds: list[Round] = []
        curations, memory = list(look.curations), look.memory
        for _ in range(self.settings.rounds):
            shown = look.text if not rounds else self._with_answers(memory, rounds)
            rounds.append(self._round(turn, shown))
            if self.variant == "cumulative":
                curations.append(rewritten(self, turn, memory, rounds[-1].transcript))
                memory = curations[-1].memory
        return rounds, curations, memory

    def _round(self, turn: Turn, shown: str | None) -> Round:
        if shown is None:
            prompt, runner = prompts.baseline(turn.asked), None
        else:
            prompt, runner = prompts.generator(turn.asked, shown, code=self.code is not None), self.code
        turn.shows(self.tokens(shown), self.count(prompt))
        said: Transcript = generated(turn.generate, prompt, runner)
        return Round(prompt, said.text, final_answer(said.text), said.runs)

    def _with_answers(self, memory: str, rounds: Sequence[Round]) -> str:
        """The memory with the earlier answers to the same question, as many of the last as fit."""
        for first in range(len(rounds)):
            said = "; ".join(f"Round {n}: {each.answer}" for n, each in enumerate(rounds, 1) if n > first)
            text = f"{memory}\n\nEARLIER ANSWERS TO THIS QUESTION\n{said}"
            if self.count(text) <= self.budget.amount:
                return text
        return memory

    def _keep(self, done: Answered) -> None:
        """What is remembered of a step; the same for a step that was just made and for one from a log."""
        if self.variant in KEEP_PAIRS:
            if self.variant in EMBED:
                self._vectors.append(self.embedded(done.question))
            self.pairs.append(done.pair)
        self.memory, self.answered, self._shown = done.cheatsheet_after, done.n, done.spent.memory

    # ---- what the variants look at

    @property
    def vectors(self) -> Vectors:
        """[pairs d], of the raw questions."""
        return stacked(self._vectors)

    @property
    def words(self) -> int:
        """Words that the curator is told to keep to."""
        return max(1, min(self.settings.max_words, int(self.budget.amount * _WORDS_PER_TOKEN)))

    @property
    def limits(self) -> Limits:
        """What a new memory must keep to."""
        return Limits(self.budget.amount, self.settings.shrink, self.settings.refuse_shrunk)

    def count(self, text: str) -> int:
        """Tokens of a text, as the model counts; pairs are counted again and again, whole histories are not kept."""
        return self._counted(text) if len(text) < _LONG else self.lm.count(text)

    def embedded(self, question: str) -> Vectors:
        """[d]; alone, so that a question has the same vector whenever it is embedded."""
        if self._embedder is None:
            self._embedder = open_embedder()
        vector: Vectors = self._embedder.embed([question])[0]
        return vector

    # ---- measuring and saving

    def used(self) -> Used:
        """Tokens of the memory part of a prompt: of the last one, or of the memory that the next one shows.

        parts   cheatsheet, last prompt; pairs kept: tokens of the pairs outside of any prompt, which is no part of
                the budget
        """
        sheet = self.tokens(self.memory)
        parts = {"cheatsheet": sheet, "last prompt": self._shown}
        if self.variant in KEEP_PAIRS:
            parts["pairs kept"] = sum(self.count(pair.question + pair.transcript) for pair in self.pairs)
        return Used(max(sheet, self._shown), "tokens", parts)

    def tokens(self, shown: str | None) -> int:
        """Tokens of a memory part; that there is nothing is said by our prompt, not by a memory."""
        return 0 if shown in (None, EMPTY) else self.count(shown or "")

    def save(self, path: str | Path) -> None:
        """Write the memory as text that a person can read and edit; earlier pairs go into a .pairs.jsonl beside it."""
        write(Path(path), self.memory, self.answered, self.variant, self.pairs if self.variant in KEEP_PAIRS else None)

    @classmethod
    def load(
        cls, path: str | Path, lm: LanguageModel, *, variant: str | None = None, budget: Budget | str = _ROOM,
        code: CodeRunner | None = None, embedder: Embedder | None = None, task: str = "",
        settings: Settings | None = None,
    ) -> DynamicCheatsheet:  # fmt: skip
        """Read what `save` wrote, or any text as a memory to begin with.

        variant   None for the one it was saved with
        """
        saved = read(Path(path))
        sheet = cls(lm, variant=variant or saved.variant, budget=budget, code=code, embedder=embedder, task=task,
                    start=saved.memory, settings=settings)  # fmt: skip
        sheet.answered = saved.answered
        if sheet.variant in KEEP_PAIRS:
            sheet.pairs = list(saved.pairs)
        if sheet.variant in EMBED:
            sheet._vectors = [sheet.embedded(pair.question) for pair in sheet.pairs]
        return sheet


class Turn:
    """One question on its way: its number, its text in prompts, and what the calls for it cost."""

    def __init__(self, sheet: DynamicCheatsheet, question: str) -> None:
        self.sheet, self.question, self.n = sheet, question, sheet.answered + 1
        # The number lets a curator say where an entry came from.
        self.asked = "\n".join(part for part in (sheet.task, f"Question #{self.n}:", question) if part)
        self._memory = self._prompt = self._calls = self._read = self._written = 0

    def generate(self, messages: Sequence[Message]) -> str:
        return self._ask(messages, self.sheet.settings.max_tokens)

    def curate(self, messages: Sequence[Message]) -> str:
        return self._ask(messages, 2 * self.sheet.settings.max_tokens)

    def shows(self, memory: int, prompt: int) -> None:
        """Of several rounds the largest counts."""
        self._memory, self._prompt = max(self._memory, memory), max(self._prompt, prompt)

    def spent(self) -> Spent:
        return Spent(self._memory, self._prompt, self._calls, self._read, self._written)

    def _ask(self, messages: Sequence[Message], most: int) -> str:
        reply = self.sheet.lm.complete(messages, max_tokens=most, temperature=self.sheet.settings.temperature)
        self._calls += 1
        self._read += reply.prompt_tokens
        self._written += reply.completion_tokens
        return reply.text
