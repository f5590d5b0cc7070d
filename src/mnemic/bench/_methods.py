"""Which of its methods a benchmark runs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from difflib import get_close_matches

from mnemic.errors import NotFound


def chosen(methods: Sequence[str], known: Collection[str]) -> list[str]:
    """The methods that were asked for, all when none was; raises NotFound for one that there is not."""
    for name in methods:
        if name not in known:
            close = get_close_matches(name, known, 1)
            hint = f' Did you mean "{close[0]}"?' if close else ""
            names = ("; " if any("," in each for each in known) else ", ").join(known)
            raise NotFound(f'there is no method "{name}": there are {names}.{hint}')
    return list(dict.fromkeys(methods)) or list(known)
