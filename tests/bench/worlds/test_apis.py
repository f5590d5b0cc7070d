"""The world of APIs: documentation that misleads, requests that do not give the bank away, doubles without state."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pytest

from mnemic.bench.worlds.apis import APIS, ApiWorld, bound, held_out, patterns, request, tool_set
from mnemic.bench.worlds.apis.entities import OPTIONS, STYLES, bare, draw, mentions, surface, write
from mnemic.bench.worlds.apis.requests import BY_NAME
from mnemic.bench.worlds.apis.scripted import explorer
from mnemic.bench.worlds.apis.solver import solver
from mnemic.context.ste import Bank, Settings, ToolCaller, explore, filtered

ITEMS = held_out(0)


def test_there_are_sixteen_apis_and_three_are_truthful() -> None:
    assert len(APIS) == 16
    assert [api.name for api in APIS if not api.constants and not any(slot.misleading for slot in api.slots)] == [
        "add_days", "tip", "count_letters",
    ]  # fmt: skip


def test_every_right_call_works_and_says_all_that_the_request_says() -> None:
    for item in ITEMS:
        api = BY_NAME[item.tool]
        result = api.call(item.args)
        assert "error" not in result, (item.query, result)
        told = bound(api, item.query)
        for name, value in told.items():
            assert result["for"][name] in (str(value), f"{value}.0"), item.query


def test_a_call_after_the_documentation_fails_where_it_misleads_and_only_there() -> None:
    from mnemic.bench.worlds.apis.scripted import Learned, documented

    for item in ITEMS:
        tool = BY_NAME[item.tool].tool()
        literal = Learned().call(documented(json.dumps(tool.parameters)), mentions(item.query))
        assert (tool.run(literal) == tool.run(item.args)) == (not item.misleading), item.query


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
def test_requests_mean_what_they_say_in_both_halves(api) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(1)
    for half in ("bank", "test"):
        for pattern in patterns(api):
            text, values = request(api, pattern, half, rng)
            assert bound(api, text) == values


def test_halves_share_no_template_and_no_value_but_options() -> None:
    rng = np.random.default_rng(0)
    bank = [request(api, pattern, "bank", rng)[0] for api in APIS for pattern in patterns(api) for _ in range(5)]
    test = [item.query for seed in range(3) for item in held_out(seed)]
    assert not {bare(text).rstrip("?") for text in bank} & {bare(text).rstrip(".") for text in test}
    values = [{(one.kind, one.value) for text in texts for one in mentions(text) if one.kind not in OPTIONS}
              for texts in (bank, test)]  # fmt: skip
    assert not values[0] & values[1]


def test_values_are_read_as_they_were_said() -> None:
    rng = np.random.default_rng(0)
    for kind in {kind for kind, _ in STYLES.values()}:
        for half in ("bank", "test"):
            value = draw(kind, half, rng)
            assert [(one.kind, one.value) for one in mentions(f"x {surface(kind, value)} y")] == [(kind, value)]


def test_styles_by_hand() -> None:
    day = dt.date(2024, 3, 5)
    wanted = {
        "YYYY-MM-DD": "2024-03-05",
        "DD.MM.YYYY": "05.03.2024",
        "MM/DD/YYYY": "03/05/2024",
        "YYYYMMDD": "20240305",
    }
    assert {style: write(style, day) for style in wanted} == wanted
    assert [write(style, 3000.0) for style in ("kilometres", "metres")] == [3, 3000]
    assert [write(style, 15) for style in ("percent", "fraction", "ISO 8601 duration")] == [15, 0.15, "PT15M"]
    assert write("12-hour time", 15 * 60 + 5) == "03:05 PM"


@pytest.mark.parametrize(
    ("name", "args", "says"),
    [
        ("flight_search", {"day": "20240305"}, 'missing argument "version": use 2'),
        ("flight_search", {"date": "2024-03-05"}, 'unknown argument "date": did you mean "day"?'),
        ("flight_search", {"version": 2, "origin": "Oslo"}, "give the city as airport code"),
        ("parcel_price", {"weight": 3}, 'belongs inside of the object "parcel"'),
        ("parcel_price", {"parcel": 3}, "must be an object"),
        ("parcel_price", {"parcel": {"weight": 3}, "country": "SWE"}, "give the weight as grams"),
        ("translate", {"text": "a", "to": "sv"}, '"text" must be a list'),
        ("tip", {"bill": 10}, 'missing argument "share"'),
        ("tip", {"bill": 10, "share": 5, "x": 1}, 'unknown argument "x"'),
        ("reminder", {"text": "a", "time": "15:30"}, "give the text as upper-case text"),
        ("hotel_search", {"city": "Oslo"}, "lower-case city name"),
        ("add_days", {"date": "2024-3-5", "days": 1}, "YYYY-MM-DD"),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong_one_at_a_time(name: str, args: dict[str, object], says: str) -> None:
    assert says in BY_NAME[name].call(args)["error"]


def test_an_odd_default_is_noted() -> None:
    assert BY_NAME["weather"].call({"city": "Oslo"})["note"] == '"units" was not given: kelvin is assumed'
    assert "note" not in BY_NAME["weather"].call({"city": "Oslo", "units": "C"})


def test_the_explorer_corrects_itself_and_a_judge_keeps_what_worked() -> None:
    tools, lm, bank = tool_set(["flight_search"]), explorer(0), Bank()
    trials = list(explore(tools, lm=lm, bank=bank, settings=Settings(episodes=2, slots=4)))
    kept = filtered(bank, tools, judge=lm)
    assert kept.kept == sum(bool(trial.solved) for trial in trials) > 0
    api = BY_NAME["flight_search"]
    for one in bank.examples():
        assert api.call(one.args)["for"] == api.call(api.gold(bound(api, one.query)))["for"]


def test_the_doubles_keep_no_state() -> None:
    lm, bank = explorer(3), Bank()
    list(explore(tool_set(["weather"]), lm=lm, bank=bank, settings=Settings(episodes=1, slots=2)))
    asked = list(lm.requests)
    again = [lm.function(request) for request in reversed(asked)][::-1]
    assert again == [explorer(3).function(request) for request in asked]


def test_the_solver_without_examples_follows_the_documentation() -> None:
    call = ToolCaller(tool_set(), lm=solver(), budget="100 tokens")("Tip for 40 at 10 percent")
    assert (call.name, call.args) == ("tip", {"bill": 40, "share": 10})


def test_a_world_is_solved_by_the_right_call_and_ends() -> None:
    world = ApiWorld(ITEMS[0], max_steps=3)
    assert "16 APIs" in world.reset().text
    assert ITEMS[0].tool in world.step(f"help {ITEMS[0].tool}").text
    wrong = world.step(f"call {ITEMS[0].tool} {{}}")
    assert (wrong.score, wrong.done) == (0.0, False)
    right = world.step(f"call {ITEMS[0].tool} {json.dumps(ITEMS[0].args)}")
    assert (right.score, right.done) == (1.0, True)
    assert world.step("call x").text == "The episode is over."
    assert world.reset().score == 0.0


@pytest.mark.parametrize("action", ["", "sing", "call", "call tip [1]", "call tip {", "help x", "call tip {}" * 3])
def test_any_command_costs_a_step_and_is_answered_in_words(action: str) -> None:
    world = ApiWorld(ITEMS[0], max_steps=1)
    world.reset()
    seen = world.step(action)
    assert seen.text
    assert seen.done


def test_valid_actions_are_taken() -> None:
    world = ApiWorld(ITEMS[0], max_steps=100)
    world.reset()
    actions = world.valid_actions()
    assert actions == sorted(actions)
    assert not any("not understood" in world.step(action).text for action in actions)
