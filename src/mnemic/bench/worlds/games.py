"""TextWorld games: .z8 files by path, and ones that are made here, as worlds.

Source   Cote et al. 2018, "TextWorld: A Learning Environment for Text-based Games", arXiv:1806.11532; the games of
         AIRI-Institute/AriGraph (data set "textworld"): two treasure hunts, cooking, cleaning
Measure  points reached / points there are; in the cleaning game +1 for taking a thing that is out of place and for
         putting it where it belongs, -1 for moving one that is in its place

A file needs its .json beside it, under the same stem: it carries the facts. Works on Linux.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mnemic import data
from mnemic.environment import Observation
from mnemic.errors import DataMissing, MissingExtra, NotFound

_PROMPT = re.compile(r">.*\Z", re.DOTALL)  # the status line that follows the prompt of the interpreter
_HEADING = re.compile(r"-= (.+?) =-")
_MADE_STEPS = 50  # of a made game: its quests take up to a dozen

# What is told at the start, besides what the game says; what the goal is; how many steps there are.
_HUNT = (
    "Your task is to get a treasure. Treasure is hidden in the golden locker. You need a golden key to unlock it. All "
    "lockers are locked and require a specific key to unlock. The key 1 you found in room A unlocks the {first} "
    "locker. Read the notes that you find, they will guide you further."
)
_COOK = (
    "Your task is to prepare a meal after the recipe of the cookbook, and to eat it. Frying is done with a stove, "
    "roasting with an oven, grilling with a BBQ. The meal is prepared in the kitchen, when everything is ready."
)
_CLEAN = "Your task is to clean the house: take things that are out of place and put them where they belong."
GAMES: Mapping[str, tuple[str, str]] = {
    "hunt": ("Find the treasure.", _HUNT.format(first="white")),
    "hunt_hard": ("Find the treasure.", _HUNT.format(first="bronze")),
    "cook": ("Prepare the meal after the recipe and eat it.", _COOK),
    "clean": ("Clean the house: return what is out of place to where it belongs.", _CLEAN),
}

# Where things of the cleaning game belong: thing -> (how, where). The game itself gives no points. The paper's table
# calls the gym's locker "sport equipment locker", a name that the game's facts do not know.
BELONGS: Mapping[str, tuple[str, str]] = {
    "toothbrush": ("on", "bathroom sink"), "dirty plate": ("in", "dishwasher"), "fantasy book": ("on", "bookcase"),
    "business suit": ("in", "wardrobe"), "sleeping lamp": ("on", "bedside table"), "wet towel": ("on", "towel rack"),
    "dumbbell": ("on", "dumbbell stand"), "swimming fins": ("on", "pool equipment rack"),
    "raw meat": ("in", "refrigerator"), "cheese": ("in", "refrigerator"), "milk": ("in", "refrigerator"),
    "evening dress": ("in", "wardrobe"), "yoga mat": ("in", "locker"),
    "toy car": ("in", "toy storage cabinet"), "toy sword": ("in", "toy storage cabinet"),
    "jump rope": ("in", "locker"), "elegant table runner": ("on", "dining table"),
    "toilet paper": ("on", "toilet"), "TV": ("on", "TV table"), "reading glasses": ("on", "reading table"),
    "salt and papper shakers": ("on", "dining table"), "decorative pillow": ("on", "sofa"),
    "felt tip pens": ("on", "study table"), "candles": ("on", "dining table"), "alarm clock": ("on", "bedside table"),
    "chlorine": ("on", "table for pool chemicals"), "swimming goggles": ("on", "pool equipment rack"),
    "life ring": ("on", "pool equipment rack"), "school notebooks": ("on", "study table"),
    "deodorant": ("on", "bathroom sink"), "detective book": ("on", "bookcase"),
    "gaming consol": ("on", "game consol cabinet"), "centerpiece": ("on", "dining table"),
}  # fmt: skip


class Game:
    """A TextWorld game with the contract of mnemic.environment.

    file       a .z8 with its .json beside it; any of TextWorld's other formats works too
    goal       what is to be reached; empty: the objective that the game names
    told       what is added to the first observation
    belongs    thing -> (in or on, where): points for tidying up instead of the game's own

    Use it with `with`, or close it: the interpreter is a process-wide library with a file open.
    """

    def __init__(self, file: str | Path, *, goal: str = "", told: str = "", max_steps: int = 150,
                 belongs: Mapping[str, tuple[str, str]] | None = None) -> None:  # fmt: skip
        self.file, self.told, self.max_steps, self.belongs = Path(file), told, max_steps, belongs
        self._textworld = _library()
        if not self.file.exists() or (self.file.suffix == ".z8" and not self.file.with_suffix(".json").exists()):
            raise DataMissing(f"{self.file}: give a game file that is there, with its .json beside it.")
        infos = self._textworld.EnvInfos(
            admissible_commands=True, facts=True, inventory=True, score=True, max_score=True, won=True, lost=True,
            feedback=True, objective=True,
        )  # fmt: skip
        self._game = self._textworld.start(str(self.file), infos)
        self.reset()
        self.goal = goal or " ".join(str(self._now.objective or "Play the game.").split())

    def reset(self) -> Observation:
        self._now = self._game.reset()
        self._steps, self._points, self._place = 0, 0, None
        self._most = 2 * len(self._misplaced()) if self.belongs else int(self._now.max_score or 0)
        text = self._now.feedback.rpartition("$$$")[2]  # the banner is drawn with dollars
        return self._observed(text, over=False, told=self.told)

    def step(self, action: str) -> Observation:
        self._steps += 1
        before = self._held()
        self._now, _, over = self._game.step(" ".join(action.split()) or "look")
        self._points += tidied(before, self._held(), self.belongs) if self.belongs else 0
        return self._observed(self._now.feedback, over=over)

    def valid_actions(self) -> list[str]:
        return sorted(self._now.admissible_commands or [])

    def facts(self) -> list[tuple[str, str, str]]:
        """Where things are, as (thing, is in / is on, where). For whoever judges; a player must not look."""
        inventory = {"I": "inventory", "P": "player"}
        how = {"in": "is in", "on": "is on", "at": "is in"}
        found = [(fact.name, *(name.name for name in fact.arguments)) for fact in self._now.facts]
        return [
            (thing.lower(), how[name], inventory.get(where, where).lower())
            for name, thing, where in (fact for fact in found if len(fact) == 3)
            if name in how and thing != "P"
        ]

    def close(self) -> None:
        self._game.close()

    def __enter__(self) -> Game:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _observed(self, feedback: str, *, over: bool, told: str = "") -> Observation:
        lines = [*_PROMPT.sub("", feedback).splitlines(), told]
        text = "\n".join(line for line in lines if line.strip())
        headings = _HEADING.findall(text)
        self._place = headings[-1] if headings else self._place
        carried = (self._now.inventory or "").strip()
        points = self._points if self.belongs else int(self._now.score or 0)
        score = min(max(points / self._most, 0.0), 1.0) if self._most else 0.0
        done = over or bool(self._now.won or self._now.lost) or self._steps >= self.max_steps
        return Observation(f"{text}\n{carried}".strip(), score, done or score == 1.0, self._place)

    def _held(self) -> dict[str, tuple[str, str]]:
        """Thing -> (in or on, where), of things that belong somewhere."""
        found = [(fact.name, *(name.name for name in fact.arguments)) for fact in self._now.facts]
        kept = (fact for fact in found if len(fact) == 3 and fact[1] in (self.belongs or {}))
        return {thing: (name, where) for name, thing, where in kept if name in ("in", "on", "at")}

    def _misplaced(self) -> list[str]:
        return [thing for thing, at in self._held().items() if self.belongs and at != self.belongs[thing]]


def tidied(before: Mapping[str, tuple[str, str]], after: Mapping[str, tuple[str, str]],
           belongs: Mapping[str, tuple[str, str]]) -> int:  # fmt: skip
    """Points of one action: +1 for a misplaced thing taken or a thing put in its place, -1 for any other move."""
    points = 0
    for thing, now in after.items():
        was = before.get(thing, now)
        if now != was:
            taken = now == ("in", "I") and was != belongs[thing]
            points += 1 if taken or now == belongs[thing] else -1
    return points


def game(name: str, *, max_steps: int = 150) -> Game:
    """One of the paper's games: hunt, hunt_hard, cook, clean. Raises DataMissing when its files are nowhere."""
    if name not in GAMES:
        raise NotFound(f'there is no game "{name}": there are {", ".join(GAMES)}; open your own with Game(file).')
    goal, told = GAMES[name]
    file = data.path("textworld", name)
    data.path("textworld", f"{name}_facts")
    return Game(file, goal=goal, told=told, max_steps=max_steps, belongs=BELONGS if name == "clean" else None)


def made(folder: str | Path, *, rooms: int = 5, objects: int = 10, quest: int = 5, seed: int = 0,
         max_steps: int = _MADE_STEPS) -> Game:  # fmt: skip
    """Generate a game into a folder and open it; the same numbers make the same game. Takes seconds, no network."""
    textworld = _library()
    options = textworld.GameOptions()
    options.path, options.seeds, options.file_ext = f"{folder}/", seed, ".z8"
    options.nb_rooms, options.nb_objects, options.quest_length = rooms, objects, quest
    file, _ = textworld.make(options)
    return Game(file, max_steps=max_steps)


def _library() -> Any:
    try:
        import textworld
    except ImportError:
        raise MissingExtra("playing TextWorld games", "bench") from None
    return textworld
