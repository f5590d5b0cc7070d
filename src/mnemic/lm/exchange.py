"""What is asked of a language model and what comes back, the same for every kind of model."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from mnemic.errors import ModelError
from mnemic.seams import Completion, LanguageModel

Message = Mapping[str, str]

_WORDS = re.compile(r"[a-zA-Z]+|\d+|[^\sa-zA-Z\d]|\n")
_WHOLE = 6  # letters up to which an English word is mostly one token; longer ones take about one per four
_OPENING = 4  # tokens that a chat template puts around a message: role, start and end marks


@dataclass(frozen=True)
class Tool:
    """Something a model may ask for. Nothing is run by asking: who asked decides what becomes of a call.

    name          what the model calls it: letters, digits, _ and -
    description   what it does, for the model
    schema        JSON schema of its arguments, an object; none by default
    """

    name: str
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})


@dataclass(frozen=True)
class ToolCall:
    """A model asks for a tool. The arguments are a JSON object; whether they keep the schema says tools.faults.

    id   the server's name for the call, empty where there is none
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""


@dataclass(frozen=True)
class Request:
    """One question to a model, whole: equal requests may be given equal answers."""

    messages: tuple[Message, ...]
    max_tokens: int = 512
    schema: Mapping[str, Any] | None = None
    temperature: float = 0.0
    tools: tuple[Tool, ...] = ()


@dataclass(frozen=True)
class Reply:
    """What a model said and what it cost.

    measured   False when the server sent no counts and they are estimated
    calls      tools that it asks for, in its order; the text may then be empty
    """

    text: str
    prompt_tokens: int
    completion_tokens: int
    measured: bool = True
    calls: tuple[ToolCall, ...] = ()


def whole(said: Completion) -> Reply:
    """A completion of any kind of model as a Reply."""
    if isinstance(said, Reply):
        return said
    return Reply(said.text, said.prompt_tokens, said.completion_tokens, bool(getattr(said, "measured", True)))


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


def estimate_tools(tools: Sequence[Tool]) -> int:
    """Tokens that the tools take in a prompt, as JSON."""
    return sum(estimate(json.dumps([tool.name, tool.description, dict(tool.schema)])) for tool in tools)


def complete_many(model: LanguageModel, requests: Sequence[Sequence[Message]], *, at_once: int = 4,
                  **options: Any) -> list[Completion | ModelError]:  # fmt: skip
    """Ask for several completions at once; the order is kept, and a failed one is its error.

    options   as in LanguageModel.complete: max_tokens, schema, temperature; tools where the model takes them
    """

    def one(messages: Sequence[Message]) -> Completion | ModelError:
        try:
            return model.complete(messages, **options)
        except ModelError as error:
            return error

    with ThreadPoolExecutor(max_workers=max(1, at_once)) as pool:
        return list(pool.map(one, requests))
