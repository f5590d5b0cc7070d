"""A language model that is a function: for tests, ours and yours.

lm = ScriptedLM(lambda request: "Lisbon [1]." if "Ana" in request.messages[-1]["content"] else "NOT IN MEMORY")
with Memory(":memory:", lm=lm) as memory: ...
assert lm.requests[0].temperature == 0.0
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

from mnemic.errors import InputError
from mnemic.lm.exchange import Message, Reply, Request, Tool, ToolCall, estimate, estimate_messages, estimate_tools
from mnemic.lm.schema import valid_json
from mnemic.lm.tools import checked_tools

_WORD = re.compile(r"\s*\S+|\s+$")


class ScriptedLM:
    """Answers what the function says; keeps the requests it was asked.

    function   Request -> text; or a ToolCall or a list of them, when tools are offered; or another mapping or list,
               which becomes JSON; or a Reply, as it is; or an iterator of texts, the pieces of one answer. It may
               raise ModelError.
               Where a schema is asked for, its answer must keep it, as with a real model.
    """

    def __init__(self, function: Callable[[Request], Any], name: str = "scripted") -> None:
        self.function, self.name = function, name
        self.requests: list[Request] = []

    def complete(self, messages: Sequence[Message], *, max_tokens: int = 512, schema: Mapping[str, Any] | None = None,
                 temperature: float = 0.0, tools: Sequence[Tool] = ()) -> Reply:  # fmt: skip
        request = Request(tuple(messages), max_tokens, schema, temperature, checked_tools(tools, schema))
        self.requests.append(request)
        return self._reply(request, self.function(request))

    def stream(self, messages: Sequence[Message], *, max_tokens: int = 512, temperature: float = 0.0
               ) -> Generator[str, None, Reply]:  # fmt: skip
        """What `complete` would say, word by word, or in the function's own pieces; returns the whole."""
        request = Request(tuple(messages), max_tokens, None, temperature)
        self.requests.append(request)
        said = self.function(request)
        if isinstance(said, Iterator):
            pieces: list[str] = []
            try:
                for piece in said:
                    pieces.append(piece)
                    yield piece
            finally:  # whoever reads may go away before the end
                if isinstance(said, Generator):
                    said.close()
            return self._reply(request, "".join(pieces))
        reply = self._reply(request, said)
        yield from _WORD.findall(reply.text)
        return reply

    def _reply(self, request: Request, said: Any) -> Reply:
        if isinstance(said, Reply):
            return said
        if isinstance(said, Iterator):
            said = "".join(said)
        calls = _calls(said)
        if calls and not request.tools:
            raise InputError(
                f"the scripted model called {calls[0].name}, and no tool was offered: look at its function."
            )
        text = "" if calls else said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
        if request.schema is not None:
            text = valid_json(text, request.schema, self.name)
        written = text or json.dumps([[call.name, dict(call.arguments)] for call in calls])
        prompt = estimate_messages(request.messages) + estimate_tools(request.tools)
        return Reply(text, prompt, estimate(written), calls=calls)

    def count(self, text: str) -> int:
        return estimate(text)


def _calls(said: Any) -> tuple[ToolCall, ...]:
    """The calls that a function answered; none when it answered anything else."""
    found = said if isinstance(said, list | tuple) else [said]
    return tuple(found) if found and all(isinstance(one, ToolCall) for one in found) else ()
