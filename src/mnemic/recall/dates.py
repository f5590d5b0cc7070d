"""Dates that a question names: "in May 2023", "on 7 May", "last week", "two months ago", "summer 2022", "since 1666".

What a question says about time becomes spans; a memory whose time lies in one of them fits the question.
English. A month without a year is that month of any year.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import numpy.typing as npt

_MONTHS = "january february march april may june july august september october november december".split()
_DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
_SEASONS = {"spring": 3, "summer": 6, "fall": 9, "autumn": 9, "winter": 12}  # northern; its first month
_NUMBERS = {word: n for n, word in enumerate("one two three four five six seven eight nine ten".split(), 1)} | {
    "a": 1, "an": 1, "couple of": 2, "few": 3,
}  # fmt: skip
_MONTH = "|".join(f"{month}|{month[:3]}" if month != "may" else month for month in _MONTHS) + "|sept"
_YEAR = r"(?:1[0-9]|20)\d\d"
_NAMED = re.compile(
    rf"\b(?:(?P<before>\d{{1,2}})(?:st|nd|rd|th)?(?:\s+of)?\s+)?(?P<month>{_MONTH})\b\.?"
    rf"(?:\s+(?P<after>\d{{1,2}})(?:st|nd|rd|th)?\b(?!\s*(?:am|pm|:)))?(?:,?\s+(?:of\s+)?(?P<year>{_YEAR})\b)?",
    re.IGNORECASE,
)
_ISO = re.compile(rf"\b({_YEAR})-(\d\d)(?:-(\d\d))?\b")
_SEASON = re.compile(rf"\b({'|'.join(_SEASONS)})\s+(?:of\s+)?({_YEAR})\b", re.IGNORECASE)
_BARE_YEAR = re.compile(rf"\b{_YEAR}\b")
_LAST = re.compile(
    rf"\b(last|past|this|previous)\s+(week|weekend|month|year|{'|'.join([*_MONTHS, *_DAYS, *_SEASONS])})\b", re.I
)
_AGO = re.compile(rf"\b(\d+|{'|'.join(_NUMBERS)})\s+(day|week|month|year)s?\s+ago\b", re.IGNORECASE)
_DAY_WORD = re.compile(r"\b(today|yesterday|tonight|last night|this morning)\b", re.IGNORECASE)
_OPEN = re.compile(r"\b(before|until|till|prior to|after|since|from)\s+(?:the\s+)?$", re.IGNORECASE)
_AMBIGUOUS = {"may", "march", "mar"}  # words of their own: then a preposition or a number must help
_INTRODUCED = re.compile(r"\b(in|of|on|during|by|early|late|mid|since|before|after|until)[\s-]+$", re.IGNORECASE)


@dataclass(frozen=True)
class Span:
    """From `start` up to `end` (UTC, seconds since 1970); or a month, with or without a day, of any year."""

    start: float = -np.inf
    end: float = np.inf
    month: int = 0
    day: int = 0

    def holds(self, times: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """[n] seconds since 1970, nan for unknown -> bool [n]."""
        within: npt.NDArray[np.bool_] = (times >= self.start) & (times < self.end)
        if self.month:
            days = np.where(np.isnan(times), 0, times).astype("datetime64[s]").astype("datetime64[D]")
            months = days.astype("datetime64[M]")
            within &= months.astype(int) % 12 + 1 == self.month
            if self.day:
                within &= np.abs((days - months.astype("datetime64[D]")).astype(int) + 1 - self.day) <= 1
        return within


def spans(question: str, now: datetime | None = None) -> list[Span]:
    """The times that a question names, as seen from `now`; a day is taken with the one before and after it."""
    today = (now or datetime.now(UTC)).date()
    left = question
    found: list[Span] = []
    for pattern, read in (
        (_ISO, _iso), (_SEASON, _season), (_LAST, _last), (_AGO, _ago), (_DAY_WORD, _day_word), (_NAMED, _named),
        (_BARE_YEAR, _year),
    ):  # fmt: skip
        for match in pattern.finditer(left):
            try:
                span = read(match, today)
            except (ValueError, OverflowError):  # 31 February; a year that no calendar has
                continue
            if span is not None:
                found.append(_opened(span, left[: match.start()]))
                left = left[: match.start()] + " " * (match.end() - match.start()) + left[match.end() :]
    return found


def _opened(span: Span, before: str) -> Span:
    """ "before May 2023" is all that was before, "since 2020" all from then on."""
    word = _OPEN.search(before)
    if word is None or span.month:
        return span
    if word[1].lower() in ("before", "until", "till", "prior to"):
        return Span(end=span.start)
    return Span(start=span.start)


def _span(first: date, after: date, slack: int = 0) -> Span:
    start, end = (datetime(d.year, d.month, d.day, tzinfo=UTC).timestamp() for d in (first, after))
    return Span(start - slack * 86_400, end + slack * 86_400)


def _day(day: date) -> Span:
    return _span(day, day + timedelta(days=1), slack=1)


def _months(year: int, month: int, count: int = 1) -> Span:
    last = year * 12 + month - 1 + count
    return _span(date(year, month, 1), date(last // 12, last % 12 + 1, 1))


def _iso(match: re.Match[str], today: date) -> Span:
    year, month, day = int(match[1]), int(match[2]), match[3]
    return _day(date(year, month, int(day))) if day else _months(year, month)


def _season(match: re.Match[str], today: date) -> Span:
    return _months(int(match[2]), _SEASONS[match[1].lower()], 3)


def _named(match: re.Match[str], today: date) -> Span | None:
    name, day, year = match["month"], match["before"] or match["after"], match["year"]
    if name.lower() in _AMBIGUOUS and not (day or year):
        before = match.string[: match.start()]
        if not _INTRODUCED.search(before) and not (name[0].isupper() and before.strip()):
            return None
    if len(name) == 3 and name.lower() != "may" and not (day or year or name[0].isupper()):
        return None
    month = next(n for n, full in enumerate(_MONTHS, 1) if full.startswith(name.lower()[:3]))
    if year and day:
        return _day(date(int(year), month, int(day)))
    if year:
        return _months(int(year), month)
    return Span(month=month, day=int(day) if day else 0)


def _year(match: re.Match[str], today: date) -> Span:
    return _months(int(match[0]), 1, 12)


def _last(match: re.Match[str], today: date) -> Span:
    which, what = match[1].lower(), match[2].lower()
    back = 0 if which == "this" else 1
    if what in ("week", "weekend"):
        monday = today - timedelta(days=today.weekday() + 7 * back)
        return _span(monday, monday + timedelta(days=7))
    if what == "month":
        index = today.year * 12 + today.month - 1 - back
        return _months(index // 12, index % 12 + 1)
    if what == "year":
        return _months(today.year - back, 1, 12)
    if what in _DAYS:
        return _day(today - timedelta(days=(today.weekday() - _DAYS.index(what) - 1) % 7 + 1))
    month, count = (_SEASONS[what], 3) if what in _SEASONS else (_MONTHS.index(what) + 1, 1)
    return _months(today.year - (month > today.month or (month == today.month and back == 1)), month, count)


def _ago(match: re.Match[str], today: date) -> Span:
    count = _NUMBERS.get(match[1].lower()) or int(match[1])
    days = {"day": 1, "week": 7, "month": 30, "year": 365}[match[2].lower()]
    middle = today - timedelta(days=count * days)
    return _span(middle, middle + timedelta(days=1), slack=max(1, days // 2))


def _day_word(match: re.Match[str], today: date) -> Span:
    back = 1 if match[1].lower() in ("yesterday", "last night") else 0
    return _span(today - timedelta(days=back), today - timedelta(days=back - 1))
