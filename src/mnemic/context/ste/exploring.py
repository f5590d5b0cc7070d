"""Exploration: imagine a request, try it with the real API, look back, remember; one API at a time.

Short-term memory is the chat of the running episode. Long-term memory is the list of all requests explored with
the API, solved or not; it stands in the prompt that asks for a request, and not in the chat that is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mnemic.context.ste import prompts
from mnemic.context.ste.bank import Bank, Step, Trial
from mnemic.context.ste.parsing import OBSERVATION, THOUGHT, Parsed, parse, says_yes, until
from mnemic.context.ste.prompts import Message, assistant, user
from mnemic.context.ste.tools import OBSERVED, Tool, ToolSet
from mnemic.errors import InputError
from mnemic.seams import LanguageModel

_REPLY_TOKENS = 360  # of one reply (reference code)

Runner = Callable[[Tool, Mapping[str, Any]], str]


def execute(tool: Tool, args: Mapping[str, Any]) -> str:
    """What a call gives: its text, or its error in words."""
    return tool.run(args)


def not_executed(tool: Tool, args: Mapping[str, Any]) -> str:
    """The paper's ablation without execution: every call is taken as done."""
    return prompts.NOT_EXECUTED


@dataclass(frozen=True)
class Settings:
    """How much is tried, and with which parts. The last three are the paper's ablations.

    episodes     of each API; each starts with an empty chat and the long-term memory
    slots        requests of an episode
    max_turns    calls of a trial; one more reply follows the last of them
    temperature  of the explorer
    short_term   keep the chat through an episode
    long_term    list the explored requests when asking for the next
    reflection   ask after each trial whether it was solved, and list it with the request
    """

    episodes: int = 15
    slots: int = 4
    max_turns: int = 4
    temperature: float = 1.0
    short_term: bool = True
    long_term: bool = True
    reflection: bool = True

    def __post_init__(self) -> None:
        if min(self.episodes, self.slots, self.max_turns) < 1:
            raise InputError("exploration needs at least one episode, one slot and one turn: give 1 or more of each.")


def explore(tools: ToolSet, *, lm: LanguageModel, bank: Bank | str | Path, settings: Settings | None = None,
            run: Runner = execute, resume: bool = True) -> Iterator[Trial]:  # fmt: skip
    """Try out every tool; yields each trial after the episode that holds it is on disk.

    bank      where the trials go; a path opens (or makes) one
    run       how a call is executed (execute, not_executed, or your own sandbox)
    resume    go on after the last whole episode of each tool; False starts the tools over
    """
    settings = settings or Settings()
    bank = bank if isinstance(bank, Bank) else Bank(bank)
    if not resume:
        for tool in tools:
            bank.clear(tool.name)
    made = {**asdict(settings), "run": getattr(run, "__name__", type(run).__name__), "lm": lm.name}
    del made["episodes"]  # more of the same may follow later
    bank.settings(made)
    for tool in tools:
        for episode in range(bank.episodes(tool.name), settings.episodes):
            before = [(trial.query, trial.solved) for trial in bank.trials(tool.name)]
            trials = list(Episode(tool, lm, settings, run, episode, before).trials())
            bank.add_episode(trials)
            yield from trials


class Episode:
    """One episode with one tool.

    explored   the long-term memory: requests and whether they were solved, None when nobody asked
    chat       the short-term memory
    """

    def __init__(self, tool: Tool, lm: LanguageModel, settings: Settings, run: Runner, number: int,
                 explored: list[tuple[str, bool | None]]) -> None:  # fmt: skip
        self.tool, self.lm, self.settings, self.run, self.number = tool, lm, settings, run, number
        self.explored = list(explored)
        self.chat: list[Message] = []

    def trials(self) -> Iterator[Trial]:
        for slot in range(self.settings.slots):
            if slot == 0 or not self.settings.short_term:
                self.chat = [prompts.system(self.number * self.settings.slots + slot)]
            query = self._imagine()
            steps, answer = self._try(query)
            solved = self._reflect() if self.settings.reflection else None
            self.explored.append((query, solved))
            yield Trial(self.tool.name, self.number, slot, query, steps, answer, solved)

    def _imagine(self) -> str:
        """A request. It is asked for with the long-term memory; the chat keeps the question without it."""
        memory = prompts.long_term(self.explored) if self.settings.long_term else ""
        fresh = len(self.chat) == 1
        documentation = self.tool.documentation()
        asked = prompts.first_query(documentation, memory) if fresh else prompts.next_query(memory)
        kept = prompts.first_query(documentation) if fresh else prompts.next_query()
        query = " ".join(until(self._complete([*self.chat, user(asked)]), THOUGHT).split())
        self.chat += [user(kept), assistant(query)]
        return query

    def _try(self, query: str) -> tuple[tuple[Step, ...], str | None]:
        """Calls and what they gave, up to max_turns of them; then one more reply, which may be the answer."""
        fresh = len(self.chat) == 3
        reply = self._say(prompts.solve([self.tool.name], query) if fresh else prompts.solve_next())
        steps: list[Step] = []
        for _ in range(self.settings.max_turns):
            if reply.finish:
                break
            steps.append(self._step(reply))
            shown = prompts.corrected(reply.error) if reply.error else prompts.observed(steps[-1].observation)
            reply = self._say(shown)
        return tuple(steps), reply.answer if reply.finish else None

    def _step(self, reply: Parsed) -> Step:
        if reply.error:
            return Step(error=reply.error)
        return Step(reply.action, reply.args, self.run(self.tool, reply.args)[:OBSERVED])

    def _reflect(self) -> bool:
        self.chat.append(user(prompts.reflect()))
        reply = self._complete(self.chat)
        self.chat.append(assistant(reply))
        return says_yes(reply)

    def _say(self, content: str) -> Parsed:
        self.chat.append(user(content))
        reply = until(self._complete(self.chat), OBSERVATION)
        self.chat.append(assistant(reply))
        return parse(reply, [self.tool.name])

    def _complete(self, messages: list[Message]) -> str:
        return self.lm.complete(
            messages, max_tokens=_REPLY_TOKENS, temperature=self.settings.temperature
        ).text  # fmt: skip
