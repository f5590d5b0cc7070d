"""Grants worked out by a model that sees the request alone: no memory, so nobody else can have a say in them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mnemic.gate.actions import Action, Write
from mnemic.gate.grants import FREE, REQUEST, TRUSTED, Grant
from mnemic.lm.exchange import Tool
from mnemic.seams import LanguageModel

_TOKENS = 600
_FROM = {"request": REQUEST, "memories": TRUSTED, "anywhere": FREE}
_RULES = (
    "You say which tools a request needs, before anything is looked up. For each call that the request asks for, name "
    "the tool and each of its arguments, and where the argument's value comes from: value (give it, as the request "
    "says it), request (it stands in the request), memories (the person's own memories will tell), anywhere (free "
    "text, which may draw on what others wrote; never for who receives something, for amounts or addresses). Leave the "
    "list empty when the request only asks a question.\nTools:\n"
)


def planned(request: str, actions: Sequence[Action | Write], lm: LanguageModel) -> list[Grant]:
    """Grants for a request; raises ModelError when the model answers none. Show them to the person where it matters."""
    tools = [action.tool for action in actions if not (isinstance(action, Action) and action.reads)]
    if not tools:
        return []
    listed = "\n".join(
        f"- {tool.name}: {tool.description} Arguments: {json.dumps(dict(tool.schema))}" for tool in tools
    )
    messages = [{"role": "system", "content": _RULES + listed}, {"role": "user", "content": f"Request: {request}"}]
    reply = lm.complete(messages, max_tokens=_TOKENS, schema=_schema(tools))
    return [_grant(one) for one in json.loads(reply.text)["grants"]]


def _grant(one: dict[str, Any]) -> Grant:
    arguments = {
        given["name"]: given.get("value", "") if given["from"] == "value" else _FROM[given["from"]]
        for given in one["arguments"]
    }
    return Grant(one["tool"], arguments)


def _schema(tools: Sequence[Tool]) -> dict[str, Any]:
    forms = [_form(tool) for tool in tools]
    grants = {"type": "array", "items": {"anyOf": forms} if len(forms) > 1 else forms[0]}
    return {"type": "object", "properties": {"grants": grants}, "required": ["grants"], "additionalProperties": False}


def _form(tool: Tool) -> dict[str, Any]:
    """One grant of one tool."""
    names = {"enum": list(tool.schema.get("properties", {}))}
    argument = {
        "type": "object",
        "properties": {"name": names, "from": {"enum": ["value", *_FROM]},
                       "value": {"type": ["string", "number", "boolean"]}},
        "required": ["name", "from"], "additionalProperties": False,
    }  # fmt: skip
    return {
        "type": "object",
        "properties": {"tool": {"const": tool.name}, "arguments": {"type": "array", "items": argument}},
        "required": ["tool", "arguments"], "additionalProperties": False,
    }  # fmt: skip
