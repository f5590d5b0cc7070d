"""The embedder of a memory file, and changing it: new vectors beside the old ones, then one switch.

The old embedder is never asked for the change: it may be gone for good.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mnemic import choose
from mnemic.commit import windows_of
from mnemic.db.address import is_address
from mnemic.db.mending import missing_vectors
from mnemic.db.opening import open_store
from mnemic.db.rows import embedder_number, write_embedder
from mnemic.db.store import Store
from mnemic.errors import EmbedderMismatch, InputError, MnemicError, NotFound
from mnemic.seams import Embedder

if TYPE_CHECKING:
    from mnemic.memory import Memory


def embedder_for(store: Store, spec: str | Embedder | None) -> Embedder:
    """The one that is asked for, else the file's own; raises EmbedderMismatch when that is not to be had."""
    made_by = store.embedder()
    if made_by is None:
        return choose.embedder(spec)
    name = made_by[1]
    try:
        embedder = choose.embedder(name if spec is None else spec)
    except MnemicError as error:
        if spec is not None:
            raise
        raise EmbedderMismatch(
            f"{store.path}: its vectors were made by {name}, which cannot be had here ({str(error).rstrip('.')}): "
            "give that embedder, or make all vectors again with `mnemic reembed minilm`."
        ) from None
    if name != embedder.name:
        raise EmbedderMismatch(
            f"{store.path}: its vectors were made by {name}, not by {embedder.name}, and are never mixed: "
            f"leave the embedder out, or change it with `mnemic reembed {embedder.name}`."
        )
    return embedder


def reembed(memory: Memory, embedder: Embedder, *, batch: int) -> Iterator[tuple[int, int]]:
    """Memory.reembed. Yields (done, total) until the switch is made."""
    yield from _steps(memory.store, embedder, batch)
    memory.use_embedder(embedder)


def reembed_file(path: str | Path, embedder: str | Embedder, *, batch: int = 256) -> Iterator[tuple[int, int]]:
    """Memory.reembed for a file that is not open: its own embedder need not work any more.

    Raises NotFound when there is no such file, InputError for an embedder that nothing has: at once, not when the
    first step is asked for.
    """
    if not is_address(path) and not os.path.lexists(path):
        raise NotFound(f"there is no memory at {path}: look at the name.")
    return _opened(path, choose.embedder(embedder), batch)


def _opened(path: str | Path, embedder: Embedder, batch: int) -> Iterator[tuple[int, int]]:
    store = open_store(path)
    try:
        yield from _steps(store, embedder, batch)
    finally:
        store.close()


def _steps(store: Store, embedder: Embedder, batch: int) -> Iterator[tuple[int, int]]:
    if batch < 1:
        raise InputError(f"batch is {batch}: use at least 1.")
    name, dimensions = embedder.name, embedder.dimensions  # a server may have to be asked: before the transaction
    with store.transaction() as db:
        number = embedder_number(db, name, dimensions)
    while True:
        with store.everywhere():
            total = int(store.read("SELECT count(*) FROM record")[0][0])
            done = int(store.read("SELECT count(*) FROM vector WHERE embedder = ?", (number,))[0][0])
        yield done, total
        for written in missing_vectors(store, number, lambda texts: windows_of(embedder, texts), batch=batch):
            done += written
            yield done, total
        if _switch(store, number):
            return


def _switch(store: Store, number: int) -> bool:
    """Make the new vectors the ones that are searched and drop all others; False when a record still lacks them."""
    with store.everywhere(), store.transaction(whole=True) as db:
        missing = db.execute(
            "SELECT 1 FROM record LEFT JOIN vector ON vector.record = record.n AND vector.embedder = ? "
            "WHERE vector.record IS NULL LIMIT 1", (number,)
        ).fetchone()  # fmt: skip
        if missing:
            return False  # another process wrote meanwhile
        write_embedder(db, number)
        db.execute("DELETE FROM vector WHERE embedder != ?", (number,))
        db.execute("DELETE FROM embedder WHERE id != ?", (number,))
        store.compact(db)
    return True
