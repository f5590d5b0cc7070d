"""AriGraph: a graph of facts, each tied to the observations behind it, written while an agent explores.

Paper    Anokhin, Semenov, Sorokin, Evseev, Burtsev, Burnaev, IJCAI 2025, arXiv:2407.04363
Budget   tokens: the context that is given to the planner at one step; bytes on disk are reported beside it
Differs  triplets are tuples; a replacement's left side also matches a near fact, and every one is logged; moves are
         whole words; tau is for cosines (0.4; paper: 0.75 for dot products); the context is cut to the budget
Axes     n facts, m observations, d embedder

    memory = AriGraph(budget="400 tokens", extractor=LLMTriplets(lm), refiner=LLMRefiner(lm), entities=LLMEntities(lm))
    context = memory.step(observation, action="go west", plan=plan, place="pantry")
    print(context.text)

`extractor` and `refiner` have rules that need no model: RuleTriplets, FunctionalRefiner. Ariadne is the agent that
plans and acts with such a memory. Visited places are told by the world, not read by a model: whoever is compared with
this must be told them too.
"""

from mnemic.store.arigraph.agent import Ariadne, Turn, run_episode
from mnemic.store.arigraph.context import Context
from mnemic.store.arigraph.extraction import Entities, Extractor, LLMEntities, LLMTriplets
from mnemic.store.arigraph.graph import Change, Episode, Graph
from mnemic.store.arigraph.memory import AriGraph, Settings
from mnemic.store.arigraph.recorded import Recorder
from mnemic.store.arigraph.refining import FunctionalRefiner, LLMRefiner, Refiner
from mnemic.store.arigraph.replay import LoggedStep, Replayed, logged_runs, replayed
from mnemic.store.arigraph.rules import RuleTriplets
from mnemic.store.arigraph.triplets import Replacement, Triplet

__all__ = [
    "AriGraph",
    "Ariadne",
    "Change",
    "Context",
    "Entities",
    "Episode",
    "Extractor",
    "FunctionalRefiner",
    "Graph",
    "LLMEntities",
    "LLMRefiner",
    "LLMTriplets",
    "LoggedStep",
    "Recorder",
    "Refiner",
    "Replacement",
    "Replayed",
    "RuleTriplets",
    "Settings",
    "Triplet",
    "Turn",
    "logged_runs",
    "replayed",
    "run_episode",
]
