"""Exploitation: which trials become examples, and how many words each is said in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mnemic.context.ste import prompts
from mnemic.context.ste.bank import Bank, Example, Step, Trial
from mnemic.context.ste.parsing import THOUGHT, says_yes, until
from mnemic.context.ste.prompts import assistant, user
from mnemic.context.ste.tools import ToolSet
from mnemic.errors import InputError
from mnemic.seams import LanguageModel

MOST = 6  # paraphrases of one example (paper)
_QUESTIONS = 3
_VERDICT = re.compile(r"^\s*\(?([1-3])[).:]+\s*(.*)$", re.MULTILINE)
_REPLY_TOKENS = 512  # of a judge (reference code)


@dataclass(frozen=True)
class Kept:
    """What became of the trials that were looked at: counts that add up to `trials`."""

    trials: int
    unfinished: int
    without_call: int
    refused: int
    kept: int


def filtered(bank: Bank, tools: ToolSet, *, judge: LanguageModel | None) -> Kept:
    """Judge every trial that has no verdict yet; what passes becomes an example. Goes on where it was stopped.

    judge    asked three questions about each trial; None keeps every finished trial with a call
    """
    known = bank.verdicts()
    for trial in bank.trials():
        if trial.id not in known:
            kept, reason = _verdict(trial, tools, judge)
            bank.add_verdict(trial, kept, reason)
    said = list(bank.verdicts().values())
    unfinished = sum(reason == UNFINISHED for _, reason in said)
    without_call = sum(reason == WITHOUT_CALL for _, reason in said)
    kept_trials = sum(kept for kept, _ in said)
    return Kept(len(said), unfinished, without_call, len(said) - unfinished - without_call - kept_trials, kept_trials)


UNFINISHED, WITHOUT_CALL = "no final answer", "no call that could be read"


def _verdict(trial: Trial, tools: ToolSet, judge: LanguageModel | None) -> tuple[bool, str]:
    if trial.answer is None:
        return False, UNFINISHED
    if trial.label is None:
        return False, WITHOUT_CALL
    return judged(trial, trial.label, tools, judge) if judge else (True, "not judged")


def judged(trial: Trial, label: Step, tools: ToolSet, judge: LanguageModel) -> tuple[bool, str]:
    """Whether three questions are answered with Yes, and what was said."""
    messages = prompts.judge(tools[trial.tool].documentation(), trial, label)
    said = until(judge.complete(messages, max_tokens=_REPLY_TOKENS, temperature=1.0).text, THOUGHT)
    return passes(said), said


def passes(said: str) -> bool:
    """Three lines, each with Yes as its first word; a line that is missing counts as No."""
    answers = {number: says_yes(answer) for number, answer in _VERDICT.findall(said)}
    return len(answers) == _QUESTIONS and all(answers.values())


def rounds(kept: int, target: int = 150) -> int:
    """Paraphrases of each of `kept` examples, so that the tool has about `target` in all: at most 6."""
    if target < 1:
        raise InputError(f"{target} examples for each tool are none: aim at 1 or more.")
    return max(0, min(round(target / kept) - 1, MOST)) if kept else 0


def paraphrased(bank: Bank, tools: ToolSet, *, lm: LanguageModel, judge: LanguageModel | None,
                target_per_tool: int = 150) -> Mapping[str, int]:  # fmt: skip
    """Say every example in other words until each tool has about as many; returns how many were refused, by tool.

    judge    looks at each again: words that lost a detail are a wrong label (the reference code does not look)
    """
    done, trials = bank.paraphrased(), {trial.id: trial for trial in bank.trials()}
    refused: dict[str, int] = {}
    for tool in tools:
        examples = bank.examples(tool.name, paraphrases=False)
        times = rounds(len(examples), target_per_tool)
        for example in examples:
            if example.id not in done:
                good, bad = _in_other_words(example, times, trials[example.trial], tools, lm, judge)
                bank.add_paraphrases(example, good, bad)
        all_refused = bank.paraphrased()
        refused[tool.name] = sum(all_refused[example.id] for example in examples)
    return refused


def _in_other_words(example: Example, times: int, trial: Trial, tools: ToolSet, lm: LanguageModel,
                    judge: LanguageModel | None) -> tuple[list[str], int]:  # fmt: skip
    """Distinct paraphrases that pass, and how many did not: one chat, so that each can differ from the ones before."""
    chat = [user(prompts.paraphrase(example.query))]
    chat.insert(0, {"role": "system", "content": "You are a helpful assistant."})
    good: list[str] = []
    bad = 0
    for turn in range(times):
        if turn:
            chat.append(user(prompts.paraphrase_again()))
        said = " ".join(until(lm.complete(chat, max_tokens=256, temperature=1.0).text, THOUGHT).split())
        chat.append(assistant(said))
        if not said or said == example.query or said in good or (judge and not _same(trial, said, tools, judge)):
            bad += 1
        else:
            good.append(said)
    return good, bad


def _same(trial: Trial, query: str, tools: ToolSet, judge: LanguageModel) -> bool:
    """Whether the trial would still be a good one if this had been the request."""
    again = Trial(trial.tool, trial.episode, trial.slot, query, trial.steps, trial.answer, trial.solved, trial.id)
    label = again.label
    return label is not None and judged(again, label, tools, judge)[0]
