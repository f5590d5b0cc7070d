"""Does a model use a solver that stands in its memory? Fixed memories, for models too small to write one.

baseline   the question alone
empty      the generator's prompt, no memory: the control
seeded     one tested solver for any equation
placebo    as long, about something else
buggy      the same solver with a mistake: it reads from left to right

A gain of seeded over placebo is reuse; one of placebo over empty would be the length of the prompt.
"""

from __future__ import annotations

from collections.abc import Sequence

from mnemic.bench.cheatsheet.comparing import Outcome, outcome
from mnemic.bench.cheatsheet.tasks import TASK, Item
from mnemic.context.dynamic_cheatsheet import EMPTY, Settings
from mnemic.meter import Budget
from mnemic.sandbox import CodeRunner
from mnemic.seams import LanguageModel

_SHEET = """Version: 3

SOLUTIONS AND CODE

<memory_item>
<description>
{about}
</description>
<example>
```python
{code}
```
EXECUTE CODE!
</example>
</memory_item>
** Count: 7"""

_SOLVER = """from itertools import product

numbers = [4, 5, 2]  # the numbers of the question, in order
result = 14          # the number behind the =

for signs in product("+-*/", repeat=len(numbers) - 1):
    left = str(numbers[0])
    for sign, number in zip(signs, numbers[1:]):
        left = {joined}
    if eval(left) == result:
        print({printed}, "=", result)
        break"""

_ABOUT = (
    "Missing operators, like 4 ? 5 ? 2 = 14: try all of them with this program. Put in the numbers and the result of "
    "the question, run it, and answer with the line that it prints. (Reference: Q1, Q4)"
)

SEEDED = _SHEET.format(about=_ABOUT, code=_SOLVER.format(joined='f"{left} {sign} {number}"', printed="left"))
BUGGY = _SHEET.format(
    about=_ABOUT,
    code=_SOLVER.format(joined='f"({left}) {sign} {number}"', printed='left.replace("(", "").replace(")", "")'),
)
PLACEBO = _SHEET.format(
    about="Dates, like how many days from 3 March to 1 May: let this program count them. Put in the two dates of the "
    "question as year, month, day, run it, and answer with the number that it prints. (Reference: Q1, Q4)",
    code="""from datetime import date, timedelta

first = date(2023, 3, 3)   # the earlier date of the question
second = date(2023, 5, 1)  # the later date of the question

days = 0
day = first
while day < second:
    day = day + timedelta(days=1)
    days = days + 1
    if day.month == 1 and day.day == 1:
        print("a new year begins after", days, "days")
print(days)""",
)

ARMS = {"baseline": EMPTY, "empty": EMPTY, "seeded": SEEDED, "placebo": PLACEBO, "buggy": BUGGY}


def reuse(
    items: Sequence[Item], lm: LanguageModel, code: CodeRunner, *, budget: Budget, settings: Settings | None = None
) -> list[Outcome]:
    """All arms over the same equations; no memory is rewritten."""
    arms = []
    for name, start in ARMS.items():
        flow = name if name in ("baseline", "empty") else "frozen"
        arms.append(
            outcome(name, items, lm, variant=flow, budget=budget, code=code, task=TASK, start=start, settings=settings)
        )
    return arms
