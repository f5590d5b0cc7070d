"""A small agent with an experience memory, for the contract tests: it answers questions with a scripted model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mnemic.lm.doubles import HashEmbedder
from mnemic.lm.exchange import Request
from mnemic.lm.scripted import ScriptedLM
from mnemic.memory import Memory
from mnemic.meter import Budget, Used
from mnemic.store.evo_memory import Attempt, ExperienceMemory, Feedback, ReMem


def said(request: Request) -> str:
    """Whatever the prompt shows as the answer of the nearest experience."""
    lines = request.messages[-1]["content"].splitlines()
    return next((line.removeprefix("> ") for line in lines if line.startswith("> Answer: ")), "Answer: unknown")


class Sample:
    smallest = Budget(200_000, "bytes")  # an empty memory file takes 135 kB

    def items(self, n: int, seed: int) -> list[dict[str, str]]:
        return [{"question": f"which drawer holds part {seed}-{k}", "answer": f"drawer {k % 7}"} for k in range(n)]

    def make(self, budget: Budget, seed: int, folder: Path) -> ReMem:
        folder.mkdir(exist_ok=True)
        memory = Memory(folder / "agent.db", budget=budget, embedder=HashEmbedder(seed=seed))
        return ReMem(ScriptedLM(said), ExperienceMemory(memory))

    def fill(self, system: ReMem, items: Sequence[dict[str, str]]) -> None:
        for item in items:
            system.evolve(Attempt(item["question"], answer=item["answer"]), Feedback(success=True))

    def ask(self, system: ReMem) -> list[tuple[str, str]]:
        found = system.search("which drawer holds part 0-3")
        answer = system.answer("which drawer holds part 0-3").answer
        return [(each.experience.goal, each.experience.answer) for each in found] + [("", answer)]

    def used(self, system: ReMem) -> Used:
        return system.used()

    def reopen(self, system: ReMem, folder: Path) -> ReMem:
        memory = system.pool.memory
        budget = memory.budget
        assert budget is not None
        memory.close()
        return self.make(budget, 0, folder)
