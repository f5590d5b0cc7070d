"""A scripted model for streams of puzzles: a fixed function of the prompt, so that only the prompt can help it.

It is plumbing, no evidence about real models: it shows that a solver which enters the memory is used from then on.

As solver      copies a marked solver out of its cheatsheet and has it run; without one it guesses (right in
               `guesses` of the questions), and in `writes` of them it writes a solver by itself, which has a bug in
               `bugs` of the cases. Which questions these are is a hash of their text.
As curator     keeps what stood there, and adds a solver whose printed answer it has checked by arithmetic.

Careless curators are the controls: "drops the tag" forgets to close <cheatsheet>, "unchecked" keeps the first
solver it sees, whatever it printed.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

from mnemic.bench.cheatsheet.scorers import balanced, blanks, makes_24, quadruple
from mnemic.bench.cheatsheet.tasks import solution, solution_24
from mnemic.lm.exchange import Request
from mnemic.lm.scripted import ScriptedLM

Curator = Literal["checks", "unchecked", "drops the tag"]

# What the student writes, and finds again in its cheatsheet: from the marker to the end of the function.
_BALANCE = """# solver: balance
from itertools import product
def balance(numbers, result):
    for signs in product("+-*/", repeat=len(numbers) - 1):
        left = str(numbers[0]) + "".join(f" {s} {n}" for s, n in zip(signs, numbers[1:]))
        if abs(eval(left) - result) < 1e-9:
            return f"{left} = {result}"
"""
_BALANCE_BUG = _BALANCE.replace("if abs(eval(left) - result) < 1e-9", "if round(eval(left)) >= result - 5")
_MAKE_24 = """# solver: make24
from fractions import Fraction
def make24(parts):
    if len(parts) == 1:
        return parts[0][1] if parts[0][0] == 24 else None
    for i, (a, x) in enumerate(parts):
        for j, (b, y) in enumerate(parts):
            if i != j:
                rest = [p for k, p in enumerate(parts) if k not in (i, j)]
                ways = [(a + b, f"({x} + {y})"), (a - b, f"({x} - {y})"), (a * b, f"({x} * {y})")]
                for way in ways + ([(a / b, f"({x} / {y})")] if b else []):
                    found = make24([*rest, way])
                    if found:
                        return found
"""
_MAKE_24_BUG = _MAKE_24.replace("if i != j:", "if i < j:").replace("== 24", ">= 20")
_SOLVERS = {"balance": (_BALANCE, _BALANCE_BUG), "make24": (_MAKE_24, _MAKE_24_BUG)}

_SECTION = re.compile(r"^(?P<name>[A-Z][^\n]*)\n(?P<fence>={8,})\n(?P<text>.*?)\n(?P=fence)$", re.DOTALL | re.MULTILINE)
_OUTPUT = re.compile(r"Output of the code:\n(`{3,})\n(.*?)\n\1", re.DOTALL)
_PAIR = re.compile(r"^--- Question #\d+[^\n]*$", re.MULTILINE)


@dataclass(frozen=True)
class Student:
    """The function; frozen, so that nothing can be kept between two calls."""

    seed: int = 0
    guesses: float = 0.45
    writes: float = 0.10
    bugs: float = 0.3
    curator: Curator = "checks"

    def __call__(self, request: Request) -> str:
        messages = [message["content"] for message in request.messages]
        sections = {found["name"]: found["text"] for found in _SECTION.finditer(messages[0])}
        if "CHEATSHEET SO FAR" in sections:
            return self._curates(sections)
        if len(messages) > 1:
            return _concludes(messages[-2])
        return self._answers(sections["QUESTION"], sections.get("CHEATSHEET"), "EXECUTE CODE!" in messages[0])

    # ---- as solver

    def _answers(self, question: str, cheatsheet: str | None, may_run: bool) -> str:
        family = "make24" if blanks(question) is None else "balance"
        solver = _solver_in(cheatsheet or "", family)
        if may_run and solver is None and self._chance("writes", question) < self.writes:
            solver = _SOLVERS[family][self._chance("bugs", question) < self.bugs]
        if may_run and solver is not None:
            return f"A program can try all ways.\n```python\n{solver}{_call(family, question)}\n```\nEXECUTE CODE!"
        return _final("I try a few ways by hand.", self._guess(question))

    def _guess(self, question: str) -> str:
        right = self._chance("guesses", question) < self.guesses
        asked = blanks(question)
        if asked is not None:
            numbers, result = asked
            found = solution(numbers, result) or ""
            return found if right else _another(found.split(" =")[0], f" = {result}")
        found = solution_24(quadruple(question) or []) or ""
        return f"{found} = 24" if right else _another(found, " = 24")

    def _chance(self, what: str, question: str) -> float:
        """A number from 0 to 1 that follows from the question alone; its number in the stream plays no part."""
        text = f"{self.seed}|{what}|{question.splitlines()[-1]}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64

    # ---- as curator

    def _curates(self, sections: dict[str, str]) -> str:
        old = sections["CHEATSHEET SO FAR"]
        items = dict(re.findall(r"(# solver: (\w+)\n.*?)(?=```)", old, re.DOTALL))
        solvers = {family: code for code, family in items.items()}
        for question, answer in _pairs(sections):
            for family in _SOLVERS:
                code = _solver_in(answer, family)
                if code and family not in solvers and self._keeps(question, answer):
                    solvers[family] = code
        closing = "" if self.curator == "drops the tag" else "\n</cheatsheet>"
        version = int((re.findall(r"^Version: (\d+)", old) or ["0"])[0]) + 1
        return f"<cheatsheet>\n{_sheet(solvers, version)}{closing}"

    def _keeps(self, question: str, answer: str) -> bool:
        if self.curator == "unchecked":
            return True
        printed = (_OUTPUT.findall(answer) or [("", "")])[-1][1]
        return balanced(question, printed) or makes_24(question, printed)


def student(seed: int = 0, *, curator: Curator = "checks") -> ScriptedLM:
    """The student as a language model; a new one for every call, so that nothing can be carried over."""
    return ScriptedLM(lambda request: Student(seed, curator=curator)(request), f"student-{seed}")


def _pairs(sections: dict[str, str]) -> list[tuple[str, str]]:
    """Questions with the answers that a curator is shown."""
    for name, text in sections.items():
        if name.startswith("WHAT THE SOLVER WROTE"):
            return [(sections["QUESTION"], text)]
        if name.startswith("EARLIER QUESTIONS"):
            parts = [part.strip().split("\n\n--- Answer", 1) for part in _PAIR.split(text)[1:]]
            return [(part[0], part[1]) for part in parts if len(part) == 2]
    return []


def _solver_in(text: str, family: str) -> str | None:
    """The newest marked solver of a text: from its marker to the last indented line."""
    found = re.findall(rf"^(# solver: {family}\n(?:from [^\n]*\n)?def [^\n]*\n(?:[ ]+[^\n]*\n)+)", text, re.MULTILINE)
    return str(found[-1]) if found else None


def _call(family: str, question: str) -> str:
    if family == "balance":
        numbers, result = blanks(question) or ([], 0)
        return f"print(balance({numbers}, {result}))"
    return f"print(make24([(Fraction(n), str(n)) for n in {quadruple(question)}]))"


def _concludes(transcript: str) -> str:
    """The last line that the code printed is the answer."""
    printed = _OUTPUT.findall(transcript)
    lines = printed[-1][1].strip().splitlines() if printed else []
    return _final("The program found it.", lines[-1] if lines else "none")


def _final(why: str, answer: str) -> str:
    return f"{why}\nFINAL ANSWER:\n<answer>\n{answer}\n</answer>"


def _another(left: str, right: str) -> str:
    """A wrong answer of the same form: the first sign of a right one is exchanged for one that changes the value."""
    return re.sub(r"[-+*/]", lambda sign: "-" if sign[0] != "-" else "+", left, count=1) + right


def _sheet(solvers: dict[str, str], version: int) -> str:
    items = [
        f"<memory_item>\n<description>\nall questions of the kind {family}\n</description>\n<example>\n```python\n"
        f"{code}```\n</example>\n</memory_item>\n** Count: 1"
        for family, code in sorted(solvers.items())
    ]
    return "\n\n".join([f"Version: {version}", "SOLUTIONS AND CODE", *items])
