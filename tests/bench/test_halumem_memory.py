"""mnemic's own memory under audit, the table of methods, and the real states behind HaluMem."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mnemic import Memory
from mnemic.bench.halumem import (
    METHODS,
    Empty,
    Found,
    MemoryAdapter,
    MemoryPoint,
    Question,
    Session,
    SlotJudge,
    Turn,
    User,
    Verbatim,
    evaluate,
    run,
)  # fmt: skip
from mnemic.bench.halumem.profiles import as_users, load_changes, state_facts
from mnemic.errors import InputError, NotFound
from mnemic.lm.doubles import HashEmbedder
from mnemic.meter import Budget
from mnemic.record import Chunk, Operation
from mnemic.seams import View

OSLO = MemoryPoint("Martin Mark's home city is Oslo.", "Persona Memory")
LIMA = MemoryPoint(
    "Martin Mark's home city is Lima now, no longer Oslo.", "Persona Memory", "system", True, (OSLO.text,)
)


# ---- mnemic's own memory


class Noting:
    """A writer that keeps one fact per person and city, and replaces it; it refuses a text that shouts."""

    name = "noting"

    def observe(self, chunk: Chunk, view: View) -> list[Operation]:
        if chunk.text.isupper():
            raise InputError("nobody shouts here.")
        if " live in " not in chunk.text:
            return []
        text = f"The user's home city is {chunk.text.split(' live in ')[1].rstrip('.')}."
        old = list(view.records({"kind": "fact"}))
        if old:
            return [Operation("update", old[0].id, after={"text": text, "time": chunk.time})]
        return [Operation("insert", "", after={"kind": "fact", "text": text, "time": chunk.time})]


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., MemoryAdapter]:
    count = iter(range(100))

    def make(**options: Any) -> MemoryAdapter:
        return MemoryAdapter(
            Memory(tmp_path / f"{next(count)}.db", embedder=HashEmbedder(), retriever="lexical", **options)
        )

    return make


def test_a_memory_with_a_writer_is_audited_like_any_other(opened: Callable[..., MemoryAdapter]) -> None:
    sessions = (
        Session("2025-01-01", "2025-01-01", (Turn("user", "I live in Oslo."), Turn("assistant", "I see.")), (OSLO,)),
        Session("2025-02-01", "2025-02-01", (Turn("user", "HELLO."), Turn("user", "I live in Lima.")), (LIMA,),
                (Question("What is my home city?", "Lima", "Dynamic Update", evidence=(LIMA,)),)),
    )  # fmt: skip
    made: list[MemoryAdapter] = []

    def system() -> MemoryAdapter:
        made.append(opened(writer=Noting()))
        return made[-1]

    report = evaluate(system, [User("u", "", sessions)])
    assert report.extraction.recall == 1.0
    assert [case.text for case in report.cases.memories] == [
        "The user's home city is Oslo.",
        "The user's home city is Lima.",
    ]
    assert report.update.correct == report.qa.correct == 1.0
    assert made[0].refused == ["nobody shouts here."]
    assert report.cases.kept_bytes > 0


def test_a_verbatim_memory_tells_who_spoke_and_what_has_ended(opened: Callable[..., MemoryAdapter]) -> None:
    adapter = opened()
    adapter.add([Turn("user", "I live in Oslo."), Turn("assistant", "You live in Lima.")], "2025-01-01")
    assert adapter.session_memories() == ["user: I live in Oslo."]
    (record,) = adapter.memory.records()
    adapter.memory.update(record.id, until="2025-02-01")
    assert adapter.search("Oslo", 5) == [Found("user: I live in Oslo. (ended 2025-02-01)", "2025-01-01")]
    adapter.add([], "2025-03-01")
    assert adapter.session_memories() == []
    current = MemoryAdapter(adapter.memory, where={"current": True})
    assert current.search("Oslo", 5) == []


# ---- the table, the real states


def test_the_table_has_a_row_for_each_method_at_one_budget() -> None:
    rows = run(limit=1, methods=("empty", "overwrite", "mnemic lexical"), budget=Budget(200, "tokens"))
    assert [row["method"] for row in rows] == ["empty", "overwrite", "mnemic lexical"]
    assert all(0 < row["tokens"] <= 200 for row in rows)
    assert rows[0]["bytes"] == 0 < rows[1]["bytes"] < rows[2]["bytes"]
    assert rows[0]["QA C"] < rows[1]["QA C"]
    with pytest.raises(NotFound, match="there are empty"):
        run(methods=("best",))
    assert len(METHODS) >= 7


def test_real_changes_are_found_in_turns_that_say_them(data_path: Callable[..., Path]) -> None:
    real = as_users(load_changes(data_path("halumem", "arc")))
    report = evaluate(Verbatim, real[:5], judge=SlotJudge(state_facts), parts=("extraction", "update"))
    assert report.extraction.recall == 1.0
    assert report.update.correct > 0.95
    dropped = evaluate(Empty, real[:5], judge=SlotJudge(state_facts), parts=("extraction", "update"))
    assert dropped.update.omission == 1.0
