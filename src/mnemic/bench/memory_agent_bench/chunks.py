"""Cutting the material: at sentence ends, fact pools and example lists at line ends."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from mnemic.errors import BudgetError
from mnemic.lm.exchange import estimate

Count = Callable[[str], int]

# A sentence ends at . ! ? (and what closes a quotation) before a blank and something that can begin one; titles and
# initials end none, and neither does the serial number that a line begins with ("12. X was born ...").
_END = re.compile(
    r"(?<![\s(][A-Z])(?<!\b(?:Mr|Dr|St|Ld|Co|No|vs))(?<!\b(?:Mrs|Sir|etc|viz|Esq|Jun|Sen))"
    r"([.!?…]['\"”’)\]]*)\s+(?=['\"“‘(\[]?[A-Z0-9])"
)
_SERIAL = re.compile(r"\d+\. ")

counted = lru_cache(maxsize=200_000)(estimate)  # tokens of a text; the same chunks are counted for every design


def sentences(text: str) -> list[str]:
    """Sentences of a text, in order, without the blanks between them; a line end ends one too."""
    found: list[str] = []
    for line in text.splitlines():
        number = _SERIAL.match(line)
        body = line[number.end() :] if number else line
        parts = [part.strip() for part in _END.sub("\\1\n", body).split("\n") if part.strip()]
        found += [number[0] + parts[0], *parts[1:]] if number and parts else parts
    return found


def cut(text: str, size: int, *, lines: bool = False, count: Count = counted) -> list[str]:
    """Chunks of at most `size` tokens that end where a sentence (a line) ends.

    A sentence of more is cut between words; a line of more stays whole and stands alone.
    """
    if size <= 0:
        raise BudgetError(f"a chunk of {size} tokens holds nothing: give at least 1.")
    if lines:
        units = [line for line in text.splitlines() if line.strip()]
    else:
        units = [piece for sentence in sentences(text) for piece in _within(sentence, size, count)]
    return list(_packed(units, size, "\n" if lines else " ", count))


def _packed(units: list[str], size: int, joint: str, count: Count) -> Iterator[str]:
    held: list[str] = []
    tokens = 0
    for unit in units:
        cost = count(unit) + (1 if joint == "\n" else 0)  # a line end is a token, a blank is not
        if held and tokens + cost > size:
            yield joint.join(held)
            held, tokens = [], 0
        held.append(unit)
        tokens += cost
    if held:
        yield joint.join(held)


def _within(sentence: str, size: int, count: Count) -> Iterator[str]:
    """The sentence, or as many pieces of it as it takes."""
    if count(sentence) <= size:
        yield sentence
        return
    held: list[str] = []
    for word in sentence.split():
        if held and count(" ".join([*held, word])) > size:
            yield " ".join(held)
            held = []
        held.append(word)
    yield " ".join(held)


def shortened(text: str, tokens: int, *, last: bool = False, count: Count = counted) -> str:
    """The first (or last) words of a text that fit into so many tokens; the text itself when it does."""
    if count(text) <= tokens:
        return text
    words = re.findall(r"\s*\S+", text)
    low, high = 0, len(words)  # the most words that fit
    while low < high:
        middle = (low + high + 1) // 2
        piece = words[-middle:] if last else words[:middle]
        low, high = (middle, high) if count("".join(piece)) <= tokens else (low, middle - 1)
    kept = words[len(words) - low :] if last else words[:low]
    return "".join(kept).strip()
