"""Tools in words: any model that can answer JSON by schema can be offered tools.

The tools are told at the end of the system message, and the answer is one JSON object: the calls and what is said.
Where the model keeps schemas (llama.cpp does, by a grammar), it can name no tool but those offered, and no argument
that breaks its schema. Nothing here runs a tool.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from mnemic.errors import InputError
from mnemic.lm.exchange import Message, Reply, Tool, ToolCall, whole
from mnemic.lm.schema import violations
from mnemic.seams import LanguageModel, ToolModel

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # what servers take
_MOST = 8  # calls in one answer: a small model that has begun a list goes on until it is cut
_TOLD = (
    "You can use these tools:\n{tools}\n"
    'Answer only with JSON: {{"calls": [{{"tool": NAME, "arguments": {{...}}}}], "say": TEXT}}. '
    "Leave calls empty when no tool is needed, and say empty when there is nothing to say."
)


def complete_with(model: LanguageModel, messages: Sequence[Message], tools: Sequence[Tool], *,
                  max_tokens: int = 512, temperature: float = 0.0) -> Reply:  # fmt: skip
    """Offer tools to any model, in its own way or in words; raises ModelError as `complete` does."""
    offered = checked_tools(tools, None)
    if takes_tools(model):
        return cast(ToolModel, model).complete(messages, max_tokens=max_tokens, temperature=temperature, tools=offered)
    if not offered:
        return whole(model.complete(messages, max_tokens=max_tokens, temperature=temperature))
    said = model.complete(told(messages, offered), max_tokens=max_tokens, schema=calls_schema(offered),
                          temperature=temperature)  # fmt: skip
    return read(whole(said))


def takes_tools(model: LanguageModel) -> bool:
    """Does its `complete` have an argument for them?"""
    return "tools" in inspect.signature(model.complete).parameters


def checked_tools(tools: Sequence[Tool], schema: Mapping[str, Any] | None) -> tuple[Tool, ...]:
    """The tools as a tuple; raises InputError for what no model can be offered."""
    names = [tool.name for tool in tools]
    for tool in tools:
        if not _NAME.fullmatch(tool.name):
            raise InputError(f'a tool is called "{tool.name}": use letters, digits, _ and -, at most 64 of them.')
        if tool.schema.get("type") != "object":
            raise InputError(f'the arguments of "{tool.name}" are no object: write {{"type": "object", ...}}.')
    if len(set(names)) < len(names):
        raise InputError("two tools have one name: a call could mean either, rename one.")
    if tools and schema is not None:
        raise InputError("a model is asked for JSON by schema, or offered tools, not both: ask twice.")
    return tuple(tools)


def told(messages: Sequence[Message], tools: Sequence[Tool]) -> list[Message]:
    """The messages with the tools at the end of the system message, which is made when there is none."""
    listed = "\n".join(
        f"- {tool.name}: {tool.description} Arguments: {json.dumps(dict(tool.schema), ensure_ascii=False)}"
        for tool in tools
    )
    words = _TOLD.format(tools=listed)
    if messages and messages[0].get("role") == "system":
        first = {**messages[0], "content": f"{messages[0]['content']}\n\n{words}"}
        return [first, *messages[1:]]
    return [{"role": "system", "content": words}, *messages]


def calls_schema(tools: Sequence[Tool]) -> dict[str, Any]:
    """JSON schema of an answer in words: calls of these tools, each with arguments of its own schema."""
    forms = [
        {"type": "object", "properties": {"tool": {"const": tool.name}, "arguments": dict(tool.schema)},
         "required": ["tool", "arguments"], "additionalProperties": False}
        for tool in tools
    ]  # fmt: skip
    calls = {"type": "array", "maxItems": _MOST, "items": forms[0] if len(forms) == 1 else {"anyOf": forms}}
    return {"type": "object", "properties": {"calls": calls, "say": {"type": "string"}},
            "required": ["calls", "say"], "additionalProperties": False}  # fmt: skip


def closed(text: str) -> str:
    """An answer in words that was cut while it said something, ended there: the calls before it are whole."""
    begun = text.rstrip("\\") + '"}'
    try:
        value = json.loads(begun)
    except ValueError:
        return text
    return begun if isinstance(value, dict) and "say" in value else text


def read(reply: Reply) -> Reply:
    """A reply in words, whose text keeps calls_schema, as text and calls."""
    value = json.loads(reply.text)
    calls = tuple(ToolCall(call["tool"], call["arguments"]) for call in value["calls"])
    return replace(reply, text=value["say"], calls=calls)


def faults(call: ToolCall, tools: Sequence[Tool]) -> str | None:
    """What is wrong with a call: a tool that was not offered, arguments that break its schema; None when nothing is.

    Arguments that the schema does not name are wrong too, whatever it says of additional ones.
    """
    tool = next((tool for tool in tools if tool.name == call.name), None)
    if tool is None:
        return f'there is no tool "{call.name}"'
    unknown = sorted(set(call.arguments) - set(tool.schema.get("properties", {})))
    if unknown:
        return f'"{call.name}" has no argument "{unknown[0]}"'
    broken = next(violations(dict(call.arguments), tool.schema), None)
    return f'the arguments of "{call.name}" break its schema: {broken}' if broken else None
