"""The graph follows the memory's log: whatever was written, by whom, it equals a graph built anew."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mnemic import Memory
from mnemic.lm.doubles import HashEmbedder
from mnemic.store.hipporag2 import retriever
from mnemic.store.hipporag2.graph import TripleGraph

QUESTION = "Who rows the boat of Ana?"
STATED = {"Ana owns a red boat.": ["Ana", "owns", "red boat"], "Ben rows red boats.": ["Ben", "rows", "red boats"],
          "The boat lies in Faro.": ["red boat", "lies in", "Faro"],
          "Caro left Faro.": ["Caro", "left", "Faro"]}  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


def opened(file: Path, **options: Any) -> Memory:
    return Memory(file, **{"retriever": "hipporag2", "embedder": HashEmbedder(), **options})


@pytest.fixture
def memory(file: Path) -> Iterator[Memory]:
    with opened(file) as one:
        fill(one)
        one.recall(QUESTION)
        yield one


def fill(memory: Memory) -> None:
    memory.add_many({"text": text, "metadata": {"triples": [triple]}} for text, triple in STATED.items())


def found(memory: Memory) -> list[tuple[str, float, dict[str, float]]]:
    return [(hit.record.id, round(hit.score, 6), {name: round(value, 6) for name, value in hit.parts.items()})
            for hit in memory.recall(QUESTION)]  # fmt: skip


def id_of(memory: Memory, text: str) -> str:
    return next(record.id for record in memory.records() if record.text == text)


@pytest.fixture
def no_rebuild(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts the graphs that are made."""
    made: list[int] = []

    class Counted(TripleGraph):
        def __init__(self, dimensions: int) -> None:
            made.append(dimensions)
            super().__init__(dimensions)

    monkeypatch.setattr(retriever, "TripleGraph", Counted)
    return made


def add(memory: Memory) -> None:
    memory.add("Dora rows Ana's boat.", metadata={"triples": [["Dora", "rows", "red boat"]]})


def forget(memory: Memory) -> None:
    memory.forget(id_of(memory, "Ben rows red boats."))


def update_text(memory: Memory) -> None:
    memory.update(id_of(memory, "Ben rows red boats."), text="Ben sold the boat.",
                  metadata={"triples": [["Ben", "sold", "red boat"]]})  # fmt: skip


def update_other(memory: Memory) -> None:
    memory.update(id_of(memory, "Ben rows red boats."), speaker="Ben")


def undo_forget(memory: Memory) -> None:
    forget(memory)
    memory.recall(QUESTION)
    memory.undo(memory.position)


def undo_update(memory: Memory) -> None:
    update_text(memory)
    memory.recall(QUESTION)
    memory.undo(memory.position)


def undo_add(memory: Memory) -> None:
    add(memory)
    memory.recall(QUESTION)
    memory.undo(memory.position)


def erase(memory: Memory) -> None:
    memory.erase(id_of(memory, "The boat lies in Faro."))


def link(memory: Memory) -> None:
    memory.link(id_of(memory, "Caro left Faro."), "red boat", id_of(memory, "Ben rows red boats."))


def everything_goes(memory: Memory) -> None:
    memory.forget(where={"kind": "episode"})


@pytest.mark.parametrize("change", [add, forget, update_text, update_other, undo_forget, undo_update, undo_add, erase,
                                    link, everything_goes], ids=lambda change: change.__name__)  # fmt: skip
def test_a_change_is_followed_and_equals_a_fresh_memory(
    memory: Memory, file: Path, no_rebuild: list[int], change: Any
) -> None:
    change(memory)
    seen = found(memory)
    assert no_rebuild == []
    with opened(file) as fresh:
        assert seen == found(fresh)
        assert memory.retriever._graph.triples() == fresh.retriever._graph.triples()  # type: ignore[attr-defined]


@pytest.mark.parametrize("undone", [undo_forget, undo_update, undo_add])
def test_what_was_undone_is_as_it_was(memory: Memory, undone: Any) -> None:
    before = found(memory)
    undone(memory)
    assert found(memory) == before


def test_an_update_changes_what_is_found(memory: Memory) -> None:
    assert "'rows'" in str(memory.retriever.facts("What does Ben do?"))  # type: ignore[attr-defined]
    update_text(memory)
    facts = str(memory.retriever.facts("What does Ben do?"))  # type: ignore[attr-defined]
    assert "'sold'" in facts
    assert "'rows'" not in facts


def test_nothing_of_an_erased_record_stays_in_the_graph(memory: Memory) -> None:
    memory.erase(id_of(memory, "Caro left Faro."))
    memory.recall(QUESTION)
    graph = memory.retriever._graph  # type: ignore[attr-defined]
    assert "caro" not in str((graph.phrases.keys, graph.facts.keys))
    assert "faro" in graph.phrases.of  # the boat lies there


def test_a_log_that_tells_too_much_is_answered_by_a_new_graph(
    memory: Memory, file: Path, no_rebuild: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retriever, "_FOLLOWED", 2)
    memory.add_many({"text": f"Note {n}", "metadata": {"triples": [["Ana", "wrote", f"note {n}"]]}} for n in range(9))
    assert len(found(memory)) == 10
    assert len(no_rebuild) == 1
    with opened(file) as fresh:
        assert found(memory) == found(fresh)


def test_another_memory_on_the_file_is_followed(memory: Memory, file: Path) -> None:
    with opened(file) as other:
        add(other)
        forget(other)
        assert found(memory) == found(other)


def test_another_process_is_followed(memory: Memory, file: Path) -> None:
    code = """
import sys
from mnemic import Memory
from mnemic.lm.doubles import HashEmbedder
with Memory(sys.argv[1], retriever="hipporag2", embedder=HashEmbedder()) as memory:
    memory.add("Dora rows Ana's boat.", metadata={"triples": [["Dora", "rows", "red boat"]]})
"""
    subprocess.run([sys.executable, "-c", code, str(file)], check=True)
    assert "dora" in str(memory.retriever.facts(QUESTION))  # type: ignore[attr-defined]
    assert "Dora rows Ana's boat." in [hit.record.text for hit in memory.recall(QUESTION)]


def test_a_failing_embedder_is_told_and_the_next_search_is_whole(memory: Memory, file: Path) -> None:
    add(memory)
    embedder: Any = memory.embedder
    real, embedder.embed = embedder.embed, lambda texts: [][1]
    with pytest.raises(IndexError):
        memory.recall(QUESTION)
    embedder.embed = real
    with opened(file) as fresh:
        assert found(memory) == found(fresh)


def test_threads_may_search_while_one_adds(memory: Memory, file: Path) -> None:
    errors: list[BaseException] = []
    done = threading.Event()

    def search() -> None:
        try:
            while not done.is_set():
                assert memory.recall(QUESTION)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for n in range(40):
        memory.add(f"Guest {n} rowed.", metadata={"triples": [[f"guest {n}", "rowed", "red boat"]]})
        if n % 4 == 0:
            memory.forget(id_of(memory, f"Guest {n} rowed."))
    done.set()
    for thread in threads:
        thread.join()
    assert errors == []
    with opened(file) as fresh:
        assert found(memory) == found(fresh)


# ---- a memory that was filled with another retriever


def test_index_reads_what_was_written_without_it(file: Path) -> None:
    with opened(file, retriever="hybrid") as plain:
        fill(plain)
        assert list(plain.index()) == []
        assert list(plain.edges()) == []
    with opened(file) as memory:
        assert list(memory.retriever.index(batch=3)) == [(0, 4), (3, 4), (4, 4)]  # type: ignore[attr-defined]
        assert {edge.source for edge in memory.edges()} == {record.id for record in memory.records()}
        seen, position = found(memory), memory.position
        assert list(memory.index()) == [(0, 0)]  # all is read
        assert memory.position == position
        assert memory.check().ok
    with opened(file.with_name("y.db")) as direct:
        fill(direct)
        assert [score for _, score, _ in found(direct)] == [score for _, score, _ in seen]


def test_index_goes_on_where_it_stopped(file: Path) -> None:
    with opened(file, retriever="hybrid") as plain:
        fill(plain)
    with opened(file) as memory:
        stopped = memory.retriever.index(batch=1)  # type: ignore[attr-defined]
        assert [next(stopped), next(stopped)] == [(0, 4), (1, 4)]
        stopped.close()
        assert next(iter(memory.index())) == (0, 3)
