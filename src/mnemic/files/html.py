"""Web pages: headings, paragraphs, lists and tables as they stand, without scripts and menus.

Needs lxml (the extra `files`). The page is parsed piece by piece and never built as a tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO, Any

from mnemic.errors import MissingExtra
from mnemic.files.bad import Item, Unreadable
from mnemic.files.file import File
from mnemic.files.outline import Block, Document, Heading, sections
from mnemic.files.package import library
from mnemic.files.paragraphs import blocks
from mnemic.files.places import Places
from mnemic.files.times import read_time, time_in_name

_PIECE = 1 << 16
_MOST_HELD = 1 << 22  # characters: the parser keeps all that it was fed, so another one takes over (a page of 1 GB)
_SEAM = re.compile(r"<(?:p|div|h[1-6]|li|tr)[ >]", re.I)
_DEEPEST = 10_000  # open elements, forgotten end tags counted; the parser's time grows with the square of it
_LONGEST_TEXT = 1 << 20  # characters without any paragraph end
_UNSEEN = frozenset("script style template svg nav iframe noscript select button math".split())
_BREAKS = frozenset("p div section article header footer main aside blockquote ul ol li dl dt dd table tr pre hr form "
                    "figure figcaption fieldset details summary address body caption thead tbody".split())  # fmt: skip
_CELL = "\x1f"  # what ASCII has for it; becomes " | " between cells that hold something
_HEADINGS = {f"h{n}": n for n in range(1, 7)}
_PUBLISHED = ("article:published_time", "date", "dc.date", "dcterms.date", "datepublished")


def read_html(file: File) -> Iterator[Item]:
    with file.text() as text:
        page = Page()
        events = page.events(text)
        early = list(_head(page, events))  # the title comes first, but may come late
        document = Document(file.source, file.source, title=" ".join(page.title.split()),
                            name=file.stem, time=page.time or time_in_name(file.stem))  # fmt: skip
        yield from sections(_chained(early, events), document, Places())


def _head(page: Page, events: Iterator[Heading | Block]) -> Iterator[Heading | Block]:
    for event in events:
        yield event
        if page.in_body:
            return


def _chained(early: list[Heading | Block], late: Iterator[Heading | Block]) -> Iterator[Heading | Block]:
    yield from early
    yield from late


class Page:
    """The parser's target: it is told of tags and text, and keeps the events that are ready.

    title, time    what the page's head says about it
    """

    def __init__(self) -> None:
        self.title = ""
        self.time: str | None = None
        self.in_body = False
        self._ready: list[Heading | Block] = []
        self._text: list[str] = []
        self._size = 0
        self._unseen = self._depth = self._preformatted = 0
        self._in_title = False
        self._joint = "\n\n"

    def events(self, text: IO[str]) -> Iterator[Heading | Block]:
        """Headings and paragraphs, as they are read. Raises Unreadable for a page nested beyond sense."""
        parser, fed = _parser(self), 0
        while piece := text.read(_PIECE):
            if fed > _MOST_HELD and (cut := self._seam(piece)) is not None:
                self._end(parser, piece[:cut])
                parser, fed, piece = _parser(self), 0, piece[cut:]
            fed += self._feed(parser, piece)
            yield from self._drain()
        if fed:
            self._end(parser, "")
        self._paragraph()
        yield from self._drain()

    def _feed(self, parser: Any, piece: str) -> int:
        """How much of it was worth telling: the parser cannot close what was blank throughout."""
        # A zero would end the parser's string; half characters it cannot take.
        with library("HTML page"):
            parser.feed(piece.replace("\0", "").encode("utf-8", "replace"))
        return len(piece.strip())

    def _end(self, parser: Any, piece: str) -> None:
        if piece:
            self._feed(parser, piece)
        with library("HTML page"):
            parser.close()
        self._unseen = self._depth = self._preformatted = 0

    def _seam(self, piece: str) -> int | None:
        """Where another parser can take over, because a paragraph begins."""
        if self._unseen or self._preformatted or not self.in_body:
            return None
        starts = [match.start() for match in _SEAM.finditer(piece)]
        return starts[-1] if starts else None

    # ---- what lxml calls

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Unreadable("is nested too deeply.")
        self._unseen += tag in _UNSEEN
        self._in_title = tag == "title"
        self.in_body = self.in_body or tag == "body"
        if tag == "meta":
            self._about({key.lower(): value for key, value in attributes.items()})
        elif tag in _BREAKS or tag in _HEADINGS:
            self._paragraph()
            self._preformatted += tag == "pre"
            self._begin(tag)
        elif tag == "br":
            self._add("\n")
        elif tag in ("td", "th") and self._text:
            self._add(_CELL)
        elif tag == "img" and (shown := (attributes.get("alt") or "").strip()):
            self._add(f"[image: {shown}]")

    def end(self, tag: str) -> None:
        self._depth -= 1
        if tag in _HEADINGS:
            self._paragraph(_HEADINGS[tag])
        elif tag in _BREAKS:
            self._paragraph()
            self._preformatted -= tag == "pre"
        self._unseen -= tag in _UNSEEN
        self._in_title = False

    def data(self, text: str) -> None:
        if self._in_title:
            self.title = (self.title + text)[:300]
        elif self.in_body:
            self._add(text if self._preformatted else _folded(text))

    def close(self) -> None:
        pass

    # ---- what the events are made from

    def _add(self, text: str) -> None:
        if self._unseen:
            return
        self._text.append(text)
        self._size += len(text)
        if self._size > _LONGEST_TEXT:
            self._paragraph()

    def _begin(self, tag: str) -> None:
        self._joint = "\n" if tag in ("li", "tr", "dd") else "\n\n"
        if tag == "li":
            self._add("- ")

    def _paragraph(self, level: int = 0) -> None:
        text = "".join(self._text).strip("\n") if self._preformatted else _tidy("".join(self._text))
        self._text, self._size = [], 0
        if level and text:
            self._ready.append(Heading(level, " ".join(text.split())))
        elif text.strip("- \n"):
            self._ready += blocks(text, self._joint)
            self._joint = "\n\n"

    def _drain(self) -> Iterator[Heading | Block]:
        ready, self._ready = self._ready, []
        yield from ready

    def _about(self, attributes: dict[str, str]) -> None:
        name = (attributes.get("property") or attributes.get("name") or attributes.get("itemprop") or "").lower()
        if name in _PUBLISHED:
            self.time = self.time or read_time(attributes.get("content"))


def _folded(text: str) -> str:
    """White space of the source is one blank, as a browser shows it; \xa0 stays a blank, too."""
    tidy = " ".join(text.split())
    return f"{' ' * text[:1].isspace()}{tidy}{' ' * (text[-1:].isspace() and bool(tidy))}"


def _tidy(text: str) -> str:
    cells = (cell.strip() for cell in text.split(_CELL))
    return "\n".join(" ".join(line.split()) for line in " | ".join(filter(None, cells)).split("\n")).strip()


def _parser(target: Page) -> Any:
    try:
        from lxml import etree  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        raise MissingExtra("reading HTML", "files") from None
    return etree.HTMLParser(target=target, encoding="utf-8", huge_tree=True, no_network=True)
