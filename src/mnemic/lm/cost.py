"""What language models cost: tokens and money, added up over calls.

lm = Metered(ChatModel("gpt-x"), price=Price(prompt=0.15, completion=0.60))
with Memory("life.db", lm=lm) as memory: ...
print(lm.spent)          # 3 calls, 5,210 + 304 tokens, 0.000964
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from mnemic.errors import InputError, ModelError
from mnemic.lm.exchange import Message, Reply, Tool, whole
from mnemic.lm.tools import checked_tools, complete_with
from mnemic.meter import Used
from mnemic.seams import Completion, LanguageModel

_MILLION = 1_000_000


@dataclass(frozen=True)
class Price:
    """Money for a million tokens, in any one currency: what a prompt costs and what an answer costs."""

    prompt: float
    completion: float

    def __post_init__(self) -> None:
        if not (0 <= self.prompt < float("inf") and 0 <= self.completion < float("inf")):
            raise InputError(f"a price is {self.prompt} and {self.completion}: give money for a million tokens.")

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / _MILLION


@dataclass(frozen=True)
class Spent:
    """What some calls took.

    calls       answered; failed: that ended in an error (what they cost, nobody tells)
    estimated   of the tokens, those that a server did not count
    money       of the calls that have a price; unpriced: calls that have none
    """

    calls: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated: int = 0
    money: float = 0.0
    unpriced: int = 0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @property
    def used(self) -> Used:
        return Used(self.tokens, "tokens", {"prompt": self.prompt_tokens, "completion": self.completion_tokens})

    def __add__(self, other: Spent) -> Spent:
        return Spent(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    def __str__(self) -> str:
        money = f", {self.money:.6f}" if self.calls > self.unpriced else ""
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.calls} calls, {self.prompt_tokens:,} + {self.completion_tokens:,} tokens{money}{failed}"


class Ledger:
    """Adds up what several models spend, by name. Safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_model: dict[str, Spent] = {}

    def add(self, model: str, spent: Spent) -> None:
        with self._lock:
            self._by_model[model] = self._by_model.get(model, Spent()) + spent

    @property
    def by_model(self) -> dict[str, Spent]:
        with self._lock:
            return dict(self._by_model)

    @property
    def spent(self) -> Spent:
        """Of all models together."""
        return sum(self.by_model.values(), Spent())


class Metered:
    """A model that writes down what it takes.

    price    None when nobody pays: tokens are counted all the same
    ledger   several models may share one; without it the model has its own

    Around a `Cached` it counts what was asked, inside one what was paid for.
    """

    def __init__(self, model: LanguageModel, *, price: Price | None = None, ledger: Ledger | None = None) -> None:
        self.model, self.price = model, price
        self.name = model.name
        self.ledger = ledger if ledger is not None else Ledger()

    def __getattr__(self, name: str) -> Any:
        if name == "model":  # not there yet: an object that is being unpickled or copied
            raise AttributeError(name)
        return getattr(self.model, name)  # seed, memory_tokens, close, ... of the model itself

    @property
    def spent(self) -> Spent:
        return self.ledger.spent

    def complete(self, messages: Sequence[Message], *, max_tokens: int = 512, schema: Mapping[str, Any] | None = None,
                 temperature: float = 0.0, tools: Sequence[Tool] = ()) -> Reply:  # fmt: skip
        offered = checked_tools(tools, schema)
        try:
            if offered:
                reply: Completion = complete_with(self.model, messages, offered, max_tokens=max_tokens,
                                                  temperature=temperature)  # fmt: skip
            else:
                reply = self.model.complete(messages, max_tokens=max_tokens, schema=schema, temperature=temperature)
        except ModelError:
            self.ledger.add(self.name, Spent(failed=1))
            raise
        self.ledger.add(self.name, self._of(reply))
        return whole(reply)

    def count(self, text: str) -> int:
        return self.model.count(text)

    def _of(self, reply: Completion) -> Spent:
        prompt, completion = reply.prompt_tokens, reply.completion_tokens
        estimated = 0 if getattr(reply, "measured", True) else prompt + completion
        money = self.price.of(prompt, completion) if self.price else 0.0
        return Spent(1, 0, prompt, completion, estimated, money, 0 if self.price else 1)
