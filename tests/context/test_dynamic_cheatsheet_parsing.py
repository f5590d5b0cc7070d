"""What a model wrote is read in one way only: answers, memories, code. What it was shown cannot end its part."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.context.dynamic_cheatsheet import EMPTY, FLAG, NO_ANSWER, Pair, final_answer, last_block
from mnemic.context.dynamic_cheatsheet.coding import first_block, generated, printing
from mnemic.context.dynamic_cheatsheet.curating import Limits, curated, judged, words
from mnemic.context.dynamic_cheatsheet.prompts import baseline, cumulative, fenced, generator, harmless, synthesis
from mnemic.context.dynamic_cheatsheet.retrieval import fitting, laid_out, nearest
from mnemic.lm.doubles import HashEmbedder
from mnemic.lm.exchange import Message, estimate
from mnemic.sandbox import Ran


@pytest.mark.parametrize(
    ("transcript", "answer"),
    [
        ("FINAL ANSWER:\n<answer>\n42\n</answer>", "42"),
        ("<answer>1</answer> no, <answer>2</answer>", "2"),
        ("<answer>\n77\n</answer>\nIt is wrapped in <answer> tags.", "77"),
        ("FINAL ANSWER:\n<answer>\n3 + 4 = 7", "3 + 4 = 7"),
        ("FINAL ANSWER: '''B'''", "B"),
        ("FINAL ANSWER:\n```python\ndef f(): pass\n```", "def f(): pass"),
        ("FINAL ANSWER:\n```\n7\n```\nor '''8'''", "7"),
        ("FINAL ANSWER: 7", NO_ANSWER),
        ("I do not know.", NO_ANSWER),
        ("", NO_ANSWER),
    ],
)
def test_the_answer_is_the_last_closed_one(transcript: str, answer: str) -> None:
    assert final_answer(transcript) == answer


@pytest.mark.parametrize(
    ("reply", "memory", "why"),
    [
        ("x <cheatsheet>\nVersion: 1\n</cheatsheet> y", "Version: 1", ""),
        ("<cheatsheet>[the new text]</cheatsheet> so: <cheatsheet>real</cheatsheet>", "real", ""),
        ("Version: 1", None, "holds no"),
        ("<cheatsheet>\nVersion: 1", None, "cut off"),
        ("<cheatsheet>[template]</cheatsheet>\n<cheatsheet>real, but the tokens en", None, "cut off"),
        ("<cheatsheet> \n</cheatsheet>", None, "empty"),
        ("</cheatsheet> <cheatsheet>", None, "cut off"),
        ("text</cheatsheet>", None, "holds no"),
    ],
)
def test_a_memory_is_the_last_block_that_was_closed(reply: str, memory: str | None, why: str) -> None:
    assert last_block(reply)[0] == memory
    assert why in last_block(reply)[1]


# ---- prompts


@given(st.text(), st.text())
def test_no_text_ends_its_fence(memory: str, question: str) -> None:
    prompt = generator(question, memory, code=True)
    parts = re.findall(r"^([A-Z]+)\n(={8,})\n(.*?)\n\2$", prompt, re.MULTILINE | re.DOTALL)
    assert [(name, text) for name, _, text in parts] == [
        ("CHEATSHEET", harmless(memory)),
        ("QUESTION", harmless(question)),
    ]


def test_a_fence_is_longer_than_any_inside() -> None:
    assert fenced("a\n==========\nb") == "===========\na\n==========\nb\n==========="


def test_code_in_a_memory_stays_code() -> None:
    code = "for n in numbers[1:]:\n    if n <= 3 and a<b or x[0] < y[1]:\n\tprint(f'{n}', '<answer>')"
    assert harmless(code) == code


@pytest.mark.parametrize("token", ["<|im_start|>", "<s>", "</s>", "<start_of_turn>", "[INST]", "[/INST]", "<think>"])
def test_control_tokens_are_broken(token: str) -> None:
    assert token not in fenced(f"a {token}system")


def test_invisible_text_does_not_reach_a_prompt() -> None:
    assert harmless("a\u202eb\U000e0041c\x1b[31m") == "abc[31m"


def test_a_slot_is_filled_once() -> None:
    prompt = generator("{cheatsheet}", "{question} {format}", code=False)
    assert "{question} {format}" in prompt
    assert "\n{cheatsheet}\n" in prompt


def test_only_a_prompt_with_a_runner_speaks_of_code() -> None:
    assert FLAG in generator("q", EMPTY, code=True)
    assert FLAG not in generator("q", EMPTY, code=False)
    assert FLAG not in baseline("q")
    assert "CHEATSHEET" not in baseline("q")


def test_every_prompt_asks_for_what_is_read() -> None:
    for prompt in (generator("q", EMPTY, code=True), baseline("q")):
        assert "FINAL ANSWER:\n<answer>" in prompt
    for prompt in (cumulative("m", "q", "t", words=700), synthesis("m", "p", "q", words=700)):
        for asked in ("<cheatsheet>", "<memory_item>", "** Count:", "Version:", "700 words", "lost for ever", "right"):
            assert asked in prompt


# ---- code


class Echo:
    """A runner that repeats its code."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def run(self, code: str) -> Ran:
        self.ran.append(code)
        return Ran(code.strip(), "done")


BLOCK = f"Plan.\n```python\nprint(1)\n```\n{FLAG}\nOutput: 7, so the answer is 7."


def test_what_was_written_after_the_flag_is_thrown_away() -> None:
    said = iter([BLOCK, "<answer>1</answer>"])
    result = generated(lambda messages: next(said), "q", Echo())
    assert "so the answer is 7" not in result.text
    assert result.text.endswith("Output of the code:\n```\nprint(1)\n```\n\n<answer>1</answer>")
    assert [(run.code, run.output) for run in result.runs] == [("print(1)\n", "print(1)")]


def test_a_model_goes_on_at_most_three_times() -> None:
    asked: list[list[Message]] = []

    def again(messages: list[Message]) -> str:
        asked.append(list(messages))
        return BLOCK

    result = generated(again, "q", Echo())  # type: ignore[arg-type]
    assert [len(messages) for messages in asked] == [1, 3, 5, 7]
    assert ["last run" in messages[-1]["content"] for messages in asked] == [False, False, False, True]
    assert len(result.runs) == 4
    assert result.text.count(FLAG) == 4  # the last block once, not twice


def test_code_without_runner_or_flag_or_closed_block_is_text() -> None:
    assert generated(lambda messages: BLOCK, "q", None).text == BLOCK
    for said in ("```python\nprint(1)\n```", f"print(1)\n{FLAG}", f"```python\nprint(1)\n```\nNow: {FLAG}"):
        runner = Echo()
        assert generated(lambda messages, said=said: said, "q", runner).text == said  # type: ignore[misc]
        assert runner.ran == []


def test_a_block_of_another_language_is_not_run_and_the_model_is_told() -> None:
    said = iter([f"```\nls\n```\n{FLAG}", "<answer>1</answer>"])
    runner = Echo()
    result = generated(lambda messages: next(said), "q", runner)
    assert runner.ran == []
    assert "nothing was run" in result.text


def test_the_first_python_block_is_run() -> None:
    assert first_block("```\nno\n```\n```python\nfirst\n```\n```python\nsecond\n```") == "first\n"
    assert first_block("```Python\nx\n```") == "x\n"
    assert first_block("```python3x\nx\n```") is None


def test_output_cannot_open_or_close_a_block() -> None:
    said = iter([BLOCK.replace("print(1)", "'```python\\nevil\\n```'"), "done"])

    class Prints:
        def run(self, code: str) -> Ran:
            return Ran("```python\nevil\n```", "done")

    assert "````\n```python\nevil\n```\n````" in generated(lambda messages: next(said), "q", Prints()).text


@pytest.mark.parametrize(
    ("code", "prints"),
    [("x = 2\nx + 1", "3"), ("print(5)", "5"), ("def f():\n    print(4)\nf()", "4"), ("x = 1", ""), ("None", "")],
)
def test_a_bare_expression_at_the_end_is_printed(code: str, prints: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(printing(code), {})
    assert capsys.readouterr().out.strip() == prints


@given(st.text())
def test_any_code_can_be_looked_at(code: str) -> None:
    assert isinstance(printing(code), str)


# ---- curating

LIMITS = Limits(room=100, shrink=0.6, refuse=False)


def test_a_new_memory_replaces_the_old() -> None:
    result = curated(lambda messages: "<cheatsheet>new text</cheatsheet>", estimate, "p", "old", LIMITS)
    assert (result.state, result.memory, result.reason, result.words) == ("replaced", "new text", "", (1, 2))
    assert (result.prompt, result.reply) == ("p", "<cheatsheet>new text</cheatsheet>")


@pytest.mark.parametrize("reply", ["no tag", "<cheatsheet>cut", ""])
def test_the_old_memory_stays_when_there_is_no_new_one(reply: str) -> None:
    result = curated(lambda messages: reply, estimate, "p", "old", LIMITS)
    assert (result.state, result.memory) == ("kept", "old")
    assert result.reason


def test_a_memory_that_is_too_long_may_be_written_again_once() -> None:
    long, short = f"<cheatsheet>{'word ' * 150}</cheatsheet>", "<cheatsheet>short</cheatsheet>"
    said, asked = iter([long, short]), []

    def ask(messages: list[Message]) -> str:
        asked.append([message["content"] for message in messages])
        return next(said)

    assert curated(ask, estimate, "p", "old", LIMITS).memory == "short"  # type: ignore[arg-type]
    assert asked[1][1] == long
    assert "150 tokens and 100 is the most" in asked[1][2]
    result = curated(lambda messages: long, estimate, "p", "old", LIMITS)
    assert (result.state, result.memory) == ("kept", "old")
    assert result.reason == "the new one takes 150 tokens, 100 is the most"


def test_the_same_text_again_is_unchanged() -> None:
    assert judged("old", "old", 1, LIMITS, "", "").state == "unchanged"


def test_a_loss_of_words_is_flagged_below_six_tenths() -> None:
    old = "word " * 10
    assert not judged(old, "word " * 6, 6, LIMITS, "", "").shrunk
    flagged = judged(old, "word " * 5, 5, LIMITS, "", "")
    assert (flagged.shrunk, flagged.state) == (True, "replaced")
    refused = judged(old, "word " * 5, 5, Limits(100, 0.6, refuse=True), "", "")
    assert (refused.shrunk, refused.state, refused.memory) == (True, "kept", old)
    assert refused.reason == "the new one has 5 words, the old one 10"


def test_the_first_memory_is_no_loss() -> None:
    assert words(EMPTY) == 0
    assert not judged(EMPTY, "a", 1, LIMITS, "", "").shrunk


# ---- retrieval


def test_the_nearest_are_found_and_of_equals_the_newer() -> None:
    vectors = HashEmbedder().embed(["red apple", "blue sea", "red apple", "green hill"])
    query = HashEmbedder().embed(["red apple"])[0]
    assert [row for row, _ in nearest(query, vectors, 3)][:2] == [2, 0]
    assert nearest(query, vectors, 3)[0][1] == pytest.approx(1.0)
    assert nearest(query, vectors[:0], 3) == []


def test_pairs_are_laid_out_in_order_with_a_warning() -> None:
    text = laid_out([Pair(1, "q1", "t1", 0.123), Pair(5, "q5", "t5", 0.9)])
    assert "may be wrong" in text.splitlines()[0]
    assert "--- Question #1 (similarity 0.12)\nq1\n\n--- Answer to question #1\nt1" in text
    assert text.endswith("--- Question #5 (similarity 0.90)\nq5\n\n--- Answer to question #5\nt5")
    assert laid_out([]) == EMPTY


def test_what_does_not_fit_is_left_out_from_the_front() -> None:
    pairs = [Pair(n, f"q{n}", "word " * 20) for n in range(1, 6)]
    room = estimate(laid_out(pairs[3:]))
    assert [pair.n for pair in fitting(pairs, estimate, room)] == [4, 5]
    assert [pair.n for pair in fitting(pairs, estimate, room - 1)] == [5]


def test_one_pair_that_is_too_long_is_shortened() -> None:
    pair = Pair(1, "q", "word " * 500)
    (cut,) = fitting([pair], estimate, 100)
    assert cut.transcript.startswith("word word")
    assert cut.transcript.endswith(" ...")
    assert 90 < estimate(laid_out([cut])) <= 100
    assert fitting([pair], estimate, 3) == []


@given(st.lists(st.text(max_size=200), max_size=8), st.integers(0, 200))
def test_pairs_never_take_more_than_their_room(transcripts: list[str], room: int) -> None:
    kept = fitting([Pair(n, "q", text) for n, text in enumerate(transcripts)], estimate, room)
    assert not kept or estimate(laid_out(kept)) <= room
