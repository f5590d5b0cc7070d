"""Is the file sound? Pages, rows, log against rows, indexes against rows; and building the indexes again.

What stands in the file once cannot be checked against anything: who and why of an operation, the codes of a vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mnemic.db.comparing import problems
from mnemic.db.mending import mend
from mnemic.db.problem import Problem
from mnemic.db.store import Store
from mnemic.seams import Embedder


@dataclass(frozen=True)
class Report:
    """What a check found. ok when nothing is left; mended lists what a repair put right."""

    records: int
    operations: int
    problems: tuple[Problem, ...]
    mended: tuple[Problem, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.problems


def check(store: Store, embedder: Embedder, *, repair: bool = False) -> Report:
    """Check all spaces of a file, as it stands at one moment.

    embedder   fills gaps among the vectors when repairing, if it is the one that made the others
    """
    found = _found(store)
    mended: list[Problem] = []
    if repair and _can_mend(found):
        mend(store, embedder)
        left = _found(store)
        mended = [problem for problem in found if problem not in left]
        found = left
    if repair and (reason := store.rewrite()):
        found.append(Problem("pages", reason, False))
    with store.everywhere():
        count = store.read("SELECT (SELECT count(*) FROM record), (SELECT count(*) FROM operation)")[0]
    return Report(count[0], count[1], tuple(found), tuple(mended))


def _can_mend(found: Sequence[Problem]) -> bool:
    """What is worked out again is worked out of the rows: they must be there to be read."""
    return any(problem.mendable for problem in found) and not any(problem.where == "pages" for problem in found)


def _found(store: Store) -> list[Problem]:
    with store.everywhere(), store.one_moment():
        return list(problems(store))


__all__ = ["Problem", "Report", "check"]
