"""Tools: local functions behind JSON schemas, run so that whatever goes wrong becomes text to learn from."""

from __future__ import annotations

import inspect
import json
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mnemic.errors import InputError, NotFound

OBSERVED = 2048  # characters of a result that are shown and kept (reference code)

Args = Mapping[str, Any]
_JSON_TYPES: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean", list: "array",
                               dict: "object"}  # fmt: skip


@dataclass(frozen=True)
class Tool:
    """One API.

    description  what its documentation says; it may be wrong, that is what trials are for
    parameters   the documented arguments as a JSON schema; shown, and never enforced here
    function     called with the arguments by name; what it returns becomes text, what it raises too
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    function: Callable[..., Any]

    def __post_init__(self) -> None:
        if not self.name or self.name != "".join(self.name.split()):
            raise InputError(f'a tool is called "{self.name}": give it a name without spaces.')

    @classmethod
    def from_function(cls, function: Callable[..., Any]) -> Tool:
        """Name, docstring and signature of a Python function."""
        return cls(function.__name__, inspect.getdoc(function) or "", _schema(function), function)

    def documentation(self) -> str:
        """What a model is shown of it."""
        return (
            f"API name: {self.name}\nDescription: {' '.join(self.description.split())}\n"
            f"Arguments (JSON schema): {json.dumps(self.parameters, ensure_ascii=False)}"
        )

    def run(self, args: Args) -> str:
        """Execute a call; an error of the function is an observation, never an exception."""
        try:
            result = self.function(**json.loads(json.dumps(args)))  # a copy: a function may change what it is given
        except Exception as error:
            result = {"error": str(error) or type(error).__name__}
        return as_text(result)[:OBSERVED]


class ToolSet:
    """Tools by name, in order.

    tools = ToolSet.from_functions([forecast, add_date])
    tools = ToolSet.from_specs(listed, call=lambda name, args: session.call(name, args))   # MCP, OpenAI
    """

    def __init__(self, tools: Sequence[Tool]) -> None:
        self._tools = {tool.name: tool for tool in tools}
        if not tools:
            raise InputError("a tool set needs tools: give at least one.")
        if len(self._tools) < len(tools):
            raise InputError("two tools have the same name: rename one of them.")

    @classmethod
    def from_functions(cls, functions: Sequence[Callable[..., Any]]) -> ToolSet:
        return cls([Tool.from_function(function) for function in functions])

    @classmethod
    def from_specs(cls, specs: Sequence[Mapping[str, Any]], call: Callable[[str, dict[str, Any]], Any]) -> ToolSet:
        """Tools that are described elsewhere: MCP (`inputSchema`) or OpenAI (`function`, `parameters`).

        call    executes one: (name, arguments) -> result
        """
        return cls([_from_spec(spec.get("function", spec), call) for spec in specs])

    @property
    def names(self) -> list[str]:
        return list(self._tools)

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def __getitem__(self, name: str) -> Tool:
        if name not in self._tools:
            raise NotFound(f'there is no tool "{name}": there are {", ".join(self._tools)}.')
        return self._tools[name]


def as_text(result: Any) -> str:
    """A result as it is observed: text as it is, anything else as JSON."""
    return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=str)


def _from_spec(spec: Mapping[str, Any], call: Callable[[str, dict[str, Any]], Any]) -> Tool:
    if "name" not in spec:
        raise InputError(f"a tool's description has no name: {json.dumps(spec)[:80]}.")
    name = str(spec["name"])
    schema = spec.get("inputSchema") or spec.get("parameters") or {"type": "object", "properties": {}}
    return Tool(name, str(spec.get("description", "")), schema, lambda **args: call(name, args))


def _schema(function: Callable[..., Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(function)
    properties: dict[str, Any] = {}
    required = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        properties[name] = _property(hints.get(name))
        if parameter.default is parameter.empty:
            required.append(name)
        elif parameter.default is not None:
            properties[name]["default"] = parameter.default
    return {"type": "object", "properties": properties, "required": required}


def _property(hint: Any) -> dict[str, Any]:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        hint = next(one for one in typing.get_args(hint) if one is not type(None))  # "str | None" is a string
    if typing.get_origin(hint) is typing.Literal:
        return {"type": "string", "enum": list(typing.get_args(hint))}
    name = _JSON_TYPES.get(typing.get_origin(hint) or hint)
    return {"type": name} if name else {}
