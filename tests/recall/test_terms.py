"""Words as the lexical index knows them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.recall.terms import keys, query_terms, terms, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ana's sister wasn't there.", ["ana", "sister", "wasn", "there"]),
        ("Café NAÏVE Straße", ["cafe", "naive", "straße"]),
        ("room 12b, 3.5 km", ["room", "12b", "3", "5", "km"]),
        ("東京都に", ["東京", "京都", "都に"]),
        ("snake_case and under", ["snake", "case", "and", "under"]),
        ("x" * 100, ["x" * 64]),
        ("... !?", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_forms_of_a_word_share_their_stem() -> None:
    assert set(terms("paint paints painted painting")) == {"paint"}


def test_a_question_loses_its_stop_words_and_doubles() -> None:
    assert query_terms("Where did she paint the painting?") == ["paint"]
    assert query_terms("Who was it?") == ["who", "was", "it"]  # nothing else is left


@given(st.lists(st.text(min_size=1)))
def test_keys_are_ascii_and_distinct(stems: list[str]) -> None:
    made = keys(stems)
    assert all(key.isascii() for key in made)
    unicode_only = {stem for stem in stems if not stem.isascii()}
    assert len({key for key, stem in zip(made, stems, strict=True) if stem in unicode_only}) == len(unicode_only)
