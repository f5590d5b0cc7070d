"""The seams: how to find, how to remember, how to use it, what leaves, and which models help.

A system of the catalog is a choice at some of these. Anything with the right methods fits; there is
no base class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from mnemic.filter import Filter
from mnemic.meter import Budget, Unit, Used
from mnemic.record import Chunk, Edge, Eviction, Hit, Operation, Outcome, Prompt, Proposal, Record

if TYPE_CHECKING:
    from mnemic.lm.exchange import Reply, Tool
    from mnemic.recall.corpus import Corpus

Vectors = npt.NDArray[np.float32]


class View(Protocol):
    """A memory to read from: what retrievers, writers, composers and policies are given."""

    @property
    def position(self) -> int:
        """n of the newest operation: two equal positions mean the same memory."""

    @property
    def corpus(self) -> Corpus:
        """The searchable columns of the space, as of now."""

    def get(self, id: str) -> Record: ...
    def records(self, where: Filter | Mapping[str, Any] | None = None) -> Iterator[Record]: ...
    def recall(self, query: str, *, k: int = 10, where: Filter | Mapping[str, Any] | None = None) -> list[Hit]: ...
    def edges(self, source: str | None = None) -> Iterator[Edge]: ...
    def used(self, unit: Unit | None = None) -> Used: ...
    def access(self) -> dict[str, tuple[int, float]]:
        """How often recall found a record and when last (seconds since 1970), by id; only what was ever found."""


class Retriever(Protocol):
    """How to find."""

    @property
    def name(self) -> str: ...

    def search(self, query: str, k: int, where: Filter) -> list[Hit]: ...


@runtime_checkable
class Enricher(Protocol):
    """A retriever that needs something read out of every record before it is written (triples, say).

    Called before the transaction, never inside; the edges are written with the records.
    """

    def enrich(self, records: Sequence[Record]) -> list[Edge]: ...


class Writer(Protocol):
    """How to remember: proposes operations, never writes."""

    @property
    def name(self) -> str: ...

    def observe(self, chunk: Chunk, view: View) -> list[Operation]: ...


@runtime_checkable
class BatchWriter(Protocol):
    """A writer that looks at the chunks of one call together: later ones know what was proposed for earlier ones."""

    def observe_many(self, chunks: Sequence[Chunk], view: View) -> Sequence[Proposal | Outcome]:
        """One proposal per chunk, in order; or the outcome of a chunk that is refused whole."""


class Composer(Protocol):
    """How to use it: what of the memory goes into a prompt of so many tokens."""

    @property
    def name(self) -> str: ...

    def compose(self, task: str, view: View, budget: Budget) -> Prompt: ...


class Policy(Protocol):
    """What leaves when it is full."""

    @property
    def name(self) -> str: ...

    def beyond(self, budget: Budget, view: View) -> list[Eviction]: ...


class Embedder(Protocol):
    """Text to vectors of length 1.

    name         identifies the vectors: a file made by one name refuses another
    dimensions   d
    window       tokens it can see at once
    """

    @property
    def name(self) -> str: ...
    @property
    def dimensions(self) -> int: ...
    @property
    def window(self) -> int: ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """[n texts] -> float32 [n d], rows of length 1; an empty list gives [0 d]. Order is kept."""

    def windows(self, text: str) -> list[tuple[int, int]]:
        """Character spans (start, end) that together cover the text, each within `window` tokens."""

    def count(self, text: str) -> int:
        """Tokens of the text, uncut."""


class LanguageModel(Protocol):
    """Messages to text. Implementations live in mnemic.lm."""

    name: str

    def complete(self, messages: Sequence[Mapping[str, str]], *, max_tokens: int = 512,
                 schema: Mapping[str, Any] | None = None, temperature: float = 0.0) -> Completion: ...  # fmt: skip

    def count(self, text: str) -> int:
        """Tokens of the text in this model, or a close estimate when the model does not tell."""


class ToolModel(LanguageModel, Protocol):
    """A language model that can be offered tools; what it asks for stands in Reply.calls, and nothing is run.

    Any other LanguageModel can be offered them too, in words: mnemic.lm.tools.complete_with.
    """

    def complete(self, messages: Sequence[Mapping[str, str]], *, max_tokens: int = 512,
                 schema: Mapping[str, Any] | None = None, temperature: float = 0.0,
                 tools: Sequence[Tool] = ()) -> Reply: ...  # fmt: skip


class Completion(Protocol):
    """What a model said and what it cost in tokens."""

    @property
    def text(self) -> str: ...
    @property
    def prompt_tokens(self) -> int: ...
    @property
    def completion_tokens(self) -> int: ...
