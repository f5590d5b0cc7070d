"""Logged runs: how they are read, and that the logged replies give the logged graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mnemic.errors import InputError
from mnemic.store.arigraph import logged_runs, replayed

STEP = """Step: {n}
Observation: {seen}
Inventory: nothing.
New triplets: {new}
Outdated triplets: {old}
Associated_subgraph: ()
Graph: {graph}
Plan0: {{}}
Action: {{ "action_to_take": "{action}" }}
"""


def log(third: str) -> str:
    """Take a key in the hall, walk west, and what the third graph is said to be."""
    return "Attempt: 1\n" + "".join(
        STEP.format(n=n, seen=seen, new=new, old=old, graph=graph, action=action)
        for n, seen, new, old, graph, action in (
            (1, "\n-= Hall =-\nA key.\n", "['key, is in, hall']", "Replacing: []\n",
             "['key, is in, hall']", "take key"),
            (2, "\nYou take it.\n", "['key, is in, inventory']",
             "[[key, is in, hall ->\nkey, is in, inventory]]\n",
             "['key, is in, inventory']", "go west"),
            (3, "\n-= Attic =-\n", "['attic, contains, cat']", "[]\n", third, "look"),
        )
    )  # fmt: skip


RIGHT = "['key, is in, inventory', 'attic, contains, cat', 'attic, is west of, hall', 'hall, is east of, attic']"


def test_a_log_is_read() -> None:
    ((first, second, third),) = logged_runs(log(RIGHT))
    assert (first.place, second.place, third.place) == ("hall", "hall", "attic")
    assert (first.action, third.action) == ("start", "go west")
    assert second.new == ("key, is in, inventory",)
    assert "->\nkey" in second.refined


def test_the_logged_replies_give_the_logged_graph() -> None:
    result = replayed(logged_runs(log(RIGHT)))
    assert (result.steps, result.stepwise, result.straight, result.kept) == (3, 1.0, 1.0, 1.0)


def test_a_graph_that_differs_is_found() -> None:
    result = replayed(logged_runs(log("['key, is in, hall', 'attic, contains, cat']")))
    assert result.stepwise == result.straight == pytest.approx(2 / 3)
    assert result.kept == pytest.approx((1 + 1 + 1 / 5) / 3)  # of five facts in either graph one is in both


@pytest.mark.parametrize("text", ["", "Attempt: 1\nStep: 1\nnothing", "anything"])
def test_what_is_no_log_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no log"):
        logged_runs(text)


@pytest.mark.parametrize(("game", "steps", "stepwise"), [("hunt", 115, 107), ("cook", 89, 88)])
def test_runs_of_the_papers_agent(game: str, steps: int, stepwise: int, data_path: Callable[..., Path]) -> None:
    """Golden: measured on AIRI-Institute/AriGraph e884b76; what differs the extractor said again, and is not logged."""
    result = replayed(logged_runs(data_path("arigraph_logs", game).read_text("utf-8")))
    assert (result.steps, round(result.stepwise * result.steps)) == (steps, stepwise)
    assert result.kept > 0.98
