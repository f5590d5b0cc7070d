"""The items of a JSON file, one at a time, in the memory that one item needs.

A list at the top is read item by item. An object at the top is one item, unless it is larger than LONGEST:
then the lists inside it are read item by item. Several values after one another are several items.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

from mnemic.files.bad import Unreadable

LONGEST = 32_000_000  # characters of one item; as Python objects it takes about ten times that
_PIECE = 1 << 18
_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


class Found(NamedTuple):
    """An item and its place: "item 3"; empty for an object that is the whole file."""

    place: str
    value: Any


class _TooLong(Unreadable):
    """One value is longer than LONGEST."""


def items(text: IO[str]) -> Iterator[Found]:
    """Raises Unreadable where the file stops being JSON, after the items before it."""
    scan = _Scan(text)
    n = 0
    while char := scan.peek():
        if char == "[":
            for value in _elements(scan):
                n += 1
                yield Found(f"item {n}", value)
        else:
            try:
                value = scan.value()
            except _TooLong:
                if char != "{":
                    raise
                yield from _members(scan)
                continue
            n += 1
            yield Found("" if n == 1 and not scan.peek() else f"item {n}", value)


def _elements(scan: _Scan) -> Iterator[Any]:
    scan.take("[")
    while not scan.take("]"):
        yield scan.value()
        if not scan.take(",") and scan.peek() != "]":
            raise scan.broken("a list is not closed")


def _members(scan: _Scan) -> Iterator[Found]:
    """What is in an object too large for memory: the elements of its lists, and its objects."""
    scan.take("{")
    while not scan.take("}"):
        key = scan.value()
        if not isinstance(key, str) or not scan.take(":"):
            raise scan.broken("an object is not closed")
        if scan.peek() == "[":
            name = "message" if key == "messages" else key
            for n, element in enumerate(_elements(scan), 1):
                yield Found(f"{name} {n}", element)
        elif isinstance(value := scan.value(), dict):
            yield Found(key, value)
        if not scan.take(",") and scan.peek() != "}":
            raise scan.broken("an object is not closed")


class _Scan:
    """A window over the text that moves forward value by value."""

    def __init__(self, text: IO[str]) -> None:
        self.text, self.window, self.at, self.line = text, "", 0, 1

    def peek(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            match = _SPACE.match(self.window, self.at)
            self.at = match.end() if match else self.at
            if self.at < len(self.window):
                return self.window[self.at]
            if not self.more():
                return ""

    def take(self, char: str) -> bool:
        if self.peek() != char:
            return False
        self.at += 1
        return True

    def value(self) -> Any:
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self.window, self.at)
            except RecursionError:
                raise self.broken("values are nested too deeply") from None
            except ValueError as error:  # broken, or not yet read to its end
                if len(self.window) - self.at > LONGEST:
                    raise _TooLong(f"holds one value of more than {LONGEST // 1_000_000} million characters.",
                                   f"line {self.here()}") from None  # fmt: skip
                if not self.more():
                    raise self.broken(getattr(error, "msg", str(error))) from None
                continue
            if end == len(self.window) and isinstance(value, int | float) and self.more():
                continue  # 12 may be the beginning of 1234
            self.at = end
            return value

    def more(self) -> bool:
        """Read on, at least as much again as is waiting, so that trying again stays linear."""
        self.line = self.here()
        rest = self.window[self.at :]
        piece = self.text.read(max(_PIECE, len(rest)))
        self.window, self.at = rest + piece, 0
        return bool(piece)

    def here(self) -> int:
        return self.line + self.window.count("\n", 0, self.at)

    def broken(self, why: str) -> Unreadable:
        return Unreadable(f"is no JSON from here on ({why}); what stands before it was read.", f"line {self.here()}")
