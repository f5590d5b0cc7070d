"""Changing the embedder of a memory: new vectors beside the old ones, then one switch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mnemic.commit import windows_of
from mnemic.db.checking import missing_vectors
from mnemic.seams import Embedder

if TYPE_CHECKING:
    from mnemic.memory import Memory


def reembed(memory: Memory, embedder: Embedder, *, batch: int) -> Iterator[tuple[int, int]]:
    """Yields (done, total) until the switch is made; see Memory.reembed."""
    store = memory.store
    with store.transaction() as db:
        db.execute(
            "INSERT OR IGNORE INTO embedder (name, dimensions) VALUES (?, ?)", (embedder.name, embedder.dimensions)
        )
        number: int = db.execute("SELECT id FROM embedder WHERE name = ?", (embedder.name,)).fetchone()[0]
    while True:
        total = int(store.read("SELECT count(*) FROM record")[0][0])
        done = int(store.read("SELECT count(*) FROM vector WHERE embedder = ?", (number,))[0][0])
        yield done, total
        for written in missing_vectors(store, number, lambda texts: windows_of(embedder, texts), batch=batch):
            done += written
            yield done, total
        if _switch(memory, number):
            memory.use_embedder(embedder)
            return


def _switch(memory: Memory, number: int) -> bool:
    """Make the new vectors the ones that are searched and drop all others; False when a record still lacks them."""
    with memory.store.transaction() as db:
        missing = db.execute(
            "SELECT 1 FROM record LEFT JOIN vector ON vector.record = record.n AND vector.embedder = ? "
            "WHERE vector.record IS NULL LIMIT 1", (number,)
        ).fetchone()  # fmt: skip
        if missing:
            return False  # another process wrote meanwhile
        db.execute("INSERT OR REPLACE INTO meta VALUES ('embedder', ?)", (str(number),))
        db.execute("DELETE FROM vector WHERE embedder != ?", (number,))
        db.execute("DELETE FROM embedder WHERE id != ?", (number,))
        db.execute("PRAGMA incremental_vacuum").fetchall()
    return True
