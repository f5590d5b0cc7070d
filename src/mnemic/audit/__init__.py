"""Where a memory goes wrong, record by record, with the operations that would put it right.

report = audit(memory)           Report: findings by kind, none of them worked out by a language model
report.repairs()                 operations, each of which `undo` takes back
memory.propose(report.repairs(), who="audit", why="audit")

fabricated     made from records of which none says it
stale          a source was corrected, ended or erased since
contradictory  two facts hold at once that cannot both
duplicate      the same is said twice
junk           nothing that could ever be asked for: greetings, noise, answers of the memory itself
orphaned       made from records, or linked to records, that are gone

Operations are judged apart, as HaluMem does for the systems of others (Chen et al. 2025, arXiv:2511.03506).
"""

from mnemic.audit.findings import KINDS, Finding, Kind
from mnemic.audit.report import Report, audit

__all__ = ["KINDS", "Finding", "Kind", "Report", "audit"]
