"""An answer as a model says it: pieces of text, then all of it with what it cost.

def told(model, messages):
    reply = yield from stream(model, messages)      # passes the pieces on; the Reply is what it returns

A model that can do this has a method `stream` of this shape; any other says everything in one piece.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Protocol, runtime_checkable

from mnemic.lm.exchange import Message, Reply, whole
from mnemic.seams import LanguageModel


@runtime_checkable
class StreamingModel(Protocol):
    """A language model that says its answer piece by piece; closing the generator makes it stop."""

    def stream(self, messages: Sequence[Message], *, max_tokens: int = 512, temperature: float = 0.0
               ) -> Generator[str, None, Reply]: ...  # fmt: skip


def stream(model: LanguageModel, messages: Sequence[Message], *, max_tokens: int = 512, temperature: float = 0.0
           ) -> Generator[str, None, Reply]:  # fmt: skip
    """Pieces of a model's answer, which joined are its text; returns the whole. Raises ModelError."""
    # Asked of the class: what wraps a model to count or to keep its answers lends out all its other attributes, and
    # would be passed by.
    if isinstance(model, StreamingModel) and hasattr(type(model), "stream"):
        return (yield from model.stream(messages, max_tokens=max_tokens, temperature=temperature))
    reply = whole(model.complete(messages, max_tokens=max_tokens, temperature=temperature))
    yield reply.text
    return reply
