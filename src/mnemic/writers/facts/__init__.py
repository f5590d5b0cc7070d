"""The everyday writer: keeps what it is given, and the facts that it states, each with its source.

with Memory("life.db", writer="facts") as memory:
    memory.add("I moved to Lisbon last week.", speaker="Ana", time="2026-05-03")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnemic.writers.facts.candidate import Candidate, Extractor, Passage, Reading, Refusal
from mnemic.writers.facts.local import LocalExtractor
from mnemic.writers.facts.model import LMExtractor
from mnemic.writers.facts.revising import derive
from mnemic.writers.facts.writer import FactWriter, Tally

if TYPE_CHECKING:
    from mnemic.memory import Memory


def open_facts(memory: Memory) -> FactWriter:
    """The writer "facts" of a memory: its language model reads where one is configured, rules where none is."""
    return FactWriter(LMExtractor(memory.lm) if memory.lm is not None else LocalExtractor())


def open_local() -> FactWriter:
    """The writer "facts_local": rules, whatever model is configured."""
    return FactWriter(LocalExtractor())


__all__ = [
    "Candidate",
    "Extractor",
    "FactWriter",
    "LMExtractor",
    "LocalExtractor",
    "Passage",
    "Reading",
    "Refusal",
    "Tally",
    "derive",
    "open_facts",
    "open_local",
]
