"""What the memory is made of: records, operations, edges, hits. Plain frozen data, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mnemic.meter import Budget, Used
from mnemic.moment import Time

OperationKind = Literal["insert", "update", "delete", "evict", "link", "unlink", "merge", "erase"]


@dataclass(frozen=True)
class Record:
    """One remembered thing, of the size that a person recognises: a message, a diary day, a section.

    id            UUIDv7 as text: sorts by when it was written
    space         whose memory it is
    kind          "episode", "fact", "core", "experience", "skill", or a word of your own
    time, until   when it was true (ISO 8601, as precise as given); until is None while it still is
    written       when it was written here (ISO 8601, UTC)
    source        where it came from: a file, a conversation, a URL
    place         where in the source: "line 17", "D1:3", "# Setup"
    episode       what it happened together with: a chat session, a document; neighbours share it
    speaker       who said it
    derived_from  ids of the records it was made from
    stale         None, or why it can no longer be trusted (a source was corrected, ended or erased)
    pinned        a policy never lets it go
    importance    weight for the policy, 1.0 is ordinary
    """

    id: str
    space: str
    kind: str
    text: str
    time: str | None = None
    until: str | None = None
    written: str = ""
    source: str | None = None
    place: str | None = None
    episode: str | None = None
    speaker: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    derived_from: tuple[str, ...] = ()
    stale: str | None = None
    pinned: bool = False
    importance: float = 1.0


@dataclass(frozen=True)
class Operation:
    """One change of the memory, proposed (n is 0) or in the log.

    n         position in the log, 1, 2, ...
    kind      insert, update, delete (a person), evict (a policy), link, unlink, merge, erase
    target    id of the record it changes (of the edge's source for link and unlink)
    before    the record (or edge) as it was, None for an insert
    after     the record (or edge) as it is now, None for a delete
    call      operations of one call share it: they were written in one transaction
    undoes    n of the operation that this one takes back
    """

    kind: OperationKind
    target: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    who: str = "person"
    why: str = ""
    when: str = ""
    call: str = ""
    n: int = 0
    undoes: int | None = None


@dataclass(frozen=True)
class Edge:
    """A typed, weighted link: between two records, or subject and object phrases found in a record.

    source    id of the record that the link was read from; None for a link a person made
    """

    head: str
    relation: str
    tail: str
    weight: float = 1.0
    source: str | None = None


@dataclass(frozen=True)
class Hit:
    """A record that was found, and why.

    score     higher is better; comparable within one answer only
    parts     what the score is made of: {"dense": 1.2, "lexical": 3.4, ...}
    passage   the part of the record's text that matched best
    span      characters of record.text that passage covers: (start, end)
    """

    record: Record
    score: float
    parts: Mapping[str, float]
    passage: str
    span: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Chunk:
    """A piece of input on its way into memory: what a writer sees. Fields as in Record."""

    text: str
    time: Time | None = None
    until: Time | None = None
    source: str | None = None
    place: str | None = None
    episode: str | None = None
    speaker: str | None = None
    kind: str = "episode"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    derived_from: tuple[str, ...] = ()
    pinned: bool = False
    importance: float = 1.0


@dataclass(frozen=True)
class Outcome:
    """What became of one item of a call.

    state     added, unchanged (it was there), updated (its place in the source held another text), refused
    reason    why it was refused; empty otherwise
    outcomes  what a writer made of the item: of each operation that it proposed, in order, then of each candidate that
              it looked at and did not propose (refused, with the reason); empty where the item is one operation
    """

    state: Literal["added", "unchanged", "updated", "refused"]
    record: Record | None = None
    reason: str = ""
    outcomes: tuple[Outcome, ...] = ()


@dataclass(frozen=True)
class Proposal:
    """What a writer makes of one chunk.

    operations  to be committed; the first one keeps the chunk itself, where the writer keeps it
    refused     candidates that it looked at and did not propose, each with the reason
    """

    operations: tuple[Operation, ...] = ()
    refused: tuple[Outcome, ...] = ()


@dataclass(frozen=True)
class Eviction:
    """A record that a policy lets go, and why."""

    id: str
    why: str


@dataclass(frozen=True)
class Prompt:
    """What goes to a language model: chat messages, the records they quote, what they use."""

    messages: tuple[Mapping[str, str], ...]
    quoted: tuple[Hit, ...]
    used: Used
    budget: Budget


@dataclass(frozen=True)
class Answer:
    """An answer and what it rests on.

    text        the answer; without a model, the best passages
    citations   hits that the answer cites, in the order of their first mention
    known       False when the memory does not hold the answer
    used        tokens: prompt and completion
    model       which model answered; None when none is configured
    """

    text: str
    citations: tuple[Hit, ...]
    used: Used
    known: bool = True
    model: str | None = None
