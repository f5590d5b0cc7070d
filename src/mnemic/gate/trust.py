"""How far a record is trusted: by who wrote it, and by what it was made from.

There are two levels. "person" is what the person put there: everything, unless something speaks against it.
"untrusted" is what others wrote. A record is untrusted as soon as one of these holds, and nothing in a record can
raise it again:

- its metadata says so: {"trust": "untrusted"}, or any other word than "person"
- its source names an address on the web or a mail (https://..., mailto:...) that the person has not vouched for
- its source or its speaker is one that the person has named as untrusted
- something that it was derived from is untrusted, or is gone, so that nobody can tell
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal
from unicodedata import category, normalize

from mnemic.errors import NotFound
from mnemic.filter import Filter
from mnemic.meter import Unit, Used
from mnemic.recall.corpus import Corpus
from mnemic.record import Chunk, Edge, Hit, Record
from mnemic.seams import View

Level = Literal["person", "untrusted"]
PERSON: Level = "person"
UNTRUSTED: Level = "untrusted"
KEY = "trust"  # in a record's metadata

# An address of others, wherever in a source it stands: http://, ftp://, imap://, ..., and what browsers take for one;
# C:\ and file:// are the person's own files.
_ADDRESS = re.compile(
    r"(?<![a-z0-9+.-])(?!file:)(?:[a-z][a-z0-9+.-]+://|(?:https?|ftp|mailto|data):)|^\W*www\.", re.IGNORECASE
)
_HEAD = re.compile(r"(?:[a-z][a-z0-9+.-]*://)?[^/?#\\]*", re.IGNORECASE)  # scheme and host of an address


@dataclass(frozen=True)
class Trust:
    """What counts as untrusted, beside what records say of themselves. * and ? match as in file names.

    untrusted   sources whose records are not trusted: ("downloads/*", "mail/*")
    vouched     addresses on the web that are: ("https://wiki.mycompany.example/*",); a * in the name of the host ends
                where the host ends
    speakers    when given, what others say is not trusted: ("Ana",); who is not named at all is the person
    """

    untrusted: tuple[str, ...] = ()
    vouched: tuple[str, ...] = ()
    speakers: tuple[str, ...] | None = None

    def of(self, record: Record | Chunk, view: View) -> Level:
        """The level of a record, or of a chunk on its way into the memory."""
        waiting: list[Record | Chunk] = [record]
        seen: set[str] = set()
        while waiting:
            each = waiting.pop()
            if not isinstance(each.derived_from, list | tuple) or not self._alone(each):
                return UNTRUSTED
            for id in each.derived_from:
                if id in seen:
                    continue
                seen.add(id)
                try:
                    waiting.append(view.get(id))
                except NotFound:  # whatever it was, it cannot be looked at any more
                    return UNTRUSTED
        return PERSON

    def lowest(self, records: Iterable[Record | Chunk], view: View) -> Level:
        """The level of something made from all of these."""
        return UNTRUSTED if any(self.of(record, view) == UNTRUSTED for record in records) else PERSON

    def _alone(self, record: Record | Chunk) -> bool:
        """Is it trusted, as far as the record itself tells?"""
        speaker, source = record.speaker, record.source or ""
        if not isinstance(source, str) or not isinstance(speaker, str | None):
            return False  # a chunk that cannot be kept: committing it says why
        if not isinstance(record.metadata, Mapping) or record.metadata.get(KEY, PERSON) != PERSON:
            return False
        if _matches(source, self.untrusted):
            return False
        if _ADDRESS.search(_spelled(source)) and not any(_vouches(pattern, source) for pattern in self.vouched):
            return False
        known = self.speakers is None or not speaker or speaker.casefold() in [one.casefold() for one in self.speakers]
        return known


def _spelled(source: str) -> str:
    """A source as a browser reads it: no wide letters, nothing invisible."""
    return "".join(char for char in normalize("NFKC", source) if category(char) not in ("Cc", "Cf"))


def _vouches(pattern: str, source: str) -> bool:
    """Is it one of these addresses? The host is compared apart: evil.example/a.mine.example is not *.mine.example."""
    wanted, given = (_HEAD.match(text) for text in (pattern, source))
    assert wanted is not None
    assert given is not None  # an empty head matches everywhere
    path = pattern[wanted.end() :] or ("*" if wanted[0].endswith("*") else "")
    return _matches(given[0], [wanted[0]]) and _matches(source[given.end() :], [path])


def _matches(source: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(source, pattern.replace("[", "[[]")) for pattern in patterns)  # only * and ? are special


@dataclass
class Watched:
    """A view that notes how far what it hands out is trusted: what its reader proposes inherits the lowest.

    read   ids of the untrusted records that were handed out
    """

    view: View
    trust: Trust = field(default_factory=Trust)
    read: list[str] = field(default_factory=list)

    @property
    def level(self) -> Level:
        return UNTRUSTED if self.read else PERSON

    def note(self, record: Record) -> Record:
        if record.id not in self.read and self.trust.of(record, self.view) == UNTRUSTED:
            self.read.append(record.id)
        return record

    def _note_all(self) -> None:
        """For what shows the whole memory at once."""
        for record in self.view.records():
            self.note(record)

    @property
    def position(self) -> int:
        return self.view.position

    @property
    def corpus(self) -> Corpus:
        self._note_all()
        return self.view.corpus

    def get(self, id: str) -> Record:
        return self.note(self.view.get(id))

    def records(self, where: Filter | Mapping[str, Any] | None = None) -> Iterator[Record]:
        return (self.note(record) for record in self.view.records(where))

    def recall(self, query: str, *, k: int = 10, where: Filter | Mapping[str, Any] | None = None) -> list[Hit]:
        hits = self.view.recall(query, k=k, where=where)
        for hit in hits:
            self.note(hit.record)
        return hits

    def edges(self, source: str | None = None) -> Iterator[Edge]:
        if source is None:
            self._note_all()
        else:
            self.get(source)
        return self.view.edges(source)

    def used(self, unit: Unit | None = None) -> Used:
        return self.view.used(unit)

    def access(self) -> dict[str, tuple[int, float]]:
        return self.view.access()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "view":
            raise AttributeError(name)
        self._note_all()  # nobody knows what it shows
        return getattr(self.view, name)
