"""Idempotency keys: a request that is sent again with its key is carried out once, and answered as the first time.

The key is noted in the very transaction of the change, so that a crash between the two cannot be. What is kept for the
answer holds ids, never a text of a record.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from typing import Any

from mnemic.serve.beside import Step, beside
from mnemic.serve.http.problems import Problem
from mnemic.serve.rooms import Room

_KEPT = 24 * 3600.0  # seconds: a client that tries for longer has lost its connection for good
_EACH = 256  # keys between two looks for old ones

Told = dict[str, Any]  # what became of a request, in ids


class Once:
    """The keys of one process; those of others lie in the memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[bytes] = set()
        self._noted = 0

    def run(self, room: Room, key: str | None, asked: bytes, act: Callable[[], Told], *, first: Step | None = None
            ) -> tuple[Told, bool]:  # fmt: skip
        """What became of the request, and whether that was told before.

        first   a condition that is looked at in the transaction of the change
        """
        if key is None:
            with beside(first=first):
                return act(), False
        if not 1 <= len(key) <= 200:
            raise Problem(422, "an Idempotency-Key has 1 to 200 characters: a random UUID is a good one.")
        said = json.dumps([room.who, room.space, key]).encode()
        digest = hashlib.blake2b(said, digest_size=16).digest()
        with self._lock:
            if digest in self._running:
                raise Problem(409, "a request with this Idempotency-Key is being carried out: wait for it.",
                              {"Retry-After": "1"})  # fmt: skip
            self._running.add(digest)
        try:
            return self._first_or_again(room, digest, hashlib.blake2b(asked, digest_size=16).digest(), act, first)
        finally:
            with self._lock:
                self._running.discard(digest)

    def _first_or_again(self, room: Room, key: bytes, asked: bytes, act: Callable[[], Told], first: Step | None
                        ) -> tuple[Told, bool]:  # fmt: skip
        known = room.store.read("SELECT asked, answer FROM answered WHERE key = ?", (key,))
        if known:
            return _again(bytes(known[0][0]), known[0][1], asked), True

        def note(db: Any) -> None:
            db.execute(
                "INSERT INTO answered (key, space, asked, at, done, answer) VALUES (?, ?, ?, ?, "
                "(SELECT coalesce(max(n), 0) FROM operation), NULL)", (key, room.space, asked, time.time()),
            )  # fmt: skip

        with beside(first=first, last=note):
            told = act()
        self._noted += 1
        with room.store.transaction() as db:
            db.execute("UPDATE answered SET answer = ? WHERE key = ?", (json.dumps(told), key))
            if self._noted % _EACH == 1:
                db.execute("DELETE FROM answered WHERE at < ?", (time.time() - _KEPT,))
        return told, False


def _again(asked: bytes, answer: str | None, now: bytes) -> Told:
    if asked != now:
        raise Problem(422, "this Idempotency-Key was used for another request: take a new key for a new request.")
    if answer is None:
        raise Problem(409, "this request was carried out just before the server was stopped, and its answer is lost: "
                      "the log tells what it did.")  # fmt: skip
    told: Told = json.loads(answer)
    return told
