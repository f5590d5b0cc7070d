"""Logged runs of the paper's agent, fed through this code: does the same reply make the same graph?

A log holds for every step the observation, the new triplets, the refiner's reply, the graph and the action. The model
is a double that gives the logged replies; parsing, refinement, deletion and moves are ours.

The logs leave out what the extractor said again of facts that were known. When the refiner names such a fact, the
paper's code deletes it and adds it again; the replay cannot know, and the graphs differ from then on. So every step
starts from the logged graph before it (`stepwise`); `kept` tells how alike graphs stay that are never put right.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mnemic.errors import InputError
from mnemic.lm.doubles import HashEmbedder
from mnemic.lm.exchange import Request
from mnemic.lm.scripted import ScriptedLM
from mnemic.store.arigraph.extraction import LLMTriplets
from mnemic.store.arigraph.memory import AriGraph
from mnemic.store.arigraph.prompts import EXTRACT
from mnemic.store.arigraph.refining import LLMRefiner
from mnemic.store.arigraph.triplets import Triplet

_ATTEMPT = re.compile(r"^Attempt: \d+\n", re.MULTILINE)
_STEP = re.compile(r"^Step: \d+\n", re.MULTILINE)
_HEADING = re.compile(r"-= (.+?) =-")
_ACTION = re.compile(r'"action_to_take": "(.*?)"')


@dataclass(frozen=True)
class LoggedStep:
    """One step of a log.

    place     where the agent is: the newest heading
    action    what it did before this step
    new       the extractor's facts that were not known, as text
    refined   the refiner's whole reply
    graph     the graph after the step
    """

    observation: str
    place: str
    action: str
    new: tuple[str, ...]
    refined: str
    graph: frozenset[str]


def logged_runs(log: str) -> list[list[LoggedStep]]:
    """The attempts of a log. Raises InputError when it holds none with a graph at every step."""
    runs = [list(_steps(attempt)) for attempt in _ATTEMPT.split(log)[1:]]
    found = [run for run in runs if run]
    if not found:
        raise InputError("this is no log of AriGraph's pipeline with triplets and graph at every step: give another.")
    return found


def _steps(attempt: str) -> Iterator[LoggedStep]:
    place, action = "", "start"
    for text in _STEP.split(attempt)[1:]:
        new, graph = (re.search(rf"^{name}: (\[.*\])$", text, re.MULTILINE) for name in ("New triplets", "Graph"))
        refined = re.search(r"^Outdated triplets: (.*?)^Associated_subgraph", text, re.MULTILINE | re.DOTALL)
        seen = re.search(r"^Observation: (.*?)^Inventory", text, re.MULTILINE | re.DOTALL)
        if new and graph and refined and seen:
            headings = _HEADING.findall(seen[1])
            place = headings[-1].lower() if headings else place
            facts, after = ast.literal_eval(new[1]), frozenset(ast.literal_eval(graph[1]))
            yield LoggedStep(seen[1], place, action, tuple(facts), refined[1], after)
        chosen = _ACTION.search(text)
        action = chosen[1] if chosen else "look"


@dataclass(frozen=True)
class Replayed:
    """What became of a replay.

    stepwise   share of steps after which the graph equals the logged one, each begun from the logged graph
    straight   the same, with graphs that are never put right
    kept       mean share of facts that such a graph and the logged one have in common
    """

    steps: int
    stepwise: float
    straight: float
    kept: float


def replayed(runs: Sequence[Sequence[LoggedStep]]) -> Replayed:
    """Feed runs through AriGraph, twice: put right after each step, and left alone."""
    right = [equal for run in runs for equal, _ in _replay(run, put_right=True)]
    alone = [result for run in runs for result in _replay(run, put_right=False)]
    steps = len(right)
    return Replayed(steps, sum(right) / steps, sum(equal for equal, _ in alone) / steps,
                    sum(share for _, share in alone) / steps)  # fmt: skip


def _replay(run: Sequence[LoggedStep], *, put_right: bool) -> Iterator[tuple[bool, float]]:
    """After each step: are the graphs equal, and what share of their facts do they have in common?"""
    now: list[LoggedStep] = []
    lm = ScriptedLM(lambda request: _reply(request, now[-1]), "logged")
    memory = AriGraph(budget="400 tokens", extractor=LLMTriplets(lm), refiner=LLMRefiner(lm), embedder=HashEmbedder())
    for step in run:
        now.append(step)
        memory.step(step.observation, action=step.action, place=step.place)
        mine = {str(each) for each in memory.graph.triplets}
        yield mine == step.graph, len(mine & step.graph) / max(len(mine | step.graph), 1)
        if put_right:
            told = [Triplet(*each.split(", ")) for each in sorted(step.graph) if each.count(", ") == 2]
            memory.graph.triplets = dict.fromkeys(told)


def _reply(request: Request, step: LoggedStep) -> str:
    """What the model of the log said to this kind of request."""
    return "; ".join(step.new) if request.messages[0]["content"] == EXTRACT else step.refined
