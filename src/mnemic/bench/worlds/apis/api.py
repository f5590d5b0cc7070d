"""An API whose documentation and behaviour differ in known places: a local function behind a JSON schema."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mnemic.bench.worlds.apis.entities import CITIES, COUNTRIES, CURRENCIES, LANGUAGES, OPTIONS, STYLES, write
from mnemic.context.ste import Tool

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Slot:
    """One argument.

    name      as documented
    style     in which the documentation wants it (see entities.STYLES)
    wanted    in which the function takes it; the same when the documentation is right
    required  the function needs it
    real      the name that the function takes
    inside    the object that it has to stand in
    listed    the function takes a list
    default   documented: the value that is assumed when it is not given
    assumed   the value that the function really assumes
    bank, test   how requests of the two halves mention it: "{}" is where the value stands
    """

    name: str
    style: str
    wanted: str = ""
    required: bool = False
    real: str = ""
    inside: str = ""
    listed: bool = False
    default: str = ""
    assumed: str = ""
    bank: str = ""
    test: str = ""

    @property
    def kind(self) -> str:
        return STYLES[self.style][0]

    @property
    def accepted(self) -> str:
        return self.wanted or self.style

    @property
    def key(self) -> str:
        return self.real or self.name

    @property
    def misleading(self) -> bool:
        """The documentation is wrong about it."""
        return (self.accepted, self.key) != (self.style, self.name) or bool(self.inside or self.listed or self.assumed)


@dataclass(frozen=True)
class Api:
    """One function.

    slots      in the order of the documentation; the required ones come first in every request, in this order
    compute    what it is for: values by documented name -> result
    constants  arguments that the documentation does not mention, and the only value they may have
    bank, test   beginnings of requests, with the required slots by name
    """

    name: str
    about: str
    slots: tuple[Slot, ...]
    compute: Callable[[Values], Any]
    bank: tuple[str, ...]
    test: tuple[str, ...]
    constants: Mapping[str, Any] = field(default_factory=dict)

    @property
    def required(self) -> list[Slot]:
        return [slot for slot in self.slots if slot.required]

    @property
    def optional(self) -> list[Slot]:
        return [slot for slot in self.slots if not slot.required]

    def tool(self) -> Tool:
        """The documentation as it is published, and the function as it is."""
        properties = {slot.name: _property(slot) for slot in self.slots}
        schema = {"type": "object", "properties": properties, "required": [slot.name for slot in self.required]}
        return Tool(self.name, self.about, schema, lambda **args: self.call(args))

    def call(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Run it: a result, or one error in words, the first that is found."""
        error = self._shape_error(args)
        if error:
            return {"error": error}
        values: dict[str, Any] = {}
        notes = []
        for slot in self.slots:
            given = args.get(slot.inside, {}) if slot.inside else args
            if slot.key not in given:
                if slot.required:
                    return {"error": f'missing argument "{slot.key}": give the {slot.kind} as {slot.accepted}'}
                notes += [f'"{slot.key}" was not given: {slot.assumed} is assumed'] if slot.assumed else []
                values[slot.name] = slot.assumed or slot.default or None
                continue
            values[slot.name] = read(slot.accepted, given[slot.key], listed=slot.listed)
            if values[slot.name] is None:
                return {"error": _style_error(slot, given[slot.key])}
        result = {"result": self.compute(values), "for": {name: str(value) for name, value in values.items()}}
        return {**result, "note": "; ".join(notes)} if notes else result

    def _shape_error(self, args: Mapping[str, Any]) -> str:
        known = {slot.inside or slot.key for slot in self.slots} | set(self.constants)
        for slot in self.slots:
            if slot.inside and slot.key in args:
                return f'"{slot.key}" belongs inside of the object "{slot.inside}"'
            if slot.inside and not isinstance(args.get(slot.inside, {}), Mapping):
                return f'"{slot.inside}" must be an object'
            if slot.real and slot.name in args:
                return f'unknown argument "{slot.name}": did you mean "{slot.real}"?'
        for name in args:
            if name not in known:
                return f'unknown argument "{name}"'
        for name, value in self.constants.items():
            if args.get(name) != value:
                return f'missing argument "{name}": use {value!r}'
        return ""

    def gold(self, values: Values) -> dict[str, Any]:
        """The call that really works for these values (by documented name)."""
        args: dict[str, Any] = dict(self.constants)
        for slot in self.slots:
            if slot.name in values:
                written = write(slot.accepted, values[slot.name])
                place = args.setdefault(slot.inside, {}) if slot.inside else args
                place[slot.key] = [written] if slot.listed else written
        return args


def read(style: str, given: Any, *, listed: bool = False) -> Any:
    """The value that an argument stands for, None when it is not written in this style.

    A function does not know what was meant: 5 is 5 metres where metres are wanted.
    """
    if listed:
        return read(style, given[0]) if isinstance(given, list) and len(given) == 1 else None
    if isinstance(given, bool | list | dict):
        return None
    reader: Callable[[str, Any], Any] = _READ.get(style, _by_table)
    return reader(style, given)


def _property(slot: Slot) -> dict[str, Any]:
    kind = {"amount": "number", "distance": "number", "weight": "number", "duration": "number", "share": "number"}
    text = slot.style in ("number as text", "ISO 8601 duration")
    said = f"{slot.name.replace('_', ' ')}, as {slot.style}" + (
        f"; {slot.default} if not given" if slot.default else ""
    )
    return {"type": "string" if text else kind.get(slot.kind, "string"), "description": said}


def _style_error(slot: Slot, given: Any) -> str:
    if slot.listed and not isinstance(given, list):
        return f'"{slot.key}" must be a list'
    return f'"{slot.key}" cannot be {given!r}: give the {slot.kind} as {slot.accepted}'


# ---- reading arguments

_LEAST = {"metres": 200.0, "grams": 100.0, "seconds": 60.0}  # less is not believed: somebody took the larger unit
_SCALE = {"kilometres": 1000.0, "metres": 1.0, "kilograms": 1000.0, "grams": 1.0, "minutes": 1.0, "seconds": 1 / 60,
          "percent": 1.0, "fraction": 100.0, "number": 1.0}  # fmt: skip
_DATES = {"YYYY-MM-DD": "%Y-%m-%d", "DD.MM.YYYY": "%d.%m.%Y", "MM/DD/YYYY": "%m/%d/%Y", "YYYYMMDD": "%Y%m%d"}
_TIMES = {"HH:MM": "%H:%M", "HHMM": "%H%M", "12-hour time": "%I:%M %p"}


def _number(style: str, given: Any) -> float | None:
    if not isinstance(given, int | float) or given < _LEAST.get(style, 0) or (style == "fraction" and given > 1):
        return None
    return round(given * _SCALE[style], 6)


def _moment(style: str, given: Any) -> dt.date | int | None:
    try:
        read = dt.datetime.strptime(given, _DATES.get(style) or _TIMES[style])
    except (ValueError, TypeError):
        return None
    if style in _DATES:
        return read.date() if len(given) == (8 if style == "YYYYMMDD" else 10) else None
    return read.hour * 60 + read.minute


def _duration_text(style: str, given: Any) -> float | None:
    match = re.fullmatch(r"PT(\d+)M", given) if isinstance(given, str) else None
    return float(match[1]) if match else None


def _number_text(style: str, given: Any) -> float | None:
    return float(given) if isinstance(given, str) and re.fullmatch(r"\d+(\.\d+)?", given) else None


def _text(style: str, given: Any) -> str | None:
    if not isinstance(given, str) or (style == "upper-case text" and given != given.upper()):
        return None
    return given.lower()


def _by_table(style: str, given: Any) -> str | None:
    """The name whose written form this is."""
    return next((name for name in _TABLES[STYLES[style][0]] if write(style, name) == given), None)


_TABLES: dict[str, list[str]] = {
    "country": list(COUNTRIES), "currency": list(CURRENCIES), "language": list(LANGUAGES), "city": list(CITIES),
    **{kind: list(words) for kind, words in OPTIONS.items()},
}  # fmt: skip
_READ: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(_SCALE, _number), **dict.fromkeys([*_DATES, *_TIMES], _moment),
    "ISO 8601 duration": _duration_text, "number as text": _number_text,
    "plain text": _text, "upper-case text": _text,
}  # fmt: skip
