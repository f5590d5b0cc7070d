"""A small cheatsheet for the contract tests: a scripted curator that notes every question."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mnemic.context.dynamic_cheatsheet import DynamicCheatsheet
from mnemic.lm.exchange import Request
from mnemic.lm.scripted import ScriptedLM
from mnemic.meter import Budget, Used


def notes(request: Request) -> str:
    """As curator keep as many notes as fit; as solver answer with the number of notes."""
    prompt = request.messages[0]["content"]
    old = re.findall(r"^note \w+$", prompt.split("\nQUESTION\n")[0], re.MULTILINE)
    if "CHEATSHEET SO FAR" not in prompt:
        return f"<answer>{len(old)}</answer>"
    room = int(re.findall(r"At most (\d+) words", prompt)[0])
    new = [*old, *(f"note {word}" for word in re.findall(r"word(\w+)", prompt))]
    return "<cheatsheet>" + "\n".join(new[-max(1, room // 4) :]) + "</cheatsheet>"


class Sample:
    smallest = Budget(10, "tokens")

    def items(self, n: int, seed: int) -> list[str]:
        return [f"What of word{seed}x{number}?" for number in range(n)]

    def make(self, budget: Budget, seed: int, folder: Path) -> DynamicCheatsheet:
        folder.mkdir(exist_ok=True)
        return DynamicCheatsheet(ScriptedLM(notes), budget=budget)

    def fill(self, system: DynamicCheatsheet, items: Sequence[str]) -> None:
        for _ in system.answer_stream(items):
            pass

    def ask(self, system: DynamicCheatsheet) -> tuple[str, int, int]:
        return system.memory, system.answered, system.used().amount

    def used(self, system: DynamicCheatsheet) -> Used:
        return system.used()

    def reopen(self, system: DynamicCheatsheet, folder: Path) -> DynamicCheatsheet:
        system.save(folder / "sheet.md")
        return DynamicCheatsheet.load(folder / "sheet.md", system.lm, budget=system.budget)
