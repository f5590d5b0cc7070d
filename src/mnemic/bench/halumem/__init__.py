"""HaluMem: a memory is scored operation by operation, so that a wrong answer tells where the error entered.

Paper    Chen, Niu, Li, Liu, Zheng, Tang, Li, Xiong, Li, 2025, arXiv:2511.03506
Budget   tokens: the question and the found memories that go into one prompt; judging is counted beside it
Differs  a world of slots with known truth and an exact judge stand in for GPT-4o's dialogues and verdicts; an update
         that finds nothing is an omission (reference: back to extraction); a claim of the assistant supports nothing
Axes     users x sessions x (gold points, memories, updates by query, questions)
"""

from mnemic.bench.halumem.adapter import LLMExtractor, MemoryAdapter
from mnemic.bench.halumem.audit import Audit, evaluate
from mnemic.bench.halumem.contract import Found, Judge, MemorySystem, Reader
from mnemic.bench.halumem.diagnosis import STAGES, Diagnosis
from mnemic.bench.halumem.faults import Fault, Misreader
from mnemic.bench.halumem.judge import SlotJudge
from mnemic.bench.halumem.llm_judge import LLMJudge, agreement, judge_cases, trusted
from mnemic.bench.halumem.reader import LLMReader, RuleReader
from mnemic.bench.halumem.records import (
    MemoryPoint,
    Question,
    Session,
    Turn,
    User,
    load_halumem,
    read_time,
    write_halumem,
)  # fmt: skip
from mnemic.bench.halumem.report import Extraction, Rates, Report
from mnemic.bench.halumem.systems import Empty, Extractor, Oracle, Verbatim
from mnemic.bench.halumem.table import METHODS, run
from mnemic.bench.halumem.world import SlotWorld

__all__ = [
    "METHODS",
    "STAGES",
    "Audit",
    "Diagnosis",
    "Empty",
    "Extraction",
    "Extractor",
    "Fault",
    "Found",
    "Judge",
    "LLMExtractor",
    "LLMJudge",
    "LLMReader",
    "MemoryAdapter",
    "MemoryPoint",
    "MemorySystem",
    "Misreader",
    "Oracle",
    "Question",
    "Rates",
    "Reader",
    "Report",
    "RuleReader",
    "Session",
    "SlotJudge",
    "SlotWorld",
    "Turn",
    "User",
    "Verbatim",
    "agreement",
    "evaluate",
    "judge_cases",
    "load_halumem",
    "read_time",
    "run",
    "trusted",
    "write_halumem",
]
