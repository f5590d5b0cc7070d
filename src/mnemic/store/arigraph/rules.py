"""Facts by rule: an extractor for the sentences in which TextWorld (and our mazes) describe a world.

It needs no model and knows no game: each sentence is held against a list of phrasings. What it cannot read it leaves
out, and `misses` makes it leave out more: the same sentences for everybody who reads with it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from mnemic.store.arigraph.triplets import Triplet, facts

_THING = r"(?P<thing>[^.,!?]+?)"
_A = r"(?:an?|the|some) "
_STATE = r"(?:(?P<state>locked|closed|open|unlocked) )?"
_KEY = r"(?P<key>[\w ]*?key(?: \d+)?)"
_WAY = r"(?P<way>north|south|east|west)"
_HEADER = re.compile(r"-= (?P<place>.+?) =-")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_ITEM = re.compile(r"^(?:and )?(?:an?|the|some) ", re.IGNORECASE)


def _phrases(*patterns: str) -> list[re.Pattern[str]]:
    return [re.compile(pattern, re.IGNORECASE) for pattern in patterns]


_EXITS = _phrases(
    rf"exit to the {_WAY}\b", rf"try going {_WAY}\b", rf"(?:doorway|passage|path|way out) (?:leads|leading) {_WAY}\b",
    rf"door leading {_WAY}\b",
)  # fmt: skip
_SEEN = _phrases(
    rf"^You (?:can )?(?:make out|see|spot|notice) {_A}{_STATE}{_THING}(?: here| in the corner| by the wall)?[.!]?$",
    rf"you notice {_A}{_STATE}{_THING}[.!]?$",
    rf"follow it to {_A}{_STATE}{_THING}[.!]?$",
    rf"it(?:'s| is) {_A}{_STATE}{_THING}[.!]?$",
    rf"It looks like it's {_A}{_STATE}{_THING}[.!]?$",
    rf"^{_A}{_STATE}{_THING} (?:stands|is) (?:here|in the corner|by the wall)[.!]?$",
)
_STANDS = _phrases(r"^The (?P<items>[^.,]+?) is (?P<how>in|on) the (?P<thing>[^.,]+?)[.!]?$")
_FLOOR = _phrases(rf"^There is {_A}{_THING} on the (?:floor|ground)[.!]?$", rf"^On the floor lies {_A}{_THING}[.!]?$")
_INSIDE = _phrases(
    r"^The (?P<thing>[^.,]+?) (?P<how>contains) (?P<items>.+?)[.!]?$",
    r"^(?P<how>In|On|Inside) the (?P<thing>[^.,]+?) (?:you (?:can )?see|is|are|lies|lie) (?P<items>.+?)[.!]?$",
    r"^You see (?P<items>.+?) (?P<how>on|in) the (?!corner)(?P<thing>[^.,]+?)[.!]?$",
)
_TAKEN = _phrases(
    rf"^You (?:take|pick up) the {_THING}(?: from the [^.]+| off the [^.]+)?[.!]?$",
    rf"^The {_THING} is in your hands now[.!]?$",
)
_UNLOCKED = _phrases(rf"^You unlock the {_THING}(?: with the {_KEY}(?P<stays>, which stays in its lock)?)?[.!]?$")
_OPENED = _phrases(r"^You open the (?P<thing>[^.,]+?)(?:, revealing (?P<items>.+?))?[.!]?$")
_PUT = _phrases(r"^You put the (?P<items>[^.]+?) (?P<how>into|in|on) the (?P<thing>[^.]+?)[.!]?$")
_CARRIED = _phrases(r"You are carrying:? (?P<items>(?!nothing).+?)[.!]?$")
_DROPPED = _phrases(rf"^You drop the {_THING} on the ground[.!]?$")
_OPENS = _phrases(
    rf"\bthe {_KEY}(?: you found in [\w ]+?)? (?:unlocks|opens|fits|is for) (?:the )?(?P<thing>[^.,]+?)[.!\"]*$",
    rf"\bthe (?P<thing>[^.,]+?) (?:opens with|is opened by|needs) the {_KEY}[.!\"]*$",
)


class RuleTriplets:
    """Extractor for TextWorld's English.

    misses    share of sentences that it fails to read, picked by a hash of the sentence
    seed      which ones
    """

    def __init__(self, *, misses: float = 0.0, seed: int = 0) -> None:
        self.misses, self.seed = misses, seed

    def read(self, observation: str, *, known: Sequence[Triplet] = (), place: str | None = None) -> list[Triplet]:
        named = _HEADER.findall(observation)
        where = named[-1] if named else place
        sentences = [each.strip() for each in _SENTENCE.split(observation) if each.strip()]
        return facts(fact for each in sentences if self._readable(each) for fact in _told(each, where))

    def _readable(self, sentence: str) -> bool:
        digest = hashlib.blake2b(f"{self.seed}:{sentence}".encode(), digest_size=4).digest()
        return int.from_bytes(digest, "big") / 2**32 >= self.misses


@lru_cache(maxsize=50_000)
def _told(sentence: str, place: str | None) -> tuple[tuple[str, str, str], ...]:
    """A sentence is read once: what is remembered is read again at every step."""
    return tuple(_facts(sentence, place))


def _facts(sentence: str, place: str | None) -> Iterator[tuple[str, str, str]]:
    """What one sentence says; the first kind of phrasing that fits decides."""
    for opens in _found(_OPENS, sentence):
        yield opens["key"], "unlocks", opens["thing"]
        return
    if place is not None:
        yield from _around(sentence, place)
    yield from _changed(sentence)


def _around(sentence: str, place: str) -> Iterator[tuple[str, str, str]]:
    """What is where: exits, things of the room, things on its floor, things in things."""
    for match in _found(_EXITS, sentence):
        yield place, "has exit", match["way"]
        return
    for match in _found(_INSIDE, sentence):
        yield from _held(match)
        return
    for match in _found([*_FLOOR, *_DROPPED], sentence):
        yield from _in(match["thing"], place)
        return
    for match in _found(_SEEN, sentence):
        yield from _in(match["thing"], place)
        if match["state"]:
            yield match["thing"], "state is", match["state"]
        return


def _changed(sentence: str) -> Iterator[tuple[str, str, str]]:
    """What an action did."""
    for match in _found(_TAKEN, sentence):
        yield match["thing"], "is in", "inventory"
        return
    for match in _found(_UNLOCKED, sentence):
        yield match["thing"], "state is", "unlocked"
        if match["stays"]:
            yield from _in(match["key"], match["thing"])
        return
    for match in _found(_OPENED, sentence):
        yield match["thing"], "state is", "open"
        for item in _items(match["items"] or ""):
            yield from _in(item, match["thing"])
        return
    for match in _found([*_PUT, *_STANDS], sentence):
        yield from _held(match)
        return
    for match in _found(_CARRIED, sentence):
        for item in _items(match["items"]):
            yield item, "is in", "inventory"


def _found(patterns: Sequence[re.Pattern[str]], sentence: str) -> Iterator[re.Match[str]]:
    """The first pattern that fits, if one does."""
    for pattern in patterns:
        if match := pattern.search(sentence):
            yield match
            return


def _held(match: re.Match[str]) -> Iterator[tuple[str, str, str]]:
    on = match["how"].lower() == "on"
    for item in _items(match["items"]):
        yield from _in(item, match["thing"], how="is on" if on else "is in")


def _in(item: str, holder: str, *, how: str = "is in") -> Iterator[tuple[str, str, str]]:
    yield item, how, holder
    yield holder, "contains", item


def _items(text: str) -> list[str]:
    """ "a Key 3 and a Note 3": both, without their articles."""
    parts = [_ITEM.sub("", part.strip()) for part in re.split(r",| and ", text)]
    return [part for part in parts if part and part != "nothing"]
