"""Times as files write them, read into ISO 8601 of the same precision."""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import Any

from mnemic.errors import InputError
from mnemic.moment import moment

_MONTHS = "january february march april may june july august september october november december".split()
_LONGEST = 60  # characters; a longer text is no time
_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d))?\s*(?P<half>[ap]\.?m\.?)?"
_ZONE = r"\s*(?P<zone>Z|UTC|GMT|[+-]\d\d:?\d\d)?"
_MONTH = r"(?P<month>[A-Za-z]{3,9})\.?"
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+)?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_TIME_FIRST = rf"(?:{_CLOCK}\s*(?:on\s+|,\s*))?"
_TIME_LAST = rf"(?:,?\s*(?:at\s+)?{_CLOCK.replace('?P<', '?P<last_')}{_ZONE})?"
_NAMED = [
    re.compile(_TIME_FIRST + _WEEKDAY + form + _TIME_LAST + r"(?:\s*\(\w+\))?", re.I)
    for form in (rf"{_DAY}\s+(?:of\s+)?{_MONTH},?\s+(?P<year>\d{{4}})", rf"{_MONTH}\s+{_DAY},?\s+(?P<year>\d{{4}})")
]
_MONTH_ONLY = re.compile(_MONTH + r",?\s+(?P<year>\d{4})", re.I)
_SLASHED = re.compile(r"(\d{4})[/.](\d{1,2})[/.](\d{1,2})(?:[ T](.+))?")
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?:,? (.+))?")
_ISO = re.compile(rf"(\d{{4}}-\d\d-\d\d)[T ]{_CLOCK.replace('?P<', '?P<last_')}(?P<part>[.,]\d+)?{_ZONE}", re.I)


def read_time(value: Any) -> str | None:
    """ISO 8601 text of a time, as precise as it is written; None when it is no time, or could be two.

    Reads ISO 8601, 2026/05/03, 3.5.2026, "3 May 2026", "May 3rd, 2026 at 10:15 pm", "1:56 pm on 8 May, 2023",
    "Wed, 03 May 2026 10:00:00 +0000", and seconds, milli-, micro- or nanoseconds since 1970.
    03/05/2026 is left alone: half of the world means March.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return _number(value)
    text = str(value).strip()
    if not text or len(text) > _LONGEST or not any(c.isdigit() for c in text):
        return None
    try:
        return _text(text)
    except (InputError, ValueError, OverflowError):  # 31 February, 25:00
        return None


def day_of(time: str | None) -> str | None:
    """The day of an ISO time, or its month or year when it is no more precise."""
    return time[:10] if time else None


def time_in_name(stem: str) -> str | None:
    """The day that a file's name begins with: "2026-05-03", "2026-05-03 Lunch"."""
    match = re.match(r"\d{4}-\d\d-\d\d(?!\d)", stem)
    return read_time(match.group()) if match else None


def _text(text: str) -> str | None:
    if re.fullmatch(r"\d+(\.\d+)?", text):
        if len(text) == 8 and text.isdigit():
            return moment(f"{text[:4]}-{text[4:6]}-{text[6:]}").text
        return moment(text).text if re.fullmatch(r"[12]\d{3}", text) else _number(float(text))
    if match := _ISO.fullmatch(text):
        return _instant(match.group(1), match.groupdict(), "last_", fraction=match["part"] or "")
    if match := _SLASHED.fullmatch(text):
        return _with_clock("{}-{:0>2}-{:0>2}".format(*match.groups()[:3]), match.group(4))
    if match := _DOTTED.fullmatch(text):
        day, month, year, rest = match.groups()
        return _with_clock(f"{year}-{month:0>2}-{day:0>2}", rest)
    for form in _NAMED:
        if (match := form.fullmatch(text)) and (n := _month(match["month"])):
            day = f"{match['year']}-{n:02}-{int(match['day']):02}"
            return _instant(day, match.groupdict(), "" if match["hour"] else "last_")
    if match := _MONTH_ONLY.fullmatch(text):
        n = _month(match["month"])
        return moment(f"{match['year']}-{n:02}").text if n else None
    return moment(text).text


def _month(word: str) -> int | None:
    """The number of a month from its name or at least three letters of it, in English whatever the locale."""
    found = [n for n, name in enumerate(_MONTHS, 1) if name.startswith(word.lower())]
    return found[0] if found else None


def _with_clock(day: str, clock: str | None) -> str | None:
    return read_time(f"{day} {clock}") if clock else moment(day).text


def _instant(day: str, parts: dict[str, str | None], prefix: str, *, fraction: str = "") -> str:
    """A day with the clock that was written beside it, if any."""
    hour, minute = parts.get(prefix + "hour"), parts.get(prefix + "minute")
    if hour is None or minute is None:
        return moment(day).text
    half = (parts.get(prefix + "half") or "").lower()[:1]
    clock = int(hour) % 12 + 12 * (half == "p") if half else int(hour)
    second = parts.get(prefix + "second") or "00"
    zone = (parts.get("zone") or "").upper()
    offset = "+00:00" if zone in ("Z", "UTC", "GMT") else zone
    precise = f":{second}{fraction[:7].replace(',', '.')}" if parts.get(prefix + "second") or offset else ""
    return moment(dt.datetime.fromisoformat(f"{day}T{clock:02}:{minute}{precise}{offset}")).text


def _number(value: float) -> str | None:
    """A year, or a count since 1970 in the unit that its size tells (seconds from 1973 to 5138)."""
    if isinstance(value, int) and 1000 <= value < 3000:
        return moment(f"{value}").text
    if not 1e8 <= value < 1e20 or not math.isfinite(value):
        return None
    while value >= 1e11:
        value /= 1000
    return moment(dt.datetime.fromtimestamp(value, dt.UTC)).text
