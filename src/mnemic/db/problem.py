"""Something in a memory file that is not as it should be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One finding of a check.

    where      "pages", "rows", "log", "columns", "words", "vectors", "edges", "derivation", "ledger", "access"
    mendable   `check(repair=True)` works it out again from the rows or the log; what is not mendable needs a backup
    """

    where: str
    what: str
    mendable: bool
