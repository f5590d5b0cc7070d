"""STE on two small tools: the bank in a file, a model that copies the nearest demonstration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnemic.context.ste import Bank, Demonstrations, Step, ToolCaller, ToolSet, Trial, filtered
from mnemic.lm.doubles import HashEmbedder
from mnemic.lm.exchange import Request
from mnemic.lm.scripted import ScriptedLM
from mnemic.meter import Budget, Used


def weather(city: str, day: str = "today") -> str:
    """The weather in a city."""
    return f"{city}: 20 degrees {day}"


def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


def copies(request: Request) -> str:
    """The last demonstration of the prompt (the nearest one) as it is, else a call without arguments."""
    lines = [line.removeprefix("> ") for line in request.messages[-1]["content"].splitlines() if line.startswith("> ")]
    return "\n".join(lines[-2:]) if lines else "Action: weather\nAction Input: {}"


class Sample:
    smallest = Budget(40, "tokens")

    def items(self, n: int, seed: int) -> list[dict[str, Any]]:
        cities = ["Oslo", "Lima", "Porto", "Vienna", "Kyoto"]
        return [{"query": f"Is it warm in {cities[(n + seed) % 5]} on day {n}?",
                 "args": {"city": cities[(n + seed) % 5], "day": str(n)}} for n in range(n)]  # fmt: skip

    def make(self, budget: Budget, seed: int, folder: Path) -> tuple[Bank, Budget, int]:
        folder.mkdir(exist_ok=True)
        ToolCaller(ToolSet.from_functions([weather, add]), lm=ScriptedLM(copies), budget=budget)
        return Bank(folder / "bank.sqlite"), budget, seed

    def fill(self, system: tuple[Bank, Budget, int], items: Sequence[Any]) -> None:
        bank = system[0]
        number = bank.episodes("weather")
        bank.add_episode(
            [
                Trial(
                    "weather", number, slot, item["query"], (Step("weather", item["args"], "20 degrees"),), "20", True
                )
                for slot, item in enumerate(items)
            ]
        )
        filtered(bank, ToolSet.from_functions([weather, add]), judge=None)

    def agent(self, system: tuple[Bank, Budget, int]) -> ToolCaller:
        bank, budget, seed = system
        demos = Demonstrations.of(bank, HashEmbedder(seed=seed))
        return ToolCaller(ToolSet.from_functions([weather, add]), lm=ScriptedLM(copies), budget=budget, demos=demos)

    def ask(self, system: tuple[Bank, Budget, int]) -> object:
        call = self.agent(system)("Is it warm in Lima?")
        return call.name, call.args, [example.query for example in call.shown]

    def used(self, system: tuple[Bank, Budget, int]) -> Used:
        agent = self.agent(system)
        agent("Is it warm in Lima?")
        return agent.used()

    def reopen(self, system: tuple[Bank, Budget, int], folder: Path) -> tuple[Bank, Budget, int]:
        system[0].close()
        return Bank(folder / "bank.sqlite"), system[1], system[2]
