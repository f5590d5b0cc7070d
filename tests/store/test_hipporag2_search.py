"""What a question finds through a memory: the second hop, filters, and similarity where the graph says nothing."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mnemic import Memory
from mnemic.errors import InputError
from mnemic.lm.doubles import HashEmbedder
from mnemic.store.hipporag2 import HippoRAG2, Passage, Reading, Settings, Triple, keep_all

QUESTION = "In which town does the company work that Ana Duarte founded?"
FIRST = "Ana Duarte founded Mar Alto in 1987."
SECOND = "Wooden boats leave the yard of Mar Alto in Setúbal."
LIBRARY: list[tuple[str, list[list[str]]]] = [
    (FIRST, [["Ana Duarte", "founded", "Mar Alto"]]),
    (SECOND, [["Mar Alto", "builds", "wooden boats"], ["Mar Alto", "has its yard in", "Setúbal"]]),
    ("In which town a company works was asked by the council.", [["council", "asked", "mayor"]]),
    ("The company of Rui works at night.", [["Rui", "rests by", "day"]]),
    ("A town by the river was founded in 1143.", [["river", "feeds", "mill"]]),
    ("Ben Costa opened a bakery in Porto.", [["Ben Costa", "opened", "bakery"]]),
]
Open = Callable[..., Memory]


@pytest.fixture
def opened(request: pytest.FixtureRequest) -> Open:
    """Opens memories in RAM and closes them after the test."""

    def open_one(library: list[tuple[str, list[list[str]]]] = LIBRARY, **options: Any) -> Memory:
        memory = Memory(":memory:", **{"retriever": "hipporag2", "embedder": HashEmbedder(512), **options})
        request.addfinalizer(memory.close)
        memory.add_many({"text": text, "metadata": {"triples": triples}} for text, triples in library)
        return memory

    return open_one


def found(memory: Memory, **options: Any) -> list[str]:
    return [hit.record.text for hit in memory.recall(QUESTION, **options)]


# ---- two hops


def test_the_second_hop_is_found_where_similarity_ranks_it_low(opened: Open) -> None:
    assert found(opened(retriever="dense")).index(SECOND) == 4
    assert found(opened())[:2] == [FIRST, SECOND]


def test_control_with_triples_of_other_passages_the_second_hop_is_lost(opened: Open) -> None:
    shuffled = [(text, LIBRARY[(n + 3) % len(LIBRARY)][1]) for n, (text, _) in enumerate(LIBRARY)]
    assert found(opened(shuffled)).index(SECOND) >= 4


def test_what_the_question_was_linked_to_can_be_seen(opened: Open) -> None:
    memory = opened()
    assert memory.retriever.facts(QUESTION) == [(("ana duarte", "founded", "mar alto"), 1.0)]  # type: ignore[attr-defined]
    # Mar Alto stands in two passages, Ana Duarte in one.
    assert memory.retriever.seeds(QUESTION) == {"ana duarte": 1.0, "mar alto": 0.5}  # type: ignore[attr-defined]


def test_scores_are_shares_of_the_walks_mass(opened: Open) -> None:
    hits = opened().recall(QUESTION)
    assert [hit.score for hit in hits] == [hit.parts["ppr"] for hit in hits] == sorted(h.score for h in hits)[::-1]
    assert 0.1 < sum(hit.score for hit in hits) < 1  # the rest lies at phrases
    assert {max(hit.parts["dense"] for hit in hits), min(hit.parts["dense"] for hit in hits)} == {0.0, 1.0}


def test_a_filter_of_triples_can_be_given(opened: Open) -> None:
    def none(question: str, candidates: object) -> list[int]:
        return []

    everything = opened(retriever=functools.partial(HippoRAG2, triple_filter=keep_all))
    assert len(everything.retriever.facts(QUESTION)) == 5  # type: ignore[attr-defined]
    nothing = opened(retriever=functools.partial(HippoRAG2, triple_filter=none))
    assert found(nothing) == found(opened(retriever="dense"))


def test_settings_can_be_given(opened: Open) -> None:
    narrow = opened(retriever=functools.partial(HippoRAG2, triple_filter=keep_all, settings=Settings(linked=1)))
    assert narrow.retriever.seeds(QUESTION) == {"ana duarte": 1.0}  # type: ignore[attr-defined]
    loud = opened(retriever=functools.partial(HippoRAG2, settings=Settings(passage_weight=100)))
    assert found(loud) == found(opened(retriever="dense"))


def test_an_extractor_can_be_given(opened: Open) -> None:
    class Known:
        def read(self, passages: list[Passage]) -> list[Reading]:
            return [Reading(tuple(map(as_triple, dict(LIBRARY)[passage.text]))) for passage in passages]

    def as_triple(parts: list[str]) -> Triple:
        return parts[0], parts[1], parts[2]

    memory = opened([], retriever=functools.partial(HippoRAG2, extractor=Known()))
    memory.add_many([text for text, _ in LIBRARY])
    assert found(memory)[:2] == [FIRST, SECOND]


# ---- edges of it


def test_an_empty_memory_finds_nothing(opened: Open) -> None:
    assert opened([]).recall(QUESTION) == []


def test_without_triples_similarity_alone_decides(opened: Open) -> None:
    bare: list[tuple[str, list[list[str]]]] = [(text, []) for text, _ in LIBRARY]
    hits = opened(bare).recall(QUESTION)
    assert [hit.record.text for hit in hits] == found(opened(retriever="dense"))
    assert {tuple(hit.parts) for hit in hits} == {("dense",)}
    assert [hit.score for hit in hits] == [hit.parts["dense"] for hit in hits]


def test_one_passage_alone_is_found(opened: Open) -> None:
    assert found(opened(LIBRARY[:1])) == [FIRST]


def test_where_is_respected_and_the_walk_still_crosses_what_it_leaves_out(opened: Open) -> None:
    memory = opened()
    first = next(record for record in memory.records() if record.text == FIRST)
    others = [record.id for record in memory.records() if record.text != FIRST]
    scores = {hit.record.id: hit.score for hit in memory.recall(QUESTION)}
    without = memory.recall(QUESTION, where={"ids": others})
    assert without[0].record.text == SECOND  # reached through the fact of the passage that was left out
    assert {hit.record.id: hit.score for hit in without} == {id: s for id, s in scores.items() if id != first.id}
    assert memory.recall(QUESTION, where={"kind": "fact"}) == []


def test_k_cuts_the_same_ranking(opened: Open) -> None:
    memory = opened()
    assert found(memory, k=2) == found(memory)[:2]
    with pytest.raises(InputError):
        memory.recall(QUESTION, k=0)


def test_spaces_of_one_file_do_not_see_each_others_facts(tmp_path: Path) -> None:
    options: dict[str, Any] = {"retriever": "hipporag2", "embedder": HashEmbedder(512)}
    with Memory(tmp_path / "x.db", **options) as ours, Memory(tmp_path / "x.db", space="b", **options) as theirs:
        ours.add(FIRST, metadata={"triples": LIBRARY[0][1]})
        theirs.add(SECOND, metadata={"triples": LIBRARY[1][1]})
        assert found(ours) == [FIRST]
        assert theirs.retriever.seeds("Where is Mar Alto?").keys() == {"mar alto", "wooden boats", "setúbal"}  # type: ignore[attr-defined]


# ---- triples that are given


@pytest.mark.parametrize(
    ("given", "kept", "lost"),
    [
        ([["a", "b"], ["Ana", "met", "Ben"]], [("Ana", "met", "Ben")], "1 of 2"),
        ("Ana met Ben", [], "1 of 1"),
        (None, [], "1 of 1"),
        ([7, {"s": "Ana"}], [], "2 of 2"),
    ],
)
def test_given_triples_that_are_none_are_warned_of(opened: Open, given: Any, kept: list[Triple], lost: str) -> None:
    memory = opened([])
    with pytest.warns(UserWarning, match=f"{lost} given triples are not three texts"):
        record = memory.add("Ana met Ben.", metadata={"triples": given})
    assert [(edge.head, edge.relation, edge.tail) for edge in memory.edges(record.id)] == kept


def test_an_empty_list_of_given_triples_means_none(opened: Open) -> None:
    memory = opened([])
    memory.add("Ana founded Mar Alto.", metadata={"triples": []})  # no warning, nothing is read from the text
    assert list(memory.edges()) == []
