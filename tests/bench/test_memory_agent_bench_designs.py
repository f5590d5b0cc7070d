"""Generated contexts, readers and memory designs of MemoryAgentBench."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic.bench.memory_agent_bench import Ask, Context, Memo, Question, Remembering, design, meet
from mnemic.bench.memory_agent_bench.bm25 import BM25
from mnemic.bench.memory_agent_bench.chunks import counted
from mnemic.bench.memory_agent_bench.conflicts import (
    CHAINED,
    factconsolidation,
    follow,
    multi_hop,
    nested,
    pool,
    single_hop,
)
from mnemic.bench.memory_agent_bench.contexts import TASKS
from mnemic.bench.memory_agent_bench.designs import DESIGNS, Design, vectored
from mnemic.bench.memory_agent_bench.diary import inserted, whole
from mnemic.bench.memory_agent_bench.examples import banking77, example, read_example, stream
from mnemic.bench.memory_agent_bench.finders import Remembered
from mnemic.bench.memory_agent_bench.names import named
from mnemic.bench.memory_agent_bench.readers import count, find, read, vote
from mnemic.bench.memory_agent_bench.relations import DIARY, POOL, everything, mquake, schema, serial, typed
from mnemic.bench.memory_agent_bench.stores import Extract, Slots, Window
from mnemic.errors import BudgetError, InputError, MissingExtra, NotFound
from mnemic.lm.doubles import HashEmbedder
from mnemic.meter import Budget

# ---- what is told and how it is read


@pytest.mark.parametrize("relation", [*POOL, *DIARY], ids=lambda relation: relation.id)
def test_every_form_and_question_is_read_back(relation) -> None:  # type: ignore[no-untyped-def]
    for form in range(len(relation.forms)):
        (fact,) = everything().facts(f"7. {relation.state('Ana Duarte', 'Blue Anchor', form)}")
        assert (fact.subject, fact.relation, fact.object, fact.serial) == ("Ana Duarte", relation.id, "Blue Anchor", 7)
    assert everything().question(relation.question.format(s="Ana Duarte")) == ("Ana Duarte", (relation.id,))


@given(st.lists(st.sampled_from(POOL), min_size=2, max_size=4))
def test_every_path_is_read_back(path) -> None:  # type: ignore[no-untyped-def]
    text = nested("Ana Duarte", path)
    assert everything().question(text) == ("Ana Duarte", tuple(relation.id for relation in path))


def test_mquake_gives_the_same_relations_in_its_own_words(data_path: Callable[..., Path]) -> None:
    data_path("mquake", "cloze")
    relations = mquake()
    assert len(relations) == 44
    known = typed(relations)
    assert {relation.id for relation in known} <= {relation.id for relation in POOL}
    assert len(known) >= 18
    context, _ = factconsolidation(3000, 0, questions=20, relations=known)
    outcome = meet(lambda: design("key-value", "600 tokens"), context, chunk_size={"*": 128})
    assert outcome.score == 1.0


def test_a_fixed_schema_knows_the_first_wording_only() -> None:
    horse = DIARY[0]
    assert schema().facts(horse.state("Ana Duarte", "Brave Bess", 0))
    assert not schema().facts(horse.state("Ana Duarte", "Brave Bess", 1))


# ---- conflicts


def told(facts) -> dict[tuple[str, str], list[str]]:  # type: ignore[no-untyped-def]
    """What the lines say, in order: by the reader, not by the generator."""
    found: dict[tuple[str, str], list[str]] = {}
    for line in facts.lines:
        (fact,) = everything().facts(line)
        found.setdefault((fact.subject, fact.relation), []).append(fact.object)
    return found


@settings(max_examples=10)
@given(st.integers(0, 10_000))
def test_newer_versions_come_later_and_differ(seed: int) -> None:
    facts = pool(3000, seed, edits=(1, 3))
    assert {key: tuple(objects) for key, objects in told(facts).items()} == dict(facts.versions)
    assert all(len(set(versions)) == len(versions) for versions in facts.versions.values())
    assert 0.25 < sum(len(v) > 1 for v in facts.versions.values()) / len(facts.versions) < 0.75
    assert max(len(v) for v in facts.versions.values()) == 4
    assert [serial(line) for line in facts.lines] == list(range(1, len(facts.lines) + 1))
    assert 2400 < counted("\n".join(facts.lines)) <= 3300


@settings(max_examples=5)
@given(st.integers(0, 10_000))
def test_answers_follow_from_all_edits(seed: int) -> None:
    facts = pool(4000, seed)
    for question in single_hop(facts, 20, seed):
        asked = everything().question(question.text)
        assert asked is not None
        versions = facts.versions[asked[0], asked[1][0]]
        assert len(versions) > 1
        assert question.answers == (versions[-1],)
    for question in multi_hop(facts, 20, seed, hops=(2, 4)):
        asked = everything().question(question.text)
        assert asked is not None
        assert question.answers == (follow(*asked, facts.newest),)
        assert follow(*asked, facts.oldest) != question.answers[0], "what was true first leads elsewhere"


def test_lengths_of_paths_are_balanced() -> None:
    _, several = factconsolidation(16_000, 0, questions=30, relations=CHAINED)
    kinds = [question.kind for question in several.questions]
    assert [kinds.count(f"{n} hops") for n in (2, 3, 4)] == [10, 10, 10]


def test_the_same_seed_gives_the_same_pool_and_another_one_another() -> None:
    assert factconsolidation(2000, 3) == factconsolidation(2000, 3)
    assert factconsolidation(2000, 3) != factconsolidation(2000, 4)
    assert factconsolidation(6000, 0)[1].name == "factconsolidation_mh_6k"


def test_old_and_new_share_every_word_but_the_object() -> None:
    facts = pool(2000, 0, shared=True)
    for (subject, relation), versions in facts.versions.items():
        lines = {facts.relations[relation].state(subject, v).replace(v, "") for v in versions}
        assert len(lines) == 1


def test_impossible_pools_are_refused() -> None:
    with pytest.raises(InputError, match="share above 0"):
        pool(1000, 0, rewritten=0)
    with pytest.raises(InputError, match="from 2 on"):
        multi_hop(pool(1000, 0), 5, 0, hops=(1, 2))
    with pytest.raises(InputError, match="no names"):
        named("planet", 3, random.Random(0))


# ---- the diary and the stream

FILLER = [f"I went abroad upon the {n} of the month and dined well." for n in range(400)]


def test_inserted_facts_are_there_and_not_unique_by_a_word() -> None:
    context = inserted(0, 1, questions=30, filler=FILLER)
    said = " ".join(context.text.splitlines())
    for question in context.questions:
        who = everything().question(question.text)[0]  # type: ignore[index]
        assert question.answers[0] in said
        assert all(said.count(word) > said.count(who) for word in who.split()), "each name's words stand elsewhere too"
    assert all(sentence in said for sentence in FILLER)


def test_whole_diary_answers_are_what_a_count_says() -> None:
    context = whole(0, 2, questions=100, filler=FILLER)
    assert {question.kind for question in context.questions} == {"count", "set", "last", "most"}
    right = [
        count(question.text, lambda _: context.text.splitlines()) in question.answers for question in context.questions
    ]
    assert all(right)


def test_streams_are_balanced_numbered_and_hold_no_question(data_path: Callable[..., Path]) -> None:
    data_path("banking77", "train")
    train, test = banking77()
    context = stream("banking77", train, test, 0, shots=20, questions=50)
    rows = [read_example(line) for line in context.text.splitlines()]
    assert len(rows) == 77 * 20
    numbers = [row[1] for row in rows if row]
    assert all(numbers.count(number) == 20 for number in set(numbers))
    assert set(numbers) == {str(n) for n in range(77)}
    assert not {q.text.lower() for q in context.questions} & {row[0].lower() for row in rows if row}
    other = stream("banking77", train, test, 1, shots=20, questions=50)
    assert sorted(row[0] for row in rows if row) == sorted(read_example(line)[0] for line in other.text.splitlines())  # type: ignore[index]
    with pytest.raises(InputError, match="at least one"):
        stream("banking77", train, test, 0, shots=0)


# ---- readers


def test_bm25_by_hand() -> None:
    # one rare word beats one common word; a text without any word of the query is not found
    ranker = BM25(["ana cat", "ana dog", "ben bird"])
    assert ranker.top("Ana's dogs", 3) == [1, 0]
    # n = 3, holds = 1: ln(1 + 2.5 / 1.5); texts of mean length, one occurrence: times 1
    assert ranker.scores("dog")[1] == pytest.approx(0.98083, abs=1e-4)
    assert BM25([]).top("x", 3) == []


def test_the_nearest_examples_vote() -> None:
    lines = [example("my card is lost", 4), example("lost my card today", 4), example("exchange rate of today", 9)]
    assert vote("I lost a card", lambda _: lines) == "label: 4"
    assert vote("I lost a card", lambda _: []) == ""
    assert vote("zzz", lambda _: lines) == "label: 4", "nothing is near: the first of what was handed over"


def test_the_first_statement_in_the_order_handed_over_is_taken() -> None:
    old, new = "1. Ana Duarte was born in the town of Oslo.", "2. Ana Duarte was born in the town of Lima."
    question = "In which town was Ana Duarte born?"
    assert find(question, lambda _: [old, new]) == "Oslo"
    assert find(question, lambda _: [new, old]) == "Lima"
    assert find(question, lambda _: ["3. Ben Costa was born in the town of Bergen."]) == ""
    assert find("How are you?", lambda _: [old]) == ""


def test_a_longer_question_is_asked_hop_by_hop() -> None:
    queries: list[str] = []

    def recall(query: str) -> list[str]:
        queries.append(query)
        return ["Blue Book was written by Ana Duarte.", "Ana Duarte was born in the town of Oslo."]

    assert find("Who or what is the birthplace of the writer of Blue Book?", recall) == "Oslo"
    assert queries == [
        "Who or what is the birthplace of the writer of Blue Book?",
        "In which town was Ana Duarte born?",
    ]


def test_no_reader_no_answer() -> None:
    with pytest.raises(InputError, match="LLMAgent"):
        read(TASKS["eventqa"], "What next?", lambda _: [])


# ---- designs


def test_a_window_keeps_the_newest_tokens() -> None:
    window = Window(Budget(8, "tokens"))
    for text in ("one two three", "four five six", "seven eight nine"):
        window.add(text)
    assert window.units() == ["two three", "four five six", "seven eight nine"]
    lines = Window(Budget(9, "tokens"))
    lines.add("1. Ana sang\n2. Ben ran")
    lines.add("3. Eve slept")
    assert lines.units() == ["2. Ben ran", "3. Eve slept"], "a fact is kept whole or not at all"


def test_an_extract_keeps_one_sentence_in_so_many_tokens() -> None:
    extract = Extract(Budget(1, "tokens"), of=12)
    extract.add("The ship sailed. The ship sank. It rained all day. A dog barked. A dog slept.")
    assert extract.units() == ["The ship sailed.", "A dog barked."]


def test_slots_keep_the_newest_value_of_each_key() -> None:
    slots = Slots(Budget(1, "tokens"))
    slots.add("1. Ana Duarte was born in the town of Oslo.\nIt rained.\n2. Ana Duarte was born in the town of Lima.")
    slots.add(example("my card", 3) + "\n" + example("your card", 3))
    assert slots.units() == ["2. Ana Duarte was born in the town of Lima.", example("your card", 3)]


CONFLICT = Context(
    "factconsolidation_mh_1k",
    "\n".join(
        [
            "1. Blue Book was written by Ana Duarte.",
            "2. Ana Duarte was born in the town of Oslo.",
            *(f"{n}. Eve{n} Lind was born in the town of Town{n}." for n in range(3, 60)),
            "60. Ana Duarte was born in the town of Lima.",
        ]
    ),
    (
        Question("In which town was Ana Duarte born?", ("Lima",), "sh"),
        Question("Who or what is the birthplace of the writer of Blue Book?", ("Lima",), "mh"),
    ),
)


@pytest.mark.parametrize(
    ("name", "scores"),
    [("FIFO window", [1, 0]), ("BM25 + max serial", [1, 0]), ("BM25 per hop + max serial", [1, 1]),
     ("key-value", [1, 0]), ("full-history learner", [0, 0])],
)  # fmt: skip
def test_what_each_design_makes_of_a_conflict(name: str, scores: list[int]) -> None:
    outcome = meet(lambda: design(name, "120 tokens"), CONFLICT, chunk_size={"*": 24})
    assert [record.score for record in outcome.records] == scores
    assert outcome.frozen


def test_the_order_decides_and_nothing_else() -> None:
    for order, town in (("newest", "Lima"), ("oldest", "Oslo")):
        one = Design("200 tokens", order=order)  # type: ignore[arg-type]
        one.memorize(Memo(CONFLICT.text, ""))
        for line in CONFLICT.text.splitlines():
            one.memorize(Memo(line, ""))
        assert one.answer(Ask(TASKS["factconsolidation"], "p", CONFLICT.questions[0].text)).text == town


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([name for name in DESIGNS if "embedding" not in name]), st.integers(1, 60), st.integers(1, 40))
def test_no_look_shows_more_than_the_budget(name: str, budget: int, size: int) -> None:
    one = design(name, Budget(budget, "tokens"))
    for n in range(0, 60, size):
        one.memorize(Memo("\n".join(CONFLICT.text.splitlines()[n : n + size]), ""))
    shown = one.look("In which town was Ana Duarte born?")
    assert sum(counted(text) for text in shown) <= budget
    assert one.used().amount <= budget


def test_per_hop_looks_are_all_paid_for() -> None:
    once, per_hop = (
        meet(lambda name=name: design(name, "120 tokens"), CONFLICT, chunk_size={"*": 24}).records[1].tokens
        for name in ("BM25 + max serial", "BM25 per hop + max serial")
    )
    assert per_hop > 1.5 * once


@pytest.mark.parametrize("name", [name for name in DESIGNS if "embedding" not in name])
def test_a_saved_design_answers_the_same(name: str, tmp_path: Path) -> None:
    one = design(name, "150 tokens")
    for line in CONFLICT.text.splitlines():
        one.memorize(Memo(line, ""))
    before = [one.look(question.text) for question in CONFLICT.questions]
    one.save(tmp_path / "d.json")
    again = design(name, "150 tokens").load(tmp_path / "d.json")
    assert [again.look(question.text) for question in CONFLICT.questions] == before
    other = "key-value" if name != "key-value" else "extract"
    with pytest.raises(InputError, match="was saved by"):
        design(other, "150 tokens").load(tmp_path / "d.json")


def test_vectors_find_the_nearest_sentence_and_are_made_once() -> None:
    class Counted(HashEmbedder):
        texts = 0

        def embed(self, texts):  # type: ignore[no-untyped-def]
            self.texts += len(texts)
            return super().embed(texts)

    embedder = Counted(256)
    shared = Remembered(embedder)
    for _ in range(2):
        one = vectored(shared)(Budget(100, "tokens"))
        one.memorize(Memo("It rained. Ana lost a card.", ""))
        one.memorize(Memo("Ben went out. He sang.", ""))
        assert one.look("a lost card of Ana")[0] == "It rained. Ana lost a card."
    assert embedder.texts == 5, "four sentences and one question"


def test_a_learner_classifies_and_tallies(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    lines = [
        example(f"{word} number {n}", label) for n in range(8) for label, word in enumerate(("card lost", "rate today"))
    ]
    told = "On day 1 Ana Duarte lodged at Old Oslo. On day 3 Ana Duarte lodged at New Lima."
    one = design("full-history learner", "60 tokens")
    for text in ("\n".join(lines), told):
        one.memorize(Memo(text, ""))
    assert one.answer(Ask(TASKS["icl"], "p", "my card is lost")).text == "label: 0"
    assert one.answer(Ask(TASKS["whole"], "p", "On how many days is Ana Duarte named?")).text == "2"
    assert one.answer(Ask(TASKS["whole"], "p", "At which place did Ana Duarte lodge last?")).text == "New Lima"
    import builtins

    real = builtins.__import__

    def without(name: str, *args, **options):  # type: ignore[no-untyped-def]
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    bare = design("full-history learner", "60 tokens")
    bare.memorize(Memo("\n".join(lines), ""))
    with pytest.raises(MissingExtra, match=r"mnemic\[bench\]"):
        bare.look("my card")


def test_wrong_designs_and_budgets_are_refused() -> None:
    with pytest.raises(NotFound, match="FIFO window"):
        design("nothing", "5 tokens")
    with pytest.raises(BudgetError, match="tokens"):
        design("BM25 top-10", "5 kB")


# ---- mnemic's own memories


@pytest.mark.parametrize("retriever", ["hybrid", "dense", "lexical"])
def test_a_memory_is_an_agent(retriever: str, tmp_path: Path) -> None:
    def make() -> Remembering:
        return Remembering("120 tokens", retriever=retriever, embedder=HashEmbedder(), order="newest", per_hop=True)

    outcome = meet(make, CONFLICT, chunk_size={"*": 24})
    assert outcome.frozen
    assert outcome.bytes > 1000
    assert outcome.kept == sum(counted(chunk) for chunk in _chunks())
    assert outcome.records[0].score == 1
    one = make()
    for chunk in _chunks():
        one.memorize(Memo(chunk, ""))
    before = one.look(CONFLICT.questions[0].text)
    one.save(tmp_path / "m.jsonl")
    assert make().load(tmp_path / "m.jsonl").look(CONFLICT.questions[0].text) == before


def _chunks() -> list[str]:
    from mnemic.bench.memory_agent_bench.chunks import cut

    return cut(CONFLICT.text, 24, lines=True)


def test_a_writer_that_reads_sees_what_it_wrote_before() -> None:
    from mnemic.commit import state_of_chunk
    from mnemic.record import Chunk, Operation
    from mnemic.seams import View

    seen: list[int] = []

    class Looking:
        name = "looking"

        def observe(self, chunk: Chunk, view: View) -> list[Operation]:
            seen.append(len(list(view.records())))
            return [Operation("insert", "", after=state_of_chunk(chunk))]

    one = Remembering("100 tokens", writer=Looking(), retriever="lexical", embedder=HashEmbedder())
    for text in ("a b", "c d", "e f"):
        one.memorize(Memo(text, ""))
    one.look("a")
    assert seen == [0, 1, 2]
