"""Ariadne: the agent that plans and acts with a memory graph.

At every step a model says whether the plan needs something to be found; the memory writes and retrieves, and lists the
exits nobody took if so; a planner writes the plan anew; an actor picks an action. "go to PLACE" walks the way that the
graph knows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mnemic.environment import Environment, Episode, Observation, Step
from mnemic.errors import NotFound
from mnemic.meter import Used
from mnemic.seams import LanguageModel
from mnemic.store.arigraph.context import Context
from mnemic.store.arigraph.memory import AriGraph
from mnemic.store.arigraph.prompts import ACT, EXPLORE, PLAN, Turns, data, turns

_TEMPERATURE = 0.2  # of planner and actor: the paper's
_TOKENS = 1024
_GO_TO = re.compile(r"go to (.+)", re.IGNORECASE)
_OBJECT = re.compile(r"\{.*\}", re.DOTALL)
_HEADING = re.compile(r"-= (.+?) =-")
_FIRST_PLAN = "Start: find out what there is."


@dataclass(frozen=True)
class Turn:
    """One decision of the agent.

    action    what it chose; "look" when the actor's reply was no JSON with an action
    plan      the plan it followed
    explored  whether exits were listed
    """

    action: str
    plan: str
    context: Context
    explored: bool


class Ariadne:
    """An agent with a memory graph.

    planner, actor, explorer   language models; the last answers whether something must be found (default: planner)
    window                     last observations and actions that planner and actor see
    """

    def __init__(self, memory: AriGraph, planner: LanguageModel, actor: LanguageModel | None = None, *,
                 explorer: LanguageModel | None = None, window: int = 5) -> None:  # fmt: skip
        self.memory, self.planner, self.actor = memory, planner, actor or planner
        self.explorer, self.window = explorer or planner, window
        self.plan, self.action = _FIRST_PLAN, ""
        self.history: list[tuple[str, str]] = []  # (observation, action)
        self._spent = {"prompt": 0, "completion": 0}

    def act(self, goal: str, seen: Observation, valid: Sequence[str]) -> Turn:
        """Decide what to do, from what is seen, the memory, the last steps and the plan. Raises ModelError."""
        explored = "true" in self._ask(turns(EXPLORE, {"Plan": data(self.plan)}), self.explorer).lower()
        context = self.memory.step(
            seen.text, action=self.action, plan=self.plan, place=place_of(seen), explore=explored
        )  # fmt: skip
        given = self._given(goal, seen, context)
        plan = self._object(turns(PLAN, given | {"Last plan": data(self.plan)}), self.planner)
        self.plan = json.dumps(plan, ensure_ascii=False) if plan else self.plan
        ways = [f"go to {place}" for place in self.memory.graph.places if place != self.memory.place]
        possible = {"Plan": data(self.plan), "Possible actions": data("\n".join([*valid, *ways]))}
        chosen = self._object(turns(ACT, given | possible), self.actor).get("action_to_take")
        self.action = chosen.strip() if isinstance(chosen, str) and chosen.strip() else "look"
        self.history = [*self.history, (seen.text, self.action)][-self.window :] if self.window else []
        return Turn(self.action, self.plan, context, explored)

    def perform(self, action: str, world: Environment) -> Iterator[Step]:
        """Do an action in the world: one step, or every move on the way to a place, each of which costs a step."""
        match = _GO_TO.fullmatch(action)
        if match is None or match[1].lower() in ("north", "south", "east", "west"):
            yield Step(action, world.step(action))
            return
        for move in self.memory.path(self.memory.place or "", match[1]):
            step = Step(move, world.step(move))
            yield step
            if step.observation.done:
                return

    def used(self) -> Used:
        """Tokens of planner, actor and explorer so far; extractor and refiner are counted where they are asked."""
        return Used(sum(self._spent.values()), "tokens", dict(self._spent))

    def _given(self, goal: str, seen: Observation, context: Context) -> dict[str, str]:
        past = "\n".join(f"{observation}\nAction taken: {action}" for observation, action in self.history)
        return {
            "Main goal": data(goal),
            f"Last {self.window} observations and actions": data(past),
            "Current observation": data(seen.text),
            "From memory": context.text or data(""),
        }

    def _object(self, request: Turns, lm: LanguageModel) -> Mapping[str, Any]:
        """The JSON object in a reply; empty when there is none."""
        found = _OBJECT.search(self._ask(request, lm))
        try:
            value = json.loads(found[0]) if found else {}
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    def _ask(self, request: Turns, lm: LanguageModel) -> str:
        reply = lm.complete(request, max_tokens=_TOKENS, temperature=_TEMPERATURE)
        self._spent["prompt"] += reply.prompt_tokens
        self._spent["completion"] += reply.completion_tokens
        return reply.text


def place_of(seen: Observation) -> str | None:
    """Where the agent is: as the world tells, else from a heading like -= Pantry =-; None when neither does."""
    heading = _HEADING.findall(seen.text)
    return seen.place or (heading[-1] if heading else None)


def run_episode(agent: Ariadne, world: Environment, *, max_steps: int | None = None) -> Episode:
    """Let an agent play from the start until the world is done or so many decisions were made.

    A "go to" that leads nowhere is answered with the reason, as an observation of the same place.
    """
    seen, steps = world.reset(), list[Step]()
    first = seen
    for _ in range(world.max_steps if max_steps is None else max_steps):
        if seen.done:
            break
        turn = agent.act(world.goal, seen, world.valid_actions())
        try:
            steps += agent.perform(turn.action, world)
        except NotFound as refusal:
            steps.append(Step(turn.action, replace(seen, text=str(refusal))))
        seen = steps[-1].observation if steps else seen
    return Episode(world.goal, first, tuple(steps))
