"""The methods of the paper's table that need no training, behind one interface: play a world or answer a question,
then, once judged, evolve. They differ in what they search, in the operations a reply may be, and in what they keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mnemic.environment import Environment, Episode, Observation, Step
from mnemic.limits import checked_count
from mnemic.meter import Used
from mnemic.record import Outcome
from mnemic.seams import LanguageModel
from mnemic.store.evo_memory.attempts import Attempt, Brief, Feedback, Spent
from mnemic.store.evo_memory.experiences import Move, condensed, verbatim
from mnemic.store.evo_memory.outputs import Op, Said, parse
from mnemic.store.evo_memory.pool import ExperienceMemory, Found
from mnemic.store.evo_memory.prompts import EARLIER, EXPERIENCES, Context, Section, State

_NO_TURN = Brief("Answer the question.")


@dataclass
class Turn:
    """A task while it is worked on: what is shown of memory, and what it cost so far."""

    context: Context
    ops: tuple[Op, ...]
    found: tuple[Found, ...]
    section: Section
    shown: list[Found] = field(default_factory=list)
    pruned: list[str] = field(default_factory=list)
    trace: list[tuple[str, ...]] = field(default_factory=list)
    spent: Spent = field(default_factory=Spent)


class Agent:
    """The paper's Baseline, and the loop that all methods share: the task and nothing else, one command a step.

    lm             the frozen model F
    memory         where experiences are kept; a method that keeps none leaves it as it is
    max_inner      operations inside one step; the last one is forced to be an action
    prompt_tokens  of a prompt; what was retrieved is cut so that it fits
    reply_tokens   of a reply
    """

    name = "Baseline"
    inner: tuple[Op, ...] = ()  # operations before the one that ends a step

    def __init__(self, lm: LanguageModel, memory: ExperienceMemory | None = None, *, max_inner: int = 6,
                 prompt_tokens: int = 4096, reply_tokens: int = 128) -> None:  # fmt: skip
        for name, value in (("max_inner", max_inner), ("prompt_tokens", prompt_tokens), ("reply_tokens", reply_tokens)):
            checked_count(name, value)
        self.lm, self.memory, self.max_inner = lm, memory, max_inner
        self.prompt_tokens, self.reply_tokens = prompt_tokens, reply_tokens

    # ---- what a method is made of

    def search(self, goal: str) -> Sequence[Found]:
        """R: what the memory has for a task."""
        return ()

    def synthesis(self, found: Sequence[Found]) -> Section:
        """C: how it is shown."""
        return Section(EXPERIENCES, tuple(tuple(condensed(each.experience)) for each in found))

    def noted(self, turn: Turn, said: Said) -> str:
        """Do an operation that does not end the step; returns what the trace says of it."""
        return f"{said.op}: {said.arg}"

    def evolve(self, attempt: Attempt, feedback: Feedback) -> Outcome:
        """U: keep what was learned from a judged attempt; says what became of it."""
        return Outcome("unchanged", None, f"{self.name} keeps nothing")

    def used(self) -> Used:
        """Bytes of the memory file."""
        return self.memory.used() if self.memory is not None else Used(0, "bytes")

    # ---- the loop

    def play(self, world: Environment, brief: Brief) -> Attempt:
        """Act in a world until it is done or its steps are used up."""
        turn = self._turn(world.goal, brief, "action")
        first = seen = world.reset()
        steps: list[Step] = []
        while not seen.done and len(steps) < world.max_steps:
            seen = world.step(command := self._decide(turn, first, steps).arg)
            steps.append(Step(command, seen))
        return _attempt(world.goal, turn, episode=Episode(world.goal, first, tuple(steps)))

    def answer(self, question: str, brief: Brief = _NO_TURN) -> Attempt:
        """Answer in one turn, after the method's inner rounds."""
        turn = self._turn(question, brief, "answer")
        said = self._decide(turn, Observation(""), ())
        return _attempt(question, turn, answer=said.arg, rationale=said.before)

    def _turn(self, goal: str, brief: Brief, last: Op) -> Turn:
        ops = (*self.inner, last)
        found = tuple(self.search(goal))
        context = Context(self.lm, goal, brief, ops, self.prompt_tokens)
        return Turn(context, ops, found, self.synthesis(found), list(found))

    def _decide(self, turn: Turn, first: Observation, steps: Sequence[Step]) -> Said:
        """One step: operations until the first one that ends it (n of the paper's loop)."""
        moves = tuple(Move(step.action, step.observation.text) for step in steps)
        trace: list[str] = []
        forced, last = False, turn.ops[-1]
        for n in range(self.max_inner):
            forced = forced or n == self.max_inner - 1 > 0
            text = self._ask(turn, State(first.text, moves, tuple(trace), forced))
            said = parse(text, turn.ops)
            if said is None:
                turn.spent.unread += 1
            if said is not None and said.op == last:
                break
            if forced or n == self.max_inner - 1:
                said = Said(last, _bare(text))  # a world answers in words what it does not know; a judge says wrong
                break
            forced = said is None
            trace.append(self.noted(turn, said) if said else f"think: {' '.join(text.split())}")
        turn.trace.append(tuple(trace))
        assert said is not None
        return said

    def _ask(self, turn: Turn, state: State) -> str:
        reply = self.lm.complete(turn.context.messages(turn.section, state), max_tokens=self.reply_tokens)
        turn.spent.calls += 1
        turn.spent.prompt_tokens += reply.prompt_tokens
        turn.spent.completion_tokens += reply.completion_tokens
        return reply.text


Baseline = Agent


class ReAct(Agent):
    """Thought and action in turn, nothing across tasks."""

    name = "ReAct"
    inner = ("think",)


class Keeping(Agent):
    """A method that appends what was judged to its memory; the memory's `store` says whether failures too."""

    def __init__(self, lm: LanguageModel, memory: ExperienceMemory, *, max_inner: int = 6, prompt_tokens: int = 4096,
                 reply_tokens: int = 128) -> None:  # fmt: skip
        super().__init__(lm, memory, max_inner=max_inner, prompt_tokens=prompt_tokens, reply_tokens=reply_tokens)
        self.pool = memory

    def evolve(self, attempt: Attempt, feedback: Feedback) -> Outcome:
        return self.pool.add(attempt.judged(feedback))


class History(Keeping):
    """The last tasks of the stream, verbatim, as many as the prompt holds (or `last` of them), the oldest cut first.

    Give it a memory with store="all": a history has no opinion.
    """

    name = "History"

    def __init__(self, lm: LanguageModel, memory: ExperienceMemory, *, last: int | None = None, max_inner: int = 6,
                 prompt_tokens: int = 4096, reply_tokens: int = 128) -> None:  # fmt: skip
        super().__init__(lm, memory, max_inner=max_inner, prompt_tokens=prompt_tokens, reply_tokens=reply_tokens)
        if last is not None:
            checked_count("last", last)
        self.last = last

    def search(self, goal: str) -> Sequence[Found]:
        return self.pool.recent(self.last or len(self.pool) or 1)[::-1]  # as they happened

    def synthesis(self, found: Sequence[Found]) -> Section:
        return Section(EARLIER, tuple(tuple(verbatim(each.experience)) for each in found), whole=True)


class ExpRecent(Keeping):
    """The last k experiences, condensed, newest first."""

    name = "ExpRecent"

    def search(self, goal: str) -> Sequence[Found]:
        return self.pool.recent()


class ExpRAG(Keeping):
    """The k experiences whose goals are nearest, most similar first, as examples."""

    name = "ExpRAG"

    def search(self, goal: str) -> Sequence[Found]:
        return self.pool.similar(goal)


def _attempt(goal: str, turn: Turn, *, episode: Episode | None = None, answer: str = "",
             rationale: str = "") -> Attempt:  # fmt: skip
    return Attempt(goal, episode, answer, rationale, turn.found, tuple(turn.pruned), tuple(turn.trace), turn.spent)


def _bare(text: str) -> str:
    """The first line that says anything, without a marker of the format in front: the raw last word of a model."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    head, _, rest = line.partition(":")
    return rest.strip() if head.strip().lower() in ("think", "prune", "action", "answer") and rest.strip() else line
