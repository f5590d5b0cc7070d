"""Lines of text as paragraphs; a paragraph of any length as pieces of a readable size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO

from mnemic.files.outline import Block, anchor

FULL = 1500  # characters of a block: small beside a part, so that parts come out even
_READ = 1 << 16
_SENTENCE = re.compile(r"[.!?…。！？]['\"”’)\]]*\s+|\n")  # full-width marks end sentences too


def lines(text: IO[str]) -> Iterator[str]:
    """Lines without their ending; a line longer than 65,536 characters comes in parts, cut between words."""
    rest = ""
    while line := text.readline(_READ):
        if line.endswith("\n"):
            yield rest + line[:-1]
            rest = ""
        else:
            whole = rest + line
            cut = whole.rfind(" ") if len(whole) >= _READ else -1
            if cut > 0:
                yield whole[:cut]
                whole = whole[cut + 1 :]
            elif len(whole) >= 2 * _READ:  # no blank anywhere
                yield whole
                whole = ""
            rest = whole
    if rest:
        yield rest


def blocks(text: str, joint: str = "\n\n", time: str | None = None) -> Iterator[Block]:
    """A paragraph as blocks of at most FULL characters: cut at sentences, else at blanks, else anywhere."""
    at = 0
    while len(text) - at > FULL:
        window = text[at : at + FULL]
        ends = [match.end() for match in _SENTENCE.finditer(window) if match.end() >= FULL // 3]
        cut = ends[-1] if ends else (window.rfind(" ", FULL // 3) + 1 or FULL)
        piece = window[:cut]
        yield Block(piece.rstrip(), joint, time)
        joint = piece[len(piece.rstrip()) :]
        at += cut
    yield Block(text[at:], joint, time)


class Paragraphs:
    """Collects lines until a paragraph ends; what grows beyond FULL is let go in pieces."""

    def __init__(self) -> None:
        self.waiting: list[str] = []
        self.size = 0
        self.joint = "\n\n"
        self.time: str | None = None

    def line(self, line: str) -> Iterator[Block]:
        full = self.size + len(line) > FULL
        if self.waiting and (full or (self.joint == "\n" and self.size >= FULL // 2 and anchor(line))):
            yield from self._let_go()
            self.joint = "\n"
        self.waiting.append(line)
        self.size += len(line) + 1

    def end(self) -> Iterator[Block]:
        yield from self._let_go()
        self.joint, self.time = "\n\n", None

    def _let_go(self) -> Iterator[Block]:
        if self.waiting:
            yield from blocks("\n".join(self.waiting), self.joint, self.time)
        self.waiting, self.size = [], 0
