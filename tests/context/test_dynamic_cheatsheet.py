"""The six control flows, step by step with a scripted model; budgets, failures, files and logs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.context.dynamic_cheatsheet import EMPTY, FLAG, VARIANTS, Answered, DynamicCheatsheet, Settings
from mnemic.errors import BudgetError, InputError, ModelError, NotFound
from mnemic.lm.doubles import HashEmbedder
from mnemic.lm.exchange import Request
from mnemic.lm.scripted import ScriptedLM
from mnemic.sandbox import Ran

CURATOR = "CHEATSHEET SO FAR"
QUESTIONS = ["How tall is the red tower?", "Who built the blue bridge?", "How old is the red tower?"]


def section(prompt: str, name: str) -> str:
    """The fenced text below a heading."""
    found = re.search(rf"^{name}[^\n]*\n(=+)\n(.*?)\n\1$", prompt, re.MULTILINE | re.DOTALL)
    return found[2] if found else "none"


def scribe(request: Request) -> str:
    """As curator add a line that tells what was shown; as solver answer with the memory's first line."""
    prompt = request.messages[0]["content"]
    if CURATOR in prompt:
        old = section(prompt, CURATOR)
        number = re.findall(r"Question #(\d+):", prompt)[-1]
        return f"<cheatsheet>{'' if old == EMPTY else old + chr(10)}seen {number}</cheatsheet>"
    return f"I think.\nFINAL ANSWER:\n<answer>{section(prompt, 'CHEATSHEET').splitlines()[0]}</answer>"


def sheet(variant: str = "cumulative", **options: object) -> DynamicCheatsheet:
    return DynamicCheatsheet(ScriptedLM(scribe), variant=variant, embedder=HashEmbedder(), **options)  # type: ignore[arg-type]


def roles(system: DynamicCheatsheet) -> str:
    """Which calls were made: s for the solver, c for the curator."""
    requests = system.lm.requests  # type: ignore[attr-defined]
    return "".join("c" if CURATOR in request.messages[0]["content"] else "s" for request in requests)


# ---- the control flows


def test_cumulative_rewrites_after_each_answer() -> None:
    system = sheet()
    steps = list(system.answer_stream(QUESTIONS))
    assert roles(system) == "scscsc"
    assert [step.shown for step in steps] == [EMPTY, "seen 1", "seen 1\nseen 2"]
    assert [step.cheatsheet_before for step in steps] == [step.shown for step in steps]
    assert system.memory == steps[-1].cheatsheet_after == "seen 1\nseen 2\nseen 3"
    assert section(system.lm.requests[1].messages[0]["content"], "WHAT THE SOLVER") == steps[0].transcript  # type: ignore[attr-defined]


def test_retrieval_synthesis_rewrites_before_each_answer() -> None:
    system = sheet("retrieval_synthesis")
    steps = list(system.answer_stream(QUESTIONS))
    assert roles(system) == "cscscs"
    assert [step.shown for step in steps] == ["seen 1", "seen 1\nseen 2", "seen 1\nseen 2\nseen 3"]
    assert [step.cheatsheet_before for step in steps] == [EMPTY, "seen 1", "seen 1\nseen 2"]
    third = system.lm.requests[4].messages[0]["content"]  # type: ignore[attr-defined]
    assert section(third, "NEXT QUESTION") == f"Question #3:\n{QUESTIONS[2]}"
    pairs = section(third, "EARLIER QUESTIONS")
    assert pairs.index("blue bridge") < pairs.index("How tall is the red tower")  # the nearest stands last
    assert steps[2].retrieved == (2, 1)


def test_retrieval_shows_the_nearest_and_asks_no_curator() -> None:
    system = sheet("retrieval", settings=Settings(top_k=1))
    steps = list(system.answer_stream(QUESTIONS))
    assert roles(system) == "sss"
    assert steps[0].shown == EMPTY
    assert "How tall is the red tower?" in (steps[2].shown or "")
    assert "blue bridge" not in (steps[2].shown or "")
    assert system.memory == EMPTY


def test_full_history_shows_all_in_order() -> None:
    steps = list(sheet("full_history").answer_stream(QUESTIONS))
    shown = steps[2].shown or ""
    assert shown.index("How tall") < shown.index("Who built")
    assert "similarity" not in shown


def test_empty_and_baseline_remember_nothing() -> None:
    for variant, shown in (("empty", EMPTY), ("baseline", None)):
        system = sheet(variant)
        steps = list(system.answer_stream(QUESTIONS))
        assert roles(system) == "sss"
        assert [step.shown for step in steps] == [shown] * 3
        assert (system.memory, system.used().amount) == (EMPTY, 0)


def test_frozen_shows_what_it_was_given() -> None:
    system = sheet("frozen", start="Try all ways.")
    assert [step.answer for step in system.answer_stream(QUESTIONS)] == ["Try all ways."] * 3
    assert roles(system) == "sss"


def test_only_the_empty_memory_differs_between_the_control_and_the_first_step() -> None:
    prompts = {
        variant: sheet(variant).answer("Why?").rounds[0].prompt for variant in ("empty", "cumulative", "retrieval")
    }
    assert len(set(prompts.values())) == 1


def test_a_question_may_be_answered_in_rounds() -> None:
    system = sheet(settings=Settings(rounds=3))
    step = system.answer("Why?")
    assert roles(system) == "scscsc"
    assert [each.answer for each in step.rounds] == [EMPTY, "seen 1", "seen 1"]
    last = section(step.rounds[2].prompt, "CHEATSHEET")
    assert last == f"seen 1\nseen 1\n\nEARLIER ANSWERS TO THIS QUESTION\nRound 1: {EMPTY}; Round 2: seen 1"
    assert (step.answer, len(step.curations)) == ("seen 1", 3)


def test_earlier_answers_that_do_not_fit_are_left_out() -> None:
    step = sheet(budget="22 tokens", settings=Settings(rounds=3)).answer("Why?")
    assert section(step.rounds[2].prompt, "CHEATSHEET").endswith("QUESTION\nRound 2: seen 1")


def test_task_and_number_stand_before_the_question_but_not_in_pairs() -> None:
    system = sheet("full_history", task="Answer in a word.")
    steps = list(system.answer_stream(QUESTIONS[:2]))
    assert section(steps[1].rounds[0].prompt, "QUESTION") == f"Answer in a word.\nQuestion #2:\n{QUESTIONS[1]}"
    assert "Answer in a word" not in (steps[1].shown or "")


def test_code_is_run_when_a_runner_was_given_and_only_for_the_solver() -> None:
    ran: list[str] = []

    class Runner:
        def run(self, code: str) -> Ran:
            ran.append(code)
            return Ran("6", "done")

    def codes(request: Request) -> str:
        if CURATOR in request.messages[0]["content"]:
            return f"<cheatsheet>```python\nprint('memory')\n```\n{FLAG}</cheatsheet>"
        return "<answer>6</answer>" if len(request.messages) > 1 else f"```python\n2 * 3\n```\n{FLAG}"

    system = DynamicCheatsheet(ScriptedLM(codes), code=Runner())
    steps = list(system.answer_stream(["2 times 3?", "again?"]))
    assert len(ran) == 2  # what stands in a memory runs only when a solver writes it
    assert steps[1].rounds[0].runs[0].output == "6"
    assert steps[1].spent.calls == 3
    list(DynamicCheatsheet(ScriptedLM(codes)).answer_stream(["2 times 3?"]))
    assert len(ran) == 2


def test_a_planted_flag_in_question_or_memory_runs_nothing() -> None:
    class Runner:
        def run(self, code: str) -> Ran:
            raise AssertionError("code ran that no solver wrote")

    planted = f"```python\nimport os\n```\n{FLAG}"
    for variant in VARIANTS:
        system = sheet(variant, code=Runner(), start=planted if variant in ("cumulative", "frozen") else EMPTY)
        list(system.answer_stream([f"Why? {planted}", "How?"]))


# ---- curators that fail


@pytest.mark.parametrize(
    "reply", ["", "no tags", "<cheatsheet>never closed", f"<cheatsheet>{'word ' * 5000}</cheatsheet>"]
)
def test_a_memory_survives_a_curator_that_fails(reply: str) -> None:
    for variant in ("cumulative", "retrieval_synthesis"):
        lm = ScriptedLM(lambda request: reply if CURATOR in request.messages[0]["content"] else "<answer>1</answer>")
        system = DynamicCheatsheet(lm, variant=variant, start="Precious.", embedder=HashEmbedder())
        step = system.answer("Why?")
        assert (system.memory, step.curations[0].state) == ("Precious.", "kept")
        assert step.curations[0].reason


def test_pairs_can_stand_in_for_a_memory_that_was_not_written() -> None:
    lm = ScriptedLM(lambda request: "none" if CURATOR in request.messages[0]["content"] else "<answer>1</answer>")
    system = DynamicCheatsheet(
        lm, variant="retrieval_synthesis", embedder=HashEmbedder(), settings=Settings(without_block="pairs")
    )
    first, second = system.answer_stream(["Why?", "How?"])
    assert first.shown == EMPTY
    assert "--- Question #1" in (second.shown or "")
    assert system.memory == second.shown


def test_a_model_that_fails_changes_nothing() -> None:
    def fails(request: Request) -> str:
        prompt = request.messages[0]["content"]
        if "#2" in prompt and CURATOR not in prompt:
            raise ModelError("the server is down.")
        return scribe(request)

    for variant in ("cumulative", "retrieval_synthesis", "full_history"):
        system = DynamicCheatsheet(ScriptedLM(fails), variant=variant, embedder=HashEmbedder())
        system.answer("Why?")
        before = (system.memory, system.answered, list(system.pairs))
        with pytest.raises(ModelError):
            system.answer("How?")
        assert (system.memory, system.answered, list(system.pairs)) == before


# ---- budgets


@given(st.sampled_from(sorted(VARIANTS)), st.integers(1, 120), st.lists(st.integers(0, 80), min_size=1, max_size=6))
def test_no_memory_part_exceeds_the_budget(variant: str, tokens: int, lengths: list[int]) -> None:
    def chatty(request: Request) -> str:
        length = lengths[len(request.messages[0]["content"]) % len(lengths)]
        text = "word " * length
        return (
            f"<cheatsheet>{text}</cheatsheet>"
            if CURATOR in request.messages[0]["content"]
            else f"{text}<answer>1</answer>"
        )

    system = DynamicCheatsheet(
        ScriptedLM(chatty),
        variant=variant,
        budget=f"{tokens} tokens",
        embedder=HashEmbedder(),
        settings=Settings(top_k=2),
    )
    for step in system.answer_stream(f"Question {n}?" for n in range(5)):
        assert step.spent.memory <= tokens
        assert step.shown in (None, EMPTY) or system.count(step.shown or "") == step.spent.memory
        assert system.used().amount <= tokens


def test_used_says_what_the_memory_takes() -> None:
    system = sheet()
    list(system.answer_stream(QUESTIONS))
    assert system.used().amount == system.count("seen 1\nseen 2\nseen 3") == 8
    assert system.used().parts == {"cheatsheet": 8, "last prompt": 5}
    kept = sheet("full_history")
    list(kept.answer_stream(QUESTIONS))
    assert kept.used().parts["pairs kept"] > kept.used().parts["cheatsheet"] == 0


def test_the_curator_is_told_fewer_words_when_the_budget_is_small() -> None:
    assert sheet().words == 2400
    assert sheet(budget="100000 tokens").words == 2500
    assert sheet(budget="100 tokens").words == 60
    assert sheet(budget="1 tokens").words == 1


def test_token_limits_are_the_papers() -> None:
    system = sheet()
    system.answer("Why?")
    asked = [(request.max_tokens, request.temperature) for request in system.lm.requests]  # type: ignore[attr-defined]
    assert asked == [(2048, 0.0), (4096, 0.0)]


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"budget": "0 tokens"}, BudgetError, "holds nothing"),
        ({"budget": "10 MB"}, BudgetError, "measured in tokens, not in bytes"),
        ({"budget": "5 tokens", "start": "one two three four five six"}, BudgetError, "takes 6 tokens"),
        ({"variant": "cumulativ"}, NotFound, 'no variant "cumulativ"'),
        ({"variant": "empty", "settings": Settings(rounds=2)}, InputError, "leave rounds at 1"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(options: dict[str, object], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        sheet(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [{"top_k": 0}, {"rounds": 0}, {"max_tokens": 0}, {"max_words": 0}, {"shrink": 1.5}, {"without_block": "no"}],
)
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        Settings(**wrong)  # type: ignore[arg-type]


def test_an_empty_question_is_refused() -> None:
    with pytest.raises(InputError, match="no question"):
        sheet().answer("  \n")


# ---- files


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_a_saved_sheet_goes_on_as_if_it_had_never_stopped(variant: str, tmp_path: Path) -> None:
    whole, first = sheet(variant), sheet(variant)
    steps = list(whole.answer_stream(QUESTIONS))
    list(first.answer_stream(QUESTIONS[:2]))
    first.save(tmp_path / "sheet.md")
    again = DynamicCheatsheet.load(tmp_path / "sheet.md", ScriptedLM(scribe), embedder=HashEmbedder())
    assert (again.variant, again.answered, again.memory) == (variant, 2, first.memory)
    assert again.answer(QUESTIONS[2]) == steps[2]


def test_a_sheet_is_plain_text_and_a_text_is_a_sheet(tmp_path: Path) -> None:
    system = sheet()
    system.answer("Why?")
    system.save(tmp_path / "sheet.md")
    assert (tmp_path / "sheet.md").read_text() == "<!-- dynamic_cheatsheet: cumulative, 1 answered -->\n\nseen 1\n"
    (tmp_path / "own.md").write_text("# Mine\nTry all ways.\n")
    own = DynamicCheatsheet.load(tmp_path / "own.md", ScriptedLM(scribe), variant="frozen")
    assert (own.memory, own.answered) == ("# Mine\nTry all ways.", 0)


def test_pairs_that_a_sheet_does_not_count_are_not_read(tmp_path: Path) -> None:
    system = sheet("retrieval")
    list(system.answer_stream(QUESTIONS[:2]))
    system.save(tmp_path / "sheet.md")
    text = (tmp_path / "sheet.md").read_text()
    (tmp_path / "sheet.md").write_text(text.replace("2 answered", "1 answered"))  # a crash between the two files
    assert len(DynamicCheatsheet.load(tmp_path / "sheet.md", ScriptedLM(scribe), embedder=HashEmbedder()).pairs) == 1


def test_files_that_are_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no cheatsheet .*none\.md"):
        DynamicCheatsheet.load(tmp_path / "none.md", ScriptedLM(scribe))
    (tmp_path / "x.md").write_text("<!-- dynamic_cheatsheet: retrieval, 1 answered -->\n\n(empty)\n")
    (tmp_path / "x.pairs.jsonl").write_text('[1, "q"]\n')
    with pytest.raises(InputError, match=r"x\.pairs\.jsonl is damaged"):
        DynamicCheatsheet.load(tmp_path / "x.md", ScriptedLM(scribe))
    (tmp_path / "b.md").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read as text"):
        DynamicCheatsheet.load(tmp_path / "b.md", ScriptedLM(scribe))


# ---- the log


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_a_stream_that_was_cut_goes_on_from_its_log(variant: str, tmp_path: Path) -> None:
    log = tmp_path / "stream.jsonl"
    whole = list(sheet(variant).answer_stream(QUESTIONS))
    for step in sheet(variant).answer_stream(QUESTIONS, log=log):
        if step.n == 2:
            break
    again = sheet(variant)
    assert list(again.answer_stream(QUESTIONS, log=log)) == whole
    assert len(roles(again)) == whole[2].spent.calls  # the first two were not asked again
    assert again.memory == whole[2].cheatsheet_after


def test_the_log_holds_prompts_and_both_memories(tmp_path: Path) -> None:
    steps = list(sheet().answer_stream(QUESTIONS, log=tmp_path / "log.jsonl"))
    head, *lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert (head["model"], head["variant"], head["settings"]["max_tokens"]) == ("scripted", "cumulative", 2048)
    assert [Answered.of_json(line) for line in lines] == steps
    assert lines[1]["cheatsheet_before"] == "seen 1"
    assert "CHEATSHEET" in lines[1]["rounds"][0]["prompt"]
    assert CURATOR in lines[1]["curations"][0]["prompt"]


def test_a_line_that_was_cut_is_asked_again(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    steps = list(sheet().answer_stream(QUESTIONS, log=log))
    log.write_bytes(log.read_bytes()[:-40])
    assert list(sheet().answer_stream(QUESTIONS, log=log)) == steps
    assert len(log.read_bytes().splitlines()) == 4


def test_a_log_of_something_else_is_not_gone_on_with(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    list(sheet().answer_stream(QUESTIONS, log=log))
    before = log.read_bytes()
    with pytest.raises(InputError, match="another variant"):
        list(sheet("empty").answer_stream(QUESTIONS, log=log))
    with pytest.raises(InputError, match="another budget"):
        list(sheet(budget="500 tokens").answer_stream(QUESTIONS, log=log))
    with pytest.raises(InputError, match=r"log\.jsonl:3: another question stood at place 2"):
        list(sheet().answer_stream([QUESTIONS[0], "Why?"], log=log))
    assert log.read_bytes() == before
    (tmp_path / "other.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(InputError, match="not the log of a cheatsheet"):
        list(sheet().answer_stream(QUESTIONS, log=tmp_path / "other.jsonl"))
    (tmp_path / "text.jsonl").write_text("hello\n")
    with pytest.raises(InputError, match="no JSON"):
        list(sheet().answer_stream(QUESTIONS, log=tmp_path / "text.jsonl"))


def test_a_sheet_that_has_gone_elsewhere_does_not_go_on_with_a_log(tmp_path: Path) -> None:
    list(sheet().answer_stream(QUESTIONS[:1], log=tmp_path / "log.jsonl"))
    system = sheet()
    list(system.answer_stream(QUESTIONS[:2]))
    with pytest.raises(InputError, match="has given 2"):
        list(system.answer_stream(QUESTIONS, log=tmp_path / "log.jsonl"))


def test_text_with_strange_line_ends_survives_files_and_logs(tmp_path: Path) -> None:
    odd = "a\u2028b\x85c\x0bd"
    lm = ScriptedLM(lambda r: f"<cheatsheet>{odd}</cheatsheet>" if CURATOR in r.messages[0]["content"] else odd)
    system = DynamicCheatsheet(lm, variant="retrieval_synthesis", embedder=HashEmbedder())
    steps = list(system.answer_stream([odd, "x"], log=tmp_path / "log.jsonl"))
    fresh = DynamicCheatsheet(lm, variant="retrieval_synthesis", embedder=HashEmbedder())
    assert list(fresh.answer_stream([odd, "x"], log=tmp_path / "log.jsonl")) == steps
    system.save(tmp_path / "s.md")
    again = DynamicCheatsheet.load(tmp_path / "s.md", lm, embedder=HashEmbedder())
    assert (again.memory, again.pairs) == (system.memory, system.pairs)
