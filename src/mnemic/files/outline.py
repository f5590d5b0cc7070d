"""Documents as sections of the size that a person recognises, with the headings above them.

A section's text begins with its headings ("Setup > Install"), so that it can be found by them. A section of
up to LONG characters is one record; a longer one becomes several, cut between paragraphs. Where to cut depends
on the paragraph at the cut only: a paragraph added in front does not move the cuts behind it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mnemic.files.places import Places
from mnemic.files.times import day_of, read_time
from mnemic.record import Chunk

LONG = 24_000  # characters, about 4,000 words: beyond, nobody thinks of a section as one thing
PART = 6000  # characters, about 1,000 words or two pages: the most that a part of a longer section holds
ENOUGH = 2000  # from here on a cut is welcome
_HEADING = 300  # a longer heading is a paragraph that somebody made bold
_WORDS = 60  # characters: of a heading that is repeated below, of the first words that name a place


@dataclass(frozen=True)
class Heading:
    """level 1 to 6, or 0 for the title above all headings."""

    level: int
    text: str


@dataclass(frozen=True)
class Block:
    """A paragraph, or a piece of one.

    joint   what stands between it and the block before
    time    when it was written, if it says so itself (a line of a log)
    """

    text: str
    joint: str = "\n\n"
    time: str | None = None


@dataclass(frozen=True)
class Document:
    """What all sections of a document share.

    title   what the document calls itself
    name    what its file is called: stands in where there is neither title nor heading
    """

    source: str
    episode: str
    title: str = ""
    name: str = ""
    time: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


def sections(events: Iterable[Heading | Block], document: Document, places: Places) -> Iterator[Chunk]:
    """Headings and blocks, in order, as one record a section or part of a section."""
    section = _Section(document, places)
    for event in events:
        if isinstance(event, Heading) and len(event.text) <= _HEADING:
            if event.text.strip():
                yield from section.heading(event)
        elif event.text.strip():
            yield from section.block(event if isinstance(event, Block) else Block(event.text))
    yield from section.end(0)


def anchor(text: str) -> bool:
    """One text in three, by its content alone: a place to cut that does not move when others do."""
    return zlib.crc32(text.encode("utf-8", "surrogatepass")) % 3 == 0


def parts(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """Blocks in groups of at most PART characters; the last group may still grow."""
    part: list[Block] = []
    size = 0
    for block in blocks:
        if part and (size + len(block.text) > PART or (size >= ENOUGH and anchor(block.text))):
            yield part
            part, size = [], 0
        part.append(block)
        size += len(block.joint) + len(block.text)
    if part:
        yield part


def joined(blocks: Sequence[Block]) -> str:
    return "".join(block.joint * (n > 0) + block.text for n, block in enumerate(blocks))


class _Section:
    """The section being read."""

    def __init__(self, document: Document, places: Places) -> None:
        self.document, self.places = document, places
        self.path: list[Heading] = []
        self.blocks: list[Block] = []
        self.size = 0
        self.long = False  # it is one of more than LONG characters, and let go part by part
        self.untold = False  # the newest heading is in no record yet

    def heading(self, heading: Heading) -> Iterator[Chunk]:
        yield from self.end(heading.level)
        self.path = [*(above for above in self.path if above.level < heading.level), heading]
        self.untold = True

    def block(self, block: Block) -> Iterator[Chunk]:
        if self.blocks and block.time and day_of(block.time) != day_of(self.blocks[0].time):
            yield from self.end(0)  # in a log, a day is what a section is elsewhere
        self.blocks.append(block)
        self.size += len(block.joint) + len(block.text)
        self.long = self.long or self.size > LONG
        if self.long:
            *ready, self.blocks = parts(self.blocks)
            for part in ready:
                yield self._chunk(part)

    def end(self, level: int) -> Iterator[Chunk]:
        """Before a heading of `level`: a heading without text is a record, unless it has headings under it."""
        if self.blocks or (self.untold and level <= self.path[-1].level):
            yield self._chunk(self.blocks)
        self.blocks, self.size, self.long = [], 0, False

    def _chunk(self, blocks: Sequence[Block]) -> Chunk:
        above = [" ".join(heading.text.split()) for heading in self.path]
        title = self.document.title or (above[0] if above else "") or self.document.name
        shown = [*(_shortened(name) for name in above[:-1]), *(above[-1:] or [title])]
        place = self._place(blocks)
        self.untold = False
        return Chunk(
            "\n\n".join(filter(None, (" > ".join(shown), joined(blocks)))),
            time=next((block.time for block in blocks if block.time), None) or self._dated() or self.document.time,
            source=self.document.source,
            place=self.places.claim(place[-300:]),
            episode=self.document.episode,
            metadata={key: value for key, value in {**self.document.metadata, "title": title}.items() if value},
        )

    def _place(self, blocks: Sequence[Block]) -> str:
        """The headings above; for what is not the first record under them, its first words too."""
        place = " > ".join(f"{'#' * max(h.level, 1)} {' '.join(h.text.split())}" for h in self.path)
        if not blocks or (self.path and self.untold):
            return place
        words = f"“{_shortened(blocks[0].text)}”"
        return f"{place}: {words}" if place else words

    def _dated(self) -> str | None:
        """The day that the nearest heading names: "## 2026-05-03", "## 3 May 2026"."""
        times = (read_time(heading.text) for heading in reversed(self.path))
        return next((time for time in times if time), None)


def _shortened(text: str) -> str:
    """The first words of a line that is long."""
    line = " ".join(text[: _WORDS * 4].split())
    return line if len(line) <= _WORDS else line[:_WORDS].rsplit(" ", 1)[0] + " …"
