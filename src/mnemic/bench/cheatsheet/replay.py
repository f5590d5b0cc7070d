"""Recorded runs of the paper, scored again: real transcripts through our parser, our scorers and our control flow.

The files are those of suzgunmirac/dynamic-cheatsheet (results/TASK/MODEL_APPROACH.jsonl), found through mnemic.data;
`recorded(path)` reads any of them by path. Nothing is learned here: it tests parsing, scoring and the order of calls.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from mnemic import data
from mnemic.bench.cheatsheet.scorers import Scorer, balanced, makes_24, same_number, same_option
from mnemic.context.dynamic_cheatsheet import Answered, DynamicCheatsheet, final_answer
from mnemic.errors import DataMissing, InputError, NotFound
from mnemic.lm.doubles import HashEmbedder
from mnemic.lm.exchange import Request
from mnemic.lm.scripted import ScriptedLM
from mnemic.meter import Budget

SCORERS: Mapping[str, Scorer] = {
    "MathEquationBalancer": balanced, "GameOf24": makes_24, "AIME_2024": same_number, "AIME_2025": same_number,
    "AIME_2020_2024": same_number, "GPQA_Diamond": same_option, "MMLU_Pro_Engineering": same_option,
    "MMLU_Pro_Physics": same_option,
}  # fmt: skip
APPROACHES = {
    "baseline": "Baseline", "empty": "EmptyCheatsheet", "retrieval": "Dynamic_Retrieval",
    "cumulative": "DynamicCheatsheet_Cumulative", "retrieval_synthesis": "DynamicCheatsheet_RetrievalSynthesis",
}  # fmt: skip
CLAUDE, GPT = "claude-3-5-sonnet", "gpt-4o"

# Percent right, as published: (task, model) -> in the order of APPROACHES; None where it is not known to be exact.
PUBLISHED: Mapping[tuple[str, str], tuple[float | None, ...]] = {
    ("AIME_2024", CLAUDE): (23.3, 36.7, 43.3, 50.0, 46.7),
    ("AIME_2024", GPT): (20.0, 36.7, 26.7, 36.7, 40.0),
    ("AIME_2025", CLAUDE): (6.7, 23.3, 23.3, 36.7, 30.0),
    ("AIME_2020_2024", CLAUDE): (6.7, 30.1, None, 38.4, None),
    ("MathEquationBalancer", CLAUDE): (44.8, 56.4, None, None, 97.8),
    ("MathEquationBalancer", GPT): (50.0, 88.0, None, None, None),
    ("GPQA_Diamond", CLAUDE): (59.6, 60.1, None, None, None),
    ("MMLU_Pro_Engineering", CLAUDE): (61.2, 57.2, None, None, None),
    ("MMLU_Pro_Physics", CLAUDE): (74.0, 75.6, None, None, None),
}
_NUMBER = re.compile(r"QUESTION[^\n]*\n=+\nQuestion #(\d+):")
ROUNDED = 0.07  # percent: 9 of 133 are 6.77, published as 6.7; 51 of 133 are 38.35, published as 38.4


@dataclass(frozen=True)
class Recorded:
    """One question of a recorded run. before, after: the memory (None where the approach has none)."""

    question: str
    asked: str
    transcript: str
    answer: str
    target: str
    prompt: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Cell:
    """A published number beside ours. right, n: None when the file is not on this machine."""

    task: str
    model: str
    variant: str
    published: float
    right: int | None = None
    n: int | None = None

    @property
    def here(self) -> bool:
        return self.n is not None

    @property
    def percent(self) -> float:
        if self.right is None or not self.n:
            raise DataMissing(f"the run {self.task} / {self.model} / {self.variant} is not on this machine.")
        return 100 * self.right / self.n

    @property
    def same(self) -> bool:
        """The published number, as far as it was rounded."""
        return abs(self.percent - self.published) <= ROUNDED


def recorded(path: Path) -> list[Recorded]:
    """Read a file of recorded steps, plain or .gz."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    try:
        return [_of(json.loads(line)) for line in content.decode("utf-8").rstrip("\n").split("\n")]
    except (ValueError, KeyError, TypeError, IndexError):
        raise InputError(f"{path} is no recorded run of a cheatsheet: give a .jsonl file of its results/.") from None


def _of(row: Mapping[str, Any]) -> Recorded:
    step = row["steps"][-1]
    return Recorded(
        question=row["raw_input"], asked=row["input"], transcript=row["final_output"], answer=row["final_answer"],
        target=str(row["target"]), prompt=step["generator_prompt"], before=step["current_cheatsheet"],
        after=row["final_cheatsheet"],
    )  # fmt: skip


def run_of(task: str, model: str, variant: str, folder: Path | None = None) -> list[Recorded]:
    """A recorded run, from mnemic.data or from the results/ of a copy of the repository."""
    name = f"{task}/{model}_{APPROACHES[variant]}"
    if folder is None:
        return recorded(data.path("cheatsheet", name))
    found = next((file for file in (folder / f"{name}.jsonl", folder / f"{name}.jsonl.gz") if file.is_file()), None)
    if found is None:
        raise DataMissing(f"there is no {name}.jsonl in {folder}: give the folder results/ of the repository.")
    return recorded(found)


def right(rows: Sequence[Recorded], scorer: Scorer) -> int:
    """How many answers are right, each parsed anew from its transcript."""
    return sum(scorer(row.question, final_answer(row.transcript), row.target) for row in rows)


def cells(folder: Path | None = None) -> Iterator[Cell]:
    """Every published number that is known to follow from a file, with what follows from it here."""
    for (task, model), published in PUBLISHED.items():
        for variant, percent in zip(APPROACHES, published, strict=True):
            if percent is None:
                continue
            try:
                rows = run_of(task, model, variant, folder)
            except (DataMissing, NotFound):
                yield Cell(task, model, variant, percent)
            else:
                yield Cell(task, model, variant, percent, right(rows, SCORERS[task]), len(rows))


def followed(rows: Sequence[Recorded], variant: str) -> list[Answered]:
    """Our control flow over a recorded run: a model that says what was said then, a curator that returns what was kept.

    variant   cumulative or retrieval_synthesis
    """

    def says(request: Request) -> str:
        prompt = request.messages[0]["content"]
        row = rows[int(_NUMBER.findall(prompt)[-1]) - 1]  # by what the prompt asks: nothing is kept between calls
        return f"<cheatsheet>\n{row.after}\n</cheatsheet>" if "CHEATSHEET SO FAR" in prompt else row.transcript

    sheet = DynamicCheatsheet(
        ScriptedLM(says, "recorded"), variant=variant, budget=Budget(20_000, "tokens"), embedder=HashEmbedder()
    )
    return list(sheet.answer_stream(row.question for row in rows))


def memories_follow(rows: Sequence[Recorded]) -> int:
    """In how many places of a recorded DC-Cu run the memory after a question is the one before the next."""
    return sum(row.after == following.before for row, following in pairwise(rows))
