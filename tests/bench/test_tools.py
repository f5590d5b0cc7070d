"""The benchmark of API calls: the paper's table from its recorded predictions, and local arms at one budget."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mnemic.bench import _tools_recorded as recorded
from mnemic.bench import tools
from mnemic.bench._tools_replay import Words, forgetting
from mnemic.errors import NotFound
from mnemic.lm.doubles import HashEmbedder
from mnemic.meter import Budget

DataPath = Callable[..., Path]


def test_the_papers_table_comes_out_of_the_recorded_predictions(data_path: DataPath) -> None:
    data_path("tools", "llama-7Bf")
    assert recorded.furthest() == 0.0
    assert recorded.percent(recorded.scored(recorded.load("llama-7Bf_ICL"))) == (58.3, 86.7, 41.7)
    assert recorded.absent() == ["gpt35", "gpt35_ICL", "gpt4", "gpt4_ICL"]


def test_the_continual_table_comes_out_batch_by_batch(data_path: DataPath) -> None:
    data_path("tools", "CL_round_0")
    assert [len(batch) for batch in recorded.batches()] == [12, 13, 12, 13]
    assert recorded.first_batch(True) == (80.6, 76.1, 70.6, 65.0)
    assert recorded.first_batch(False) == (80.6, 1.7, 0.0, 0.0)


def test_raw_replies_read_by_our_parser_agree_with_the_recorded_verdicts(data_path: DataPath) -> None:
    data_path("tools", "llama-7Bf_FT")
    judged = recorded.judged_apis()
    assert len(judged) == 19
    again = recorded.reread(recorded.load("llama-7Bf_FT"), judged)
    assert (again.same_form, again.same_api) == (1.0, 1.0)
    assert again.same_args > 0.97  # of 458: 10 equal the right call and are refused, 1 does not and is taken


def test_scores_are_over_all_requests_by_hand() -> None:
    rows = {"a": [{"no_call": 1, "err": 0}, {"no_call": 0, "err": 1},
                  {"no_call": 0, "err": 0, "api_match": 1, "args_correct": 1}],
            "b": [{"no_call": 0, "err": 0, "api_match": 0}]}  # fmt: skip
    assert recorded.percent(recorded.scored(rows)) == (50.0, 50.0, 25.0)
    assert recorded.percent(recorded.scored(rows, ["b"])) == (100.0, 0.0, 0.0)


def small(arms: tuple[str, ...], seed: int = 0) -> list[tools.Outcome]:
    size = tools.Size(episodes=1, slots=3, asked=4, target=6, apis=("weather", "tip"))
    return tools.study(size, seed, arms, budget=Budget(200, "tokens"), embedder=HashEmbedder(256))


def test_every_arm_makes_the_same_trials_at_the_same_budget() -> None:
    outcomes = small(tuple(tools.ARMS))
    assert {one.trials for one in outcomes[1:]} == {6}
    assert all(one.used.parts["demonstrations"] <= 200 for one in outcomes)
    assert outcomes[0].used.parts["demonstrations"] == 0
    assert {one.used.parts["descriptions"] for one in outcomes} == {outcomes[0].used.parts["descriptions"]}


def test_the_same_seed_gives_the_same_outcome() -> None:
    assert [one.report for one in small((tools.STE,))] == [one.report for one in small((tools.STE,))]


def test_without_feedback_of_its_own_an_api_teaches_nothing() -> None:
    tool = tools.tool_set()["tip"]
    assert tools.swapped(tool, {"bill": 10, "share": 10}) != tool.run({"bill": 10, "share": 10})


def test_an_embedder_that_remembers_gives_the_same_vectors() -> None:
    known, plain = tools.Known(HashEmbedder()), HashEmbedder()
    texts = ["a b", "c", "a b"]
    assert np.array_equal(known.embed(texts), plain.embed(texts))
    assert np.array_equal(known.embed(texts), plain.embed(texts))
    assert known.embed([]).shape == (0, 64)


def test_an_unknown_method_names_those_there_are() -> None:
    with pytest.raises(NotFound, match="there are documentation, random"):
        tools.run(methods=["magic"])


def test_rows_have_tokens_bytes_and_qualities(data_path: DataPath) -> None:
    data_path("tools", "mistral_FT")
    rows = tools.run(limit=1, methods=["documentation", "mistral_FT"])
    assert [row["method"] for row in rows] == ["documentation", "mistral_FT"]
    assert rows[1]["correct"] == pytest.approx(0.768)
    for row in rows:
        assert {"tokens", "bytes", "correct", "api_match", "wellformed"} <= set(row)
        assert all(0 <= row[name] <= 1 for name in ("correct", "api_match", "wellformed"))


def test_a_classifier_learns_its_pairs_and_forgets_them_without_replay() -> None:
    first = [(f"red car {n}", "a") for n in range(4)] + [(f"blue car {n}", "b") for n in range(4)]
    second = [(f"green boat {n}", "c") for n in range(4)]
    model = Words([*first, *second], seed=0)
    model.train(first)
    assert model.share(first) == 1.0
    model.train(second)
    assert model.share(second) == 1.0
    kept = model.share(first)
    model.train([*first, *second])
    assert model.share(first) == 1.0 >= kept


def test_slopes_are_those_of_the_loss() -> None:
    model = Words([("red car", "a"), ("blue boat", "b")], seed=1)
    x, y = model._words([("red car", "a"), ("blue boat", "b")]), np.eye(2)

    def loss() -> float:
        scores = model._scores(x)[1]
        return float(np.mean(np.log(np.exp(scores).sum(1)) - (scores * y).sum(1)))

    slopes = model._slopes(x, y)
    for place, at in ((0, (0, 0)), (1, (3,)), (2, (5, 1)), (3, (0,))):
        before = loss()
        model.weights[place][at] += 1e-6
        assert (loss() - before) / 1e-6 == pytest.approx(slopes[place][at], abs=1e-4)
        model.weights[place][at] -= 1e-6


def test_replay_keeps_what_is_lost_without_it(data_path: DataPath) -> None:
    data_path("tools", "test")
    with_replay, without = forgetting(0, replayed=0.1), forgetting(0, replayed=0.0)
    assert without.first[-1] <= 0.1 < with_replay.first[-1] - 0.2
