"""A language model that is a function: for tests, ours and yours.

lm = ScriptedLM(lambda request: "Lisbon [1]." if "Ana" in request.messages[-1]["content"] else "NOT IN MEMORY")
with Memory(":memory:", lm=lm) as memory: ...
assert lm.requests[0].temperature == 0.0
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mnemic.lm.exchange import Message, Reply, Request, estimate, estimate_messages
from mnemic.lm.schema import valid_json


class ScriptedLM:
    """Answers what the function says; keeps the requests it was asked.

    function   Request -> text, or a mapping or list, which becomes JSON; it may raise ModelError.
               Where a schema is asked for, its answer must keep it, as with a real model.
    """

    def __init__(self, function: Callable[[Request], Any], name: str = "scripted") -> None:
        self.function, self.name = function, name
        self.requests: list[Request] = []

    def complete(self, messages: Sequence[Message], *, max_tokens: int = 512,
                 schema: Mapping[str, Any] | None = None, temperature: float = 0.0) -> Reply:  # fmt: skip
        request = Request(tuple(messages), max_tokens, schema, temperature)
        self.requests.append(request)
        said = self.function(request)
        text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
        if schema is not None:
            text = valid_json(text, schema, self.name)
        return Reply(text, estimate_messages(messages), estimate(text))

    def count(self, text: str) -> int:
        return estimate(text)
