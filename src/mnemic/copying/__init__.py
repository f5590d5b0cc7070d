"""One memory into another place, whole: a file into a file, a file into PostgreSQL, and back.

for progress in copy("life.db", "postgresql://localhost/team"):
    print(progress.done, progress.total)

Nothing is worked out again but the index of words: records keep their ids, the log its numbers, vectors their bytes.
The source is read as it stood at one moment, while others may go on writing to it; it is never written to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from mnemic.copying.adding import Adding
from mnemic.copying.filling import Filling, is_empty, is_untouched
from mnemic.copying.mark import mark_of, name_of, refuse_unfinished
from mnemic.copying.progress import Copied, Count, Progress
from mnemic.db.address import is_address
from mnemic.db.opening import open_store
from mnemic.db.store import Store
from mnemic.errors import InputError, NotFound, StoreError

__all__ = ["Copied", "Count", "Progress", "copy"]


def copy(source: str | Path, target: str | Path, *, spaces: Sequence[str] | None = None) -> Iterator[Progress]:
    """Copy a memory, or some of its spaces; yields how far it is, at last with what was copied.

    source   a memory file, or the address of a database; only read
    target   one that is new or empty, a copy that was stopped half-way or that nobody has written to since (it goes
             on from there, whatever has changed in the source), or a memory with other spaces (these are added, in
             one transaction)
    spaces   None for all. Who may use the memory (principals, tokens, permissions) goes with all of them only, and
             only into an empty target

    Raises NotFound without a source, InputError for one place twice or a space that is there already,
    EmbedderMismatch when the target's vectors are of another embedder, StoreError for a target that is a half-made
    copy of something else, Conflict when somebody writes to it meanwhile.
    """
    origin, place = str(source), str(target)
    for each in (origin, place):
        if each == ":memory:":
            raise InputError("a memory in RAM ends with its process: name a file or the address of a database.")
    if not is_address(origin) and (not os.path.lexists(origin) or not os.path.getsize(origin)):
        raise NotFound(f"there is no memory at {origin}: look at the name.")
    if name_of(origin) == name_of(place) or _is_one_file(origin, place):
        raise InputError(f"{place}: is the source itself: name another place for the copy.")
    if spaces is not None and not spaces:
        raise InputError("name at least one space, or leave them out for all.")
    return _copied(origin, place, None if spaces is None else tuple(sorted(set(spaces))))


def _is_one_file(origin: str, place: str) -> bool:
    """True for two names of one file, a hard link say."""
    return (
        not is_address(origin) and not is_address(place) and os.path.exists(place) and os.path.samefile(origin, place)
    )


def _copied(origin: str, place: str, spaces: tuple[str, ...] | None) -> Iterator[Progress]:
    with closing(open_store(origin)) as source, source.everywhere():
        refuse_unfinished(source)
        found = tuple(space for (space,) in source.read(
            "SELECT space FROM record UNION SELECT space FROM operation UNION SELECT space FROM ledger ORDER BY space"
        ))  # fmt: skip
        for space in spaces or ():
            if space not in found:
                there = ", ".join(f'"{each}"' for each in sorted(found)) or "none"
                raise NotFound(f'no space "{space}" in {origin}: there is {there}.')
        with closing(open_store(place)) as target, target.everywhere():
            yield from _chosen(source, target, found, spaces)


def _chosen(source: Store, target: Store, found: tuple[str, ...], spaces: tuple[str, ...] | None) -> Iterator[Progress]:
    """By what the target is: filled, filled on, or added to."""
    mark = mark_of(target)
    mine = mark is not None and (mark.source, mark.spaces) == (name_of(source.path), spaces)
    if mark is not None and not mark.done and not mine:
        whose = "" if mark.spaces is None else f" (spaces {', '.join(mark.spaces)})"
        raise StoreError(f"{target.path}: is a copy of {mark.source}{whose} that is not complete: complete it first, "
                         "or name another target.")  # fmt: skip
    if mark is None and is_empty(target):
        return Filling(source, target, spaces, None).run()
    if mark is not None and mine and (not mark.done or is_untouched(target, mark)):
        return Filling(source, target, spaces, mark).run()
    return Adding(source, target, found if spaces is None else spaces, copied_before=mine).run()
