"""One experience: what was to be done, what was done, and how it was judged; and the texts it is shown as."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mnemic.errors import InputError
from mnemic.quote import neutral

LEFT_OUT = "..."


@dataclass(frozen=True)
class Move:
    """An action of a trajectory and what was seen after it."""

    action: str
    observation: str = ""


@dataclass(frozen=True)
class Experience:
    """A task as it was tried and judged.

    goal        the goal of a world, or the question
    moves       the trajectory, for a task of several turns
    answer      the answer, for a task of one turn; `rationale` is what was said before it
    first       what was seen before the first action
    success     the judge's bit; `progress` is the share of sub-goals, `steps` how many actions it took
    t           which task of the stream it was, from 1; 0 until it is kept
    id          of its record; empty until it is kept
    """

    goal: str
    moves: tuple[Move, ...] = ()
    answer: str = ""
    rationale: str = ""
    first: str = ""
    success: bool = False
    progress: float = 0.0
    steps: int = 0
    t: int = 0
    id: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain data for the record's metadata: everything but the goal (its text) and the id."""
        kept = {name: value for name, value in asdict(self).items() if name not in ("goal", "id", "moves")}
        return {**kept, "moves": [[move.action, move.observation] for move in self.moves]}

    @classmethod
    def of_json(cls, goal: str, data: Mapping[str, Any], id: str) -> Experience:
        """What `as_json` wrote."""
        try:
            moves = tuple(Move(action, observation) for action, observation in data["moves"])
            rest = {name: data[name] for name in ("answer", "rationale", "first", "success", "progress", "steps", "t")}
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f'record {id} is of kind "experience" and holds no trajectory ({error!r}): forget it, or give it '
                "another kind."
            ) from None
        return cls(goal=goal, moves=moves, id=id, **rest)


def condensed(experience: Experience) -> list[str]:
    """The paper's template S, line by line: goal, action sequence, correctness; of one turn: question, rationale,
    answer, correctness."""
    if experience.moves:
        middle = [f"Action: {move.action}" for move in experience.moves]
    else:
        middle = [f"Rationale: {experience.rationale or 'none'}", f"Answer: {experience.answer}"]
    return [_asked(experience), *middle, _judged(experience)]


def verbatim(experience: Experience) -> list[str]:
    """An episode with everything that was seen, as History keeps it."""
    if not experience.moves:
        return condensed(experience)
    lines = [_asked(experience), f"Observation: {experience.first}"]
    for move in experience.moves:
        lines += [f"Action: {move.action}", f"Observation: {move.observation}"]
    return [*lines, _judged(experience)]


def block(number: int, lines: Sequence[str]) -> str:
    """Lines of an experience as quoted data: the first one begins with "[number] > ", the others with "> "."""
    plain = [part for line in lines for part in (neutral(line).splitlines() or [""])]
    first, *rest = [f"> {line}" for line in plain]
    return "\n".join([f"[{number}] {first}", *rest])


def cut(lines: Sequence[str], limit: int, count: Callable[[str], int]) -> list[str]:
    """Lines within so many tokens: the middle gives way, since the goal and how it ended tell most.

    The first and the last line stay, whatever the limit; an experience that even they overflow is left out by
    whoever shows it.
    """
    kept = list(lines)
    costs = [count(line) + 2 for line in kept]  # its "> " and line break
    total, gap = sum(costs), count(LEFT_OUT) + 2
    if total <= limit:
        return kept
    while len(kept) > 2 and total + gap > limit:
        at = len(kept) // 2
        total -= costs.pop(at)
        kept.pop(at)
    middle = (len(kept) + 1) // 2
    return [*kept[:middle], LEFT_OUT, *kept[middle:]]


def _asked(experience: Experience) -> str:
    return f"{'Goal' if experience.moves else 'Question'}: {experience.goal}"


def _judged(experience: Experience) -> str:
    return f"Correctness: {'success' if experience.success else 'failure'}"
