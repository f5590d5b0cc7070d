"""What is asked of a language model and what comes back, the same for every kind of model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from mnemic.errors import ModelError
from mnemic.seams import Completion, LanguageModel

Message = Mapping[str, str]

_WORDS = re.compile(r"[a-zA-Z]+|\d+|[^\sa-zA-Z\d]|\n")
_WHOLE = 6  # letters up to which an English word is mostly one token; longer ones take about one per four
_OPENING = 4  # tokens that a chat template puts around a message: role, start and end marks


@dataclass(frozen=True)
class Request:
    """One question to a model, whole: equal requests may be given equal answers."""

    messages: tuple[Message, ...]
    max_tokens: int = 512
    schema: Mapping[str, Any] | None = None
    temperature: float = 0.0


@dataclass(frozen=True)
class Reply:
    """What a model said and what it cost.

    measured   False when the server sent no counts and they are estimated
    """

    text: str
    prompt_tokens: int
    completion_tokens: int
    measured: bool = True


def estimate(text: str) -> int:
    """Tokens of a text without the model's tokenizer: within about a fifth for English prose."""
    tokens = 0
    for run in _WORDS.findall(text):
        letters = 4 if run.isalpha() else 2
        tokens += 1 if run.isalpha() and len(run) <= _WHOLE else -(-len(run) // letters)
    return tokens


def estimate_messages(messages: Sequence[Message]) -> int:
    """Tokens of a conversation, with what a chat template adds to each message."""
    return sum(estimate(message["content"]) + _OPENING for message in messages)


def complete_many(model: LanguageModel, requests: Sequence[Sequence[Message]], *, at_once: int = 4,
                  **options: Any) -> list[Completion | ModelError]:  # fmt: skip
    """Ask for several completions at once; the order is kept, and a failed one is its error.

    options   as in LanguageModel.complete: max_tokens, schema, temperature
    """

    def one(messages: Sequence[Message]) -> Completion | ModelError:
        try:
            return model.complete(messages, **options)
        except ModelError as error:
            return error

    with ThreadPoolExecutor(max_workers=max(1, at_once)) as pool:
        return list(pool.map(one, requests))
