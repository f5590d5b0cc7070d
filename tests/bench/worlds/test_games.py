"""TextWorld games as worlds: the paper's by name, generated ones, and points for tidying up."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mnemic.bench.worlds import games
from mnemic.bench.worlds.games import BELONGS, GAMES, Game, game, made, tidied
from mnemic.errors import DataMissing, MissingExtra, NotFound
from mnemic.store.arigraph import RuleTriplets

# The interpreter knows these games no further than TextWorld needs.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{said}")
    for said in ("Game '.*' is not fully supported", "Unable to find valid actions")
]

IN, AT = ("in", "I"), ("at", "Kitchen")
HOME = {"milk": ("in", "refrigerator"), "sword": ("in", "chest")}


@pytest.mark.parametrize(
    ("before", "after", "points"),
    [
        (("at", "Attic"), IN, 1),  # out of place and taken
        (IN, ("in", "refrigerator"), 1),  # put where it belongs
        (("in", "refrigerator"), IN, -1),  # taken from its place
        (IN, ("on", "table"), -1),  # put somewhere else
        (("on", "table"), ("on", "table"), 0),
    ],
)
def test_points_for_tidying_up(before: tuple[str, str], after: tuple[str, str], points: int) -> None:
    assert tidied({"milk": before, "sword": AT}, {"milk": after, "sword": AT}, HOME) == points


def test_without_textworld_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "textworld", None)
    with pytest.raises(MissingExtra, match=r"mnemic\[bench\]"):
        Game(tmp_path / "x.z8")
    with pytest.raises(MissingExtra):
        made(tmp_path)


@pytest.fixture
def files(data_path: Callable[..., Path]) -> None:
    """TextWorld and the four games, or a skip that says what is missing."""
    pytest.importorskip("textworld", reason="textworld is not installed: pip install textworld")
    for name in GAMES:
        data_path("textworld", name)
        data_path("textworld", f"{name}_facts")


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    pytest.importorskip("textworld", reason="textworld is not installed: pip install textworld")
    (tmp_path / "x.z8").write_bytes(b"")
    for name in ("y.z8", "x.z8"):  # the second has no .json beside it
        with pytest.raises(DataMissing, match=r"\.json beside it"):
            Game(tmp_path / name)


@pytest.mark.usefixtures("files")
def test_a_treasure_hunt_is_won_by_its_walkthrough() -> None:
    """Actions of the repository's own walkthrough, AIRI-Institute/AriGraph utils/envs_cfg.py."""
    walkthrough = (
        "take Key 1; go west; go south; go east; go east; unlock White locker with Key 1; open White locker; "
        "take Key 2 from White locker; examine Note 2; go west; go west; unlock Red locker with Key 2; "
        "open Red locker; take Key 3 from Red locker; take Note 3 from Red locker; examine Note 3; go east; go east; "
        "go north; go north; go west; go east; go east; unlock Cyan locker with Key 3; open Cyan locker; "
        "take Golden key from Cyan locker; go west; go south; go south; go west; go west; go north; go east; "
        "unlock Golden locker with Golden key; open Golden locker; take treasure from Golden locker"
    )
    with game("hunt") as hunt:
        first = hunt.reset()
        assert (first.place, first.score) == ("Room A", 0.0)
        assert "unlocks the white locker" in first.text
        assert "$" not in first.text
        seen = [hunt.step(action) for action in walkthrough.split("; ")]
        scores = [each.score for each in seen]
        assert scores == sorted(scores)
        assert (seen[-1].score, seen[-1].done) == (1.0, True)
        assert hunt.reset() == first


@pytest.mark.usefixtures("files")
def test_what_the_rules_read_in_a_game_is_true() -> None:
    with game("hunt") as hunt:
        seen = hunt.reset()
        for action in ("take Key 1", "go west", "go south", "go east", "go east", "unlock White locker with Key 1",
                       "open White locker", "take Key 2 from White locker"):  # fmt: skip
            seen = hunt.step(action)
            read = [each for each in RuleTriplets().read(seen.text, place=seen.place) if each.relation == "is in"]
            assert read
            assert set(read) <= set(hunt.facts())


@pytest.mark.usefixtures("files")
def test_the_cleaning_game_is_scored_by_where_things_belong() -> None:
    with game("clean") as clean:
        clean.reset()
        taken = clean.step("take toothbrush from dining table").score
        assert taken == pytest.approx(1 / 22)  # eleven things are out of place: taken and put away make 22 points
        assert clean.step("drop toothbrush").score == 0
        assert clean.step("take toothbrush").score == pytest.approx(1 / 22)
        clean.step("go north")
        assert clean.step("take felt tip pens from study table").score == 0  # it was where it belongs


@pytest.mark.usefixtures("files")
def test_an_unknown_command_is_answered_in_words() -> None:
    with game("cook") as cook:
        assert "verb" in cook.step("blah").text
        assert cook.step("").text  # nothing said is a look
        assert "go south" in cook.valid_actions()


@pytest.mark.usefixtures("files")
def test_steps_end_an_episode() -> None:
    with game("hunt_hard", max_steps=2) as hunt:
        assert [hunt.step("look").done for _ in range(2)] == [False, True]


def test_a_made_game_can_be_played_and_names_its_goal(tmp_path: Path) -> None:
    pytest.importorskip("textworld", reason="textworld is not installed: pip install textworld")
    with made(tmp_path / "a", rooms=2, objects=2, quest=2, seed=3) as one:
        seen = one.reset()
        assert len(one.goal) > 40
        assert seen.place
        assert "look" in one.valid_actions()


def test_an_unknown_game_is_refused() -> None:
    with pytest.raises(NotFound, match='"chess"'):
        game("chess")


def test_things_belong_in_or_on_something() -> None:
    assert {how for how, _ in BELONGS.values()} == {"in", "on"}
    assert set(games.GAMES) == {"hunt", "hunt_hard", "cook", "clean"}
