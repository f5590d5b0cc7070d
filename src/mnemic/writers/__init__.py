"""How to remember: the writer that keeps what it is given, word for word. The one that extracts facts is `facts`."""

from __future__ import annotations

from mnemic.commit import state_of_chunk
from mnemic.record import Chunk, Operation
from mnemic.seams import View


class Verbatim:
    """Proposes one record per chunk, as it stands; reads nothing, so it never conflicts."""

    name = "verbatim"
    keeps_chunks = True  # every chunk becomes a record with its place: what a changed file lost can be told

    def observe(self, chunk: Chunk, view: View) -> list[Operation]:
        return [Operation("insert", "", after=state_of_chunk(chunk))]
