"""Scores that need no judge: an answer beside the accepted ones, from 0 to 1."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from mnemic.bench.memory_agent_bench.chunks import counted, shortened
from mnemic.bench.memory_agent_bench.contexts import Question

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLE = re.compile(r"\b(a|an|the)\b")
_AFTER = re.compile(r"answer:(.*)", re.IGNORECASE)
_INTEGER = re.compile(r"-?\d+")

CAP = 10  # tokens of an answer that are looked at, at least: a reader that returns whole chunks must not pass
_ROOM = 1.5  # and at most this times the longest accepted answer: two options do not fit


def normal(text: str) -> str:
    """Lower case, without punctuation, articles and extra blanks."""
    return " ".join(_ARTICLE.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def capped(text: str, answers: Sequence[str], *, least: int = CAP) -> str:
    """The beginning of an answer: what is longer than any right answer needs to be is not looked at."""
    longest = max(counted(answer) for answer in answers)
    return shortened(text, max(least, int(_ROOM * longest)))


def readings(text: str) -> list[str]:
    """An answer as it stands and, where it says "Answer:", what follows on that line; the better one counts."""
    after = _AFTER.search(text)
    return [text.strip(), after[1].strip()] if after else [text.strip()]


def exact(text: str, answers: Sequence[str]) -> float:
    """1 if the answer equals an accepted one, normalised."""
    wanted = {normal(answer) for answer in answers}
    return float(any(normal(reading) in wanted for reading in readings(text)))


def substring(text: str, answers: Sequence[str]) -> float:
    """1 if an accepted answer stands in the (capped) answer, both normalised."""
    said = [normal(capped(reading, answers)) for reading in readings(text)]
    wanted = [normal(answer) for answer in answers]
    return float(any(answer and answer in reading for reading in said for answer in wanted))


def event(text: str, answers: Sequence[str]) -> float:
    """1 if all accepted texts stand in the (capped) answer."""
    said = capped(text.strip(), [" ".join(answers)]).lower()
    return float(all(answer.lower() in said for answer in answers))


def label(text: str, answers: Sequence[str]) -> float:
    """1 if the last whole number of the answer is the class; "label: 43", "43" and "43." are the same."""
    numbers = _INTEGER.findall(text)
    wanted = {found[-1] for answer in answers if (found := _INTEGER.findall(answer))}
    return float(bool(numbers) and numbers[-1] in wanted)


def exact_set(text: str, answers: Sequence[str]) -> float:
    """1 if the answer lists exactly what an accepted one lists, in any order; lists are separated by semicolons."""
    wanted = [_listed(answer) for answer in answers]
    return float(any(_listed(reading) in wanted for reading in readings(text)))


def _listed(text: str) -> frozenset[str]:
    return frozenset(normal(part) for part in text.split(";") if normal(part))


def f1(text: str, answers: Sequence[str]) -> float:
    """Overlap of words with the best accepted answer; yes, no and noanswer only count whole."""
    return max(_f1(normal(text), normal(answer)) for answer in answers)


def _f1(said: str, wanted: str) -> float:
    whole = {"yes", "no", "noanswer"}
    if said != wanted and (said in whole or wanted in whole):
        return 0.0
    mine, other = said.split(), wanted.split()
    shared = sum((Counter(mine) & Counter(other)).values())
    return 2 * shared / (len(mine) + len(other)) if shared else 0.0


Metric = Callable[[str, Sequence[str]], float]
METRICS: Mapping[str, Metric] = {
    "substring": substring,
    "exact": exact,
    "event": event,
    "label": label,
    "exact_set": exact_set,
}


def scored(metric: str, text: str, question: Question) -> float:
    """The score of an answer under a metric that needs neither a catalogue nor a judge."""
    return METRICS[metric](text, question.answers)
