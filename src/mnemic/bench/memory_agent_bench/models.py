"""A language model in front of a memory: what the published tables measure."""

from __future__ import annotations

from mnemic.bench.memory_agent_bench.contexts import TASKS
from mnemic.bench.memory_agent_bench.designs import Design
from mnemic.bench.memory_agent_bench.protocol import Answered, Ask, Memo
from mnemic.bench.memory_agent_bench.templates import SYSTEM, Kind
from mnemic.meter import Used
from mnemic.quote import neutral
from mnemic.seams import LanguageModel


class LLMAgent:
    """Shows a model what a design found, as quoted data, then asks it.

    kind          "rag": numbered memories, best first; "long_context": the material in its own order (give it the
                  design "FIFO window" of as many tokens as the model reads)
    temperature   0 so that a run can be repeated (paper: 0.7)
    """

    def __init__(self, design: Design, lm: LanguageModel, *, kind: Kind = "rag", temperature: float = 0.0) -> None:
        self.design, self.lm, self.kind, self.temperature = design, lm, kind, temperature
        self.name = f"{design.name}, {lm.name}"

    @property
    def settings(self) -> str:
        return f"{self.design.settings}, {self.kind}, temperature {self.temperature}"

    def memorize(self, memo: Memo) -> None:
        self.design.memorize(memo)

    def answer(self, ask: Ask) -> Answered:
        found = self.design.look(ask.query)
        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": self._shown(found, ask)}]
        most = TASKS[ask.task.name].max_tokens
        reply = self.lm.complete(messages, max_tokens=most, temperature=self.temperature)
        return Answered(reply.text, reply.prompt_tokens, self.design.used().amount)

    def _shown(self, found: list[str], ask: Ask) -> str:
        if self.kind == "long_context":
            return "\n\n".join([*(_quoted(text) for text in reversed(found)), ask.prompt])
        blocks = [f"Memory {n}:\n{_quoted(text)}" for n, text in enumerate(found, 1)]
        return "\n\n".join([*blocks, ask.prompt])

    def used(self) -> Used:
        return self.design.used()


def _quoted(text: str) -> str:
    """Every line begins with "> ": what was remembered cannot pass for an instruction."""
    return "\n".join(f"> {line}" for line in neutral(text).splitlines() or [""])
