"""Evo-Memory: task records of a stream that are searched, pruned while they are used, and added to once judged.

Paper    Wei et al., "Evo-Memory: Benchmarking LLM Agent Test-time Learning with Self-Evolving Memory", 2025,
         arXiv:2511.20857 (ExpRAG and ReMem, with Baseline, History, ReAct, ExpRecent and AWM beside them)
Budget   bytes on disk: the memory file with its records of kind "experience", their vectors, and the log
Differs  the goal alone is embedded, of the task and of what is kept (paper: of m_i it is not said); MiniLM in int8
         (paper: bge-base); a step has at most `max_inner` operations, the last one is an action (paper: no cap);
         an experience that is pruned again and again may leave the memory (ours, off unless asked for)
Axes     t tasks of a stream, k experiences that are shown, n operations inside one step

    memory = ExperienceMemory(Memory("agent.db"), k=4, store="success")
    agent = ReMem(lm, memory)
    attempt = agent.play(world, Brief("You are in a house ..."))            # or agent.answer(question, brief)
    agent.evolve(attempt, Feedback(success=attempt.score == 1.0))          # judged first, remembered after

Feedback is a bit (and a share of sub-goals): a right answer that the agent did not find never enters the memory.
"""

from mnemic.store.evo_memory.agents import Agent, Baseline, ExpRAG, ExpRecent, History, ReAct
from mnemic.store.evo_memory.attempts import Attempt, Brief, Feedback
from mnemic.store.evo_memory.experiences import Experience, Move
from mnemic.store.evo_memory.outputs import Said, parse, places
from mnemic.store.evo_memory.pool import ExperienceMemory, Found
from mnemic.store.evo_memory.remem import ReMem
from mnemic.store.evo_memory.workflows import AWM

__all__ = [
    "AWM",
    "Agent",
    "Attempt",
    "Baseline",
    "Brief",
    "ExpRAG",
    "ExpRecent",
    "Experience",
    "ExperienceMemory",
    "Feedback",
    "Found",
    "History",
    "Move",
    "ReAct",
    "ReMem",
    "Said",
    "parse",
    "places",
]
