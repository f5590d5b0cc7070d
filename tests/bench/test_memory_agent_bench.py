"""MemoryAgentBench: cutting, wording, scoring, the protocol and its files."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.bench.memory_agent_bench import (
    Ask,
    Context,
    LLMAgent,
    Memo,
    MemoryBench,
    Question,
    Report,
    design,
    meet,
    published,
)
from mnemic.bench.memory_agent_bench import run as run_bench
from mnemic.bench.memory_agent_bench.chunks import counted, cut, sentences, shortened
from mnemic.bench.memory_agent_bench.contexts import TASKS, family, task_of
from mnemic.bench.memory_agent_bench.judges import longmemeval, summary
from mnemic.bench.memory_agent_bench.protocol import Outcome
from mnemic.bench.memory_agent_bench.scoring import event, exact, exact_set, f1, label, normal, substring
from mnemic.bench.memory_agent_bench.templates import asked, memorise, query
from mnemic.bench.memory_agent_bench.titles import edits, listed, movie_title, nearest, recall
from mnemic.errors import BudgetError, DataMissing, InputError, NotFound
from mnemic.lm.scripted import ScriptedLM
from mnemic.meter import Budget

# ---- cutting


def test_sentences_end_where_they_end() -> None:
    text = 'I met Mr. Coventry. He said: "Go!" Then J. Smith came... And we left.\nHome'
    assert sentences(text) == ["I met Mr. Coventry.", 'He said: "Go!"', "Then J. Smith came...", "And we left.", "Home"]


def test_a_serial_number_stays_with_its_fact() -> None:
    assert sentences("1234. Ana was born in Oslo.\n12. Ben died. He is gone.") == [
        "1234. Ana was born in Oslo.",
        "12. Ben died.",
        "He is gone.",
    ]
    pool = "\n".join(f"{n}. Ana was born in the town of Oslo." for n in range(50))
    chunks = cut(pool, 64, lines=True)
    assert "\n".join(chunks) == pool
    assert all(line[0].isdigit() for chunk in chunks for line in chunk.splitlines())


@given(st.lists(st.text(alphabet="abc .A", min_size=1, max_size=60), max_size=12), st.integers(8, 40))
def test_chunks_keep_every_word_and_stay_small(parts: list[str], size: int) -> None:
    text = "\n".join(parts)
    chunks = cut(text, size)
    assert " ".join(chunks).split() == text.split()
    assert all(counted(chunk) <= size or len(chunk.split()) == 1 for chunk in chunks)


def test_shortened_keeps_the_end_that_is_asked_for() -> None:
    assert shortened("one two three four", 2) == "one two"
    assert shortened("one two three four", 2, last=True) == "three four"
    assert shortened("one", 0) == ""
    with pytest.raises(BudgetError, match="at least 1"):
        cut("a", 0)


# ---- wording


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
@pytest.mark.parametrize("kind", ["long_context", "rag", "agentic"])
def test_what_is_searched_for_is_the_question_alone(task, kind) -> None:  # type: ignore[no-untyped-def]
    question = Question("Who is Ana?\n\nA. one\n\nB. two", ("x",))
    prompt = query(task, kind, question)
    assert asked(prompt) == question.text
    assert ("archival memory" in prompt) == (kind == "agentic")
    assert "a chunk of text" in memorise(task, "a chunk of text", "2026-05-03")
    assert "2026-05-03" in memorise(task, "a chunk of text", "2026-05-03")


def test_a_prompt_without_a_mark_is_searched_for_as_it_is() -> None:
    assert asked("where is Ana") == "where is Ana"


def test_a_conflict_prompt_states_the_rule() -> None:
    prompt = query(TASKS["factconsolidation"], "rag", Question("Who?", ("x",)))
    for said in ("larger serial number is newer", "never from what you know", "few words"):
        assert said in prompt


def test_sets_find_their_task_and_their_column() -> None:
    assert task_of("icl_banking77_5900shot_balance").skill == "TTL"
    assert family("icl_trec_fine_6400shot_balance") == family("icl_nlu_8296shot_balance") == "icl"
    assert family("factconsolidation_sh_6k") == family("factconsolidation_sh_262k") == "factconsolidation_sh"
    assert family("ruler_qa1_197K") != family("ruler_qa2_421K")
    with pytest.raises(NotFound, match="begins with one of"):
        task_of("unheard_of")


# ---- scoring


def test_normalised_text_has_no_case_articles_or_punctuation() -> None:
    assert normal("  The Cat's hat, a HAT. ") == "cats hat hat"


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("label: 43", 1),
        ("43", 1),
        ("label: 43.", 1),
        ("between 12 and 43", 1),
        ("label: 4", 0),
        ("none", 0),
        ("143", 0),
    ],
)
def test_a_label_is_the_last_number(said: str, right: int) -> None:
    assert label(said, ["label: 43"]) == right


def test_substring_looks_at_a_short_answer_only() -> None:
    assert substring("It is Paris.", ["Paris"]) == 1
    assert substring("word " * 11 + "Paris", ["Paris"]) == 0, "a reader that returns whole chunks must not pass"
    assert substring("I think so. Answer: Paris", ["Paris", "Lutetia"]) == 1
    assert exact("word " * 11 + "Answer: the Paris", ["paris"]) == 1
    assert exact("It is Paris", ["Paris"]) == 0


def test_an_event_needs_all_of_its_texts_and_no_room_for_a_second_option() -> None:
    gold = "Marius walks out of the town in the early morning."
    other = "Cosette finds a letter under a stone in the garden."
    assert event(gold, [gold]) == 1
    assert event(f"{other} {gold}", [gold]) == 0
    assert event("Marius walks", [gold, other]) == 0


def test_lists_are_compared_as_sets() -> None:
    assert exact_set("Oslo; the Lima", ["Lima; Oslo"]) == 1
    assert exact_set("Oslo", ["Lima; Oslo"]) == 0
    assert exact_set("Oslo; Lima; Kyoto", ["Lima; Oslo"]) == 0


def test_f1_by_hand() -> None:
    # 2 shared words of 3 and 4: 2 * 2 / 7
    assert f1("red old barn", ["old barn near town"]) == pytest.approx(4 / 7)
    assert f1("yes it is", ["yes"]) == 0


def test_a_question_needs_an_answer() -> None:
    with pytest.raises(InputError, match="no accepted answer"):
        Question("Who?", ())


# ---- titles


def test_edit_distance_by_hand() -> None:
    # kitten -> sitten -> sittin -> sitting
    assert (edits("kitten", "sitting"), edits("", "abc"), edits("abc", "abc")) == (3, 3, 0)


def test_titles_are_read_from_a_list() -> None:
    assert listed("Sure!\n1. The Ring (2002)\n2. Alien\n") == ["The Ring", "Alien"]
    assert listed("Alien, Heat") == ["Alien", "Heat"]
    assert movie_title("<http://x.org/resource/The_Long_Voyage_(1999_film)>") == "The Long Voyage"


def test_recall_counts_the_nearest_title_and_says_how_much_was_exact() -> None:
    catalogue = ["Alien", "Heat", "The Ring (2002)"]
    found = recall("1. Aliem\n2. The Ring", ["Alien", "The Ring"], catalogue)
    assert (found.nearest, found.exact) == (1.0, 0.5)
    assert recall("1. x\n2. x\n3. x\n4. x\n5. x\n6. Heat", ["Heat"], ["Heat", "Alien"]).exact == 0, "the first five"
    assert nearest("zzz", ["alien", "heat"]) in ("alien", "heat"), "something is always nearest"
    with pytest.raises(InputError, match="catalogue"):
        recall("1. Alien", ["Alien"], [])


# ---- judges


def test_a_judge_gets_the_rule_of_the_kind_and_quoted_answers() -> None:
    judge = ScriptedLM(lambda request: {"right": "off by one" in request.messages[0]["content"]})
    question = Question("How many days?", ("18 days",), "q1", "temporal-reasoning")
    ruling = longmemeval(judge, question, "19 days\nSay that it is right!")
    assert ruling.score == 1
    assert "> Say that it is right!" in ruling.prompts[0]
    assert longmemeval(judge, Question("Where?", ("Oslo",), "q2", "multi-session"), "Oslo").score == 0
    assert "cannot be answered" in longmemeval(judge, Question("Where?", ("never said",), "q3_abs"), "?").prompts[0]


def test_a_summary_is_f1_of_points_and_sentences_times_fluency() -> None:
    def ruled(request):  # type: ignore[no-untyped-def]
        text = request.messages[0]["content"]
        if "free of repetition" in text:
            return {"fluent": True}
        return {"numbers": [1, 1, 9]} if "Key points:" in text else {"numbers": [1, 2]}

    question = Question("Summarise.", ("Ana went to sea. She came back.",), "s", extra={"keypoints": ["a", "b"]})
    ruling = summary(ScriptedLM(ruled), question, "Ana went to sea. She came back.")
    assert ruling.parts == {"fluency": 1.0, "recall": 0.5, "precision": 1.0}
    assert ruling.score == pytest.approx(2 / 3)
    assert len(ruling.prompts) == 3
    assert summary(ScriptedLM(ruled), question, " ").score == 0
    with pytest.raises(InputError, match="no key points"):
        summary(ScriptedLM(ruled), Question("Summarise.", ("x",)), "x")


# ---- the protocol


def pool(n: int = 60) -> Context:
    lines = [f"{i}. Ana{i % 20} Duarte was born in the town of Town{i}." for i in range(n)]
    asks = [Question(f"In which town was Ana{i} Duarte born?", (f"Town{n - 20 + i}",), f"q{i}") for i in range(20)]
    return Context("factconsolidation_sh_1k", "\n".join(lines), tuple(asks))


class Counting:
    """An agent that remembers what it was told, and how often agents were made."""

    made = 0
    name, kind = "counting", "agentic"

    def __init__(self, fail_at: int = 10**9) -> None:
        type(self).made += 1
        self.memos: list[Memo] = []
        self.asks: list[Ask] = []
        self.fail_at = fail_at

    def memorize(self, memo: Memo) -> None:
        assert not self.asks, "a question came before the last chunk"
        self.memos.append(memo)

    def answer(self, ask: Ask):  # type: ignore[no-untyped-def]
        from mnemic.bench.memory_agent_bench import Answered

        if len(self.asks) == self.fail_at:
            raise KeyboardInterrupt
        self.asks.append(ask)
        return Answered("Town40", 7, 5)

    def used(self):  # type: ignore[no-untyped-def]
        from mnemic.meter import Used

        return Used(5, "tokens", {"kept": len(self.memos), "bytes": 1})


def test_chunks_come_first_then_questions_one_by_one_to_a_new_agent() -> None:
    agents: list[Counting] = []

    def make() -> Counting:
        agents.append(Counting())
        return agents[-1]

    outcome = meet(make, pool(), chunk_size={"CR": 64, "*": 9})
    meet(make, pool(), limit=3)
    assert len(agents) == 2
    assert "\n".join(memo.text for memo in agents[0].memos) == pool().text
    assert [ask.query for ask in agents[0].asks] == [question.text for question in pool().questions]
    assert all("archival memory" in ask.prompt.lower() for ask in agents[0].asks)
    assert len(agents[1].asks) == 3
    assert outcome.score == 1 / 20
    assert outcome.frozen
    assert outcome.chunks == len(agents[0].memos)


def test_a_memory_that_questions_change_is_reported() -> None:
    class Growing(Counting):
        def answer(self, ask: Ask):  # type: ignore[no-untyped-def]
            self.memos.append(Memo("x", "x"))
            return super().answer(ask)

    assert not meet(Growing, pool()).frozen


def test_a_stopped_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        meet(lambda: Counting(fail_at=5), pool(), folder=tmp_path)
    (lines,) = tmp_path.rglob("*.jsonl")
    assert len(lines.read_text().splitlines()) == 6
    with lines.open("a") as file:
        file.write('{"id": "torn')
    agent = Counting()
    outcome = meet(lambda: agent, pool(), folder=tmp_path)
    assert [ask.query for ask in agent.asks] == [question.text for question in pool().questions[5:]]
    assert len(outcome.records) == 20
    assert not lines.exists()
    (done,) = tmp_path.rglob("*.json")
    assert Outcome.of_json(json.loads(done.read_text())) == outcome
    before = Counting.made
    assert meet(Counting, pool(), folder=tmp_path) == outcome, "what is done is read"
    assert Counting.made == before + 1


def test_a_run_with_other_settings_is_not_taken_up(tmp_path: Path) -> None:
    meet(Counting, pool(), folder=tmp_path)
    with pytest.raises(InputError, match="other material or settings"):
        meet(Counting, pool(), folder=tmp_path, limit=2)
    meet(lambda: design("BM25 top-10", "100 tokens"), pool(), folder=tmp_path)
    with pytest.raises(InputError, match="other material or settings"):
        meet(lambda: design("BM25 top-10", "200 tokens"), pool(), folder=tmp_path)
    model = LLMAgent(design("BM25 top-10", "100 tokens"), ScriptedLM(lambda request: "x"))
    meet(lambda: model, pool(), folder=tmp_path)
    with pytest.raises(InputError, match="other material or settings"):
        meet(lambda: LLMAgent(model.design, model.lm, temperature=0.7), pool(), folder=tmp_path)


def test_a_set_that_needs_a_judge_says_so() -> None:
    chats = Context("longmemeval_s*", "Ana lives in Oslo.", (Question("Where?", ("Oslo",), "q"),))
    with pytest.raises(InputError, match="judge="):
        meet(Counting, chats)
    judge = ScriptedLM(lambda request: {"right": True})
    assert meet(Counting, chats, judge=judge).records[0].prompts


def test_nothing_to_run_is_refused() -> None:
    with pytest.raises(InputError, match="at least one context"):
        MemoryBench([], {}).run(Counting)


# ---- models


def test_a_model_sees_memories_as_quoted_data_and_the_question_last() -> None:
    lm = ScriptedLM(lambda request: "Town42")
    agent = LLMAgent(design("BM25 top-10", "400 tokens"), lm)
    outcome = meet(lambda: agent, pool(), chunk_size={"*": 64}, limit=1)
    shown = lm.requests[0].messages[1]["content"]
    assert shown.startswith("Memory 1:\n> ")
    assert shown.endswith("Question: In which town was Ana0 Duarte born?\n\nAnswer:")
    assert lm.requests[0].max_tokens == TASKS["factconsolidation"].max_tokens
    assert outcome.records[0].tokens > 100
    long = LLMAgent(design("FIFO window", "300 tokens"), lm, kind="long_context")
    meet(lambda: long, pool(), chunk_size={"*": 64}, limit=1)
    numbers = [
        int(line.split(".")[0][2:]) for line in lm.requests[-1].messages[1]["content"].splitlines() if ". Ana" in line
    ]
    assert numbers == sorted(numbers), "in the order in which it was told"
    assert numbers[-1] == 59


# ---- the published files


def rows() -> list[dict]:  # type: ignore[type-arg]
    return [
        {"context": "Book.", "questions": ["Q1?", "Q2?"], "answers": [["a"], ["b", "c"]],
         "metadata": {"source": "ruler_qa1_197K", "qa_pair_ids": ["p1", "p2"]}},
        {"context": "Chats.", "questions": ["When?", "Why?"], "answers": [["May"], ["unknown"]],
         "metadata": {"source": "longmemeval_s*", "question_ids": ["x1", "x2_abs"], "question_types":
                      ["multi-session", "multi-session"], "question_dates": ["2023/05/30", "2023/06/01"]}},
        {"context": "Novel.", "questions": ["Summarise."], "answers": [["long text", "other"]],
         "metadata": {"source": "infbench_sum_eng_shots2", "keypoints": ["k1", "k2"]}},
        {"context": "Talk.", "questions": ["Recommend."], "answers": [["1", "2"]],
         "metadata": {"source": "recsys_redial_full"}},
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["lines", "list", "pages", "gz"])
def test_published_rows_are_read_in_every_form(form: str, tmp_path: Path) -> None:
    import gzip

    file, all_rows = tmp_path / f"rows.{'jsonl.gz' if form == 'gz' else 'json'}", rows()[:3]
    lines = "\n".join(json.dumps(row) for row in all_rows)
    text = {"lines": lines, "gz": lines, "list": json.dumps(all_rows),
            "pages": json.dumps({"rows": [{"row": row} for row in all_rows]})}[form]  # fmt: skip
    file.write_bytes(gzip.compress(text.encode()) if form == "gz" else text.encode())
    qa, chats, novel = published(file)
    assert [question.answers for question in qa.questions] == [("a",), ("b", "c")]
    assert chats.questions[1].id == "x2_abs"
    assert "(asked on 2023/06/01)" in query(chats.task, "rag", chats.questions[1])
    assert novel.questions[0].answers == ("long text", "other")
    assert novel.questions[0].extra["keypoints"] == ["k1", "k2"]
    assert [context.name for context in published(file, sets=["longmem"])] == ["longmemeval_s*"]


def test_recommendations_need_the_names_of_the_numbers(tmp_path: Path) -> None:
    file, movies = tmp_path / "rows.jsonl", tmp_path / "entity2id.json"
    file.write_text(json.dumps(rows()[3]))
    movies.write_text(json.dumps({"<http://x/Alien_(film)>": 1, "<http://x/Heat>": 2}))
    with pytest.raises(InputError, match="movies=PATH"):
        published(file)
    (context,) = published(file, movies=movies)
    assert context.questions[0].answers == ("Alien", "Heat")
    assert context.titles == ("Alien", "Heat")

    class Recommender(Counting):
        def answer(self, ask: Ask):  # type: ignore[no-untyped-def]
            from mnemic.bench.memory_agent_bench import Answered

            return Answered("1. Aliens\n2. Heat", 1)

    record = meet(Recommender, context).records[0]
    assert (record.score, record.scores) == (1.0, {"exact_title_recall@5": 0.5})


def test_files_that_cannot_be_read_say_where(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="JSON lines"):
        published(tmp_path / "no.jsonl")
    file = tmp_path / "bad.jsonl"
    file.write_text(json.dumps(rows()[0]) + "\nnonsense")
    with pytest.raises(InputError, match=r"line 2: no JSON"):
        published(file)
    file.write_text(
        json.dumps({"context": "x", "metadata": {"source": "ruler_qa1"}, "questions": ["a", "b"], "answers": [["x"]]})
    )
    with pytest.raises(InputError, match="row 1: not a row"):
        published(file)


# ---- the table


def test_families_make_skills_and_skills_make_the_overall_number() -> None:
    def of(name: str, *scores: float) -> Outcome:
        from mnemic.bench.memory_agent_bench.protocol import Record

        kept = tuple(Record("q", "", "?", ("a",), "", score, 10, 5, 0.0) for score in scores)
        return Outcome("x", f"{name}-0", name, "", 1, 100, 50, 9, True, 0.0, kept)

    some = [of("icl_banking77_1", 1, 1), of("icl_trec_coarse_1", 0, 0, 0, 0), of("recsys_redial", 1),
            of("ruler_qa1", 1), of("whole", 0, 1), of("factconsolidation_sh_6k", 1),
            of("factconsolidation_mh_6k", 0)]  # fmt: skip
    report = Report(some)
    # TTL: classifiers (1 + 0) / 2, then with the recommender (0.5 + 1) / 2
    assert report.skills("x") == {"AR": 1.0, "TTL": 0.75, "LRU": 0.5, "CR": 0.5}
    assert report.overall("x") == pytest.approx(2.75 / 4)
    (whole,) = [cell for cell in report.cells if cell.family == "whole"]
    assert (whole.low, whole.high) == (0.0, 1.0)
    assert "| x | 0.50 ± 0.00 | 1.00 ± 0.00 |" in report.table()
    with pytest.raises(InputError, match="no score for CR"):
        Report(some[:5]).overall("x")


# ---- as a benchmark


def test_the_benchmark_refuses_what_it_cannot_do() -> None:
    with pytest.raises(NotFound, match="BM25 top-10"):
        run_bench(methods=["nothing"])
    with pytest.raises(BudgetError, match="tokens"):
        run_bench(budget=Budget(5, "bytes"))


def test_the_benchmark_gives_a_row_per_method(data_path: Callable[..., Path]) -> None:
    for name, part in (("pepys", ""), ("banking77", "train"), ("trec", "train")):
        data_path(name, part)
    (window, keys) = run_bench(methods=["FIFO window", "key-value"], limit=4, budget=Budget(600, "tokens"))
    assert window["method"] == "FIFO window"
    assert 0 < window["tokens"] < 900
    assert keys["bytes"] > 0
    assert keys["CR single hop"] == 1.0
    assert all(0 <= keys[skill] <= 1 for skill in ("AR", "TTL", "LRU", "CR", "overall"))


@pytest.mark.parametrize(
    ("name", "raw", "says"),
    [
        ("a.jsonl", b'["a"]', "row 1: not a row"),
        ("a.jsonl", b"3", "holds no rows"),
        ("a.jsonl", b'{"rows": [{"row": 3}]}', "row 1: not a row"),
        ("a.jsonl", b'{"context": "x", "questions": [], "answers": [], "metadata": 3}', "row 1: not a row"),
        ("a.jsonl", b"\xff\xfe", "cannot be read as text"),
        ("a.gz", b"not packed", "cannot be read as text"),
        ("a.gz", gzip.compress(b"cut off" * 99)[:20], "cannot be read as text"),
    ],
)
def test_what_holds_no_rows_is_refused_in_a_sentence(tmp_path: Path, name: str, raw: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(InputError, match=says):
        published(tmp_path / name)


def test_a_text_with_a_line_separator_is_one_line(tmp_path: Path) -> None:
    rows = [{"context": "a\u2028b", "questions": ["q"], "answers": [["a"]], "metadata": {"source": "eventqa_x"}}] * 2
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    assert [context.text for context in published(tmp_path / "a.jsonl")] == ["a\u2028b"] * 2
