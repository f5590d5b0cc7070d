"""What the planner is given: facts, exits nobody took, and observations, cut to so many tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mnemic.meter import Budget, Used
from mnemic.quote import neutral
from mnemic.store.arigraph.triplets import Triplet

Count = Callable[[str], int]

# Share of the budget that a part may take at first; what one leaves goes to the others, in this order.
_SHARES = {"facts": 0.5, "exits": 0.25, "episodes": 0.25}
_HEADINGS = {"facts": "Facts", "exits": "Exits nobody took", "episodes": "Seen before"}


@dataclass(frozen=True)
class Context:
    """What was retrieved, and its text for a prompt.

    triplets   facts, best first, without those read at this very step
    episodes   observations, best first
    exits      place -> directions nobody took, nearest place first
    text       as much of it as fits the budget, quoted
    used       tokens of the text, by part
    """

    triplets: tuple[Triplet, ...] = ()
    episodes: tuple[str, ...] = ()
    exits: Mapping[str, Sequence[str]] = field(default_factory=dict)
    text: str = ""
    used: Used = field(default_factory=lambda: Used(0, "tokens"))


def composed(triplets: Sequence[Triplet], episodes: Sequence[str], exits: Mapping[str, Sequence[str]] | None,
             budget: Budget, count: Count) -> Context:  # fmt: skip
    """The context within the budget: whole lines, of an observation as many words as fit.

    exits     place -> directions; empty: that there are none is told too; None: not asked for
    """
    lines = {
        "facts": [f"> {_line(str(each))}" for each in triplets],
        "exits": _listed(exits),
        "episodes": [_quoted(each) for each in episodes],
    }
    kept = _chosen(lines, budget.amount, count)
    while count(_text(kept)) > budget.amount:  # joined lines may count a few tokens more than their parts
        next(kept[part] for part in reversed(_SHARES) if kept[part]).pop()
    _shortened(kept, lines["episodes"][len(kept["episodes"]) :], budget, count)
    text = _text(kept)
    parts = {part: count(_text({part: some})) for part, some in kept.items() if some}
    return Context(tuple(triplets), tuple(episodes), dict(exits or {}), text, Used(count(text), "tokens", parts))


def _chosen(lines: Mapping[str, Sequence[str]], most: int, count: Count) -> dict[str, list[str]]:
    """Lines of each part: first as many as its share holds, then as many as are left room for."""
    kept: dict[str, list[str]] = {part: [] for part in lines}
    spent = dict.fromkeys(lines, 0)
    for shares in (_SHARES, dict.fromkeys(_SHARES, 1.0)):
        for part, share in shares.items():
            for line in lines[part][len(kept[part]) :]:
                cost = count(line) + 1 + (0 if kept[part] else count(_HEADINGS[part]) + 2)
                if spent[part] + cost > share * most or sum(spent.values()) + cost > most:
                    break
                kept[part].append(line)
                spent[part] += cost
    return kept


def _shortened(kept: dict[str, list[str]], left: Sequence[str], budget: Budget, count: Count) -> None:
    """The beginning of the next observation, where the whole does not fit; at the smallest budget a dash."""
    if not left and any(kept.values()):
        return
    words = (left[0] if left else "> -").split(" ")
    low, high = 0, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        trial = {**kept, "episodes": [*kept["episodes"], " ".join(words[:middle])]}
        low, high = (middle, high) if count(_text(trial)) <= budget.amount else (low, middle - 1)
    if low > 1:
        kept["episodes"].append(" ".join(words[:low]))


def _listed(exits: Mapping[str, Sequence[str]] | None) -> list[str]:
    if exits is None:
        return []
    return [f"> {_line(place)}: {_line(', '.join(ways))}" for place, ways in exits.items()] or ["> none"]


def _line(text: str) -> str:
    return " ".join(neutral(text).split())


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in neutral(text).splitlines() if line.strip())


def _text(kept: Mapping[str, Sequence[str]]) -> str:
    return "\n".join(line for part, lines in kept.items() if lines for line in (f"{_HEADINGS[part]}:", *lines))
