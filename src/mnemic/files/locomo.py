"""LoCoMo (Maharana et al., 2024, arXiv:2402.17753): very long conversations in dated sessions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from mnemic.files.entry import chunk_of, entry_of, name_of, time_of
from mnemic.files.places import Places
from mnemic.record import Chunk

_SESSION = re.compile(r"session_(\d+)")


def is_sample(item: Mapping[str, Any]) -> bool:
    """A sample, or the conversation of one by itself."""
    talk = item.get("conversation", item)
    return isinstance(talk, Mapping) and any(_turns(talk, key) for key in talk if _SESSION.fullmatch(str(key)))


def locomo(item: Mapping[str, Any], source: str, place: str, places: Places) -> Iterator[Chunk]:
    """The turns of one sample, in order. Its questions, summaries and observations are not part of the talk.

    Each turn has its session's time; episode is the session: "locomo.json#conv-26/session_3".
    """
    sample = name_of(item.get("sample_id")) or place
    talk: Mapping[str, Any] = item.get("conversation", item)
    sessions = [key for key in talk if _SESSION.fullmatch(str(key))]
    for key in sorted(sessions, key=lambda key: int(key.split("_")[1][:9])):
        time, written = time_of(talk.get(f"{key}_date_time"))
        for n, turn in enumerate(_turns(talk, key), 1):
            entry = entry_of(turn)
            if entry is None or not entry.text.strip():
                continue
            name = entry.id or f"{key}, turn {n}"
            # img_url, query and the like tell how the set was made, not what was said
            entry = replace(entry, time=time, time_text=written, extra={"turn": entry.id} if entry.id else {})
            where = places.claim(f"{sample} {name}" if sample else name)
            episode = f"{source}#{sample}/{key}" if sample else f"{source}#{key}"
            yield chunk_of(entry, source=source, place=where, episode=episode, title=sample or None)


def _turns(talk: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    turns = talk.get(key)
    return [turn for turn in turns if isinstance(turn, Mapping)] if isinstance(turns, list) else []
