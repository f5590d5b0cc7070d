"""JSON by schema: what a model said, read and checked.

Checked are the keywords that the schemas of memory systems use: type, properties, required,
additionalProperties (false), items, minItems, maxItems, enum, const, minimum, maximum, minLength,
maxLength, anyOf. Others are passed on to the model and not checked here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mnemic.errors import ModelError

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "integer": (int,), "number": (int, float),
    "boolean": (bool,), "null": (type(None),),
}  # fmt: skip
_FENCE = re.compile(r"\s*```(?:json)?\s*(.*?)\s*```\s*", re.DOTALL)
_SHOWN = 120  # characters of nonsense that an error quotes


def valid_json(text: str, schema: Mapping[str, Any], who: str) -> str:
    """The JSON in a model's answer as compact text; raises ModelError when it is none or breaks the schema."""
    inner = _FENCE.fullmatch(text)
    try:
        value = json.loads(inner[1] if inner else text)
    except (ValueError, RecursionError) as error:  # RecursionError: a model that went on with "[[[["
        raise ModelError(
            f"{who} was asked for JSON and answered {shown(text)} ({error}): allow more tokens or use another model."
        ) from None
    broken = next(violations(value, schema), None)
    if broken:
        raise ModelError(f"{who} answered JSON that breaks its schema: {broken}; use another model.")
    return json.dumps(value, ensure_ascii=False)


def violations(value: Any, schema: Mapping[str, Any], at: str = "$") -> Iterator[str]:
    """What a value breaks of a schema, each with the path to it: '$.facts[2].subject is missing'."""
    if "anyOf" in schema and all(next(violations(value, one, at), None) for one in schema["anyOf"]):
        yield f"{at} fits none of its forms"
    if "type" in schema and not _is_of(value, schema["type"]):
        yield f"{at} is not of type {schema['type']}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at} is not one of {schema['enum']}"
    if "const" in schema and value != schema["const"]:
        yield f"{at} is not {schema['const']!r}"
    yield from _out_of_range(value, schema, at)
    if isinstance(value, dict):
        yield from _in_object(value, schema, at)
    elif isinstance(value, list) and "items" in schema:
        for place, item in enumerate(value):
            yield from violations(item, schema["items"], f"{at}[{place}]")


def _is_of(value: Any, wanted: str | list[str]) -> bool:
    names = [wanted] if isinstance(wanted, str) else wanted
    if isinstance(value, bool):  # in Python a bool is an int, in JSON it is not
        return "boolean" in names
    return any(isinstance(value, _TYPES.get(name, (object,))) for name in names)


def _in_object(value: dict[str, Any], schema: Mapping[str, Any], at: str) -> Iterator[str]:
    known = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{at}.{name} is missing"
    for name, item in value.items():
        if name in known:
            yield from violations(item, known[name], f"{at}.{name}")
        elif schema.get("additionalProperties") is False:
            yield f"{at}.{name} is not in the schema"


def _out_of_range(value: Any, schema: Mapping[str, Any], at: str) -> Iterator[str]:
    size: float | None = None
    low, high = "minimum", "maximum"
    if isinstance(value, str):
        size, low, high = len(value), "minLength", "maxLength"
    elif isinstance(value, list):
        size, low, high = len(value), "minItems", "maxItems"
    elif isinstance(value, int | float) and not isinstance(value, bool):
        size = value
    if size is not None and size < schema.get(low, size):
        yield f"{at} is below its {low} of {schema[low]}"
    if size is not None and size > schema.get(high, size):
        yield f"{at} is above its {high} of {schema[high]}"


def shown(text: str) -> str:
    flat = " ".join(text.split())
    return repr(flat if len(flat) <= _SHOWN else flat[:_SHOWN] + "...") if flat else "nothing"
