"""One message, line or row: which of its fields is the text, who said it, when, in which session.

Fields are told by their names, as chat exports, logs and tables use them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mnemic.files.times import day_of, read_time
from mnemic.record import Chunk

TEXT = "text content message body transcript utterance note value".split()
TIME = ("time date datetime timestamp created_at createdat created create_time sent_at sent ts when day published "
        "published_at").split()  # fmt: skip
SPEAKER = "speaker author sender from user username role who".split()
ID = "id uuid message_id msg_id dia_id _id".split()
SESSION = ("session session_id sessionid conversation conversation_id thread thread_id chat chat_id channel "
           "channel_id episode").split()  # fmt: skip
_ROLES = {"human": "user", "gpt": "assistant", "chatgpt": "assistant", "ai": "assistant", "bot": "assistant"}
_PERSON = "name display_name nickname username real_name role id".split()
_SHOWN = "[image]"
_DEEPEST = 8  # levels of parts within parts
_LONGEST_EXTRA = 1000  # characters of a field that is kept beside the text


@dataclass(frozen=True)
class Entry:
    """What was found in one message, line or row.

    time       ISO 8601, None when there is none or it cannot be read
    time_text  the time as written, when it cannot be read
    role       "user", "assistant", ... when the file says so
    id         what the file calls it
    session    what the file says it belongs to
    extra      the other plain fields
    """

    text: str
    time: str | None = None
    time_text: str | None = None
    speaker: str | None = None
    role: str | None = None
    id: str | None = None
    session: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def entry_of(item: Mapping[str, Any]) -> Entry | None:
    """Read an item by its field names; None when none of them names a text."""
    fields = {str(key).casefold(): value for key, value in item.items()}
    key = next((name for name in TEXT if isinstance(fields.get(name), str | list | Mapping)), None)
    if key is None and "role" in fields:  # a message that only calls a tool has "content": null
        key = next((name for name in TEXT if name in fields), None)
    if key is None or (key == "value" and "from" not in fields):  # ShareGPT: {"from": "human", "value": "Hello"}
        return None
    inner = fields[key] if isinstance(fields[key], Mapping) else {}
    role = fields.get("role") or inner.get("role")
    speaker = _speaker(fields) or (str(role) if role else None)
    time, time_text = time_of(next((fields[name] for name in TIME if fields.get(name) is not None), None))
    return Entry(
        text=_with_title(fields, _with_images(fields, text_of(fields[key]))),
        time=time,
        time_text=time_text,
        speaker=_ROLES.get(speaker.casefold(), speaker) if speaker else None,
        role=_ROLES.get(str(role).casefold(), str(role)) if role else None,
        id=name_of(next((fields[name] for name in ID if fields.get(name) not in (None, "")), None)),
        session=name_of(next((fields[name] for name in SESSION if fields.get(name) not in (None, "")), None)),
        extra=_extra(item, key),
    )


def chunk_of(entry: Entry, *, source: str, place: str, episode: str | None, title: str | None = None) -> Chunk:
    known = {"title": title, "role": entry.role, "time_text": entry.time_text}
    metadata = {**entry.extra, **{key: value for key, value in known.items() if value}}
    return Chunk(entry.text, entry.time, source=source, place=place, episode=episode, speaker=entry.speaker,
                 metadata=metadata)  # fmt: skip


def episode_of(entry: Entry, source: str) -> str | None:
    """What a line of a file happened together with: its session, else its day, else (somebody speaks) the file.

    A diary's days are no neighbours of each other, two entries of one day are.
    """
    if entry.session:
        return f"{source}#{entry.session}"
    if entry.time:
        return f"{source}#{day_of(entry.time)}"
    return source if entry.speaker else None


def time_of(value: Any) -> tuple[str | None, str | None]:
    """A time as (ISO 8601, None), or (None, as written) when it cannot be read."""
    time = read_time(value)
    written = str(value)[:100].strip() if value is not None else ""
    return time, (written or None) if time is None else None


def text_of(value: Any, depth: int = 0) -> str:
    """The text of a message's content: a text, or parts as chats nest them; a picture becomes [image]."""
    if isinstance(value, str):
        return value
    if depth > _DEEPEST:
        return ""
    if isinstance(value, list | tuple):
        inline = any(isinstance(part, str) for part in value)  # Telegram: text runs and links in one sentence
        return ("" if inline else "\n").join(filter(None, (text_of(part, depth + 1) for part in value)))
    if not isinstance(value, Mapping):
        return ""
    kind = str(value.get("type") or value.get("content_type") or "")
    if "image" in kind:
        return _SHOWN
    if kind in ("thinking", "reasoning", "tool_use", "tool_call", "function_call"):  # nobody said it
        return ""
    for key in ("text", "content", "parts", "refusal"):
        if isinstance(value.get(key), str | list | Mapping):
            return text_of(value[key], depth + 1)
    return ""


def name_of(value: Any) -> str | None:
    """A person, id or session as text, from a text, a number or an object that holds a name."""
    if isinstance(value, Mapping):
        value = next((value[key] for key in _PERSON if isinstance(value.get(key), str) and value[key]), None)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value).strip()[:200] or None


def _speaker(fields: Mapping[str, Any]) -> str | None:
    if "role" in fields and isinstance(fields.get("name"), str) and fields["name"].strip():
        return str(fields["name"]).strip()
    return next((name for key in SPEAKER if (name := name_of(fields.get(key)))), None)


def _with_images(fields: Mapping[str, Any], text: str) -> str:
    """LoCoMo describes the pictures that people share; what they show is part of what was said."""
    caption = fields.get("blip_caption")
    return f"{text} [image: {caption.strip()}]".strip() if isinstance(caption, str) and caption.strip() else text


def _with_title(fields: Mapping[str, Any], text: str) -> str:
    title = fields.get("title")
    return f"{title.strip()}\n\n{text}" if isinstance(title, str) and title.strip() and text else text


def _extra(item: Mapping[str, Any], text_key: str) -> dict[str, Any]:
    """Plain fields that were not used; long ones and nested ones are left out."""
    used = {text_key, *TIME, *SPEAKER, *ID, *SESSION, "blip_caption"}
    return {
        str(key): value
        for key, value in item.items()
        if str(key).casefold() not in used and isinstance(value, str | int | float)
        and value != "" and len(str(value)) <= _LONGEST_EXTRA
    }  # fmt: skip
