"""Invented names. As with real ones, some words are shared by many (Josias, Republic of, Mills) and some are not.

With `shared` every word of a name stands in other names too: nothing is found by a word that only it has.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

from mnemic.errors import InputError

_FIRST = """Josias Amos Hester Dorcas Barnaby Lettice Jasper Phineas Clemence Gideon Tabitha Ambrose Rhoda Silas Judith
Matthias Prudence Jabez Lydia Enoch Susanna Caleb Miriam Tobias Keziah Reuben Damaris Asher""".split()
_LAST = """Tarwick Penhale Ormsby Gantry Holloway Brackley Thorne Marlowe Sedgewick Fenner Ludgate Quarles Ravensby
Dunmow Catesby Wolvey Harrow Eastleigh Pellham Strode Varley Winsford Kingsley Mordaunt Tolland Ashcombe Burwell
""".split()
_PLACES = """Aldermoor Brightsea Carrowmere Dunhollow Eastwater Fernhaven Greywick Hartsmouth Inglebrook Kestrel
Langthorpe Mistvale Northbeck Oakmere Pinewold Quarrybank Ravensfield Southmarch Tidewell Underhill Wexley Yarrowby
""".split()
_KINDS: Mapping[str, tuple[list[str], list[str]]] = {
    "person": (_FIRST, _LAST),
    "city": ("Old New Upper Lower Great Little Port Fort Saint Long West East".split(), _PLACES),
    "country": (["Republic of", "Kingdom of", "Duchy of", "Union of", "Isles of", "Free State of"], _PLACES),
    "work": (
        "Silent Golden Broken Hidden Burning Distant Patient Crooked Hollow Scarlet Wandering Frozen Gentle".split(),
        "Harbour Orchard Lantern Bridge Garden Mirror River Tower Winter Letter Compass Island Feather".split(),
    ),
    "company": (_PLACES, "Mills Works Foundry Press Motors Textiles Shipping Brewing Instruments".split()),
    "school": (["University of", "College of", "Academy of", "Institute of"], _PLACES),
    "team": (_PLACES, "Rovers United Wanderers Rangers Athletic Albion".split()),
    "language": (["High", "Low", "Middle", "Coastal", "Old"], [f"{place[:-2]}ish" for place in _PLACES[:12]]),
    "faith": (["Reformed", "Old", "Eastern", "United"], [f"{place} Covenant" for place in _PLACES[:8]]),
    "horse": ("Brave Merry Sweet Wild Proud Swift".split(), "Bess Captain Duchess Gipsy Merlin Star Tansy".split()),
    "dog": ("Young Sly Lame White Fat Bold".split(), "Bouncer Crab Fancy Pippin Ruffler Tinker Towser".split()),
    "ship": ("Good Royal Fair Loyal Lucky Happy".split(), "Adventure Concord Endeavour Hind Merchant Return".split()),
    "inn": ("Blue Red Black Crowned Three Green".split(), "Anchor Boar Dolphin Feathers Pelican Ship Sun".split()),
    "village": ("Much Nether Over Stoke Temple Monks".split(), _PLACES),
    "tune": ("Ladies Farewell Cuckold Bonny Greenwood Milkmaid".split(), "Delight Round Jig Lament Galliard".split()),
    "password": ("Holy Dark Quiet High Low Deep".split(), "Lantern Nightingale Candle Anvil Thistle Vesper".split()),
}
_KINDS_OF_PEOPLE = ("wife", "clerk")
_OWN: Mapping[str, str] = {
    "person": "{front} {own}", "city": "{front} {own}", "country": "{front} {own}", "work": "{back} of {own}",
    "company": "{own} {back}", "school": "{front} {own}", "team": "{own} {back}", "language": "{own}ish",
    "faith": "{own} Covenant",
}  # fmt: skip
_BEGIN = "b br c ch d dr f fl g gr h k l m n p pr r s sh st t th tr v w z".split()
_MIDDLE = "a e i o u ai ea ou".split()
_END = "lm n nd rk rn st x lt mp ss th v".split()


def named(kind: str, n: int, rng: random.Random, *, shared: bool = True) -> list[str]:
    """n distinct names of a kind, in random order; fewer when there are not so many.

    shared   False gives each name a word that only it has
    Raises InputError for a kind that has no names.
    """
    if kind == "debt":
        return [str(amount) for amount in rng.sample(range(11, 900), n)]
    kind = "person" if kind in _KINDS_OF_PEOPLE else kind
    if kind not in _KINDS:
        raise InputError(f'there are no names for the type "{kind}": use one of {", ".join(_KINDS)}.')
    front, back = _KINDS[kind]
    if not shared and kind in _OWN:
        form = _OWN[kind]
        return [form.format(front=rng.choice(front), back=rng.choice(back), own=own) for own in _words(n, rng)]
    side = math.isqrt(max(n - 1, 0)) + 1  # as few words as it takes, so that each stands in many names
    fronts = rng.sample(front, min(side, len(front)))
    backs = rng.sample(back, min(-(-n // len(fronts)), len(back)))
    if len(fronts) * len(backs) < n:
        fronts = front
    names = [f"{a} {b}" for a in fronts for b in backs]
    return rng.sample(names, min(n, len(names)))


def _words(n: int, rng: random.Random) -> list[str]:
    """n distinct invented words of two syllables, with a capital."""
    words: dict[str, None] = {}
    while len(words) < n:
        parts = [rng.choice(_BEGIN), rng.choice(_MIDDLE), rng.choice(_BEGIN), rng.choice(_MIDDLE), rng.choice(_END)]
        words["".join(parts).capitalize()] = None
    return list(words)
