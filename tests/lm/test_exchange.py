"""Requests and replies: JSON by schema, the scripted double, estimated counts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mnemic.errors import ModelError
from mnemic.lm.exchange import estimate
from mnemic.lm.schema import valid_json, violations
from mnemic.lm.scripted import ScriptedLM

ASK = [{"role": "user", "content": "Where does Ana live?"}]
FACT = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "year": {"type": "integer", "minimum": 1900}},
    "required": ["city", "year"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "schema", "broken"),
    [
        ({"city": "Porto", "year": 2024}, FACT, []),
        ({"city": 1, "year": 1800, "x": 0}, FACT,
         ["$.city is not of type string", "$.year is below its minimum of 1900", "$.x is not in the schema"]),
        (True, {"type": "integer"}, ["$ is not of type integer"]),
        (None, {"type": ["string", "null"]}, []),
        (["a", 2], {"items": {"type": "string"}, "maxItems": 1}, ["$ is above its maxItems of 1",
                                                                 "$[1] is not of type string"]),
        ("c", {"enum": ["a", "b"]}, ["$ is not one of ['a', 'b']"]),
        ("c", {"const": "d"}, ["$ is not 'd'"]),
        (3, {"anyOf": [{"type": "string"}, {"maximum": 2}]}, ["$ fits none of its forms"]),
    ],
)  # fmt: skip
def test_what_a_value_breaks_of_a_schema(value: Any, schema: Any, broken: list[str]) -> None:
    assert list(violations(value, schema)) == broken


def test_text_that_is_no_json_is_quoted_in_the_error() -> None:
    with pytest.raises(ModelError, match="tiny was asked for JSON and answered 'Sure! Here"):
        valid_json("Sure! Here you are", FACT, "tiny")


def test_the_scripted_model_is_a_function_of_the_request() -> None:
    lm = ScriptedLM(lambda request: {"city": "Porto", "year": 2024} if request.schema else "Porto")
    assert lm.complete(ASK).text == "Porto"
    assert json.loads(lm.complete(ASK, schema=FACT, max_tokens=9).text)["year"] == 2024
    assert [(request.max_tokens, request.schema) for request in lm.requests] == [(512, None), (9, FACT)]
    with pytest.raises(ModelError, match="breaks its schema"):
        ScriptedLM(lambda request: {"city": "Porto"}).complete(ASK, schema=FACT)


def test_estimates_by_hand() -> None:
    # Ana, moved, to, and the full stop: 1 each; "Montenegro", 10 letters: 3; "2026", 4 digits: 2.
    assert estimate("Ana moved to Montenegro 2026.") == 1 + 1 + 1 + 3 + 2 + 1
    assert estimate("") == 0
    assert estimate("天気") == 2
