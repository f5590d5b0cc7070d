"""What the tests of the gate have in common: marks, a page of others, a tool and calls of it."""

from __future__ import annotations

from typing import Any

from mnemic.lm.exchange import Tool, ToolCall

MARK = {"trust": "untrusted"}
PAGE = "https://evil.example/page"
MAIL = Tool("send_mail", "Send an e-mail.", {
    "type": "object", "properties": {"to": {"type": "string"}, "body": {"type": "string"}}, "required": ["to", "body"],
})  # fmt: skip


def call(name: str = "send_mail", **arguments: Any) -> ToolCall:
    return ToolCall(name, arguments)
