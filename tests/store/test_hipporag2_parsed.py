"""Triples from spaCy's parse: sentences by hand, then any text at all."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mnemic.errors import MissingExtra
from mnemic.store.hipporag2 import ParsedOpenIE, Passage, Triple


def missing() -> str:
    if importlib.util.find_spec("spacy") is None:
        return "spaCy is not installed"
    import spacy

    english = any(name.startswith("en_core_web") for name in spacy.util.get_installed_models())
    return "" if english else "spaCy has no English pipeline (en_core_web_*)"


parses = pytest.mark.skipif(bool(missing()), reason=missing())
EXTRACTOR = ParsedOpenIE()  # loads its pipeline with the first text


def read(text: str, speaker: str | None = None) -> tuple[Triple, ...]:
    (reading,) = EXTRACTOR.read([Passage(text, speaker)])
    assert reading.failure == ""
    return reading.triples


@parses
@pytest.mark.parametrize(
    ("text", "triples"),
    [
        # who does what to whom; a verb with its particle, its negation, its auxiliaries
        ("Ana founded the company.", [("Ana", "founded", "company")]),
        ("Ana set up the company.", [("Ana", "set up", "company")]),
        ("Ana did not visit Madrid.", [("Ana", "did not visit", "Madrid")]),
        ("Ana wants to visit Rome.", [("Ana", "wants to visit", "Rome")]),
        # the agent of a passive
        ("The bridge was designed by Gustave Eiffel.", [("bridge", "was designed by", "Gustave Eiffel")]),
        # prepositions
        ("Ana moved from Porto to Lisbon.", [("Ana", "moved from", "Porto"), ("Ana", "moved to", "Lisbon")]),
        ("Berlin is the capital of Germany.", [("Berlin", "is", "capital"), ("Berlin", "is capital of", "Germany"),
                                               ("capital", "of", "Germany")]),
        # "and" between subjects, objects, verbs
        ("Marie Curie and Pierre Curie discovered radium.", [("Marie Curie", "discovered", "radium"),
                                                             ("Pierre Curie", "discovered", "radium")]),
        ("Ana bought apples and pears.", [("Ana", "bought", "apples"), ("Ana", "bought", "pears")]),
        ("Ana Duarte was born in Faro and studied in Coimbra.", [("Ana Duarte", "was born in", "Faro"),
                                                                 ("Ana Duarte", "studied in", "Coimbra")]),
        # apposition, a name beside its noun, a relative clause
        ("Lisbon, the capital of Portugal, lies on the Tagus.", [("Lisbon", "is", "capital"),
                                                                 ("capital", "of", "Portugal"),
                                                                 ("Lisbon", "lies on", "Tagus")]),
        ("Ana's brother Tom works for Siemens.", [("Ana", "has", "Tom"), ("Tom", "works for", "Siemens")]),
        ("Ana Duarte, who founded Mar Alto, lives in Lisbon.", [("Ana Duarte", "founded", "Mar Alto"),
                                                                ("Ana Duarte", "lives in", "Lisbon")]),
        ("Ana, whose brother founded Mar Alto, lives in Lisbon.", [("Ana", "has", "brother"),
                                                                   ("brother", "founded", "Mar Alto"),
                                                                   ("Ana", "lives in", "Lisbon")]),
        # "that" is the company, "she" is not
        ("Ana liked the company that she founded.", [("Ana", "liked", "company"), ("Ana", "founded", "company")]),
    ],
)  # fmt: skip
def test_sentences_by_hand(text: str, triples: list[Triple]) -> None:
    assert sorted(read(text)) == sorted(triples)


@parses
def test_i_is_who_speaks() -> None:
    assert ("Ana", "moved to", "Lisbon") in read("I moved to Lisbon in May.", "Ana")
    assert ("Ana", "has", "Clara") in read("My sister Clara lives in Porto.", "Ana")


@parses
@pytest.mark.parametrize("text", ["I moved to Lisbon.", "We adopted a dog.", "He smiled.", "They met him."])
def test_a_pronoun_for_nobody_known_says_nothing(text: str) -> None:
    assert read(text) == ()


@parses
def test_a_pronoun_is_the_heading_until_a_name_comes() -> None:
    text = "Mar Alto\nIt builds boats in Setúbal. Ana Duarte founded Siemens. She lives in Lisbon."
    triples = read(text)
    assert {("Mar Alto", "builds", "boats"), ("Ana Duarte", "lives in", "Lisbon")} <= set(triples)


@parses
def test_passages_do_not_speak_for_each_other() -> None:
    one, two = EXTRACTOR.read([Passage("Mar Alto\nIt builds boats."), Passage("It builds ships.", "Ben")])
    assert (one.triples, two.triples) == ((("Mar Alto", "builds", "boats"),), ())


@parses
@pytest.mark.parametrize("text", ["", " \n\t ", "!!!", "\n\n\n", "😀", "…", "the", "'s"])
def test_nothing_to_read(text: str) -> None:
    assert read(text) == ()


WORDS = """Ana Mar Alto he she who whose their which that and or , . ; ( ) " 's of in by to the a is was founded builds
boats not her my 1987 😀 — \n \x00 of by""".split(" ")


@parses
@settings(max_examples=30)
@given(st.one_of(st.text(max_size=200), st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join)))
@example("1987 Lisbon Alto my it their")
@example("Ana . my builds The Mar Mar 's A ) ; , of and 1987 .")
def test_no_text_gives_a_triple_with_an_empty_end(text: str) -> None:
    for subject, relation, object in read(text, "Ana"):
        assert subject.strip(), (subject, relation, object)
        assert relation.strip(), (subject, relation, object)
        assert object.strip(), (subject, relation, object)


@parses
@pytest.mark.parametrize("endless", ["ran and ", "wants to ", "of ", "a, ", "saw the dog in ", "who knows "])
def test_an_endless_sentence_is_read_all_the_same(endless: str) -> None:
    """Chains of a thousand verbs and more, as in a log or a list, nest deeper than Python's stack."""
    assert all(len(relation.split()) < 100 for _, relation, _ in read("Ana " + endless * 1500))


def test_without_an_english_pipeline_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    spacy = pytest.importorskip("spacy", reason="spaCy is not installed")
    monkeypatch.setattr(spacy.util, "get_installed_models", lambda: ["de_core_news_sm"])
    with pytest.raises(MissingExtra, match=r"mnemic\[nlp\].*python -m spacy download en_core_web_sm"):
        ParsedOpenIE().read([Passage("Ana moved.")])
    with pytest.raises(MissingExtra, match="spacy download"):
        ParsedOpenIE("en_core_web_of_nobody").read([Passage("Ana moved.")])


def test_without_spacy_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    modules: dict[str, Any] = {"spacy": None}  # as if it were not there: import raises ModuleNotFoundError
    monkeypatch.setitem(__import__("sys").modules, "spacy", modules["spacy"])
    with pytest.raises(MissingExtra, match=r"reading triples without a language model.*mnemic\[nlp\]"):
        ParsedOpenIE().read([Passage("Ana moved.")])
