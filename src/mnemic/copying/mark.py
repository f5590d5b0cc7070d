"""What a copy says about itself, in `meta` of the target: what it is a copy of, and whether it is complete."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mnemic.db.address import is_address, shown_address
from mnemic.db.connection import Connection
from mnemic.db.store import Store
from mnemic.errors import StoreError

_KEY = "copy"


@dataclass(frozen=True)
class Mark:
    """One copy.

    source    the memory it is made of (see `name_of`)
    spaces    which, None for all
    run       names the run that writes or wrote it
    position  n of the newest operation that the copy has written: a higher one is somebody else's
    removed   rows that were taken out again since it was complete last: they may hold what was erased in the source
    done      table -> [rows, digest] of the complete copy; empty while it is not complete
    """

    source: str
    spaces: tuple[str, ...] | None
    run: str
    position: int = 0
    removed: int = 0
    done: Mapping[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    def write(self, db: Connection) -> None:
        db.execute(
            "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (_KEY, self.text),
        )


def mark_of(store: Store) -> Mark | None:
    """The mark of a store that was copied to, or is being copied to."""
    text = store.meta(_KEY)
    if text is None:
        return None
    told: dict[str, Any] = json.loads(text)
    told["spaces"] = None if told["spaces"] is None else tuple(told["spaces"])
    told["done"] = {table: (rows, digest) for table, (rows, digest) in told["done"].items()}
    return Mark(**told)


def refuse_unfinished(store: Store) -> None:
    """Raises StoreError for a copy that is not complete: it would answer as if the rest had never been."""
    mark = mark_of(store)
    if mark is not None and not mark.done:
        raise StoreError(f"{name_of(store.path)}: is a copy of {mark.source} that is not complete: run the same "
                         "`mnemic copy` again, it goes on where it stopped.")  # fmt: skip


def name_of(place: str) -> str:
    """What a memory is called: the file with its full path, an address without its password."""
    return shown_address(place) if is_address(place) else os.path.realpath(place)
