"""Places that stay apart: two chunks of one source never share one, or the second would overwrite the first."""

from __future__ import annotations

from mnemic.files.cleaning import clean

_MOST = 200_000  # places remembered (about 20 MB); beyond, the fallback is added to each


class Places:
    """Hands out the places of one source, each once."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}

    def claim(self, place: str, fallback: str = "") -> str:
        """`place`, or "place (2)" when it was given out before.

        fallback    says the same without memory ("line 17"): used when there are too many to remember
        """
        place = " ".join(clean(place[:300]).split()) or fallback or "text"  # an id may be all control characters
        if len(self._seen) >= _MOST and hash(place) not in self._seen:
            return f"{place}, {fallback}" if fallback and fallback != place else place
        told = place
        while hash(told) in self._seen:  # "x (2)" may itself be somebody's name for a place
            self._seen[hash(place)] += 1
            told = f"{place} ({self._seen[hash(place)]})"
        self._seen[hash(told)] = 1
        return told
