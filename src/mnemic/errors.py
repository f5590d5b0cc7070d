"""Every error that mnemic raises on purpose, as one tree.

MnemicError
├── InputError            what was given cannot be used; the sentence says what to give
│   ├── BudgetError       a budget that is zero, unreadable or too small to hold anything
│   └── NotFound          no such record, operation, system or name
├── StoreError            the memory file
│   ├── NotAMemory        the file is something else, or of a newer version: never touched
│   ├── Busy              another process kept the write lock for too long
│   ├── Corrupt           the file fails its own checks
│   └── Conflict          the memory changed between a writer's look and its proposal
├── EmbedderMismatch      vectors of another embedder: never mixed
├── ModelError            a language or embedding model that is down, slow or answers nonsense
├── DataMissing           a data set that is nowhere to be found
└── MissingExtra          a part that needs `pip install "mnemic[...]"`

A message says what happened, where, and what to do. The command line prints it without a
traceback and exits with `exit_code`.
"""

from __future__ import annotations


class MnemicError(Exception):
    """Root of the tree: catch this to catch all of it."""

    exit_code = 1


class InputError(MnemicError):
    """What was given cannot be used."""

    exit_code = 2


class BudgetError(InputError):
    """A budget that nothing fits in, or that cannot be read."""


class NotFound(InputError):
    """Nothing has that id or name."""

    exit_code = 3


class StoreError(MnemicError):
    """Something about the memory file."""

    exit_code = 4


class NotAMemory(StoreError):
    """The file is not a memory that this version can open; it was not touched."""


class Busy(StoreError):
    """Another process kept the write lock for longer than we wait."""


class Corrupt(StoreError):
    """The file does not pass its own checks."""


class Conflict(StoreError):
    """The memory changed after a writer had looked at it; look again and propose again."""


class EmbedderMismatch(StoreError):
    """The file's vectors were made by another embedder."""


class ModelError(MnemicError):
    """A model is unreachable, too slow, or answered something that cannot be used."""

    exit_code = 5


class DataMissing(MnemicError):
    """A data set that no place has; the sentence says where to get it."""

    exit_code = 6


class MissingExtra(MnemicError):
    """A part of mnemic whose libraries are not installed."""

    exit_code = 7

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f'{what} needs more libraries: pip install "mnemic[{extra}]".')
        self.extra = extra
