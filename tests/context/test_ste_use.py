"""STE's parser, exploitation, use and scores, by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.context.ste import (
    Bank,
    Demonstrations,
    Example,
    Item,
    OracleTools,
    Step,
    Tool,
    ToolCaller,
    ToolSet,
    Trial,
    continual,
    evaluate,
    filtered,
    judge_match,
    new_tokens,
    paraphrased,
    parse,
    prompts,
    rounds,
    same_result,
    snap,
    string_match,
    to_sft,
)
from mnemic.context.ste.judging import passes
from mnemic.context.ste.parsing import arguments, says_yes
from mnemic.errors import BudgetError, InputError
from mnemic.lm.doubles import HashEmbedder
from mnemic.lm.exchange import Request
from mnemic.lm.scripted import ScriptedLM

TOOLS = ToolSet(
    [Tool(name, f"about {name}", {}, lambda **args: json.dumps(args)) for name in ("add", "sub", "weather")]
)
YES = "1) Yes. a\n2) Yes. b\n3) Yes. c"

# ---- the parser


def test_nested_arguments_stay_nested() -> None:
    assert arguments(' {"a": {"b": [1, {"c": 2}]}}') == ({"a": {"b": [1, {"c": 2}]}}, False)


def test_superfluous_braces_are_repaired() -> None:
    assert arguments('{{"a": 1}}') == ({"a": 1}, True)
    assert arguments('{"a": 1}}\nThat is it.') == ({"a": 1}, False)


@given(st.dictionaries(st.text(), st.recursive(st.integers() | st.text(), lambda inner: st.lists(inner)), max_size=4))
def test_any_json_object_is_read_as_it_is(args: dict[str, Any]) -> None:
    if "{" not in json.dumps(args)[1:]:
        assert arguments(f"{json.dumps(args)}\n") == (args, False)
    assert json.loads(prompts.safe_json(args)) == args


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        ("Let me see.", "neither a call nor an answer"),
        ("Action: add\nAction Input: {}\nAction: add\nAction Input: {}", 'more than one "Action Input:"'),
        ("Action Input: {}", "The API is missing"),
        ("Action: add\nAction: sub\nAction Input: {}", 'more than one "Action:"'),
        ("Action: ad\nAction Input: {}", "exactly one of add, sub"),
        ("Action: add\nAction Input: none", "begin it with"),
        ('Action: add\nAction Input: {"a": 1', "end it with"),
        ("Action: add\nAction Input: {a: 1}", "is no JSON"),
        ('Action: add\nAction Input: {"a": 1} {"b": 2}', "more than one object"),
    ],
)
def test_every_failure_says_what_is_wrong(reply: str, says: str) -> None:
    read = parse(reply, ["add", "sub"])
    assert says in read.error
    assert not read.is_call


def test_an_answer_finishes_and_a_call_before_it_comes_first() -> None:
    assert parse("Thought: x\nFinal Answer: 3", ["add"]).answer == "3"
    both = parse("Action: add\nAction Input: {}\nFinal Answer: 3", ["add"])
    assert (both.finish, both.action) == (False, "add")


def test_names_are_snapped_only_when_asked_and_new_tokens_are_names() -> None:
    reply = "Action: <tool_ad>\nAction Input: {}"
    assert parse(reply, ["add", "weather"]).error
    assert parse(reply, ["add", "weather"], snapped=True).action == "add"
    assert parse("Action: <tool_add>\nAction Input: {}", ["add"]).action == "add"
    assert snap("xyz", ["add"]) == "xyz"


@pytest.mark.parametrize(
    ("said", "yes"),
    [("Yes.", True), ("yes, it was", True), ("**Yes**", True), ("No.", False), ("Now it is", False), ("", False),
     ("Yesterday", False), ("I think yes", False), ("Yes, nothing is missing. Now", True)],
)  # fmt: skip
def test_yes_is_the_first_word(said: str, yes: bool) -> None:
    assert says_yes(said) == yes


# ---- exploitation


def trial(slot: int, *, query: str = "", steps: tuple[Step, ...] = (), answer: str | None = "3") -> Trial:
    steps = steps or (Step("add", {"a": slot}, f"result {slot}"),)
    return Trial("add", 0, slot, query or f"request {slot}", steps, answer, True)


def bank_of(*trials: Trial) -> Bank:
    bank = Bank()
    bank.add_episode(trials)
    return bank


def test_only_finished_trials_with_a_call_are_judged_and_the_last_call_is_the_label() -> None:
    two = (Step("add", {"a": 1}, "error"), Step(error="unreadable"), Step("add", {"a": 2}, "fine"), Step(error="x"))
    bank = bank_of(trial(0, steps=two), trial(1, answer=None), trial(2, steps=(Step(error="x"),)), trial(3))
    judge = ScriptedLM(
        lambda request: YES if "request 0" in request.messages[-1]["content"] else YES.replace("2) Yes", "2) No")
    )
    kept = filtered(bank, TOOLS, judge=judge)
    assert (kept.trials, kept.unfinished, kept.without_call, kept.refused, kept.kept) == (4, 1, 1, 1, 1)
    assert [(one.args, one.observation) for one in bank.examples()] == [({"a": 2}, "fine")]
    assert len(judge.requests) == 2
    filtered(bank, TOOLS, judge=judge)
    assert len(judge.requests) == 2  # what has a verdict is not judged again


@pytest.mark.parametrize(
    ("said", "kept"),
    [(YES, True), (YES.replace("3) Yes", "3) No"), False), ("1) Yes.\n2) Yes.", False), ("Yes", False),
     ("1) Yes. Nothing is missing.\n2) Yes. No. doubt\n3) Yes.", True)],
)  # fmt: skip
def test_three_first_words_decide(said: str, kept: bool) -> None:
    assert passes(said) == kept


@pytest.mark.parametrize(
    ("kept", "times"), [(0, 0), (10, 6), (25, 5), (40, 3), (60, 1), (75, 1), (100, 1), (101, 0), (200, 0)]
)
def test_paraphrases_fill_up_to_about_150(kept: int, times: int) -> None:
    # min(round(150 / n) - 1, 6): 150/25 - 1 = 5; 150/40 = 3.75 -> 4 - 1; 150/60 = 2.5 -> 2 - 1; 150/100 = 1.5 -> 2 - 1
    assert rounds(kept) == times


def test_paraphrases_copy_the_call_and_those_that_lost_something_are_refused() -> None:
    bank = bank_of(trial(0), trial(1))
    filtered(bank, TOOLS, judge=None)
    says = ScriptedLM(lambda request: f"way {len(request.messages)} of saying it")
    judge = ScriptedLM(
        lambda request: "1) Yes.\n2) Yes.\n3) No." if "way 4" in request.messages[-1]["content"] else YES
    )
    assert paraphrased(bank, TOOLS, lm=says, judge=judge, target_per_tool=8) == {"add": 2, "sub": 0, "weather": 0}
    assert [(one.query, one.args, one.of) for one in bank.examples()] == [
        ("request 0", {"a": 0}, None), ("way 2 of saying it", {"a": 0}, 1), ("way 6 of saying it", {"a": 0}, 1),
        ("request 1", {"a": 1}, None), ("way 2 of saying it", {"a": 1}, 2), ("way 6 of saying it", {"a": 1}, 2),
    ]  # fmt: skip
    before = len(says.requests)
    paraphrased(bank, TOOLS, lm=says, judge=judge, target_per_tool=8)
    assert len(says.requests) == before


# ---- use


def copies(request: Request) -> str:
    lines = [line[2:] for line in request.messages[-1]["content"].splitlines() if line.startswith("> ")]
    return "\n".join(lines[-2:]) or "nothing"


def example(n: int, query: str) -> Example:
    return Example("add", query, {"n": n, "odd": "<|x|> [INST]"}, "r", "a", 1, n)


def demos(*queries: str) -> Demonstrations:
    return Demonstrations([example(n, query) for n, query in enumerate(queries, 1)], HashEmbedder(512))


def test_the_nearest_demonstrations_stand_next_to_the_request() -> None:
    lm = ScriptedLM(copies)
    agent = ToolCaller(TOOLS, lm=lm, budget="800 tokens", demos=demos("red cars", "blue boats", "green boats"), k=2)
    call = agent("blue boats please")
    assert [one.query for one in call.shown] == ["blue boats", "green boats"]
    assert (call.name, call.args) == (
        "add",
        {"n": 2, "odd": "<|x|> [INST]"},
    )  # copied to the letter, quoted in the prompt
    prompt = lm.requests[0].messages[-1]["content"]
    assert "<|" not in prompt
    assert "[INST]" not in prompt


@given(st.integers(1, 300))
def test_demonstrations_stay_within_the_budget(amount: int) -> None:
    agent = ToolCaller(TOOLS, lm=ScriptedLM(copies), budget=f"{amount} tokens", demos=demos(*"abcdefghij"))
    call = agent("a")
    assert agent.used().amount <= amount
    assert agent.used().amount == call.used.parts["demonstrations"]
    assert len(call.shown) <= 8


def test_budgets_are_tokens_and_not_zero() -> None:
    with pytest.raises(BudgetError):
        ToolCaller(TOOLS, lm=ScriptedLM(copies), budget="0 tokens")
    with pytest.raises(InputError, match="counted in tokens"):
        ToolCaller(TOOLS, lm=ScriptedLM(copies), budget="9 kB")
    with pytest.raises(InputError, match="no request"):
        ToolCaller(TOOLS, lm=ScriptedLM(copies), budget="9 tokens")(" ")


def test_the_oracle_shows_the_true_tool_among_its_nearest() -> None:
    tools = ToolSet([Tool(f"t{n}", "boats" if n % 2 else "cars", {}, str) for n in range(40)])
    chosen = OracleTools(tools, HashEmbedder(512)).around("t7")
    assert len(chosen) == 15
    assert "t7" in [tool.name for tool in chosen]
    assert sum(tool.description == "boats" for tool in chosen) == 15
    lm = ScriptedLM(lambda request: "Action: t0\nAction Input: {}")
    assert ToolCaller(tools, lm=lm, budget="9 tokens")("x", among=chosen).error  # a tool that was not shown


# ---- scores


class Says:
    def __init__(self, name: str, args: dict[str, Any]) -> None:
        self.name, self.args = name, args


ITEMS = [Item("q1", "add", {"a": 1}), Item("q2", "add", {"a": 2}), Item("q3", "sub", {"a": 3}), Item("q4", "sub", {})]


def test_scores_by_hand() -> None:
    said = {"q1": Says("add", {"a": "1"}), "q2": Says("add", {"a": 9}), "q3": Says("add", {"a": 3}), "q4": Says("", {})}
    report = evaluate(said.__getitem__, ITEMS, match={"*": "string"})
    assert (report.wellformed, report.api_match, report.correct) == (3 / 4, 2 / 3, 1 / 4)


def test_strings_match_in_any_case_and_more_arguments_do_no_harm() -> None:
    gold = Item("q", "add", {"City": "Oslo ", "n": 3})
    assert string_match(gold, {"City": "oslo", "n": "3", "more": 1})
    assert not string_match(gold, {"City": "oslo"})


def test_tools_are_matched_by_name_by_result_or_by_a_judge() -> None:
    judge = ScriptedLM(lambda request: "Yes." if "9" in request.messages[-1]["content"] else "No.")
    match = {"sub": same_result(TOOLS), "*": judge_match(judge)}
    report = evaluate(
        lambda query: Says("sub" if query == "q3" else "add", {"a": 9 if query == "q1" else 3}), ITEMS, match=match
    )
    assert [mark.correct for mark in report.marks] == [True, False, True, False]
    with pytest.raises(InputError, match='"\\*" for all'):
        evaluate(lambda query: Says("add", {}), ITEMS, match={})
    with pytest.raises(InputError, match="nothing to evaluate"):
        evaluate(lambda query: Says("add", {}), [], match={"*": "string"})


# ---- fine-tuning


def test_a_record_becomes_a_call_and_an_answer_without_descriptions(tmp_path: Path) -> None:
    one = Example("add", "1 and 2?", {"a": 1}, "3", "It is 3.", 1, 1)
    file = tmp_path / "train.jsonl"
    assert to_sft([one], file) == 2
    first, second = [json.loads(line) for line in file.read_text().splitlines()]
    assert first["response"] == 'Action: <tool_add>\nAction Input: {"a": 1}'
    assert [turn["role"] for turn in second["messages"]] == ["system", "user", "assistant", "user"]
    assert second["messages"][3]["content"] == "Observation: 3"
    assert second["response"] == "Final Answer: It is 3."
    assert "about add" not in file.read_text()
    assert new_tokens([one, one]) == ["<tool_add>"]
    assert parse(first["response"], ["add"]).args == {"a": 1}


def test_rounds_replay_a_tenth_of_every_earlier_batch() -> None:
    batches = [[f"{batch}-{n}" for n in range(20)] for batch in "abc"]
    first, second, third = continual(batches, general=["g"])
    assert first == [*batches[0], "g"]
    assert second[:20] == batches[1]
    assert [one[0] for one in second[20:]] == ["a", "a", "g"]
    assert [one[0] for one in third[20:]] == ["a", "a", "b", "b", "g"]
    assert continual(batches, replayed=0) == batches
    assert continual(batches, general=["g"]) == [first, second, third]
    with pytest.raises(InputError, match="0 to 1"):
        continual(batches, replayed=2)
