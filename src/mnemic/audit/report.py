"""All findings of a memory, counted, and what to do about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnemic.audit import findings as checks
from mnemic.audit.findings import KINDS, Finding, Kind, Shelf
from mnemic.errors import InputError
from mnemic.gate.trust import UNTRUSTED, Trust
from mnemic.record import Operation

if TYPE_CHECKING:
    from mnemic.memory import Memory


@dataclass(frozen=True)
class Report:
    """What an audit found.

    records    how many were looked at
    position   of the memory when it was looked at
    """

    records: int
    position: int
    findings: tuple[Finding, ...]

    @property
    def counts(self) -> dict[Kind, int]:
        """Records with a finding, by kind; a record counts once in each."""
        found = Counter(kind for kind, _ in {(finding.kind, finding.records[0]) for finding in self.findings})
        return {kind: found[kind] for kind in KINDS}

    @property
    def sound(self) -> float:
        """Share of the records that nothing was found about."""
        touched = {finding.records[0] for finding in self.findings if not finding.link}
        return 1 - len(touched) / self.records if self.records else 1.0

    def repairs(self) -> list[Operation]:
        """The operations of all repairs; of two that would change the same record the first is taken."""
        taken: set[str] = set()
        operations: list[Operation] = []
        for finding in self.findings:
            targets = {operation.target for operation in finding.repair}
            if finding.repair and not targets & taken:
                taken |= targets
                operations += finding.repair
        return operations

    def undecided(self) -> Iterator[Finding]:
        """What a person has to decide."""
        return (finding for finding in self.findings if not finding.repair)


def audit(memory: Memory, *, only: Sequence[Kind] = (), trust: Trust | None = None) -> Report:
    """Look at every record of a memory's space; writes nothing.

    only   kinds of findings; all when there are none. Raises InputError for one that is none
    trust  which records are the person's: no repair lets what others wrote end, stand for or pass as one of them
    """
    for kind in only:
        if kind not in KINDS:
            raise InputError(f'"{kind}" is no kind of finding: there are {", ".join(KINDS)}.')
    position = memory.position
    records = list(memory.records())
    links = [(e.head, e.relation, e.tail, e.weight) for e in memory.edges() if e.source is None]
    trusted = trust or Trust()
    shelf = Shelf(records, links, memory.deriver, lambda record: trusted.of(record, memory) == UNTRUSTED)
    found = [finding for kind in only or KINDS for finding in getattr(checks, kind)(shelf)]
    return Report(len(records), position, tuple(found))
