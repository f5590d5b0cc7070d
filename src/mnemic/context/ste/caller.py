"""Use: call an API with the nearest calls that worked before in the prompt, within a budget of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mnemic.context.ste import prompts
from mnemic.context.ste.bank import Bank, Example
from mnemic.context.ste.parsing import OBSERVATION, parse, until
from mnemic.context.ste.tools import Tool, ToolSet
from mnemic.errors import InputError
from mnemic.meter import Budget, Used
from mnemic.seams import Embedder, LanguageModel, Vectors

NEAREST = 8  # demonstrations (paper)
DESCRIBED = 15  # names that the oracle tool retriever shows (paper)
_REPLY_TOKENS = 360


@dataclass(frozen=True)
class Call:
    """What was called.

    name      empty when the reply held no call (an answer without one counts as wrong)
    raw       the reply as it came
    error     why it could not be read
    shown     the demonstrations that stood in the prompt, nearest first
    used      tokens of the prompt; parts: demonstrations, descriptions, rest
    """

    name: str
    args: dict[str, Any]
    raw: str
    error: str = ""
    shown: tuple[Example, ...] = ()
    used: Used = field(default_factory=lambda: Used(0, "tokens"))


class Demonstrations:
    """Examples that are found by the request that they answered."""

    def __init__(self, examples: Sequence[Example], embedder: Embedder) -> None:
        self.examples, self.embedder = tuple(examples), embedder
        self._vectors: Vectors = embedder.embed([example.query for example in examples])  # [n d]

    @classmethod
    def of(cls, bank: Bank, embedder: Embedder) -> Demonstrations:
        return cls(bank.examples(), embedder)

    def nearest(self, query: str, k: int = NEAREST) -> list[Example]:
        """The k examples nearest to a request by cosine, nearest first; equally near ones in their order."""
        if not self.examples:
            return []
        near = self._vectors @ self.embedder.embed([query])[0]  # [n]
        return [self.examples[row] for row in np.argsort(-near, kind="stable")[:k].tolist()]


class OracleTools:
    """The true tool among its nearest by description: what a small model is shown in place of all.

    It looks at the right answer, so it can only be used to evaluate, and must be named where numbers are shown.
    """

    def __init__(self, tools: ToolSet, embedder: Embedder) -> None:
        self.tools = list(tools)
        vectors = embedder.embed([f"{tool.name} {tool.description}" for tool in self.tools])
        self._near = vectors @ vectors.T  # [tools tools]

    def around(self, name: str, n: int = DESCRIBED) -> list[Tool]:
        """n tools, the true one among them, in the order of the tool set: their places say nothing."""
        row = [tool.name for tool in self.tools].index(name)
        near = np.argsort(-self._near[row], kind="stable").tolist()
        chosen = {row, *[other for other in near if other != row][: n - 1]}
        return [tool for place, tool in enumerate(self.tools) if place in chosen]


class ToolCaller:
    """An agent that fulfils a request with one call.

    budget     tokens of demonstrations in the prompt
    demos      where they come from; None shows the documentation alone
    k          how many at most
    snapped    a name that is none becomes the one most like it (for fine-tuned models)
    described  documentation in the prompt; False for models that were trained on the names
    """

    def __init__(self, tools: ToolSet, *, lm: LanguageModel, budget: Budget | str, demos: Demonstrations | None = None,
                 k: int = NEAREST, snapped: bool = False, described: bool = True) -> None:  # fmt: skip
        self.tools, self.lm, self.demos, self.k = tools, lm, demos, k
        self.snapped, self.described = snapped, described
        self.budget = Budget.of(budget)
        if self.budget.unit != "tokens":
            raise InputError(f'demonstrations are counted in tokens: give a budget like "800 tokens", not {budget}.')
        self._most = Used(0, "tokens", {"demonstrations": 0, "prompt": 0})

    def __call__(self, query: str, *, among: Sequence[Tool] | None = None) -> Call:
        """Call an API. `among`: the tools to choose from (an oracle's choice, say), all of them when None."""
        if not query.strip():
            raise InputError("there is no request: say what is wanted.")
        some = list(among or self.tools)
        shown = self._fitting(self.demos.nearest(query, self.k)) if self.demos else []
        descriptions = [tool.documentation() for tool in some] if self.described else []
        messages = prompts.call(descriptions, [prompts.demonstration(one) for one in reversed(shown)], query)
        used = self._count(messages, descriptions, shown)
        raw = self.lm.complete(messages, max_tokens=_REPLY_TOKENS).text
        read = parse(until(raw, OBSERVATION), [tool.name for tool in some], snapped=self.snapped)
        return Call(read.action, read.args, raw, read.error, tuple(shown), used)

    def used(self) -> Used:
        """Most tokens of demonstrations that a prompt has held so far, and of a whole prompt."""
        return self._most

    def _fitting(self, nearest: Sequence[Example]) -> list[Example]:
        """Nearest first, every one that still fits; a call is shown whole or not at all."""
        chosen: list[Example] = []
        for example in nearest:
            if self._tokens([*chosen, example]) <= self.budget.amount:
                chosen.append(example)
        return chosen

    def _tokens(self, shown: Sequence[Example]) -> int:
        return self.lm.count("\n\n".join(prompts.demonstration(one) for one in reversed(shown)))

    def _count(
        self, messages: Sequence[prompts.Message], descriptions: Sequence[str], shown: Sequence[Example]
    ) -> Used:
        whole = sum(self.lm.count(message["content"]) for message in messages)
        parts = {"demonstrations": self._tokens(shown) if shown else 0,
                 "descriptions": self.lm.count("\n\n".join(descriptions)) if descriptions else 0}  # fmt: skip
        most = max(self._most.amount, parts["demonstrations"])
        longest = max(self._most.parts["prompt"], whole)
        self._most = Used(most, "tokens", {"demonstrations": most, "prompt": longest})
        return Used(whole, "tokens", {**parts, "rest": whole - sum(parts.values())})
