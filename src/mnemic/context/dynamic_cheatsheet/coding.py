"""One answer of the generator, with the code that it asks to have run.

The model writes a block, the flag, and stops. What it wrote after the flag was written without knowing the output
and is thrown away; the output takes its place, and the model goes on. At most three times.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mnemic.context.dynamic_cheatsheet.prompts import CONTINUE, LAST_ROUND
from mnemic.lm.exchange import Message
from mnemic.sandbox import CodeRunner

FLAG = "EXECUTE CODE!"

_CONTINUATIONS = 3
_BLOCK = re.compile(r"^[ \t]*```python[ \t]*\n(.*?)^[ \t]*```", re.DOTALL | re.MULTILINE | re.IGNORECASE)
_NO_BLOCK = "(nothing was run: no block that starts with ```python stands before the flag)"

Ask = Callable[[Sequence[Message]], str]  # messages -> what the model says


@dataclass(frozen=True)
class Run:
    """Code that was run and what it printed. state: done, failed, stopped, or none when there was no such block."""

    code: str
    output: str
    state: str


@dataclass(frozen=True)
class Transcript:
    """An answer as a whole: reasoning, code, outputs, answer."""

    text: str
    runs: tuple[Run, ...]


def generated(ask: Ask, prompt: str, runner: CodeRunner | None) -> Transcript:
    """Ask for an answer; run the code that it flags, show the output, and ask again."""
    history: list[Message] = [{"role": "user", "content": prompt}]
    parts: list[str] = []
    runs: list[Run] = []
    for depth in range(1, _CONTINUATIONS + 2):
        said = ask(history)
        before, flag, _ = said.partition(FLAG)
        if runner is None or not flag or not before.rstrip().endswith("```"):
            parts.append(said)
            break
        runs.append(_run(before, runner))
        said = f"{before.rstrip()}\n{FLAG}\n\nOutput of the code:\n{_as_block(runs[-1].output)}"
        parts.append(said)
        more = LAST_ROUND if depth == _CONTINUATIONS else CONTINUE
        history += [{"role": "assistant", "content": said}, {"role": "user", "content": more}]
    return Transcript("\n\n".join(part.strip() for part in parts), tuple(runs))


def first_block(text: str) -> str | None:
    """The code of the first block that is tagged python; None when there is none."""
    found = _BLOCK.search(text)
    return found[1] if found else None


def printing(code: str) -> str:
    """The code, with a bare expression at its end printed as a notebook would; unreadable code as it is."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr) or _prints(last.value):
        return code
    tree.body[-1:] = ast.parse("_ = None\nif _ is not None:\n    print(_)").body
    tree.body[-2].value = last.value  # type: ignore[attr-defined]
    return ast.unparse(ast.fix_missing_locations(tree))


def _prints(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "print"


def _run(before: str, runner: CodeRunner) -> Run:
    code = first_block(before)
    if code is None:
        return Run("", _NO_BLOCK, "none")
    ran = runner.run(printing(code))
    return Run(code, ran.output, ran.state)


def _as_block(output: str) -> str:
    """Output as a fenced block that it cannot end: a printed fence must not pass for the next piece of code."""
    longest = max((len(ticks) for ticks in re.findall(r"`{3,}", output)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}\n{output}\n{fence}"
