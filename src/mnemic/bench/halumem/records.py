"""Records of HaluMem: users with dated sessions, memory points (what should be kept) and questions; read and written.

load_halumem("HaluMem-Medium.jsonl")   the published file, one user a line; its quirks are read as what they mean
write_halumem(users, path)             the same form, so a generated world is a file that others can use
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mnemic.errors import DataMissing, InputError
from mnemic.lm.exchange import estimate

Source = Literal["primary", "secondary", "system", "interference"]
TIME_FORMAT = "%b %d, %Y, %H:%M:%S"
_FORMATS = (TIME_FORMAT, "%b %d, %Y", "%B %d, %Y, %H:%M:%S", "%B %d, %Y", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M",
            "%Y/%m/%d %H:%M:%S", "%Y/%m/%d")  # fmt: skip
_YES = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": False, "none": False}


@dataclass(frozen=True)
class Turn:
    """One message of a dialogue. role is "user" or "assistant"."""

    role: str
    content: str
    time: str | None = None


@dataclass(frozen=True)
class MemoryPoint:
    """One thing that a memory should hold after a session; interference is what it should not.

    type        Persona, Event or Relationship Memory
    original    the texts that it replaces; an update is tested by searching
    importance  0.25, 0.5, 0.75 or 1.0
    """

    text: str
    type: str = ""
    source: Source = "primary"
    is_update: bool = False
    original: tuple[str, ...] = ()
    importance: float = 1.0
    time: str | None = None
    index: int = 0

    @property
    def interference(self) -> bool:
        return self.source == "interference"

    @property
    def update(self) -> bool:
        """True when it is scored by the update task: one that replaces nothing is scored as an extraction."""
        return self.is_update and bool(self.original) and not self.interference


@dataclass(frozen=True)
class Question:
    """A question with its reference answer and the memory points that the answer follows from (none: a boundary)."""

    text: str
    answer: str
    type: str = ""
    difficulty: str = ""
    evidence: tuple[MemoryPoint, ...] = ()


@dataclass(frozen=True)
class Session:
    """One conversation. A filler session is remembered like any other and never scored."""

    start: str
    end: str
    dialogue: tuple[Turn, ...]
    points: tuple[MemoryPoint, ...] = ()
    questions: tuple[Question, ...] = ()
    filler: bool = False

    @property
    def tokens(self) -> int:
        return sum(estimate(turn.content) for turn in self.dialogue)


@dataclass(frozen=True)
class User:
    """One person and their sessions in the order of time."""

    id: str
    persona: str
    sessions: tuple[Session, ...]


def read_time(text: str | None) -> str | None:
    """A time as ISO 8601, "2025-09-04T18:10:05": from HaluMem's form, ISO itself or a few that look like them."""
    if text is None or not str(text).strip():
        return None
    words = str(text).strip()
    try:
        return dt.datetime.fromisoformat(words).isoformat()
    except ValueError:
        pass
    for form in _FORMATS:
        try:
            return dt.datetime.strptime(words, form).isoformat()
        except ValueError:
            continue
    raise InputError(f'cannot read the time "{words[:60]}": write it like "Sep 04, 2025, 18:10:05" or in ISO 8601.')


def load_halumem(path: str | Path, *, limit: int | None = None) -> list[User]:
    """The users of a file, one JSON object a line; `limit` keeps the first ones.

    Raises DataMissing when the file is not there, InputError with the line when one is no user.
    """
    file = Path(path)
    if not file.is_file():
        raise DataMissing(f"{file} is not there: get HaluMem-Medium.jsonl (data set IAAR-Shanghai/HaluMem), or "
                          "generate a world with SlotWorld().build().")  # fmt: skip
    users: list[User] = []
    with file.open("rb") as lines:
        for n, line in enumerate(lines, 1):
            if limit is not None and len(users) >= limit:
                break
            if line.strip():
                users.append(_user_of_line(line, f"{file}:{n}"))
    return users


def _user_of_line(line: bytes, where: str) -> User:
    try:
        return user_of(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{where}: no user ({error!r}): a line is an object with uuid and sessions.") from None
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def user_of(item: Mapping[str, Any]) -> User:
    """A user from its JSON object."""
    persona = item.get("persona_info") or ""
    told = persona if isinstance(persona, str) else json.dumps(persona, ensure_ascii=False)
    return User(str(item["uuid"]), told, tuple(_session_of(each) for each in item["sessions"]))


def _session_of(item: Mapping[str, Any]) -> Session:
    start = read_time(item.get("start_time"))
    if start is None:
        raise InputError("a session has no start_time, and what is newest follows from it: give it one.")
    return Session(
        start,
        read_time(item.get("end_time")) or start,
        tuple(_turn_of(turn) for turn in item.get("dialogue") or ()),
        tuple(point_of(point, n) for n, point in enumerate(item.get("memory_points") or ())),
        tuple(_question_of(question) for question in item.get("questions") or ()),
        _yes(item.get("is_generated_qa_session")),
    )


def _turn_of(item: Mapping[str, Any]) -> Turn:
    return Turn(str(item["role"]).lower(), str(item["content"]), read_time(item.get("timestamp")))


def point_of(item: Mapping[str, Any] | str, n: int = 0) -> MemoryPoint:
    """A memory point from its JSON object; an evidence may be a text alone."""
    if isinstance(item, str):
        return MemoryPoint(item, index=n)
    original = item.get("original_memories") or ()
    source = str(item.get("memory_source") or "primary").lower()
    if source not in ("primary", "secondary", "system", "interference"):
        raise InputError(f'memory_source is "{source[:40]}": it is primary, secondary, system or interference.')
    return MemoryPoint(
        str(item["memory_content"]),
        str(item.get("memory_type") or ""),
        source,  # type: ignore[arg-type]
        _yes(item.get("is_update")),
        (original,) if isinstance(original, str) else tuple(str(each) for each in original if str(each).strip()),
        float(item.get("importance", 1.0)),
        read_time(item.get("timestamp")),
        int(item.get("index", n)),
    )


def _question_of(item: Mapping[str, Any]) -> Question:
    evidence = item.get("evidence") or ()
    return Question(
        str(item["question"]),
        str(item["answer"]),
        str(item.get("question_type") or ""),
        str(item.get("difficulty") or ""),
        tuple(point_of(each, n) for n, each in enumerate([evidence] if isinstance(evidence, str) else evidence)),
    )


def _yes(value: Any) -> bool:
    """What "True", "False" (text), true, 1 and nothing mean: bool("False") would be True."""
    key = str(value).strip().lower()
    if key not in _YES:
        raise InputError(f'"{key[:40]}" is neither true nor false: write "True" or "False".')
    return _YES[key]


def write_halumem(users: Iterable[User], path: str | Path) -> int:
    """Write users in HaluMem's form, one a line; returns how many."""
    lines = [json.dumps(as_json(user), ensure_ascii=False) for user in users]
    Path(path).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return len(lines)


def as_json(user: User) -> dict[str, Any]:
    """A user as the JSON object that `user_of` reads."""
    return {"uuid": user.id, "persona_info": user.persona, "sessions": [_session(each) for each in user.sessions]}


def _session(session: Session) -> dict[str, Any]:
    return {
        "start_time": _told(session.start),
        "end_time": _told(session.end),
        "dialogue": [{"role": turn.role, "content": turn.content, "timestamp": _told(turn.time or session.start),
                      "dialogue_turn": n // 2} for n, turn in enumerate(session.dialogue)],
        "memory_points": _points(session.points),
        "questions": [{"question": each.text, "answer": each.answer, "evidence": _points(each.evidence),
                       "difficulty": each.difficulty, "question_type": each.type} for each in session.questions],
        "dialogue_token_length": session.tokens,
        "is_generated_qa_session": session.filler,
    }  # fmt: skip


def _points(points: Sequence[MemoryPoint]) -> list[dict[str, Any]]:
    return [
        {"index": point.index, "memory_content": point.text, "memory_type": point.type, "memory_source": point.source,
         "is_update": str(point.is_update), "original_memories": list(point.original), "importance": point.importance,
         "timestamp": _told(point.time) if point.time else None}
        for point in points
    ]  # fmt: skip


def _told(time: str) -> str:
    return dt.datetime.fromisoformat(time).strftime(TIME_FORMAT)
