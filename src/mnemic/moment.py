"""Times as people write them: a year, a month, a day or an instant, each a span of seconds.

Times without a zone are taken as they stand, as if UTC: a diary of 1660 has no zone.
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from dataclasses import dataclass
from typing import Any

from mnemic.errors import InputError

Time = str | dt.date | dt.datetime

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FORMS = "write it like 2026, 2026-05, 2026-05-03 or 2026-05-03T10:00"
_SHOWN = 60  # characters of a value that an error quotes
_PARTIAL = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?")


@dataclass(frozen=True)
class Moment:
    """A time with the precision it was given in.

    text          ISO 8601, as precise as given: "2026", "2026-05", "2026-05-03", "2026-05-03T10:00:00+00:00"
    start, end    seconds since 1970, UTC; the moment covers start <= t < end
    """

    text: str
    start: float
    end: float


def moment(time: Time) -> Moment:
    """Read a time: ISO 8601 text of any precision, a date or a datetime.

    Raises InputError for anything else: words like "yesterday" need a reader that knows today.
    """
    if isinstance(time, dt.datetime):
        return _instant(time)
    if isinstance(time, dt.date):
        return _span(time.year, time.month, time.day)
    if isinstance(time, bool) or not isinstance(time, str | int):
        raise InputError(f"cannot read the time {shown(time)}: {_FORMS}.")
    text = time.strip() if isinstance(time, str) else shown(time)  # a year may come as a number
    if match := _PARTIAL.fullmatch(text):
        year, month, day = match.groups()
        try:
            return _span(int(year), int(month) if month else None, int(day) if day else None)
        except ValueError as error:
            raise InputError(f'the time "{text}" is no date of the calendar ({error}).') from None
    try:
        return _instant(dt.datetime.fromisoformat(text))
    except ValueError:
        raise InputError(f'cannot read the time "{shown(text, quote="")}": {_FORMS}.') from None


def shown(value: Any, *, quote: str = '"') -> str:
    """A value as an error quotes it: short, on one line, whatever it is."""
    try:
        text = f"{quote}{value}{quote}" if isinstance(value, str) else repr(value)
    except Exception:  # a number of 5,000 digits, a class with a broken repr
        text = f"a {type(value).__name__}"
    line = " ".join(text.encode("utf-8", "backslashreplace").decode().split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 3] + "..."


def now() -> Moment:
    """This instant, to the microsecond, UTC."""
    return _instant(dt.datetime.now(dt.UTC))


def _instant(time: dt.datetime) -> Moment:
    aware = time.replace(tzinfo=dt.UTC) if time.tzinfo is None else time
    start = (aware - _EPOCH).total_seconds()
    return Moment(time.isoformat(), start, start + 1e-6)


def _span(year: int, month: int | None = None, day: int | None = None) -> Moment:
    if day and month:
        first = last = dt.date(year, month, day)
        text = f"{year:04}-{month:02}-{day:02}"
    elif month:
        first = dt.date(year, month, 1)
        last = dt.date(year, month, calendar.monthrange(year, month)[1])
        text = f"{year:04}-{month:02}"
    else:
        first, last = dt.date(year, 1, 1), dt.date(year, 12, 31)
        text = f"{year:04}"
    epoch = _EPOCH.date()
    return Moment(text, (first - epoch).days * 86400.0, ((last - epoch).days + 1) * 86400.0)
