"""Values that requests mention, and the ways in which APIs want them written.

A mention has a kind (date, city, weight, ...) and a value that does not depend on how it is written. A style writes
the value as an argument. Values come in two halves: explorers use one, test requests the other.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

Half = Literal["bank", "test"]

# name -> other ways to write it; even rows are for the bank, odd ones for the test
COUNTRIES = {row.split()[0]: row.split()[1:] for row in """
Portugal PT PRT|Norway NO NOR|Japan JP JPN|Peru PE PER|Germany DE DEU|Sweden SE SWE|Austria AT AUT|Chile CL CHL|
Greece GR GRC|Ireland IE IRL|Kenya KE KEN|Poland PL POL|Canada CA CAN|Mexico MX MEX|Spain ES ESP|Turkey TR TUR
""".replace("\n", "").split("|")}  # fmt: skip
CURRENCIES = dict(row.rsplit(" ", 1) for row in """
euros EUR|Norwegian kroner NOK|yen JPY|Peruvian soles PEN|US dollars USD|Swedish kronor SEK|Swiss francs CHF|
Chilean pesos CLP|Polish zloty PLN|British pounds GBP|Indian rupees INR|Canadian dollars CAD
""".replace("\n", "").split("|"))  # fmt: skip
LANGUAGES = {row.split()[0]: row.split()[1:] for row in """
Portuguese pt por|Norwegian no nor|Japanese ja jpn|Spanish es spa|German de deu|Swedish sv swe|Greek el ell|
Irish ga gle|Swahili sw swa|Polish pl pol|French fr fra|Turkish tr tur
""".replace("\n", "").split("|")}  # fmt: skip
CITIES = dict(row.rsplit(" ", 1) for row in """
Lisbon LIS|Oslo OSL|Tokyo HND|Lima LIM|Berlin BER|Stockholm ARN|Vienna VIE|Santiago SCL|Athens ATH|Dublin DUB|
Nairobi NBO|Warsaw WAW|Toronto YYZ|Madrid MAD|Ankara ESB|Zurich ZRH
""".replace("\n", "").split("|"))  # fmt: skip
TEXTS = (
    "good morning to all", "where is the station", "the soup is cold", "my key is lost", "a table for us",
    "the train was late", "thank you for the flowers", "it may rain later", "we met at the harbour", "open the window",
    "he plays the violin", "the river is wide",
)  # fmt: skip
# kind -> word in a request -> (letter, number); the words are closed sets, so both halves use all of them
OPTIONS: dict[str, dict[str, tuple[str, int]]] = {
    "cabin": {"economy": ("Y", 3), "business": ("C", 2), "first-class": ("F", 1)},
    "scale": {"celsius": ("C", 1), "fahrenheit": ("F", 2), "kelvin": ("K", 3)},
    "mode": {"cycling": ("B", 2), "driving": ("D", 1), "walking": ("W", 3)},
    "tone": {"formal": ("V", 1), "casual": ("T", 2), "poetic": ("P", 3)},
    "speed": {"express": ("X", 1), "overnight": ("N", 0), "economical": ("S", 2)},
    "diet": {"vegan": ("VG", 1), "vegetarian": ("V", 2), "halal": ("H", 3)},
    "room": {"single-bed": ("S", 1), "double-bed": ("D", 2), "family-size": ("F", 4)},
}


@dataclass(frozen=True)
class Mention:
    """A value in a request. place: how many of its kind stand before it."""

    kind: str
    value: Any
    place: int = 0


def _clock(minutes: int, form: str) -> str:
    return dt.time(minutes // 60, minutes % 60).strftime(form)


def _whole(value: float) -> int | float:
    return int(value) if float(value).is_integer() else round(value, 6)


Write = Callable[[Any], Any]


def _column(words: Mapping[str, tuple[str, int]], place: int) -> Write:
    return lambda word: words[word][place]


# style -> (kind, how it is written); a style's name is what documentation and errors call it
STYLES: dict[str, tuple[str, Write]] = {
    "YYYY-MM-DD": ("date", lambda d: d.isoformat()),
    "DD.MM.YYYY": ("date", lambda d: d.strftime("%d.%m.%Y")),
    "MM/DD/YYYY": ("date", lambda d: d.strftime("%m/%d/%Y")),
    "YYYYMMDD": ("date", lambda d: d.strftime("%Y%m%d")),
    "country name": ("country", lambda name: name),
    "alpha-2 country code": ("country", lambda name: COUNTRIES[name][0]),
    "alpha-3 country code": ("country", lambda name: COUNTRIES[name][1]),
    "currency code": ("currency", lambda name: CURRENCIES[name]),
    "lower-case currency code": ("currency", lambda name: CURRENCIES[name].lower()),
    "language name": ("language", lambda name: name),
    "two-letter language code": ("language", lambda name: LANGUAGES[name][0]),
    "three-letter language code": ("language", lambda name: LANGUAGES[name][1]),
    "city name": ("city", lambda name: name),
    "lower-case city name": ("city", lambda name: name.lower()),
    "airport code": ("city", lambda name: CITIES[name]),
    "kilometres": ("distance", lambda metres: _whole(metres / 1000)),
    "metres": ("distance", _whole),
    "kilograms": ("weight", lambda grams: _whole(grams / 1000)),
    "grams": ("weight", _whole),
    "minutes": ("duration", _whole),
    "seconds": ("duration", lambda minutes: _whole(minutes * 60)),
    "ISO 8601 duration": ("duration", lambda minutes: f"PT{minutes}M"),
    "percent": ("share", _whole),
    "fraction": ("share", lambda percent: _whole(percent / 100)),
    "number": ("amount", _whole),
    "number as text": ("amount", lambda amount: str(_whole(amount))),
    "HH:MM": ("time", lambda minutes: _clock(minutes, "%H:%M")),
    "HHMM": ("time", lambda minutes: _clock(minutes, "%H%M")),
    "12-hour time": ("time", lambda minutes: _clock(minutes, "%I:%M %p")),
    "plain text": ("text", lambda text: text),
    "upper-case text": ("text", lambda text: text.upper()),
    **{f"{kind} word": (kind, lambda word: word) for kind in OPTIONS},
    **{f"{kind} letter": (kind, _column(words, 0)) for kind, words in OPTIONS.items()},
    **{f"{kind} number": (kind, _column(words, 1)) for kind, words in OPTIONS.items()},
}

_MONTHS = "January February March April May June July August September October November December".split()


def _names(table: Sequence[str]) -> str:
    return "|".join(re.escape(name) for name in sorted(table, key=len, reverse=True))


# kind -> what it looks like in a request, and what it means; in this order, each takes its text away from the next
_READERS: tuple[tuple[str, re.Pattern[str], Callable[[re.Match[str]], Any]], ...] = (
    ("text", re.compile(r'"([^"]+)"'), lambda m: m[1]),
    ("date", re.compile(rf"(\d{{1,2}}) ({'|'.join(_MONTHS)}) (\d{{4}})"),
     lambda m: dt.date(int(m[3]), _MONTHS.index(m[2]) + 1, int(m[1]))),
    ("time", re.compile(r"\b(\d{1,2}):(\d\d)\b"), lambda m: int(m[1]) * 60 + int(m[2])),
    ("distance", re.compile(r"(\d+(?:\.\d+)?) km\b"), lambda m: float(m[1]) * 1000),
    ("weight", re.compile(r"(\d+(?:\.\d+)?) kg\b"), lambda m: float(m[1]) * 1000),
    ("duration", re.compile(r"(\d+) minutes\b"), lambda m: int(m[1])),
    ("share", re.compile(r"(\d+) percent\b"), lambda m: int(m[1])),
    ("currency", re.compile(rf"\b({_names(list(CURRENCIES))})\b"), lambda m: m[1]),
    ("country", re.compile(rf"\b({_names(list(COUNTRIES))})\b"), lambda m: m[1]),
    ("language", re.compile(rf"\b({_names(list(LANGUAGES))})\b"), lambda m: m[1]),
    ("city", re.compile(rf"\b({_names(list(CITIES))})\b"), lambda m: m[1]),
    *((kind, re.compile(rf"\b({_names(list(words))})\b"), lambda m: m[1]) for kind, words in OPTIONS.items()),
    ("amount", re.compile(r"\b(\d+)\b"), lambda m: int(m[1])),
)  # fmt: skip


@lru_cache(4096)  # the same few texts are read again and again
def mentions(text: str) -> tuple[Mention, ...]:
    """Values that a request mentions, in the order in which they stand."""
    found: list[tuple[int, str, Any]] = []
    for kind, pattern, meaning in _READERS:
        for match in pattern.finditer(text):
            found.append((match.start(), kind, meaning(match)))
        text = pattern.sub(lambda match: " " * len(match[0]), text)
    seen: dict[str, int] = {}
    result = []
    for _, kind, value in sorted(found, key=lambda one: one[0]):
        result.append(Mention(kind, value, seen.get(kind, 0)))
        seen[kind] = seen.get(kind, 0) + 1
    return tuple(result)


@lru_cache(4096)
def bare(text: str) -> str:
    """A request without its values: what its template says."""
    for _, pattern, _ in _READERS:
        text = pattern.sub(" ", text)
    return " ".join(text.split())


def write(style: str, value: Any) -> Any:
    """A value as an argument in this style."""
    return STYLES[style][1](value)


def surface(kind: str, value: Any) -> str:
    """A value as a request says it: what `mentions` reads back."""
    forms: dict[str, Write] = {
        "date": lambda d: f"{d.day} {_MONTHS[d.month - 1]} {d.year}",
        "time": lambda minutes: _clock(minutes, "%H:%M"),
        "distance": lambda metres: f"{_whole(metres / 1000)} km",
        "weight": lambda grams: f"{_whole(grams / 1000)} kg",
        "duration": lambda minutes: f"{minutes} minutes",
        "share": lambda percent: f"{percent} percent",
        "text": lambda text: f'"{text}"',
    }
    return str(forms.get(kind, str)(value))


def draw(kind: str, half: Half, rng: np.random.Generator) -> Any:
    """A random value; the halves have none in common, except for options, which are closed sets."""
    odd = int(half == "test")
    tables: dict[str, Sequence[str]] = {
        "country": list(COUNTRIES), "currency": list(CURRENCIES), "language": list(LANGUAGES), "city": list(CITIES),
        "text": TEXTS,
    }  # fmt: skip
    if kind in OPTIONS:
        return str(rng.choice(list(OPTIONS[kind])))
    if kind in tables:
        return str(rng.choice(tables[kind][odd::2]))
    if kind == "date":
        return dt.date(2021 + 3 * odd, 1, 1) + dt.timedelta(days=int(rng.integers(3 * 365)))
    number = 2 * int(rng.integers(1, 30)) + odd  # even numbers for the bank, odd ones for the test
    return {"time": (number * 23) % 1440, "distance": number * 1000.0, "weight": number * 1000.0,
            "duration": number, "share": number, "amount": number}[kind]  # fmt: skip
