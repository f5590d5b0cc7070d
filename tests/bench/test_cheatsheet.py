"""Scorers against answers a person can check, generated streams, recorded runs of the paper, the scripted student."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.bench import cheatsheet
from mnemic.bench.cheatsheet.comparing import Remembering, graded, outcome
from mnemic.bench.cheatsheet.replay import (
    CLAUDE,
    GPT,
    SCORERS,
    cells,
    followed,
    memories_follow,
    recorded,
    right,
    run_of,
)
from mnemic.bench.cheatsheet.reuse import ARMS, reuse
from mnemic.bench.cheatsheet.scorers import (
    balanced,
    blanks,
    makes_24,
    option,
    quadruple,
    same_number,
    same_option,
    value_of,
)
from mnemic.bench.cheatsheet.student import student
from mnemic.bench.cheatsheet.tasks import equations, games, mixed, solution, solution_24
from mnemic.errors import DataMissing, InputError, NotFound
from mnemic.lm.doubles import HashEmbedder
from mnemic.lm.exchange import estimate
from mnemic.lm.scripted import ScriptedLM
from mnemic.meter import Budget
from mnemic.sandbox import Ran, SandboxRunner

ROOM = Budget(1000, "tokens")

# ---- scorers


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("8 / (3 - 8 / 3)", 24),
        ("-3 + 4", 1),
        ("7 / 2", Fraction(7, 2)),
        ("1 / 0", None),
        ("2 ** 3", None),
        ("7 // 2", None),
        ("1.5 + 1", None),
        ("True + 1", None),
        ("__import__('os').system('x')", None),
        ("(lambda: 24)()", None),
        ("", None),
        ("(" * 250 + "1" + ")" * 250, None),
        ("9" * 400, None),
    ],
)
def test_arithmetic_is_read_and_nothing_else(expression: str, value: Fraction | None) -> None:
    assert value_of(expression) == value


@given(st.text(max_size=400))
def test_no_text_harms_a_scorer(text: str) -> None:
    assert balanced("1 ? 2 = 3", text) in (True, False)
    assert makes_24("1 2 3 4", text) in (True, False)
    assert same_option("A. x\nB. y", text, "(A)") in (True, False)
    assert same_number("q", text, "7") in (True, False)


@pytest.mark.parametrize(
    ("answer", "ok"),
    [
        ("14 + 16 = 30", True),
        ("14+16", True),
        ("14 + 16 = 31", True),  # the other side is not looked at, as in the paper's scorer
        ("1 + 416", False),  # with the spaces taken out it would pass for 14 and 16
        ("16 + 14", False),
        ("14 * 16", False),
        ("(14 + 16)", False),
        ("14 ++ 16", False),
        ("14 + 16 + 0", False),
        ("30", False),
        ("The answer is 14 + 16 = 30", False),
        ("", False),
    ],
)
def test_an_equation_uses_the_numbers_in_order(answer: str, ok: bool) -> None:
    assert balanced("14 ? 16 = 30", answer) is ok


def test_an_equation_has_normal_precedence_and_plain_signs() -> None:
    assert balanced("2 ? 3 ? 4 = 14", "2 + 3 * 4")
    assert not balanced("2 ? 3 ? 4 = 20", "2 + 3 * 4")
    assert balanced("9 ? 7 ? 21 = 27", "9 / 7 * 21")  # exact: 9/7 is no float here
    assert not balanced("2 ? 3 = 6", "2 × 3")


def test_the_last_equation_of_a_question_is_asked() -> None:
    assert blanks("For 1 ? 2 ? 3 = 6 say 1 + 2 + 3. Question #4:\n19 ? 8 ? 28 = -205") == ([19, 8, 28], -205)
    assert blanks("no equation") is None


@pytest.mark.parametrize(
    ("answer", "ok"),
    [
        ("(10 - 4) * (5 - 1) = 24", True),
        ("24 = (10 - 4) * (5 - 1)", True),
        ("(10 − 4) × (5 − 1)", True),
        ("[10 - 4] x (5 - 1)", True),
        ("24", False),
        ("10 + 4 + 5 + 5", False),
        ("(10 - 4) * 5 - 1", False),
        ("(10 - 4) * 4", False),
    ],
)
def test_24_is_made_of_each_number_once(answer: str, ok: bool) -> None:
    assert makes_24("Make 24: 1 4 5 10", answer) is ok


def test_a_value_just_beside_24_counts_within_a_thousandth() -> None:
    assert makes_24("72 3 1 1", "72 / 3 * 1 * 1")
    assert not makes_24("2401 100 1 1", "2401 / 100 * 1 * 1")


def test_four_numbers_are_found_at_the_end() -> None:
    assert quadruple("Make 24 from these numbers: 4 5 6 10") == [4, 5, 6, 10]
    assert quadruple("1 ? 2 = 3") is None


def test_a_number_is_compared_without_punctuation() -> None:
    assert same_number("q", ' "1,234."\n', "1234")
    assert not same_number("q", "the answer is 1234", "1234")
    assert not same_number("q", "", "1234")


OPTIONS = "Which?\nOptions:\n(A) the moon\n(B) the sun\n(C) 2.5 ft"


@pytest.mark.parametrize(
    ("answer", "ok"),
    [
        ("(B)", True), ("B", True), ("b.", True), ("B)", True), ("(B) the sun", True), ("Option B", True),
        ("The answer is (B).", True), ("It is the sun, I think", True),
        ("(A)", False), ("(A) the sun", False), ("Both moon and stars", False), ("", False),
    ],
)  # fmt: skip
def test_an_option_is_named_by_letter_or_by_its_text(answer: str, ok: bool) -> None:
    assert same_option(OPTIONS, answer, "(B)") is ok


def test_the_text_of_an_option_is_found() -> None:
    assert [option(OPTIONS, letter) for letter in "abcd"] == ["the moon", "the sun", "2.5 ft", ""]
    assert option("A. one\nB. two", "b") == "two"


# ---- streams


def test_generated_questions_have_a_right_answer_and_never_repeat() -> None:
    for items in (equations(80, 0), games(80, 0)):
        assert len({item.question for item in items}) == 80
        assert all(item.right(item.target) for item in items)
    assert equations(5, 1) == equations(80, 1)[:5]
    assert equations(5, 1) != equations(5, 2)


def test_equations_have_two_to_five_numbers_up_to_thirty() -> None:
    asked = [blanks(item.question) or ([], 0) for item in equations(200, 0)]
    assert {len(numbers) for numbers, _ in asked} == {2, 3, 4, 5}
    assert {min(min(numbers) for numbers, _ in asked), max(max(numbers) for numbers, _ in asked)} == {1, 30}
    divided = sum("/" in item.target for item in equations(200, 0))
    assert 5 < divided < 60  # 12 of 139 in the paper's set


def test_families_come_in_blocks_by_turns() -> None:
    kinds = ["24" if item.scorer is makes_24 else "=" for item in mixed(25, 0, block=10)]
    assert kinds == ["="] * 10 + ["24"] * 10 + ["="] * 5


@pytest.mark.parametrize("n", [0, 1001])
def test_a_stream_that_cannot_be_made_is_refused(n: int) -> None:
    with pytest.raises(InputError, match="ask for 1 to 1000"):
        mixed(n, 0)


def test_solutions_by_hand() -> None:
    assert solution([2, 3, 4], 14) == "2 + 3 * 4 = 14"
    assert solution([1, 1], 5) is None
    assert value_of(solution_24([3, 3, 8, 8]) or "") == 24
    assert solution_24([1, 1, 1, 1]) is None


# ---- the scripted student


class Exact:
    """A runner that needs no process."""

    def run(self, code: str) -> Ran:
        printed: list[str] = []
        exec(code, {"print": lambda *parts: printed.append(" ".join(map(str, parts)))})
        return Ran("\n".join(printed) or "(no output)", "done")


@pytest.fixture(scope="module")
def arms() -> dict[str, object]:
    items, code = mixed(60, 0, block=10), Remembering(Exact())
    names = {"baseline": "checks", "empty": "checks", "cumulative": "checks", "dropped": "drops the tag"}
    return {
        name: outcome(
            name, items, student(0, curator=curator), variant="cumulative" if name == "dropped" else name,  # type: ignore[arg-type]
            budget=ROOM, code=code, embedder=HashEmbedder(),
        )
        for name, curator in names.items()
    }  # fmt: skip


def test_a_solver_that_was_kept_is_used_from_then_on(arms: dict[str, object]) -> None:
    kept = arms["cumulative"]
    later = kept.right[kept.first_code + 20 :]  # type: ignore[attr-defined]
    assert sum(later) / len(later) > 0.95
    assert kept.accuracy > arms["empty"].accuracy + 0.3  # type: ignore[attr-defined]
    assert kept.used.parts["memory"] <= 1000  # type: ignore[attr-defined]


def test_a_dropped_tag_gives_what_no_memory_gives(arms: dict[str, object]) -> None:
    assert arms["dropped"].right == arms["empty"].right  # type: ignore[attr-defined]


def test_the_baseline_writes_no_code_and_shows_no_memory(arms: dict[str, object]) -> None:
    steps = arms["baseline"].steps  # type: ignore[attr-defined]
    assert not any(step.rounds[0].runs for step in steps)
    assert {step.shown for step in steps} == {None}


def test_no_target_reaches_the_model() -> None:
    items = equations(20, 0)
    lm = student(0)
    outcome("x", items, lm, variant="cumulative", budget=ROOM)
    for item in items:
        solved = item.target.split(" =")[0]
        first = next(r for r in lm.requests if item.question in r.messages[0]["content"])
        assert solved not in first.messages[0]["content"]


def test_the_student_keeps_nothing_between_calls(arms: dict[str, object]) -> None:
    lm = student(0)
    outcome("x", mixed(15, 0), lm, variant="cumulative", budget=ROOM, code=Exact())
    fresh = student(0)
    backwards = [fresh.function(request) for request in reversed(lm.requests)]
    assert backwards[::-1] == [lm.function(request) for request in lm.requests]


def test_a_curator_that_checks_keeps_no_solver_that_printed_nonsense() -> None:
    items = mixed(40, 3, block=4)
    for curator, sound in (("checks", True), ("unchecked", False)):
        lm = student(3, curator=curator)  # type: ignore[arg-type]
        arm = outcome("x", items, lm, variant="cumulative", budget=ROOM, code=Exact())
        memory = arm.steps[-1].cheatsheet_after
        assert ("result - 5" not in memory and ">= 20" not in memory) is sound


def test_equal_code_runs_once() -> None:
    runs: list[str] = []

    class Counting:
        def run(self, code: str) -> Ran:
            runs.append(code)
            return Ran(code, "done")

    runner = Remembering(Counting())
    assert [runner.run(code).output for code in ("a", "b", "a")] == ["a", "b", "a"]
    assert runs == ["a", "b"]


# ---- the benchmark


def test_every_method_is_a_row_at_one_budget() -> None:
    rows = cheatsheet.run(limit=12, budget=Budget(400, "tokens"))
    assert [row["method"] for row in rows] == list(cheatsheet.METHODS)
    for row in rows:
        assert row["model"] == "student-0"
        assert 0 <= row["accuracy"] <= 1
        assert row["memory_tokens"] <= 400
        assert row["tokens"] > 0
    assert [row["bytes"] > 0 for row in rows[:3]] == [False, False, True]
    assert rows[4]["accuracy"] > rows[1]["accuracy"]  # both kinds of question are understood and answered


def test_methods_are_chosen_and_unknown_ones_named() -> None:
    assert [row["method"] for row in cheatsheet.run(limit=2, methods=("empty",))] == ["empty"]
    with pytest.raises(NotFound, match='no method "none": there are baseline, empty'):
        cheatsheet.run(methods=("none",))


def test_a_model_is_told_how_to_answer() -> None:
    lm = ScriptedLM(lambda request: "<answer>1</answer>")
    reuse(equations(1, 0), lm, Exact(), budget=ROOM)
    assert all("Answer with the whole equation" in request.messages[0]["content"] for request in lm.requests)


def test_nothing_is_compared_on_no_questions() -> None:
    with pytest.raises(InputError, match="at least one"):
        graded([], [])


# ---- reuse


def test_the_fixed_memories_are_about_equally_long_and_differ_in_one_line() -> None:
    sizes = [estimate(ARMS[name]) for name in ("seeded", "placebo", "buggy")]
    assert max(sizes) < 1.15 * min(sizes)
    differs = [a != b for a, b in zip(ARMS["seeded"].splitlines(), ARMS["buggy"].splitlines(), strict=True)]
    assert sum(differs) == 2


@pytest.mark.parametrize(("name", "prints"), [("seeded", "2 + 3 * 4 = 14"), ("buggy", "(no output)")])
def test_the_seeded_solver_works_and_the_buggy_one_does_not(name: str, prints: str) -> None:
    code = ARMS[name].split("```python\n")[1].split("```")[0]
    code = code.replace("[4, 5, 2]", "[2, 3, 4]")
    assert SandboxRunner().run(code).output == prints


def test_a_model_that_copies_gains_from_the_seeded_memory_alone() -> None:
    def copies(request: object) -> str:
        messages = [message["content"] for message in request.messages]  # type: ignore[attr-defined]
        if len(messages) > 1:
            return f"<answer>{messages[-2].split('Output of the code:')[1].split('```')[1].strip()}</answer>"
        asked = blanks(messages[0])
        if "product(" not in messages[0] or asked is None:
            return "<answer>none</answer>"
        code = messages[0].split("```python\n")[1].split("```")[0]
        code = code.replace("[4, 5, 2]", str(asked[0])).replace("= 14 ", f"= {asked[1]} ")
        return f"```python\n{code}```\nEXECUTE CODE!"

    found = {arm.name: arm.accuracy for arm in reuse(equations(12, 0), ScriptedLM(copies), Exact(), budget=ROOM)}
    assert found["seeded"] == 1.0
    assert found["buggy"] < 1.0
    assert found["baseline"] == found["empty"] == found["placebo"] == 0.0


# ---- recorded runs


def line(n: int, before: str, after: str, answer: str = "7") -> str:
    step = {"generator_prompt": "p", "current_cheatsheet": before}
    return json.dumps(
        {
            "raw_input": f"q{n}", "input": f"Question #{n}:\nq{n}", "target": 7, "final_answer": answer,
            "steps": [step], "final_output": f"<answer>{answer}</answer>", "final_cheatsheet": after,
        }
    )  # fmt: skip


def test_a_recorded_run_is_scored_from_its_transcripts(tmp_path: Path) -> None:
    folder = tmp_path / "AIME_2024"
    folder.mkdir()
    rows = [line(1, "(empty)", "a b"), line(2, "a b", "a b c", "8"), line(3, "lost", "a")]
    (folder / f"{CLAUDE}_DynamicCheatsheet_Cumulative.jsonl").write_text("\n".join(rows) + "\n")
    found = run_of("AIME_2024", CLAUDE, "cumulative", tmp_path)
    assert right(found, same_number) == 2
    assert memories_follow(found) == 1  # of two places
    here = [cell for cell in cells(tmp_path) if cell.here]
    assert [(cell.variant, cell.right, cell.n, cell.same) for cell in here] == [("cumulative", 2, 3, False)]
    steps = followed(found, "cumulative")
    assert [step.cheatsheet_after for step in steps] == ["a b", "a b c", "a"]
    assert [step.curations[0].shrunk for step in steps] == [False, False, True]


def test_a_run_that_is_not_here_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match=r"no AIME_2025/gpt-4o_Baseline\.jsonl"):
        run_of("AIME_2025", GPT, "baseline", tmp_path)
    missing = next(iter(cells(tmp_path)))
    assert not missing.here
    with pytest.raises(DataMissing, match="not on this machine"):
        _ = missing.percent
    (tmp_path / "x.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match="no recorded run"):
        recorded(tmp_path / "x.jsonl")


PUBLISHED = {
    (CLAUDE, "baseline"): 7, (CLAUDE, "empty"): 11, (CLAUDE, "retrieval"): 13, (CLAUDE, "cumulative"): 15,
    (CLAUDE, "retrieval_synthesis"): 14, (GPT, "baseline"): 6, (GPT, "empty"): 11, (GPT, "retrieval"): 8,
    (GPT, "cumulative"): 11, (GPT, "retrieval_synthesis"): 12,
}  # fmt: skip


def test_the_papers_numbers_follow_from_its_transcripts(data_path: Callable[..., Path]) -> None:
    data_path("cheatsheet", f"AIME_2024/{CLAUDE}_Baseline")
    for (model, variant), count in PUBLISHED.items():
        rows = run_of("AIME_2024", model, variant)
        assert (right(rows, SCORERS["AIME_2024"]), len(rows)) == (count, 30)
    rows = run_of("MathEquationBalancer", CLAUDE, "retrieval_synthesis")
    assert (right(rows, balanced), len(rows)) == (136, 139)
    wrong = [n for n, row in enumerate(rows, 1) if not balanced(row.question, row.answer, row.target)]
    assert wrong == [2, 4, 131]  # question 6 is the first whose memory holds code
    here = [cell for cell in cells() if cell.here]
    assert len(here) >= 11
    assert all(cell.same for cell in here)


def test_recorded_memories_pass_through_our_control_flow(data_path: Callable[..., Path]) -> None:
    data_path("cheatsheet", f"AIME_2024/{CLAUDE}_Baseline")
    flagged = []
    for model in (CLAUDE, GPT):
        rows = run_of("AIME_2024", model, "cumulative")
        assert memories_follow(rows) == 29
        steps = followed(rows, "cumulative")
        assert [step.shown for step in steps] == [row.before for row in rows]
        assert all(a.cheatsheet_after == b.cheatsheet_before for a, b in pairwise(steps))
        flagged += [(model, step.n, step.curations[0].words) for step in steps if step.curations[0].shrunk]
    assert flagged == [(CLAUDE, 29, (689, 329))]
