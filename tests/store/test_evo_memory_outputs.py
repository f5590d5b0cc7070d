"""Replies: one operation each, by its marker; ids and ranges by place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.store.evo_memory import Said, parse, places

ALL = ("think", "prune", "action")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Action: go to shelf 1", Said("action", "go to shelf 1")),
        ("  **Action:** look", Said("action", "look")),
        ("ACTION : look", Said("action", "look")),
        ("- Think: it may be there", Said("think", "it may be there")),
        ("Think: one\ntwo\nAction: look", Said("think", "one two")),
        ("Prune: 1, 3", Said("prune", "1, 3")),
        ("Prune: none", Said("prune", "none")),
        ("Let me see.\nAction: look\nAction: jump", Said("action", "look", "Let me see.")),
        ("", None),
        ("look", None),
        ("Action:", None),
        ("Prune: the bad ones", None),
        ("Answer: 4", None),
        ("Reaction: none", None),
    ],
)
def test_replies_by_hand(text: str, said: Said | None) -> None:
    assert parse(text, ALL) == said


def test_an_answer_takes_its_rationale_along() -> None:
    assert parse("Rationale: two pairs\nAnswer: 4", ("answer",)) == Said("answer", "4", "two pairs")


@pytest.mark.parametrize(
    ("arg", "found"),
    [("1,3", (1, 3)), ("2-4", (2, 3, 4)), ("4-2", (2, 3, 4)), ("1, 3-4 and 3", (1, 3, 4)), ("2 to 3", (2, 3)),
     ("9", ()), ("0-2", (1, 2)), ("3-99", (3, 4)), ("none", ()), ("", ()), ("#2, #4", (2, 4)), ("the bad", None)],
)  # fmt: skip
def test_places_by_hand(arg: str, found: tuple[int, ...] | None) -> None:
    assert places(arg, 4) == found


@given(st.text(), st.integers(0, 50))
def test_places_are_among_those_shown(arg: str, shown: int) -> None:
    found = places(arg, shown)
    assert found is None or list(found) == sorted(set(found) & set(range(1, shown + 1)))


@given(st.text())
def test_any_reply_can_be_read(text: str) -> None:
    said = parse(text, ALL)
    assert said is None or (said.op in ALL and said.arg)
