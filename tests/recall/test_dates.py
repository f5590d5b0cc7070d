"""Dates that a question names, seen from Thursday, 15 June 2023."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.recall.dates import Span, spans

NOW = datetime(2023, 6, 15, 12, tzinfo=UTC)


def holds(question: str, day: str) -> bool:
    when = np.array([datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()])
    return any(bool(span.holds(when)[0]) for span in spans(question, NOW))


@pytest.mark.parametrize(
    ("question", "inside", "outside"),
    [
        ("What happened in May 2022?", ["2022-05-01", "2022-05-31"], ["2022-04-30", "2022-06-01", "2023-05-10"]),
        ("What did she do on 7 May 2023?", ["2023-05-06", "2023-05-07", "2023-05-08"], ["2023-05-05", "2023-05-09"]),
        ("What did she do on May 7th?", ["2022-05-07", "1999-05-08"], ["2023-05-09", "2023-06-07"]),
        ("Who came in December?", ["2020-12-31", "1666-12-01"], ["2023-11-30"]),
        ("Where were we in summer 2022?", ["2022-06-01", "2022-08-31"], ["2022-09-01", "2021-07-01"]),
        ("Where were we in the winter of 2022?", ["2022-12-01", "2023-02-28"], ["2023-03-01"]),
        ("What burned in 1666?", ["1666-01-01", "1666-12-31"], ["1667-01-01"]),
        ("What stood in the plan of 2023-05?", ["2023-05-15"], ["2023-06-01"]),
        ("What stood in the plan of 2023-05-03?", ["2023-05-02", "2023-05-04"], ["2023-05-05"]),
        ("What did we do yesterday?", ["2023-06-14"], ["2023-06-13", "2023-06-15"]),
        ("What did we plan last week?", ["2023-06-05", "2023-06-11"], ["2023-06-04", "2023-06-12"]),
        ("What did we plan this week?", ["2023-06-12", "2023-06-18"], ["2023-06-11"]),
        ("What did we eat last Monday?", ["2023-06-12"], ["2023-06-15", "2023-06-10"]),
        ("What did we buy last month?", ["2023-05-01", "2023-05-31"], ["2023-06-01"]),
        ("Who married last year?", ["2022-01-01", "2022-12-31"], ["2023-01-01"]),
        ("Where was she last May?", ["2023-05-10"], ["2022-05-10"]),
        ("Where was she last June?", ["2022-06-10"], ["2023-06-10"]),
        ("What broke two weeks ago?", ["2023-05-29", "2023-06-04"], ["2023-06-05", "2023-06-15", "2023-05-20"]),
        ("What broke 3 days ago?", ["2023-06-12"], ["2023-06-15", "2023-06-09"]),
        ("Where did he live before May 2020?", ["2019-01-01", "2020-04-30"], ["2020-05-01"]),
        ("Where has he lived since 2020?", ["2020-01-01", "2023-01-01"], ["2019-12-31"]),
    ],
)
def test_a_question_names_a_time(question: str, inside: list[str], outside: list[str]) -> None:
    assert [day for day in inside if not holds(question, day)] == []
    assert [day for day in outside if holds(question, day)] == []


@pytest.mark.parametrize(
    "question",
    [
        "May I have some tea?",
        "Did they march for it?",
        "Who sat in the fall?",
        "What costs 1500 dollars a head, or 12345?",
        "What did he say on 31 February 2023 that dec did not?",
        "Where does Ana live?",
    ],
)
def test_words_that_only_look_like_times(question: str) -> None:
    found = spans(question, NOW)
    named = {"What costs 1500 dollars a head, or 12345?": 1, "What did he say on 31 February 2023 that dec did not?": 1}
    assert len(found) <= named.get(question, 0)


def test_a_time_that_is_unknown_is_never_inside() -> None:
    unknown = np.array([np.nan])
    assert not Span(month=5).holds(unknown)[0]
    assert not Span(start=0.0).holds(unknown)[0]


@given(st.text(max_size=80))
def test_any_text_can_be_read(text: str) -> None:
    assert all(span.start < span.end for span in spans(text, NOW))
