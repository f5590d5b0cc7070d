"""`mnemic bench run halumem`: memories side by side on one SlotWorld, at one budget of tokens a prompt."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mnemic.bench._methods import chosen
from mnemic.bench.halumem.adapter import MemoryAdapter
from mnemic.bench.halumem.audit import Audit
from mnemic.bench.halumem.contract import MemorySystem
from mnemic.bench.halumem.records import User
from mnemic.bench.halumem.systems import Empty, Extractor, Oracle, Verbatim
from mnemic.bench.halumem.world import SlotWorld
from mnemic.lm.doubles import HashEmbedder
from mnemic.memory import Memory
from mnemic.meter import Budget

CAPACITY = 40  # memories of the full extractor: about a third of what a user says
METHODS: Mapping[str, str] = {
    "empty": "keeps nothing: resists every false memory and knows nothing",
    "verbatim user": "the user's turns word for word, BM25",
    "verbatim both": "the turns of both sides word for word, BM25",
    "append": "facts by pattern, an old value is kept beside the new one",
    "overwrite": "facts by pattern, a new value takes the place of the old one",
    "capacity": f"the same, with room for the {CAPACITY} newest memories",
    "mnemic lexical": "mnemic.Memory, writer verbatim, retriever lexical",
    "mnemic hybrid": "mnemic.Memory, writer verbatim, retriever hybrid, the embedder that ships inside",
    "mnemic facts": "mnemic.Memory, writer facts_local (turns and the facts it takes from them), retriever hybrid",
    "oracle": "the gold itself: what the reader and the budget allow",
}
_USERS = 10


def run(*, limit: int | None = None, methods: Sequence[str] = (), budget: Budget | None = None,
        seed: int = 0) -> list[dict[str, Any]]:  # fmt: skip
    """A row for each method; `limit` keeps the first users."""
    names = chosen(methods, METHODS)
    users = SlotWorld(users=min(limit or _USERS, _USERS), seed=seed).build()
    with tempfile.TemporaryDirectory() as folder:
        return [_row(name, users, budget or Budget(2000, "tokens"), Path(folder)) for name in names]


def _row(name: str, users: Sequence[User], budget: Budget, folder: Path) -> dict[str, Any]:
    opened: list[Memory] = []
    audit = Audit(_maker(name, users, folder, opened), budget=budget)
    try:
        for user in users:
            audit.add(user)
    finally:
        for memory in opened:
            memory.close()
    report, used = audit.report(), audit.used()
    return {
        "method": name,
        "tokens": used.amount,
        "bytes": round(audit.cases.kept_bytes / len(users)),  # of one user's memory, on average
        **report.row(),
        "loses most": report.diagnose().stage or "-",
    }


def _maker(name: str, users: Sequence[User], folder: Path, opened: list[Memory]) -> Callable[[], MemorySystem]:
    makers: Mapping[str, Callable[[], MemorySystem]] = {
        "empty": Empty,
        "verbatim user": Verbatim,
        "verbatim both": lambda: Verbatim(("user", "assistant")),
        "append": lambda: Extractor(overwrite=False),
        "overwrite": Extractor,
        "capacity": lambda: Extractor(capacity=CAPACITY),
        "mnemic lexical": lambda: _memory(folder, opened, retriever="lexical", embedder=HashEmbedder()),
        "mnemic hybrid": lambda: _memory(folder, opened, retriever="hybrid"),
        "mnemic facts": lambda: _memory(folder, opened, retriever="hybrid", writer="facts_local"),
        "oracle": lambda: Oracle(users),
    }
    return makers[name]


def _memory(folder: Path, opened: list[Memory], **options: Any) -> MemoryAdapter:
    """A memory in a file of its own; `opened` closes it when the row is done."""
    memory = Memory(folder / f"{options.get('writer', 'verbatim')}-{options['retriever']}-{len(opened)}.db", **options)
    opened.append(memory)
    return MemoryAdapter(memory)
