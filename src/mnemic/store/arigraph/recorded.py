"""A language model whose calls are kept: what was asked, what came back, what it cost; a run can be played again."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mnemic.errors import ModelError
from mnemic.lm.exchange import Message, Reply
from mnemic.meter import Used
from mnemic.seams import LanguageModel


class Recorder:
    """A language model that writes down every call.

    lm     who answers; None only answers what was loaded, and costs nothing
    """

    def __init__(self, lm: LanguageModel | None = None) -> None:
        self.lm, self.name = lm, lm.name if lm else "recorded"
        self.calls: list[tuple[str, Reply]] = []
        self._known: dict[str, Reply] = {}
        self._lock = threading.Lock()  # several calls may be under way at once

    def complete(self, messages: Sequence[Message], *, max_tokens: int = 512,
                 schema: Mapping[str, Any] | None = None, temperature: float = 0.0) -> Reply:  # fmt: skip
        """Raises ModelError when nobody answers and the request was never recorded."""
        asked = json.dumps([list(map(dict, messages)), max_tokens, schema, temperature], ensure_ascii=False)
        reply = self._known.get(asked)
        if reply is None:
            if self.lm is None:
                raise ModelError("this request was never recorded: replay with the settings of the recorded run.")
            said = self.lm.complete(messages, max_tokens=max_tokens, schema=schema, temperature=temperature)
            reply = Reply(said.text, said.prompt_tokens, said.completion_tokens)
        with self._lock:
            self.calls.append((asked, reply))
        return reply

    def count(self, text: str) -> int:
        """As the model counts; without one, estimated."""
        from mnemic.lm.exchange import estimate

        return self.lm.count(text) if self.lm else estimate(text)

    def used(self) -> Used:
        """Tokens of all calls so far."""
        parts = {
            "prompt": sum(reply.prompt_tokens for _, reply in self.calls),
            "completion": sum(reply.completion_tokens for _, reply in self.calls),
        }
        return Used(sum(parts.values()), "tokens", parts)

    def save(self, file: str | Path) -> None:
        """Write the calls, one JSON object a line."""
        lines = [
            json.dumps({"asked": asked, "reply": asdict(reply)}, ensure_ascii=False) for asked, reply in self.calls
        ]
        Path(file).write_text("\n".join(lines) + "\n", encoding="utf-8")

    def load(self, file: str | Path) -> None:
        """Answer recorded requests from a file."""
        for line in Path(file).read_text(encoding="utf-8").splitlines():
            call = json.loads(line)
            self._known[call["asked"]] = Reply(**call["reply"])
