"""Items of JSON files and lines: what each one is, told by its shape, and the records it becomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mnemic.files.bad import Item
from mnemic.files.chats import chatgpt, claude, conversation, is_talk, messages_in, place_of
from mnemic.files.cleaning import clean
from mnemic.files.entry import ID, chunk_of, entry_of, episode_of, name_of
from mnemic.files.file import File
from mnemic.files.locomo import is_sample, locomo
from mnemic.files.outline import PART
from mnemic.files.places import Places
from mnemic.record import Chunk


class Items:
    """Reads the items of one file; remembers which places are taken."""

    def __init__(self, file: File) -> None:
        self.file, self.places = file, Places()

    def read(self, item: Any, place: str, nested: bool = False) -> Iterator[Item]:
        """The records of one item.

        place    where it stands ("line 17"); empty for an object that is the whole file
        nested   the item was inside another one: it is not opened further
        """
        if isinstance(item, Mapping):
            yield from self._object(item, place, nested)
        elif isinstance(item, list) and item and not nested:
            yield from self._list(item, place)
        elif isinstance(item, str) and item.strip():
            yield Chunk(item, source=self.file.source, place=self.places.claim(place or "text"))
        else:
            yield self.file.bad(place, "holds no text.")

    def _object(self, item: Mapping[str, Any], place: str, nested: bool) -> Iterator[Item]:
        source, places = self.file.source, self.places
        if isinstance(item.get("mapping"), Mapping):
            yield from chatgpt(item, source, place, places)
        elif isinstance(item.get("chat_messages"), list):
            yield from claude(item, source, place, places)
        elif is_sample(item):
            yield from locomo(item, source, place, places)
        elif messages := messages_in(item):
            yield from conversation(item, messages, source, place, places)
        elif (entry := entry_of(item)) is not None:
            if not entry.text.strip():
                if entry.role is None:  # in a chat, a message without text is a call of a tool
                    yield self.file.bad(place, "holds no text.")
                return
            # A diary has one entry a day, so its day is a better place than a line that moves when one is put in.
            by_day = entry.time if entry.speaker is None else None
            where = places.claim(place_of(entry, by_day or place or "text"), place)
            yield chunk_of(entry, source=source, place=where, episode=episode_of(entry, source))
        elif not place and (lists := _lists_in(item)):
            for name, elements in lists.items():
                yield from self._elements(elements, name)
        else:
            yield from self._fields(item, place)

    def _list(self, item: list[Any], place: str) -> Iterator[Item]:
        if is_talk(item):
            messages = [message for message in item if isinstance(message, Mapping)]
            yield from conversation({}, messages, self.file.source, place, self.places)
        else:
            yield from self._elements(item, f"{place}, item")

    def _elements(self, elements: Sequence[Any], name: str) -> Iterator[Item]:
        for n, element in enumerate(elements, 1):
            yield from self.read(element, f"{name} {n}", nested=True)

    def _fields(self, item: Mapping[str, Any], place: str) -> Iterator[Item]:
        """An object of no known shape: its fields as lines, in parts of a readable size that share an episode."""
        name = name_of(next((item[key] for key in ID if item.get(key)), None)) or place
        part = 0
        for part, text in enumerate(_grouped(_lines(item)), 1):
            where = name if part == 1 and name else f"{name}, part {part}".removeprefix(", ")
            yield Chunk(text, source=self.file.source, place=self.places.claim(where),
                        episode=f"{self.file.source}#{name}" if name else self.file.source)  # fmt: skip
        if not part:
            yield self.file.bad(place, "holds no text.")


def _lists_in(item: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Lists of objects inside an object: {"version": 1, "data": [{...}, ...]}."""
    return {
        str(key): value
        for key, value in item.items()
        if isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value)
    }


def _grouped(lines: Iterator[str]) -> Iterator[str]:
    waiting: list[str] = []
    for line in lines:
        if waiting and sum(map(len, waiting)) + len(line) > PART:
            yield "\n".join(waiting)
            waiting = []
        waiting.append(line)
    if waiting:
        yield "\n".join(waiting)


def _lines(item: Mapping[str, Any]) -> Iterator[str]:
    """Its fields, inner ones with the names on the way to them: "address > city: Lisbon"."""
    waiting: list[tuple[str, Any]] = [(str(key), value) for key, value in reversed(list(item.items()))]
    while waiting:  # no recursion: JSON may be nested deeper than Python calls
        name, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [(f"{name} > {key}"[-200:], each) for key, each in reversed(list(value.items()))]
        elif isinstance(value, list):
            waiting += [(name, each) for each in reversed(value)]
        elif isinstance(value, str) and (text := clean(value)):
            yield f"{name}: {text}"
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{name}: {value}"
