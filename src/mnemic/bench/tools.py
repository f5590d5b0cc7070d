"""Calling APIs whose documentation misleads: with the documentation alone, with trials, with trials cut short.

World    sixteen local APIs (mnemic.bench.worlds.apis); 15 held-out requests each, other words and values than the
         explorer uses; a call is right when executing it gives what the right call gives
Methods  all see the same documentation; what differs is the bank that the eight demonstrations come from. Every bank
         is made by the same code with the same number of trials. Explorer and solver are scripted, no language model:
         the numbers are about the machinery
Records  a method may also be one of the authors' recorded prediction files ("llama-7Bf_FT"), scored from its verdicts:
         the paper's table, on the paper's 750 requests. Their prompts were not recorded, so they show 0 tokens
Axes     a APIs, e episodes, s slots, n requests
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mnemic.bench import _tools_recorded as recorded
from mnemic.bench._methods import chosen
from mnemic.bench.worlds.apis import APIS, Asked, held_out, pattern_of, patterns, tool_set
from mnemic.bench.worlds.apis.requests import BY_NAME
from mnemic.bench.worlds.apis.scripted import explorer
from mnemic.bench.worlds.apis.solver import solver
from mnemic.context.ste import (
    Bank,
    Call,
    Demonstrations,
    Report,
    Settings,
    Tool,
    ToolCaller,
    ToolSet,
    evaluate,
    execute,
    explore,
    filtered,
    not_executed,
    paraphrased,
    same_result,
)
from mnemic.lm.minilm import MiniLM
from mnemic.meter import Budget, Used
from mnemic.seams import Embedder, LanguageModel, Vectors

DOCUMENTATION, STE, RANDOM = "documentation", "ste", "random demonstrations"
ARMS: Mapping[str, str] = {
    DOCUMENTATION: "what the APIs say of themselves, and nothing else",
    RANDOM: "eight of the bank's examples at random, whatever is asked",
    "no execution": "trials whose calls are taken as done",
    "no short-term memory": "trials that begin with an empty chat each",
    "no long-term memory": "trials that do not know of earlier episodes",
    "no reflection": "trials that do not note whether they were solved",
    STE: "trials with all parts",
}
METHODS: Mapping[str, str] = {
    **ARMS,
    **dict.fromkeys(recorded.recorded(), "predictions recorded by the paper's authors"),
}
BUDGET = Budget(800, "tokens")

Runner = Callable[[Tool, Mapping[str, Any]], str]


@dataclass(frozen=True)
class Size:
    """How much is tried and asked.

    apis     names; None takes all sixteen
    target   examples of each API that paraphrases fill up to
    """

    episodes: int = 3
    slots: int = 4
    asked: int = 15
    target: int = 30
    apis: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Models:
    """Who explores (and judges, and paraphrases), and who solves."""

    explorer: LanguageModel
    solver: LanguageModel


@dataclass(frozen=True)
class Outcome:
    """One method, measured.

    used       tokens of a prompt, mean over the requests; parts: demonstrations, descriptions, rest
    bytes      of the bank
    trials     that the bank was made with
    coverage   share of the APIs' argument patterns that the kept examples show
    """

    name: str
    report: Report
    used: Used
    bytes: int
    trials: int
    coverage: float

    def correct(self, items: Sequence[Asked], *, misleading: bool) -> float:
        """Share of right calls where the documentation misleads, or where it does not."""
        some = [mark.correct for mark, item in zip(self.report.marks, items, strict=True)
                if item.misleading == misleading]  # fmt: skip
        return statistics.fmean(some) if some else 0.0


class Known:
    """An embedder that embeds no text twice: the methods are asked the same requests."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder, self.name, self.dimensions = embedder, embedder.name, embedder.dimensions
        self.window = embedder.window
        self._known: dict[str, Vectors] = {}

    def embed(self, texts: Sequence[str]) -> Vectors:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known.update(zip(new, self.embedder.embed(new), strict=True))
        rows = [self._known[text] for text in texts]
        return np.stack(rows) if rows else np.zeros((0, self.dimensions), np.float32)

    def windows(self, text: str) -> list[tuple[int, int]]:
        return self.embedder.windows(text)

    def count(self, text: str) -> int:
        return self.embedder.count(text)


def run(*, limit: int | None = None, methods: Sequence[str] = (), budget: Budget | None = None,
        seed: int = 0) -> list[dict[str, Any]]:  # fmt: skip
    """A row for each method.

    limit    requests of each API (15 when None)
    methods  names of METHODS; the local ones when none is named
    budget   tokens of demonstrations in a prompt, the same for all
    """
    names = chosen(methods or tuple(ARMS), METHODS)
    size = Size(asked=min(limit or 15, 15))
    local = {one.name: one for one in study(size, seed, [name for name in names if name in ARMS], budget=budget)}
    return [_row(local[name]) if name in local else _recorded_row(name) for name in names]


def study(size: Size, seed: int, arms: Sequence[str] = tuple(ARMS), *, budget: Budget | None = None,
          models: Models | None = None, run: Runner = execute, embedder: Embedder | None = None,
          ) -> list[Outcome]:  # fmt: skip
    """Let every arm explore, build its bank, and fulfil the same requests.

    run    how a call is executed, for all arms but the one without execution
    """
    tools, items = tool_set(size.apis), held_out(seed, each=size.asked, names=size.apis)
    models = models or Models(explorer(seed), solver())
    embedder = Known(embedder or MiniLM())
    banks: dict[tuple[Settings, Runner], Bank] = {}
    outcomes = []
    for name in arms:
        bank = None
        if name != DOCUMENTATION:
            settings, how = _variant(name, size, run)
            bank = banks.setdefault((settings, how), Bank())
            filled(bank, tools, settings, how, models, size)
        demos = _demos(name, bank, embedder, seed)
        agent = ToolCaller(tools, lm=models.solver, budget=budget or BUDGET, demos=demos)
        outcomes.append(_measured(name, agent, items, bank))
    for bank in banks.values():
        bank.close()
    return outcomes


def filled(bank: Bank, tools: ToolSet, settings: Settings, run: Runner, models: Models, size: Size) -> None:
    """Explore, judge, paraphrase; what is there already is not done again."""
    for _ in explore(tools, lm=models.explorer, bank=bank, settings=settings, run=run):
        pass
    filtered(bank, tools, judge=models.explorer)
    paraphrased(bank, tools, lm=models.explorer, judge=models.explorer, target_per_tool=size.target)


def swapped(tool: Tool, args: Mapping[str, Any]) -> str:
    """The control: a call is answered by another API, the next in the list, so that feedback says nothing."""
    tools = list(tool_set())
    place = [other.name for other in tools].index(tool.name)
    return tools[(place + 1) % len(tools)].run(args)


class Shuffled(Demonstrations):
    """Examples that are drawn, not found: the trivial use of a bank."""

    def __init__(self, bank: Bank, embedder: Embedder, seed: int) -> None:
        super().__init__(bank.examples(), embedder)
        self._rng = np.random.default_rng(seed)

    def nearest(self, query: str, k: int = 8) -> list[Any]:
        return [self.examples[row] for row in self._rng.permutation(len(self.examples))[:k].tolist()]


def _variant(name: str, size: Size, run: Runner) -> tuple[Settings, Runner]:
    """The one place where the arms differ: the same loop with one part switched off."""
    settings = Settings(episodes=size.episodes, slots=size.slots)
    off = {"no short-term memory": "short_term", "no long-term memory": "long_term", "no reflection": "reflection"}
    if name in off:
        return replace(settings, **{off[name]: False}), run
    return settings, not_executed if name == "no execution" else run


def _demos(name: str, bank: Bank | None, embedder: Embedder, seed: int) -> Demonstrations | None:
    if bank is None:
        return None
    return Shuffled(bank, embedder, seed) if name == RANDOM else Demonstrations.of(bank, embedder)


def _measured(name: str, agent: ToolCaller, items: Sequence[Asked], bank: Bank | None) -> Outcome:
    calls: list[Call] = []

    def noted(query: str) -> Call:
        calls.append(agent(query))
        return calls[-1]

    report = evaluate(noted, items, match={"*": same_result(agent.tools)})
    parts = {part: round(statistics.fmean(call.used.parts[part] for call in calls)) for part in calls[0].used.parts}
    used = Used(round(statistics.fmean(call.used.amount for call in calls)), "tokens", parts)
    size, trials = (bank.used().amount, len(bank.trials())) if bank else (0, 0)
    return Outcome(name, report, used, size, trials, _coverage(bank, agent.tools) if bank else 0.0)


def _coverage(bank: Bank, tools: ToolSet) -> float:
    apis = [api for api in APIS if api.name in tools.names]
    shown = {(one.tool, pattern_of(BY_NAME[one.tool], one.query)) for one in bank.examples(paraphrases=False)}
    return len(shown) / sum(len(patterns(api)) for api in apis)


def _row(one: Outcome) -> dict[str, Any]:
    return {
        "method": one.name, "tokens": one.used.amount, "bytes": one.bytes, "correct": one.report.correct,
        "api_match": one.report.api_match, "wellformed": one.report.wellformed, "coverage": one.coverage,
    }  # fmt: skip


def _recorded_row(name: str) -> dict[str, Any]:
    report = recorded.scored(recorded.load(name))
    return {
        "method": name, "tokens": 0, "bytes": 0, "correct": report.correct,
        "api_match": report.api_match, "wellformed": report.wellformed,
    }  # fmt: skip
