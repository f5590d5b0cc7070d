"""Fine-tuning: the bank as chat examples with one new token for each API, and batches for learning one after another.

No API is described in them: a model learns the names and their arguments from the calls themselves.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mnemic.context.ste.bank import Example
from mnemic.context.ste.parsing import ACTION, ANSWER, INPUT, OBSERVATION
from mnemic.errors import InputError

REPLAYED = 0.1  # share of every earlier batch that is trained again (paper)
TOOL_MODE = "You are in tool mode: answer with a call of a tool, and after its result with the final answer."
PLAIN_MODE = "You are a helpful assistant; no tool is at hand."

Turn = Mapping[str, str]
Sample = dict[str, Any]  # {"messages": [...], "response": "..."}: the loss is taken on the response alone


def token(name: str) -> str:
    """The new token of an API."""
    return f"<tool_{name}>"


def new_tokens(examples: Iterable[Example]) -> list[str]:
    """What to add to the tokenizer, each once, sorted."""
    return sorted({token(example.tool) for example in examples})


def samples(example: Example, *, with_tokens: bool = True) -> list[Sample]:
    """Two of a record: the call, and the answer once its result is known."""
    name = token(example.tool) if with_tokens else example.tool
    call = f"{ACTION} {name}\n{INPUT} {json.dumps(example.args, ensure_ascii=False)}"
    asked: list[Turn] = [
        {"role": "system", "content": TOOL_MODE},
        {"role": "user", "content": example.query},
    ]
    observed: list[Turn] = [
        *asked,
        {"role": "assistant", "content": call},
        {"role": "user", "content": f"{OBSERVATION} {example.observation}"},
    ]
    return [
        {"messages": asked, "response": call},
        {"messages": observed, "response": f"{ANSWER} {example.answer}"},
    ]


def general_sample(messages: Sequence[Turn], response: str) -> Sample:
    """An example of plain conversation, so that a model does not forget it."""
    return {
        "messages": [{"role": "system", "content": PLAIN_MODE}, *messages],
        "response": f"{ANSWER} {response}",
    }


def to_sft(examples: Sequence[Example], path: str | Path, *, new_tokens: bool = True) -> int:
    """Write the fine-tuning set, one JSON object a line; returns how many. A killed call leaves the old file whole."""
    lines = [
        json.dumps(one, ensure_ascii=False) for example in examples for one in samples(example, with_tokens=new_tokens)
    ]
    _replace(Path(path), "".join(f"{line}\n" for line in lines))
    return len(lines)


def continual(batches: Sequence[Sequence[Any]], *, general: Sequence[Any] = (), replayed: float = REPLAYED,
              seed: int = 0) -> list[list[Any]]:  # fmt: skip
    """Training sets of rounds 0, 1, ...: batch r in full, a random share of every earlier one, all general examples.

    batches    of anything: examples, samples
    replayed   0 trains without replay (the paper's control)
    """
    if not 0 <= replayed <= 1:
        raise InputError(f"a share of {replayed} cannot be replayed: give 0 to 1.")
    rounds = []
    for number, batch in enumerate(batches):
        earlier = [one for past in range(number) for one in _some(batches[past], replayed, (seed, number, past))]
        rounds.append([*batch, *earlier, *general])
    return rounds


def _some(batch: Sequence[Any], share: float, seed: tuple[int, ...]) -> list[Any]:
    rows = np.random.default_rng(seed).choice(len(batch), round(share * len(batch)), replace=False)
    return [batch[row] for row in sorted(rows.tolist())]


def _replace(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
