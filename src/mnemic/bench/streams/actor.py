"""A scripted model that works through the generated worlds: a function of the prompt's text and of nothing else.

It knows the grammar of commands and how to search; which receptacle, room, gripper, tool or appliance to try first it
takes from the experiences that stand in the prompt, as an in-context learner that imitates does: first what was done
there with the same thing; then what was done with other things; an experience in which nothing was found is followed
as it went, whatever its correctness says. Whatever is left is tried in an order that depends on the task's text.

Its pruner looks at each experience once, before the first action: a failed one is to go, and one that is off topic,
which is one about other things (or, by="family", one of another sort of task). It is right about each with probability
p (its knob), the same way every time it reads the same text. So it shows what pruning is worth at a given skill; how
skilled a language model is, it cannot show.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from mnemic.bench.streams import searching
from mnemic.bench.streams.reading import Example, read
from mnemic.lm.exchange import Request
from mnemic.lm.scripted import ScriptedLM

Topic = Literal["thing", "family"]


@dataclass(frozen=True)
class Actor:
    """The scripted model.

    p      how often its pruner is right about an experience, 0..1; it prunes only where the format offers it
    seed   of what the pruner gets wrong
    by     what counts as off topic: other things than the goal's, or another family of tasks
    """

    p: float = 1.0
    seed: int = 0
    by: Topic = "thing"

    def __call__(self, request: Request) -> str:
        page = read(request.messages[-1]["content"])
        if page.may_prune and page.examples and not page.moves and not page.notes:
            out = [n for n, example in enumerate(page.examples, 1) if self._flagged(example, page.goal)]
            return f"Prune: {', '.join(map(str, out)) or 'none'}"
        return f"Action: {searching.command(page)}"

    def _flagged(self, example: Example, goal: str) -> bool:
        near = family(example.goal) == family(goal) if self.by == "family" else things(example.goal) & things(goal)
        wrong = not (example.success and near)
        return wrong == (_draw(f"{self.seed}|{goal}|{example}") < self.p)


def scripted(p: float = 1.0, seed: int = 0, by: Topic = "thing") -> ScriptedLM:
    """The actor as a language model."""
    return ScriptedLM(Actor(p, seed, by), name=f"scripted actor, p = {p:g}")


_FAMILIES = {
    "look": r"look at an? .+", "put two": r"put two .+", "clean": r"put an? clean .+", "heat": r"put an? hot .+",
    "cool": r"put an? cool .+", "put": r"put an? .+", "same": r"bring two .+", "pair": r"bring an? .+ and .+",
    "one": r"bring .+", "three": r"build .+ on .+ on .+", "two": r"build .+",
}  # fmt: skip
_THINGS = (
    r"(\S+) balls?\b", r"the (\S+) block", r"look at an? (.+) under", r"put two (.+)s in",
    r"put an? (?:clean |hot |cool )?(.+) in",
)  # fmt: skip


@lru_cache(maxsize=4096)
def family(goal: str) -> str:
    """What sort of task a goal is, by its words."""
    return next((name for name, pattern in _FAMILIES.items() if re.fullmatch(pattern, goal)), goal)


@lru_cache(maxsize=4096)
def things(goal: str) -> frozenset[str]:
    """What a goal is about: kinds of things, colours of balls, materials of blocks."""
    return frozenset(thing for pattern in _THINGS for thing in re.findall(pattern, goal))


def _draw(text: str) -> float:
    """A number in 0..1 that the text fixes."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64
