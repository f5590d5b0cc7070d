"""What a request wants done in the very transaction of its change: look at a condition first, note something last.

with beside(first=still_as_it_was, last=note_the_key):
    memory.update(...)

Both are done by the next transaction of this thread, inside it: either all of it is on disk or nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mnemic.db.store import Store

Step = Callable[[Any], None]  # takes the connection


class _Waiting(threading.local):
    first: Step | None = None
    last: Step | None = None


_waiting = _Waiting()


@contextmanager
def beside(*, first: Step | None = None, last: Step | None = None) -> Iterator[None]:
    _waiting.first, _waiting.last = first, last
    try:
        yield
    finally:
        _waiting.first = _waiting.last = None


def open_to(store: Store) -> None:
    """Let the transactions of a store take such steps in."""
    plain = store.transaction

    @contextmanager
    def transaction(*, whole: bool = False) -> Iterator[Any]:
        with plain(whole=whole) as db:
            if _waiting.first is not None:
                _waiting.first(db)
            yield db
            if _waiting.last is not None:
                _waiting.last(db)
        _waiting.first = _waiting.last = None  # done, and on disk

    store.__dict__["transaction"] = transaction
