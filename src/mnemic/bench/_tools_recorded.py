"""The paper's table from the predictions that its authors recorded, and the same predictions read again by our code.

Source   microsoft/simulated-trial-and-error, STE/saved_results (data set "tools"): every prediction with its verdict
Measure  wellformed: share of all requests; API match: share of the well-formed; correct: share of all requests
Honest   `scored` trusts the recorded verdicts (some were given by a language model); `reread` reads the raw replies
         with our parser and compares. Four files of the table (GPT-3.5 and GPT-4) are not in the data set
Axes     n requests (15 for each of 50 APIs)
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mnemic import data
from mnemic.context.ste.evaluating import Item, Mark, Report, string_match
from mnemic.context.ste.parsing import OBSERVATION, parse, until
from mnemic.errors import DataMissing

_OTHERS = ("test", "descriptions")  # parts of the data set that are no predictions
Rows = Mapping[str, Sequence[Mapping[str, Any]]]  # API -> its requests with what a model replied

# (% wellformed, % API match, % correct) as printed in the reference code's evaluation notebook; None: not printed
PAPER: Mapping[str, tuple[float | None, float | None, float]] = {
    "toolLLMv2": (98.1, 49.0, 37.3),
    "llama-7Bf": (34.5, 40.2, 10.7), "llama-7Bf_ICL": (58.3, 86.7, 41.7), "llama-7Bf_FT": (99.2, 94.9, 73.3),
    "llama-13Bf": (79.3, 53.6, 32.7), "llama-13Bf_ICL": (87.5, 86.6, 62.9), "llama-13Bf_FT": (98.9, 95.1, 74.3),
    "mistral": (61.7, 69.3, 30.1), "mistral_ICL": (69.9, 88.4, 47.9), "mistral_FT": (99.1, 95.8, 76.8),
    "gpt35": (96.9, 77.6, 60.5), "gpt35_ICL": (97.6, 90.8, 75.6),
    "gpt4": (96.1, 78.1, 60.8), "gpt4_ICL": (97.7, 92.8, 76.3),
    "llama-7Bf_FT_no_exec": (None, None, 50.5), "llama-7Bf_FT_no_STM": (None, None, 53.9),
    "llama-7Bf_FT_no_LTM": (None, None, 59.7), "llama-7Bf_FT_no_reflection": (None, None, 60.1),
    "llama-7Bf_FT_flan": (None, None, 74.1),
    "CL_round_3": (None, None, 72.8), "CL_round_3_no_replay": (None, None, 34.7),
}  # fmt: skip
# % correct on the first batch of APIs after rounds 0 to 3
FIRST_BATCH = {"replay": (80.6, 76.1, 70.6, 65.0), "no replay": (80.6, 1.7, 0.0, 0.0)}


def recorded() -> list[str]:
    """Names of the files that the data set has."""
    return [part for part in data.dataset("tools").parts if part not in _OTHERS]


def absent() -> list[str]:
    """Files of the paper's table that the data set does not have."""
    return [name for name in PAPER if name not in recorded()]


def load(name: str) -> Rows:
    rows: Rows = json.loads(data.read("tools", name))
    if not any(rows.values()):
        raise DataMissing(f"the recorded predictions {name} are empty: fetch them again.")
    return rows


def scored(rows: Rows, apis: Collection[str] | None = None) -> Report:
    """The recorded verdicts as a report, of all APIs or of some."""
    return Report(tuple(_mark(row) for api, some in rows.items() if apis is None or api in apis for row in some))


def _mark(row: Mapping[str, Any]) -> Mark:
    """A row says no_call and err always, api_match where there was a call, args_correct where it was the right one."""
    wellformed = not row["no_call"] and not row["err"]
    right = wellformed and bool(row["api_match"])
    return Mark(wellformed, right, right and bool(row["args_correct"]))


def percent(report: Report) -> tuple[float, float, float]:
    return round(100 * report.wellformed, 1), round(100 * report.api_match, 1), round(100 * report.correct, 1)


def furthest() -> float:
    """The largest difference from the published table over all files that are here, in percentage points.

    Both sides are rounded to 0.1, so that 0 means equal as printed.
    """
    gaps = [0.0]
    for name in (name for name in PAPER if name in recorded()):
        pairs = zip(percent(scored(load(name))), PAPER[name], strict=True)
        gaps += [abs(mine - theirs) for mine, theirs in pairs if theirs is not None]
    for kind, wanted in FIRST_BATCH.items():
        gaps += [abs(mine - theirs) for mine, theirs in zip(first_batch(kind == "replay"), wanted, strict=True)]
    return round(max(gaps), 6)


def batches() -> list[list[str]]:
    """The four batches of APIs that were learned one after another: what each round's file has for the first time."""
    seen: list[str] = []
    found = []
    for round_ in range(4):
        new = [api for api in load(f"CL_round_{round_}") if api not in seen]
        found.append(new)
        seen += new
    return found


def first_batch(replay: bool) -> tuple[float, ...]:
    """% correct on the first batch after rounds 0 to 3; round 0 is the same for both."""
    first = batches()[0]
    names = [f"CL_round_{n}" + ("" if replay or n == 0 else "_no_replay") for n in range(4)]
    return tuple(percent(scored(load(name), first))[2] for name in names)


# ---- the raw replies, read again


@dataclass(frozen=True)
class Reread:
    """Our reading of the raw replies beside the recorded verdicts.

    report     wellformed and API match by our parser (a name is snapped to the nearest API), correct where the right
               API was called and its arguments are compared as strings; judged APIs keep the recorded verdict
    same_form  share of requests where both agree whether there is a call
    same_api   share of the calls that both can read where both agree on the API
    same_args  share of the right API's calls, APIs compared as strings, where both agree on the arguments
    """

    report: Report
    same_form: float
    same_api: float
    same_args: float


def reread(rows: Rows, judged: Collection[str]) -> Reread:
    """judged: APIs whose arguments were compared by a language model."""
    names, marks = list(rows), []
    form: list[bool] = []
    api_: list[bool] = []
    args: list[bool] = []
    for api, some in rows.items():
        for row in some:
            read, theirs = parse(until(row["model_output"], OBSERVATION), names, snapped=True), _mark(row)
            right = read.is_call and read.action == api
            gold = Item(row["query"], api, json.loads(row["action_input"]))
            correct = right and (theirs.correct if api in judged else string_match(gold, read.args))
            marks.append(Mark(read.is_call, right, correct))
            form.append(read.is_call == theirs.wellformed)
            if read.is_call and theirs.wellformed:
                api_.append(right == theirs.api_match)
                if right and theirs.api_match and api not in judged:
                    args.append(correct == theirs.correct)
    return Reread(Report(tuple(marks)), *(sum(some) / max(1, len(some)) for some in (form, api_, args)))


def judged_apis() -> set[str]:
    """APIs whose calls a language model compared: those with a judgement in some file (19 of 50)."""
    return {
        api for name in recorded() for api, some in load(name).items() if any("chatgpt_args_jud" in r for r in some)
    }
