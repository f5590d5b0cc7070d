"""One player, many memories: the player knows only what it is told, and every memory keeps the budget."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from mnemic.bench import exploration
from mnemic.bench.exploration import (
    BUDGET,
    MEMORIES,
    METHODS,
    SIZES,
    Moment,
    Player,
    Records,
    Relevant,
    Summary,
    extraction,
    mazes,
    newest,
    play,
    read,
    row,
)
from mnemic.bench.worlds.games import game
from mnemic.bench.worlds.maze import GOAL, Maze
from mnemic.environment import Observation
from mnemic.errors import BudgetError, NotFound
from mnemic.lm.exchange import estimate
from mnemic.meter import Budget
from mnemic.store.arigraph import RuleTriplets, Triplet

READER = RuleTriplets()
SMALL = Budget(120, "tokens")
HERE = Observation(
    "-= Hall =-\nThere is an exit to the west. There is an exit to the north.\nYou are carrying: a key 2.", place="hall"
)
GRAPH = """Facts:
> key 2, unlocks, red locker
> red locker, is in, attic
Exits nobody took:
> cellar: south
Seen before:
> -= Loft =-
> You see a blue locker."""
RECORDS = """(from hall: go west)
-= Attic =-
You see a red locker. There is an exit to the east. There is an exit to the south.
You are carrying: a key 2.
(from attic: examine note 2)
The key 2 unlocks the red locker."""


def chosen(text: str, seen: Observation = HERE, valid: tuple[str, ...] = ("go west", "go north", "look")) -> str:
    return Player(READER, random.Random(0)).choose(text, seen, GOAL, valid)


def test_a_graphs_text_is_read() -> None:
    found = read(GRAPH, READER)
    assert ("red locker", "is in", "attic") in found.facts
    assert ("blue locker", "is in", "loft") in found.facts
    assert found.listed == {"cellar": ["south"]}
    assert read("Exits nobody took:\n> none", READER).listed == {}
    assert read("anything", READER).listed is None


def test_records_are_read_with_the_ways_between_them() -> None:
    found = read(RECORDS, READER)
    assert ("attic", "is west of", "hall") in found.facts
    assert ("key 2", "unlocks", "red locker") in found.facts
    assert found.listed is None


def test_a_summary_is_read_with_the_ways_that_it_tells() -> None:
    facts = read("The attic has exits east (to hall), south.\nThe red locker is in the attic.", READER).facts
    assert {("attic", "has exit", "east"), ("attic", "has exit", "south"), ("hall", "is east of", "attic"),
            ("red locker", "is in", "attic")} <= set(facts)  # fmt: skip


@pytest.mark.parametrize(
    ("valid", "action"),
    [
        (("go west", "take key 3 from red locker", "open red locker"), "take key 3 from red locker"),
        (("go west", "unlock red locker with key 2"), "unlock red locker with key 2"),
        (("go west", "take treasure from golden locker", "take key 9"), "take treasure from golden locker"),
        (("go north", "go to attic"), "go to attic"),  # where the text says that the locker of key 2 stands
        (("go north", "go to cellar"), "go to cellar"),  # nothing to do there: to the exit that the text lists
    ],
)
def test_the_player_does_what_the_text_says(valid: tuple[str, ...], action: str) -> None:
    assert chosen(GRAPH, valid=valid) == action


def test_the_player_reads_the_note_that_came_with_a_key() -> None:
    seen = Observation("You take the key 2 from the red locker.\nYou are carrying: a key 2.", place="attic")
    assert chosen("", seen, ("go west", "examine note 2", "examine note 1")) == "examine note 2"


def test_what_nobody_told_the_player_does_not_know() -> None:
    """Without a text it cannot go where the locker stands, however often it stood there before."""
    actions = {chosen("You remember nothing.", valid=("go west", "go north", "go to attic")) for _ in range(5)}
    assert actions <= {"go west", "go north"}
    player = Player(READER, random.Random(0))
    player.choose(GRAPH, HERE, GOAL, ("go to attic", "go west"))
    assert player.choose("", HERE, GOAL, ("go west", "go to attic")) in ("go west", "look")


def test_the_player_goes_to_the_nearest_exit_that_records_show_untaken() -> None:
    seen = Observation("-= Attic =-\nThere is an exit to the east.\nYou are carrying nothing.", place="attic")
    assert chosen(RECORDS, seen, ("go east", "go south", "go to hall")) == "go south"


def test_plan_and_queries_come_from_what_is_carried_and_the_goal() -> None:
    player = Player(READER, random.Random(0))
    assert player.wants(HERE, GOAL)[1] == {"hall": 1, "key 2": 2}
    golden = Observation("You are carrying: a golden key.", place="hall")
    plan, queries = player.wants(golden, GOAL)
    assert queries == {"hall": 1, "golden key": 2, "golden locker": 1}
    assert "golden locker" in plan
    assert player.wants(Observation("You are carrying nothing.", place="hall"), GOAL)[1] == {"hall": 1, "key": 1}


def moment(number: int) -> Moment:
    text = f"-= Room {number} =-\nYou see a red locker. There is an exit to the west."
    return Moment(
        "go west" if number else "", f"room {number - 1}", Observation(text, place=f"room {number}"), "plan", {}
    )


@pytest.mark.parametrize("name", METHODS)
def test_every_memory_keeps_the_budget_and_says_something(name: str) -> None:
    memory = MEMORIES[name](SMALL, READER, 0)
    texts = [memory.recall(moment(number)) for number in range(12)]
    assert all(0 < estimate(text) <= SMALL.amount for text in texts)
    assert memory.stored() > 0


def test_history_shows_the_newest_records_in_the_order_they_happened() -> None:
    memory = Records(SMALL, newest)
    for number in range(9):
        text = memory.recall(moment(number))
    assert text.index("-= Room 6 =-") < text.index("-= Room 7 =-")
    assert "-= Room 1 =-" not in text


def test_rag_weighs_recency_importance_and_similarity() -> None:
    relevant, memory = Relevant(READER, k=1), Records(SMALL, newest)
    memory.kept = ["You take the key 1 from the box.", "You drop the cup.", "There is an exit to the west."]
    # recency 0, .5, 1; importance 1, 0, 0 or 1 with a place; so similarity decides
    assert relevant(memory, Moment("", "", Observation("the box"), "key 1 from the box", {})) == [memory.kept[0]]
    assert relevant(memory, Moment("", "", Observation("west"), "exit to the west", {})) == [memory.kept[2]]


def test_a_summary_tells_the_last_state() -> None:
    memory = Summary(Budget(400, "tokens"), READER)
    seen = {"": "There is a key 1 on the floor.", "take key 1": "You pick up the key 1 from the ground.",
            "look": "There is an exit to the west."}  # fmt: skip
    for action, text in seen.items():
        memory.recall(Moment(action, "hall", Observation(text, place="hall"), "", {}))
    text = memory.recall(Moment("go west", "hall", Observation("-= Attic =-\nIt is dark.", place="attic"), "", {}))
    assert "The key 1 is in the inventory." in text
    assert "key 1 is in the hall" not in text
    again = memory.recall(Moment("look", "attic", Observation("-", place="attic"), "", {}))
    assert "The hall has exits west (to attic)." in again


def test_a_memory_that_breaks_the_budget_is_caught() -> None:
    class Endless:
        def recall(self, moment: Moment) -> str:
            return "word " * 1000

        def facts(self) -> tuple[()]:
            return ()

        def stored(self) -> int:
            return 1

    with pytest.raises(BudgetError, match="1000 tokens"):
        play(Maze(6, 0), Endless(), Player(READER, random.Random(0)), SMALL)


def test_games_repeat_themselves_and_depend_on_the_seed() -> None:
    first = mazes("full history", 6, number=2, seed=1)
    assert mazes("full history", 6, number=2, seed=1) == first
    assert mazes("full history", 6, number=2, seed=2) != first


def test_stale_facts_are_counted_against_the_world() -> None:
    kept = row("x", {12: mazes("AriGraph without refining", 12, number=1, seed=0)})
    refined = row("x", {12: mazes("AriGraph", 12, number=1, seed=0)})
    assert kept["stale"] > 0.15
    assert refined["stale"] < 0.05


def test_a_table_has_a_row_for_each_method_at_one_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exploration, "SIZES", (6,))
    rows = exploration.run(limit=1, methods=("no memory", "AriGraph"), budget=SMALL)
    assert [each["method"] for each in rows] == ["no memory", "AriGraph"]
    for each in rows:
        assert 0 < each["tokens"] <= SMALL.amount
        assert each["bytes"] > 0
        assert 0 <= each["score"] <= 1
    assert set(MEMORIES) == set(METHODS)
    assert SIZES == (12, 24, 36)


def test_another_method_or_unit_is_refused() -> None:
    with pytest.raises(NotFound, match='"magic"'):
        exploration.run(limit=1, methods=("magic",))
    with pytest.raises(BudgetError, match="tokens"):
        exploration.run(limit=1, budget=Budget(5, "bytes"))


def test_reading_is_scored_against_what_is_true() -> None:
    class Half:
        """Reads every second fact, and makes one up."""

        def read(self, observation: str, *, known: object = (), place: str | None = None) -> list[Triplet]:
            return [*READER.read(observation, place=place)[::2], Triplet("cat", "is in", "hat")]

    assert extraction(READER, number=10) == {"precision": 1.0, "recall": 1.0, "parsed": 1.0}
    half = extraction(Half(), number=10)
    assert 0.4 < half["recall"] < 1.0
    assert half["precision"] < 1.0
    assert extraction(RuleTriplets(misses=1.0), number=10) == {"precision": 0.0, "recall": 0.0, "parsed": 0.0}


@pytest.mark.filterwarnings("ignore:Game '.*' is not fully supported")  # no further than TextWorld needs
def test_the_papers_hunt_is_won_with_a_graph_and_not_with_a_history(data_path: Callable[..., Path]) -> None:
    pytest.importorskip("textworld", reason="textworld is not installed: pip install textworld")
    data_path("textworld", "hunt")
    scores = {}
    for name in ("AriGraph", "full history"):
        with game("hunt") as hunt:
            hunt.goal = GOAL
            scores[name] = play(hunt, MEMORIES[name](BUDGET, READER, 0), Player(READER, random.Random(0))).score
    assert scores["AriGraph"] == 1.0 > scores["full history"]
