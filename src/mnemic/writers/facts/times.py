"""Times that count from the day something was said: "yesterday", "last May", "two weeks ago" become dates."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from mnemic.errors import InputError
from mnemic.moment import moment

_MONTHS = "January February March April May June July August September October November December".split()
_DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
_SHORT_DAYS = {"mon": 0, "tue": 1, "tues": 1, "wed": 2, "thu": 3, "thur": 3, "thurs": 3, "fri": 4, "sat": 5, "sun": 6}
_SEASONS = ("spring", "summer", "fall", "autumn", "winter")
_NUMBERS = {word: n for n, word in enumerate("one two three four five six seven eight nine ten".split(), 1)} | {
    "a": 1, "an": 1, "a couple of": 2, "couple of": 2,
}  # fmt: skip
_MANY = "|".join(sorted(_NUMBERS, key=len, reverse=True))
_NAMED = "|".join([*(month.lower() for month in _MONTHS), *_DAYS, *_SHORT_DAYS, *_SEASONS])


_LASTING = re.compile(r"\b(?:for|over|during|within|in)\s*(?:the\s*)?$", re.IGNORECASE)


@dataclass(frozen=True)
class Dated:
    """A text whose times no longer depend on when it is read.

    time    the first date that was worked out and is not in the future (ISO 8601); None when there is none
    """

    text: str
    time: str | None = None


Found = tuple[str, str | None]  # words that take the place of the old ones, and the time


def dated(text: str, said: str | None) -> Dated:
    """Replace what counts from `said` (ISO 8601) by dates; a text without such words, or without a day, stays."""
    day = _day_of(said)
    if day is None:
        return Dated(text)
    times: list[str] = []
    for pattern, read in _PATTERNS:

        def replaced(match: re.Match[str], read: Callable[[re.Match[str], date], Found] = read) -> str:
            try:
                words, time = read(match, day)
            except (ValueError, OverflowError):  # a day before the calendar begins
                return match[0]
            if time is not None and moment(time).start < moment(day).end:
                times.append(time)
            return words

        text = pattern.sub(replaced, text)
    return Dated(text, times[0] if times else None)


def _day_of(said: str | None) -> date | None:
    """The day that something was said on; None when only its month or year is known."""
    if said is None or len(said) < len("2026-05-03"):
        return None
    try:
        return (
            datetime.fromtimestamp(moment(said).start, UTC).date() if "T" not in said else date.fromisoformat(said[:10])
        )
    except (InputError, ValueError, OverflowError, OSError):
        return None


def day_words(day: date) -> str:
    """3 May 2026"""
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def _on(day: date) -> Found:
    return f"on {day_words(day)}", day.isoformat()


def _month(year: int, month: int) -> Found:
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    return f"in {_MONTHS[month - 1]} {year}", f"{year:04}-{month:02}"


def _week(monday: date, what: str) -> Found:
    """A week has no ISO time here: the month that most of it lies in."""
    begins = monday + timedelta(days=5) if what == "weekend" else monday
    middle = begins if what == "weekend" else monday + timedelta(days=3)
    return f"in the {what} of {day_words(begins)}", f"{middle:%Y-%m}"


def _near(match: re.Match[str], said: date) -> Found:
    """yesterday, tonight, tomorrow, ..."""
    word = " ".join(match[0].lower().split())
    days = {"yesterday": -1, "last night": -1, "the day before yesterday": -2, "tomorrow": 1}.get(word, 0)
    day = said + timedelta(days=days)
    part = "in the night of" if "night" in word else "in the morning of" if "morning" in word else "on"
    return f"{part} {day_words(day)}", day.isoformat()


def _ago(match: re.Match[str], said: date) -> Found:
    """two days ago"""
    count, what = _count(match["count"]), match["unit"].lower()
    if what == "day":
        return _on(said - timedelta(days=count))
    if what in ("week", "weekend"):
        return _week(said - timedelta(days=said.weekday() + 7 * count), what)
    if what == "month":
        return _month(said.year, said.month - count)
    return f"in {said.year - count}", f"{said.year - count:04}"


def _count(word: str) -> int:
    return _NUMBERS.get(word.lower()) or int(word)


def _relative(match: re.Match[str], said: date) -> Found:
    """last week, this month, next Monday, last summer"""
    if _LASTING.search(match.string[: match.start()]):
        raise ValueError("a stretch of time up to now is no date")
    step = {"last": -1, "past": -1, "previous": -1, "this": 0, "next": 1, "coming": 1}[match["which"].lower()]
    what = match["what"].lower()
    if what in ("week", "weekend"):
        return _week(said - timedelta(days=said.weekday()) + timedelta(days=7 * step), what)
    if what == "month":
        return _month(said.year, said.month + step)
    if what == "year":
        return f"in {said.year + step}", f"{said.year + step:04}"
    if what in _DAYS or what in _SHORT_DAYS:
        return _weekday(_SHORT_DAYS.get(what, _SHORT_DAYS[what[:3]]), step, said)
    if what in _SEASONS:
        return _season(what, step, said)
    return _named_month([month.lower() for month in _MONTHS].index(what) + 1, step, said)


def _weekday(wanted: int, step: int, said: date) -> Found:
    ahead = (wanted - said.weekday()) % 7
    if step > 0:
        return _on(said + timedelta(days=ahead or 7))
    if step < 0:
        return _on(said - timedelta(days=(said.weekday() - wanted) % 7 or 7))
    return _on(said + timedelta(days=wanted - said.weekday()))


def _season(what: str, step: int, said: date) -> Found:
    begins = {"spring": 3, "summer": 6, "winter": 12}.get(what, 9)
    year = said.year
    if step < 0 and begins + 2 >= said.month:  # its end has not come yet this year
        year -= 1
    elif step > 0 and begins <= said.month:
        year += 1
    return f"in {what} {year}", f"{year:04}"


def _named_month(month: int, step: int, said: date) -> Found:
    year = said.year
    if step < 0 and month >= said.month:
        year -= 1
    elif step > 0 and month <= said.month:
        year += 1
    return _month(year, month)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


_PATTERNS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], date], Found]], ...] = (
    (_pattern(rf"\b(?:about |around )?(?P<count>\d{{1,3}}|{_MANY})\s+"
              r"(?P<unit>day|week|weekend|month|year)s?\s+ago\b"), _ago),
    (_pattern(r"\b(?:the day before yesterday|yesterday|tomorrow|last night|tonight|this morning|today)\b"), _near),
    (_pattern(r"\b(?:(?:in|on)\s+)?(?:(?:the|just|this)\s+)?"
              rf"(?P<which>last|past|previous|this|next|coming)\s+(?P<what>week|weekend|month|year|{_NAMED})\b"),
     _relative),
)  # fmt: skip
