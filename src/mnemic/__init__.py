"""mnemic: the memory of learning machines, from the prompt down to the silicon.

from mnemic import Memory       an agent's long-term memory on one SQLite file

Names are imported when they are first used, so that `import mnemic` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mnemic.errors import MnemicError as MnemicError
    from mnemic.filter import Filter as Filter
    from mnemic.memory import Memory as Memory
    from mnemic.meter import Budget as Budget
    from mnemic.meter import Used as Used
    from mnemic.record import Answer as Answer
    from mnemic.record import Chunk as Chunk
    from mnemic.record import Edge as Edge
    from mnemic.record import Hit as Hit
    from mnemic.record import Operation as Operation
    from mnemic.record import Outcome as Outcome
    from mnemic.record import Record as Record

__version__ = "0.1.0"

_HOME = {
    "Memory": "memory",
    "MnemicError": "errors",
    "Filter": "filter",
    "Budget": "meter",
    "Used": "meter",
    **dict.fromkeys(("Answer", "Chunk", "Edge", "Hit", "Operation", "Outcome", "Record"), "record"),
}
__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mnemic' has no attribute {name!r}")
    value = getattr(import_module(f"mnemic.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
