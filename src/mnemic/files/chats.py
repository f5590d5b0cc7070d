"""Conversations: lists of messages, and the exports of ChatGPT and Claude."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mnemic.files.entry import Entry, chunk_of, entry_of, episode_of, name_of, text_of, time_of
from mnemic.files.places import Places
from mnemic.record import Chunk

_LISTS = "messages conversations conversation turns dialogue dialog chat history".split()


def messages_in(item: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The list of messages that an object holds; empty when it holds none."""
    for key in _LISTS:
        value = item.get(key)
        if isinstance(value, list) and value and is_talk(value):
            return [message for message in value if isinstance(message, Mapping)]
    return []


def is_talk(value: Sequence[Any]) -> bool:
    """True when most of the first items are messages: they have a text and somebody who says it."""
    first = value[:20]
    entries = [entry_of(item) for item in first if isinstance(item, Mapping)]
    return sum(entry is not None and entry.speaker is not None for entry in entries) * 2 > len(first)


def conversation(item: Mapping[str, Any], messages: Sequence[Mapping[str, Any]], source: str, place: str,
                 places: Places) -> Iterator[Chunk]:  # fmt: skip
    """Messages as records. Messages without text (tool calls) are left out.

    place    of the conversation in the file; empty when it is the whole file: its messages are then told apart
             into sessions as lines are (a chat of years is no single session)
    """
    id = name_of(_first(item, "conversation_id", "session_id", "uuid", "id"))
    name = id or place
    title = name_of(_first(item, "title", "name"))
    began, _ = time_of(_first(item, "create_time", "created_at", "date", "time"))
    for n, message in enumerate(messages, 1):
        entry = entry_of(message)
        if entry is None or not entry.text.strip():
            continue
        if entry.time is None and began:
            entry = replace(entry, time=began)
        where = place_of(entry, f"{name}, message {n}" if name else f"message {n}")
        episode = f"{source}#{name}" if place else episode_of(replace(entry, session=entry.session or id), source)
        yield chunk_of(entry, source=source, place=places.claim(where, f"message {n}"), episode=episode, title=title)


def _first(item: Mapping[str, Any], *names: str) -> Any:
    return next((item[name] for name in names if item.get(name)), None)


def chatgpt(item: Mapping[str, Any], source: str, place: str, places: Places) -> Iterator[Chunk]:
    """A conversation of a ChatGPT export: the branch that the person sees, what user and assistant say in it."""
    id = name_of(item.get("conversation_id") or item.get("id")) or place or "conversation"
    title = name_of(item.get("title"))
    for n, node in enumerate(_branch(item), 1):
        message = node.get("message")
        if not isinstance(message, Mapping) or not _visible(message):
            continue
        role = str(message["author"]["role"])
        time, written = time_of(message.get("create_time") or item.get("create_time"))
        content = message["content"]
        entry = Entry(text_of(content), time, written, role, role, name_of(message.get("id") or node.get("id")))
        if entry.text.strip():
            where = places.claim(place_of(entry, f"{id}, message {n}"), f"{id}, message {n}")
            yield chunk_of(entry, source=source, place=where, episode=f"{source}#{id}", title=title)


def _branch(item: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The nodes from the root to the current one; without a current one, to the newest leaf."""
    mapping = {key: node for key, node in item["mapping"].items() if isinstance(node, Mapping)}
    at = item.get("current_node")
    if not isinstance(at, str) or at not in mapping:
        leaves = [key for key, node in mapping.items() if not node.get("children")]
        at = max(leaves, key=lambda key: _written(mapping[key]), default=None)
    nodes: list[Mapping[str, Any]] = []
    while isinstance(at, str) and at in mapping:
        nodes.append(mapping.pop(at))  # taken out, so that a circle ends
        at = nodes[-1].get("parent")
    return nodes[::-1]


def _written(node: Mapping[str, Any]) -> float:
    message = node.get("message")
    time = message.get("create_time") if isinstance(message, Mapping) else None
    return float(time) if isinstance(time, int | float) else 0.0


def _visible(message: Mapping[str, Any]) -> bool:
    """What stands on the person's screen: no tools, no hidden instructions, no thinking."""
    author, content, about = message.get("author"), message.get("content"), message.get("metadata")
    if not isinstance(author, Mapping) or author.get("role") not in ("user", "assistant"):
        return False
    if not isinstance(content, Mapping) or content.get("content_type", "text") not in ("text", "multimodal_text"):
        return False
    hidden = isinstance(about, Mapping) and about.get("is_visually_hidden_from_conversation")
    return not hidden and message.get("recipient") in (None, "all")


def claude(item: Mapping[str, Any], source: str, place: str, places: Places) -> Iterator[Chunk]:
    """A conversation of a Claude export; the text of an attached file is a record after its message."""
    id = name_of(item.get("uuid")) or place or "conversation"
    title = name_of(item.get("name"))
    for n, message in enumerate(item["chat_messages"], 1):
        if not isinstance(message, Mapping):
            continue
        role = {"human": "user"}.get(str(message.get("sender")), str(message.get("sender") or "user"))
        time, written = time_of(message.get("created_at") or item.get("created_at"))
        text = text_of(message.get("text")) or text_of(message.get("content"))
        entry = Entry(text, time, written, role, role, name_of(message.get("uuid")))
        where = places.claim(place_of(entry, f"{id}, message {n}"), f"{id}, message {n}")
        for part in (entry, *_attached(message, entry)):
            if part.text.strip():
                at = where if part is entry else places.claim(f"{where}, {part.extra['file']}")
                yield chunk_of(part, source=source, place=at, episode=f"{source}#{id}", title=title)


def _attached(message: Mapping[str, Any], entry: Entry) -> Iterator[Entry]:
    attachments = message.get("attachments")
    for attached in attachments if isinstance(attachments, list) else []:
        text = attached.get("extracted_content") if isinstance(attached, Mapping) else None
        if isinstance(text, str):
            name = name_of(attached.get("file_name")) or "attachment"
            yield replace(entry, text=f"{name}\n\n{text}" if text.strip() else "", extra={"file": name})


def place_of(entry: Entry, otherwise: str) -> str:
    """What the file calls the message, if it does: that stays when messages come and go around it."""
    if entry.id is None:
        return otherwise
    return f"id {entry.id}" if entry.id.isdigit() else entry.id
