"""A place by its name: a file, or a database."""

from __future__ import annotations

from pathlib import Path

from mnemic.db.address import is_address
from mnemic.db.postgres import PostgresStore
from mnemic.db.store import Store


def open_store(place: str | Path, space: str | None = None) -> Store:
    """The store at a path, or at postgresql://...; made when there is none.

    space   the only one to be seen, where the store can see to that (PostgreSQL); None for all
    """
    return PostgresStore(str(place), space) if is_address(place) else Store(place)
