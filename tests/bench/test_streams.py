"""The stream protocol, the judges, the metrics by hand, and the actor that sees nothing but the prompt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnemic.bench import streams
from mnemic.bench.streams import intents
from mnemic.bench.streams.actor import Actor, family, scripted, things
from mnemic.bench.streams.evaluating import Report, Result, evaluate, gain_by_similarity, pearson, robustness
from mnemic.bench.streams.judging import call_accuracy, exact, judged, read_call
from mnemic.bench.streams.methods import TABLE, Cheatsheet, Embedded, open_agent, open_memory
from mnemic.bench.streams.reading import read
from mnemic.bench.streams.tasks import DOMAINS, Task, TaskStream, spread, stream
from mnemic.environment import Environment
from mnemic.errors import InputError, NotFound
from mnemic.lm.doubles import HashEmbedder
from mnemic.lm.exchange import Request
from mnemic.lm.scripted import ScriptedLM
from mnemic.meter import Budget, Used
from mnemic.record import Outcome
from mnemic.store.evo_memory import Attempt, Baseline, Brief, ExpRAG, Feedback, ReMem
from mnemic.store.evo_memory.attempts import Spent

QUIZ = Brief("Answer.")


def asked(*pairs: tuple[str, Any]) -> TaskStream:
    return TaskStream("quiz", tuple(Task(question, QUIZ, "quiz", len(question), gold=gold) for question, gold in pairs))


# The protocol.


class Watched:
    """An agent that writes down in which order it is called."""

    name = "watched"

    def __init__(self) -> None:
        self.calls: list[str] = []

    def play(self, world: Environment, brief: Brief) -> Attempt:
        raise AssertionError

    def answer(self, question: str, brief: Brief) -> Attempt:
        self.calls.append(f"answer {question}")
        return Attempt(question, answer="4", spent=Spent(1, 10, 2))

    def evolve(self, attempt: Attempt, feedback: Feedback) -> Outcome:
        self.calls.append(f"evolve {attempt.goal} {feedback.success}")
        return Outcome("unchanged")

    def used(self) -> Used:
        return Used(1, "bytes")


def test_it_is_judged_before_it_evolves_task_by_task() -> None:
    agent = Watched()
    report = evaluate(agent, asked(("a", "4"), ("b", "5")))
    assert agent.calls == ["answer a", "evolve a True", "answer b", "evolve b False"]
    assert (report.success, report.calls, report.tokens, report.completion_tokens) == (0.5, 2, 20, 4)


def test_no_right_answer_reaches_the_agent_or_its_memory() -> None:
    model = ScriptedLM(lambda request: "Answer: wrong")
    agent = ExpRAG(model, open_memory(HashEmbedder(), "all"))
    evaluate(agent, asked(*[(f"what is {n}", f"secret{n}") for n in range(5)]))
    assert not any("secret" in str(request.messages) for request in model.requests)
    assert not any("secret" in str(experience) for experience in agent.pool.all())


def test_a_task_sees_earlier_tasks_and_no_later_ones() -> None:
    model = ScriptedLM(lambda request: "Answer: yes")
    evaluate(
        ExpRAG(
            model,
            open_memory(
                HashEmbedder(),
                "all",
            ),
        ),
        asked(*[(f"is it {n}", "yes") for n in range(6)]),
    )
    for n, request in enumerate(model.requests):
        text = request.messages[-1]["content"]
        assert [f"Question: is it {k}" in text for k in range(n, 6)] == [False] * (6 - n)


def test_a_stream_without_tasks_is_refused() -> None:
    with pytest.raises(InputError, match="has no tasks"):
        evaluate(Watched(), TaskStream("empty", ()))


# Judges.


@pytest.mark.parametrize(
    ("answer", "gold", "same"),
    [("Card Arrival.", "card_arrival", True), ('"4"', "4", True), ("the 4", "4", False), ("", "4", False)],
)
def test_exact_match_by_hand(answer: str, gold: str, same: bool) -> None:
    assert exact(answer, gold) is same


GOLD = {"name": "book", "arguments": {"city": "Oslo", "nights": 2}}


@pytest.mark.parametrize(
    ("answer", "scores"),
    [
        ('{"name": "book", "arguments": {"city": "oslo", "nights": 2}}', (1.0, 1.0)),
        ("book(city='Oslo', nights=2)", (1.0, 1.0)),
        ("I would call book(city='Oslo', nights=3)", (1.0, 0.5)),
        ("book(city='Oslo', nights=2, floor=1)", (1.0, 2 / 3)),  # what is beyond counts as wrong
        ("book()", (1.0, 0.0)),
        ("cancel(city='Oslo', nights=2)", (0.0, 0.0)),
        ("none", (0.0, 0.0)),
        ("book('Oslo')", (0.0, 0.0)),
    ],
)
def test_calls_by_hand(answer: str, scores: tuple[float, float]) -> None:
    assert call_accuracy(answer, GOLD) == scores


def test_a_call_without_arguments_is_right_as_it_is() -> None:
    assert call_accuracy("list_all()", {"name": "list_all"}) == (1.0, 1.0)
    assert read_call("no call at all(") is None


def test_a_call_is_a_success_when_all_of_it_is_right() -> None:
    task = Task("book it", QUIZ, "api", gold=GOLD)
    right, half = (judged(task, Attempt("x", answer=f"book(city='Oslo', nights={n})")) for n in (2, 3))
    assert (right.feedback, right.arguments) == (Feedback(True, 1.0), 1.0)
    assert (half.feedback, half.api, half.arguments) == (Feedback(False, 0.75), 1.0, 0.5)


def test_a_question_needs_an_answer() -> None:
    with pytest.raises(InputError, match="neither a world nor a right answer"):
        judged(Task("x", QUIZ, "quiz"), Attempt("x"))


# Metrics.


def made(*successes: bool, steps: int = 20) -> Report:
    results = tuple(Result("f", won, float(won), 5 if won else steps, 4, 1, 3, 1, 100, 10) for won in successes)
    return Report("m", "s", results, Used(1, "bytes"))


def test_metrics_by_hand() -> None:
    report = made(True, False, False, True)
    assert report.curve() == [1.0, 0.5, pytest.approx(1 / 3), 0.5]
    assert (report.success, report.steps, report.after(2)) == (0.5, 12.5, 0.5)
    assert (report.prune_rate, report.read_rate) == (0.25, pytest.approx(2 / 3))
    assert report.api is None


def test_robustness_by_hand() -> None:
    assert robustness({"easy": made(True, False), "hard": made(True, True)}) == 0.5
    assert robustness({"easy": made(False)}) == 1.0


def test_spread_by_hand() -> None:
    # two unit vectors at a right angle: the centroid is at 45 degrees, the distance 1 - cos 45.
    vectors = {"a": [1.0, 0.0], "b": [0.0, 1.0]}
    assert spread(["a", "b"], lambda texts: np.array([vectors[t] for t in texts])) == pytest.approx(1 - 0.5**0.5)
    assert spread(["a", "a"], lambda texts: np.array([vectors[t] for t in texts])) == pytest.approx(0.0)


def test_alike_tasks_that_gain_more_correlate_positively() -> None:
    assert gain_by_similarity(gains=[0.3, 0.2, 0.0], spreads=[0.1, 0.2, 0.4]) == pytest.approx(1.0)
    assert pearson([1, 2, 3], [1, 1, 1]) == 0.0
    with pytest.raises(InputError, match="equal length"):
        pearson([1], [1])


# Streams.


def test_orders_keep_the_tasks() -> None:
    drawn = stream("household", 0, 20)
    goals = sorted(task.goal for task in drawn.tasks)
    for order in ("easy_to_hard", "hard_to_easy", "shuffled"):
        assert sorted(task.goal for task in drawn.ordered(order).tasks) == goals  # type: ignore[arg-type]
    hard = [task.difficulty for task in drawn.ordered("hard_to_easy").tasks]
    assert hard == sorted(hard, reverse=True)
    assert drawn.ordered("shuffled", seed=1) != drawn.ordered("shuffled", seed=2)
    with pytest.raises(InputError, match="no order"):
        drawn.ordered("sideways")  # type: ignore[arg-type]


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_stream_follows_from_its_seed(domain: str) -> None:
    goals, again, other = ([task.goal for task in stream(domain, seed, 15).tasks] for seed in (3, 3, 4))
    assert goals == again != other


@pytest.mark.parametrize("domain", DOMAINS)
def test_no_task_comes_twice(domain: str) -> None:
    tasks = stream(domain, 0, 120).tasks
    assert len({(task.goal, task.world().reset().text) for task in tasks if task.world}) == 120


@pytest.mark.parametrize("domain", [one for one in DOMAINS if one != "control"])
def test_about_half_of_a_stream_is_of_one_family(domain: str) -> None:
    families = [task.family for task in stream(domain, 0, 200).tasks]
    share = max(families.count(one) for one in set(families)) / 200
    assert 0.4 <= share <= 0.6


def test_the_control_is_the_least_alike() -> None:
    embed = HashEmbedder(256).embed
    far = {one: spread([task.goal for task in stream(one, 0, 60).tasks], embed) for one in DOMAINS}
    assert max(far, key=lambda one: far[one]) == "control"


def test_unknown_names_are_refused_with_those_there_are() -> None:
    with pytest.raises(NotFound, match="household, gripper, blocks, control"):
        stream("garden", 0)
    with pytest.raises(NotFound, match="ExpRAG; ReMem"):
        streams.run(methods=["exprag"])
    with pytest.raises(NotFound, match="ReAct"):
        open_agent("react", scripted(), HashEmbedder())


# The actor.


def test_the_actor_is_a_function_of_the_prompt() -> None:
    first, again = scripted(), scripted()
    task = stream("household", 1, 1).tasks[0]
    assert task.world is not None
    for model in (first, again):
        Baseline(model).play(task.world(), task.brief)
    assert [r.messages for r in first.requests] == [r.messages for r in again.requests]


def page(domain: str, replies: Callable[[Request], str]) -> str:
    """The last prompt of a ReMem agent in its third task, failures kept."""
    model = ScriptedLM(replies)
    agent = ReMem(model, open_memory(HashEmbedder(), "all"))
    evaluate(agent, stream(domain, 0, 3))
    return model.requests[-1].messages[-1]["content"]


def test_a_prompt_is_read_back() -> None:
    read_back = read(page("household", Actor(p=0.0)))  # keeps what a good pruner would take out
    assert read_back.may_prune
    assert read_back.goal == stream("household", 0, 3).tasks[-1].goal
    assert read_back.first.startswith("It is ")
    assert read_back.moves
    assert all(example.actions for example in read_back.examples)


@pytest.mark.parametrize(
    ("goal", "sort", "about"),
    [
        ("put two mugs in a safe", "put two", {"mug"}),
        ("put a hot apple in a cupboard", "heat", {"apple"}),
        ("put a mug in a safe", "put", {"mug"}),
        ("look at a book under a lamp", "look", {"book"}),
        ("bring two red balls to the den", "same", {"red"}),
        ("bring a red ball and a teal ball to the den", "pair", {"red", "teal"}),
        ("build a tower: the oak block on the tin block", "two", {"oak", "tin"}),
    ],
)
def test_goals_are_read(goal: str, sort: str, about: set[str]) -> None:
    assert (family(goal), things(goal)) == (sort, about)


def test_a_perfect_pruner_takes_out_failures_and_other_things() -> None:
    agent = ReMem(scripted(1.0), open_memory(HashEmbedder(), "all"))
    for task in stream("household", 0, 15).tasks:
        assert task.world is not None
        attempt = agent.play(task.world(), task.brief)
        kept = [found.experience for found in attempt.retrieved if found.id not in attempt.pruned]
        assert all(one.success and things(one.goal) & things(task.goal) for one in kept)
        gone = [found.experience for found in attempt.retrieved if found.id in attempt.pruned]
        assert not any(one.success and things(one.goal) & things(task.goal) for one in gone)
        agent.evolve(attempt, Feedback(attempt.score == 1.0, attempt.score))


def test_a_pruner_that_guesses_is_wrong_half_of_the_time() -> None:
    report = evaluate(ReMem(scripted(0.5), open_memory(HashEmbedder(), "all")), stream("blocks", 0, 40))
    assert 0.4 <= report.prune_rate <= 0.6


# Methods side by side.


@pytest.mark.parametrize("name", TABLE)
def test_every_method_plays_a_stream(name: str) -> None:
    agent = open_agent(name, scripted(), HashEmbedder())
    report = evaluate(agent, stream("gripper", 0, 3))
    assert len(report.results) == 3
    assert report.used.amount > 0


def test_rows_of_the_benchmark() -> None:
    rows = streams.run(limit=3, methods=["Baseline", "ReMem"], seed=1)
    assert [row["method"] for row in rows] == ["Baseline", "ReMem"]
    for row in rows:
        assert all(0 <= row[name] <= 1 for name in ("success", "progress", "easy first", "robust", "control"))
        assert row["tokens"] > 0
        assert row["bytes"] > 0


def test_the_budget_is_kept() -> None:
    budget = Budget(open_memory(HashEmbedder(), "all").used().amount + 30_000, "bytes")
    agent = open_agent("ExpRAG, failures too", scripted(), HashEmbedder(), budget=budget)
    assert evaluate(agent, stream("gripper", 0, 25)).used.amount <= budget.amount
    assert agent.memory is not None
    assert agent.memory.left()


def test_a_cheatsheet_takes_part_without_being_told_the_judgement() -> None:
    class Sheet:
        memory = "write numbers as words"
        asked: list[str] = []  # noqa: RUF012

        def answer(self, question: str) -> Any:
            self.asked.append(question)
            return type(
                "Answered", (), {"answer": "four", "spent": type("S", (), {"calls": 2, "read": 9, "written": 3})}
            )

    agent = Cheatsheet(Sheet())
    report = evaluate(agent, asked(("2 + 2", "four")))
    assert (report.success, report.calls, report.tokens, report.used.amount) == (1.0, 2, 9, 22)
    assert Sheet.asked == ["Answer.\n\n2 + 2"]
    with pytest.raises(InputError, match="stream without worlds"):
        evaluate(agent, stream("gripper", 0, 1))


def test_an_embedded_text_is_the_same_in_any_company() -> None:
    embedder = Embedded(HashEmbedder())
    together, alone = embedder.embed(["a", "b"])[1], embedder.embed(["b"])[0]
    assert (together == alone).all()
    assert embedder.embed([]).shape == (0, 64)


# Intents.

PAIRS = [(f"where is my {thing} {n}", thing) for thing in ("card", "money", "pin", "app") for n in range(10)]


def test_an_intent_stream_repeats_no_utterance_and_names_its_intents() -> None:
    drawn = intents.intent_stream([*PAIRS, *PAIRS], 0, intents=3, n=20)
    assert len({task.goal for task in drawn.tasks}) == 20
    assert {str(task.gold) for task in drawn.tasks} <= set(
        drawn.tasks[0].brief.instructions.split(": ")[1][:-1].split(", ")
    )
    with pytest.raises(InputError, match="30 different utterances of 3 intents"):
        intents.intent_stream(PAIRS, 0, intents=3, n=31)


def nearest(request: Request) -> str:
    """The answer of the first experience that is shown."""
    examples = read(request.messages[-1]["content"]).examples
    return f"Rationale: like an earlier one\nAnswer: {examples[0].answer if examples else 'unknown'}"


def test_feedback_alone_teaches_no_label_that_was_never_found() -> None:
    agent = ExpRAG(ScriptedLM(nearest), open_memory(HashEmbedder(), "success"))
    assert evaluate(agent, intents.intent_stream(PAIRS, 0, intents=3, n=20)).success == 0.0


def test_a_model_that_reads_its_experiences_learns_intents(data_path: Callable[..., Path]) -> None:
    data_path("banking77", "train")

    def knows_a_little(request: Request) -> str:
        said = read(request.messages[-1]["content"])
        if said.examples:
            return f"Answer: {said.examples[0].answer}"
        return f"Answer: {said.instructions.split(': ')[-1].split(', ')[len(said.goal) % 10].strip('.')}"

    baseline, rag = intents.compare(ScriptedLM(knows_a_little), methods=["Baseline", "ExpRAG"], n=60, cold=20)
    assert (baseline["format kept"], rag["format kept"]) == (1.0, 1.0)
    assert rag["accuracy after 20"] > baseline["accuracy after 20"]
    assert {"method", "accuracy", "tokens", "bytes"} <= rag.keys()
