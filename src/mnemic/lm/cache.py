"""Answers kept on disk: the same request to the same model is asked once.

lm = Cached(ChatModel("gpt-x"), "answers.db")
lm = Cached(ChatModel("gpt-x"), "answers.db", replay=True)    # never asks: a run again, without a model

A request is the same when everything that decides its answer is: model, messages, max_tokens, schema, tools,
temperature, and above temperature 0 the seed. Nothing in mnemic caches unless it is told to: the file holds prompts,
and prompts hold memories. What `Memory.erase` takes out of a memory stays in such a file until `erase` here.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mnemic.errors import InputError, ModelError
from mnemic.lm.exchange import Message, Reply, Tool, ToolCall, estimate, whole
from mnemic.lm.tools import checked_tools, complete_with
from mnemic.moment import now
from mnemic.seams import LanguageModel

_VERSION = 1  # of what a key is made of: answers under other keys are not found any more
_PATIENCE = 60.0  # seconds to wait while another process writes an answer, which takes it milliseconds
_TABLE = (
    "CREATE TABLE IF NOT EXISTS answer (key TEXT PRIMARY KEY, model TEXT NOT NULL, request TEXT NOT NULL, "
    "reply TEXT NOT NULL, at TEXT NOT NULL)"
)


class Cached:
    """A model whose answers are kept in a SQLite file; errors are not. Safe from several threads and processes.

    model     the model; in a replay its `identity` (see below) will do, as text
    path      the file, made when it is not there
    replay    only what the file holds is answered: a ModelError for anything else, and nothing is written

    `hits` and `misses` count the requests of this object. Two models share answers when they have one identity: a
    model's own `identity` where it has one (a server's address, a file's size are part of it), else its name.
    """

    def __init__(self, model: LanguageModel | str, path: str | Path, *, replay: bool = False) -> None:
        if isinstance(model, str) and not replay:
            raise InputError(f'"{model}" is only the name of a model: give the model itself, or replay=True.')
        self.model, self.path, self.replay = model, Path(path), replay
        self.identity = identity(model)
        self.name = model if isinstance(model, str) else model.name
        self.hits = self.misses = 0
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._pid = 0
        if replay and not self.path.is_file():
            raise InputError(f"there are no answers to replay at {self.path}: run once with replay=False.")
        self._rows("SELECT 1 FROM answer LIMIT 1")  # a file of something else is refused now

    def __getattr__(self, name: str) -> Any:
        model = self.__dict__.get("model")
        if model is None or isinstance(model, str):
            raise AttributeError(name)
        return getattr(model, name)  # seed, memory_tokens, ... of the model itself

    def complete(self, messages: Sequence[Message], *, max_tokens: int = 512, schema: Mapping[str, Any] | None = None,
                 temperature: float = 0.0, tools: Sequence[Tool] = ()) -> Reply:  # fmt: skip
        """As the model's; raises ModelError in a replay for a request that the file does not hold."""
        offered = checked_tools(tools, schema)
        request = self._request(messages, max_tokens, schema, temperature, offered)
        key = hashlib.sha256(request.encode("utf-8", "surrogatepass")).hexdigest()
        kept = self._kept(key)
        with self._lock:
            self.hits, self.misses = self.hits + (kept is not None), self.misses + (kept is None)
        if kept is not None:
            return kept
        if self.replay or isinstance(self.model, str):
            raise ModelError(self._missing())
        if offered:
            reply = complete_with(self.model, messages, offered, max_tokens=max_tokens, temperature=temperature)
        else:
            reply = whole(self.model.complete(messages, max_tokens=max_tokens, schema=schema, temperature=temperature))
        self._keep(key, request, reply)
        return self._kept(key) or reply  # another process may have been faster: then all say what it says

    def count(self, text: str) -> int:
        """As the model counts; estimated where only its name is here."""
        return estimate(text) if isinstance(self.model, str) else self.model.count(text)

    def models(self) -> dict[str, int]:
        """How many answers the file holds, by the identity of the model."""
        return dict(self._rows("SELECT model, count(*) FROM answer GROUP BY model ORDER BY model"))

    def erase(self, text: str) -> int:
        """Take every answer out of the file whose request or reply holds the text; returns how many."""
        if not text.strip():
            raise InputError("say which text to erase: give at least one word.")
        if self.replay:
            raise InputError(f"a replay only reads {self.path}: open it with replay=False to erase from it.")
        inside = json.dumps(text, ensure_ascii=False)[1:-1]  # as it stands in the JSON
        with self._lock:
            gone = self._opened().execute(
                "DELETE FROM answer WHERE instr(request, ?) OR instr(reply, ?)", (inside, inside)
            ).rowcount  # fmt: skip
            self._opened().execute("VACUUM")  # deleted rows stay in free pages otherwise
        return gone

    def close(self) -> None:
        """Close the file, and the model where it can be closed."""
        with self._lock:
            if self._db is not None and self._pid == os.getpid():
                self._db.close()
            self._db = None
        close = getattr(self.model, "close", None)
        if close is not None:
            close()

    def _request(self, messages: Sequence[Message], max_tokens: int, schema: Mapping[str, Any] | None,
                 temperature: float, tools: Sequence[Tool]) -> str:  # fmt: skip
        """All that decides an answer, as JSON that is the same for the same request."""
        seed = getattr(self, "seed", None) if temperature > 0 else None
        said = [dict(message) for message in messages]
        # Order matters to a model in a schema and in tools, and in a message it does not.
        return json.dumps(
            {"version": _VERSION, "model": self.identity, "messages": [dict(sorted(one.items())) for one in said],
             "max_tokens": max_tokens, "schema": schema, "temperature": float(temperature), "seed": seed,
             "tools": [[tool.name, tool.description, dict(tool.schema)] for tool in tools]},
            ensure_ascii=False,
        )  # fmt: skip

    def _kept(self, key: str) -> Reply | None:
        rows = self._rows("SELECT reply FROM answer WHERE key = ?", (key,))
        if not rows:
            return None
        value = json.loads(rows[0][0])
        calls = tuple(ToolCall(**call) for call in value.pop("calls"))
        return Reply(**value, calls=calls)

    def _keep(self, key: str, request: str, reply: Reply) -> None:
        told = json.dumps({**asdict(reply), "calls": [asdict(call) for call in reply.calls]}, ensure_ascii=False)
        try:
            self._rows("INSERT OR IGNORE INTO answer VALUES (?, ?, ?, ?, ?)",
                       (key, self.identity, request, told, now().text))  # fmt: skip
        except UnicodeEncodeError:  # half a character, in the request or said: no file can hold it
            return

    def _missing(self) -> str:
        there = ", ".join(f"{count} of {name}" for name, count in self.models().items()) or "none"
        return (
            f"{self.path} holds no answer of {self.identity} to this request (answers there: {there}), and a replay "
            "asks no model: run once with replay=False."
        )

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._lock:
            try:
                return self._opened().execute(sql, values).fetchall()
            except sqlite3.DatabaseError as error:
                raise InputError(f"{self.path} cannot be used as a file of answers ({error}): name another.") from None

    def _opened(self) -> sqlite3.Connection:
        if self._db is None or self._pid != os.getpid():  # after a fork the parent's connection is not ours
            self._parents = self._db  # kept: closing it here would touch the parent's locks
            self._db, self._pid = self._connected(), os.getpid()
        return self._db

    def _connected(self) -> sqlite3.Connection:
        target = f"{self.path.absolute().as_uri()}?mode={'ro' if self.replay else 'rwc'}"
        db = sqlite3.connect(target, uri=True, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        if not self.replay:
            foreign = "SELECT count(*) FROM sqlite_master WHERE name NOT IN ('answer', 'sqlite_autoindex_answer_1')"
            if db.execute(foreign).fetchone()[0]:
                db.close()
                raise sqlite3.DatabaseError("it holds other tables")
            db.execute(_TABLE)
        return db


def identity(model: LanguageModel | str) -> str:
    """What a model is called where its answers are kept."""
    return model if isinstance(model, str) else str(getattr(model, "identity", model.name))
