"""An answer in pieces: what was told stays true, and what is told at the end is the answer that `ask` gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic import Memory
from mnemic.ask import EMPTY, UNKNOWN, answer, streamed
from mnemic.errors import InputError, ModelError
from mnemic.lm.doubles import HashEmbedder
from mnemic.lm.scripted import ScriptedLM
from mnemic.record import Answer

ASK = "Where does Ana live?"
PARTS = ["Ana", " lives", " in Porto", " [1]", "[2]", " [1, 2]", " [9]", " [memory 2]", " [see", "]", "(http://x.y)",
         "!", "[a](http://b.c)", "![i](d)", "\n", " ", "<think>", "hm", "</think>", "NOT IN", " MEMORY", "\x07",
         "."]  # fmt: skip


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Memory]:
    path: Path = tmp_path_factory.mktemp("ask") / "life.db"
    with Memory(path, embedder=HashEmbedder(), lm="none") as opened:
        opened.add("Ana lives in Porto.", time="2026-05-01")
        opened.add("Ana lives by the river.", time="2026-05-02")
        yield opened


def told(memory: Memory, pieces: list[str]) -> tuple[list[str], Answer]:
    found: list[str] = []
    said = streamed(ASK, memory, ScriptedLM(lambda request: iter(pieces)))
    while True:
        try:
            found.append(next(said))
        except StopIteration as end:
            return found, end.value


@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=12))
def test_the_pieces_are_the_answer_unless_no_memory_stands_behind_it(memory: Memory, pieces: list[str]) -> None:
    try:
        wanted = answer(ASK, memory, ScriptedLM(lambda request: "".join(pieces)))
    except ModelError:
        with pytest.raises(ModelError):
            told(memory, pieces)
        return
    found, got = told(memory, pieces)
    assert (got.text, got.known, got.citations) == (wanted.text, wanted.known, wanted.citations)
    assert all(found)
    if got.known:
        assert "".join(found) == got.text


@pytest.mark.parametrize(
    ("pieces", "found"),
    [
        (["Ana lives", " in Porto", " [1]", "."], ["Ana lives", " in Porto", " [1]."]),
        (["In", " [2", "] and", " [1]."], ["In", " [1] and", " [2]."]),  # numbered as the answer numbers them
        (["<think>Porto", "?</think>", "In Porto [1]."], ["In Porto [1]."]),
        (["NOT", " IN", " MEMORY"], [UNKNOWN]),
        (["No", "rth of Porto [1]."], ["North of Porto [1]."]),
        (["Ana lives in", " Porto."], ["Ana lives in", " Porto.", " [1]"]),  # it cited none, and one bears it out
        (["In Por", "to [9] [1]"], ["In Por", "to", " [1]"]),
    ],
)
def test_a_piece_waits_while_it_may_still_become_something_else(
    memory: Memory, pieces: list[str], found: list[str]
) -> None:
    assert told(memory, pieces)[0] == found


def test_what_no_memory_bears_out_is_said_to_be_unknown_at_the_end(memory: Memory) -> None:
    found, got = told(memory, ["She ", "moved ", "to ", "Mars."])
    assert "".join(found) == "She moved to Mars."
    assert (got.known, got.citations) == (False, ())
    assert got.text.startswith(UNKNOWN)


def test_without_a_model_or_a_memory_it_is_one_piece(memory: Memory, tmp_path: Path) -> None:
    said = streamed(ASK, memory, None)
    assert next(said) == answer(ASK, memory, None).text
    with Memory(tmp_path / "empty.db", embedder=HashEmbedder(), lm="none") as empty:
        assert next(streamed(ASK, empty, ScriptedLM(lambda request: "x"))) == EMPTY
    with pytest.raises(InputError, match="no question"):
        next(streamed(" ", memory, None))


def test_whoever_goes_away_stops_the_model(memory: Memory) -> None:
    closed: list[Any] = []

    def slowly(_: Any) -> Iterator[str]:
        try:
            yield from ["In ", "Porto ", "[1]."]
        finally:
            closed.append(True)

    said = streamed(ASK, memory, ScriptedLM(slowly))
    next(said)
    said.close()
    assert closed == [True]
