"""The graph of near vectors: right whatever its age, its owner or its state; close to exact; gone when asked."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic import Memory
from mnemic.errors import InputError, StoreError
from mnemic.filter import Filter
from mnemic.lm.doubles import HashEmbedder
from mnemic.recall import approximate
from mnemic.recall.graph import Graph, building, keys_of
from mnemic.recall.hybrid import Hybrid, Question
from mnemic.recall.store_corpus import StoreCorpus

SMALL = "boat harbour tea wedding king moved dog cat river walk ship house rain music letter train".split()


class Clustered:
    """Texts end with a number, which names a vector; the vectors lie in 40 clusters."""

    name, dimensions, window = "clustered", 48, 8

    def __init__(self) -> None:
        chance = np.random.default_rng(3)
        centres = chance.standard_normal((40, self.dimensions))
        vectors = centres[chance.integers(0, 40, 5000)] + 0.7 * chance.standard_normal((5000, self.dimensions))
        self.vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    def embed(self, texts: Sequence[str]) -> Any:
        return self.vectors[[int(text.split()[-1]) for text in texts]]

    def windows(self, text: str) -> list[tuple[int, int]]:
        return [(0, len(text))]

    def count(self, text: str) -> int:
        return 1


def made(corpus: StoreCorpus) -> Path:
    """Build what there is to build; returns the graph's file."""
    for _ in corpus.index():
        pass
    file = corpus._approximate.file
    assert file is not None
    return file


def scores_of(corpus: StoreCorpus, vector: Any, k: int, mask: Any = None) -> list[float]:
    """What `nearest` finds."""
    rows = corpus.nearest(vector, k, mask)
    assert len(set(rows.tolist())) == len(rows)
    assert (corpus.alive if mask is None else mask)[rows].all()
    return corpus.dense(vector)[rows].tolist()  # type: ignore[no-any-return]


def exact(corpus: StoreCorpus, vector: Any, k: int, mask: Any = None) -> list[float]:
    """The k best scores, by looking at every row."""
    return sorted(corpus.dense(vector)[corpus.alive if mask is None else mask].tolist(), reverse=True)[:k]


@pytest.fixture
def at_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph is wanted by the smallest space and asked whenever there is one; it looks far enough to be exact."""
    for name, value in {"FROM": 1, "_PRICE": 0, "_LEAST": 10_000}.items():
        monkeypatch.setattr(approximate, name, value)


@pytest.fixture(scope="module")
def large() -> Iterator[Memory]:
    """4,000 clustered vectors with a graph, which are 'large' here; a tenth of the sources is 'rare'."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(approximate, "FROM", 1000)
        patch.setattr(approximate, "_PRICE", 2)
        with Memory(Path(folder) / "life.db", embedder=Clustered(), retriever="dense") as memory:
            memory.add_many({"text": str(i), "source": "rare" if i % 10 == 0 else f"s{i % 2}"} for i in range(4000))
            made(memory.corpus)
            yield memory


@pytest.fixture
def open_memory(tmp_path: Path) -> Iterator[Callable[..., Memory]]:
    opened: list[Memory] = []

    def open_one(name: str = "life.db", **options: Any) -> Memory:
        memory = Memory(tmp_path / name, **{"embedder": HashEmbedder(64), "retriever": "dense", **options})
        opened.append(memory)
        return memory

    yield open_one
    for memory in opened:
        memory.close()


@pytest.fixture
def filled(open_memory: Callable[..., Memory], at_any_size: None) -> Memory:
    """60 records with a graph."""
    memory = open_memory()
    memory.add_many(f"{SMALL[i % 16]} {SMALL[i * 7 % 11]} {i}" for i in range(60))
    assert made(memory.corpus).exists()
    assert memory.corpus.indexed
    return memory


# ---- how close to exact


@pytest.mark.parametrize("where", [None, {"source": "s*"}, {"source": "s0"}, {"source": "rare"}], ids=str)
def test_recall_at_10_is_at_least_95_percent(large: Memory, where: Any) -> None:
    corpus = large.corpus
    mask = corpus.alive if where is None else corpus.mask(Filter.of(where))
    assert corpus.indexed
    found = []
    for vector in Clustered().vectors[4000:4100]:
        wanted = exact(corpus, vector, 10, mask)
        got = scores_of(corpus, vector, 10, mask)
        assert len(got) == 10
        found.append(len(set(got) & set(wanted)) / 10)
    assert np.mean(found) >= 0.95


def test_the_graph_is_what_answers(large: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither without a filter nor with one that lets half pass is every vector looked at."""
    corpus = large.corpus
    monkeypatch.setattr(StoreCorpus, "_compared", lambda *_: pytest.fail("every vector was looked at"))
    for mask in (None, corpus.mask(Filter.of({"source": "s0"}))):
        assert len(corpus.nearest(Clustered().vectors[4000], 10, mask)) == 10


def test_few_that_pass_are_compared_exactly(large: Memory) -> None:
    corpus, vector = large.corpus, Clustered().vectors[4001]
    mask = np.zeros(corpus.size, np.bool_)
    mask[[5, 700, 3999]] = True
    assert scores_of(corpus, vector, 10, mask) == exact(corpus, vector, 10, mask)
    assert len(corpus.nearest(vector, 10, np.zeros(corpus.size, np.bool_))) == 0


def test_those_far_from_the_question_are_found_when_only_they_pass(large: Memory) -> None:
    """The nearest 2,000 do not pass: looking further and further would end with looking at all."""
    corpus, vector = large.corpus, Clustered().vectors[4002]
    mask = np.ones(corpus.size, np.bool_)
    mask[corpus.nearest(vector, 2000)] = False
    assert scores_of(corpus, vector, 10, mask) == exact(corpus, vector, 10, mask)


def test_no_vector_is_out_of_reach(large: Memory) -> None:
    """Each of them can be found: one that the graph never reaches would be forgotten without a word."""
    graph = large.corpus._approximate._graph
    assert graph is not None
    assert len(graph.search(large.corpus.codes[0], 4000)) == 4000


def test_many_at_once_get_what_one_gets(large: Memory) -> None:
    corpus, vectors = large.corpus, Clustered().vectors[4100:4300]
    alone = [corpus.nearest(vector, 10).tolist() for vector in vectors]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda vector: corpus.nearest(vector, 10).tolist(), vectors)) == alone


# ---- when there is one, and when it is made again


def test_a_small_space_and_one_in_ram_have_none(open_memory: Callable[..., Memory]) -> None:
    memory = open_memory()
    memory.add("a boat")
    assert not made(memory.corpus).exists()
    assert not memory.corpus.indexed


def test_a_memory_in_ram_has_none(at_any_size: None) -> None:
    with Memory(":memory:", embedder=HashEmbedder(16), retriever="dense") as memory:
        memory.add("a boat")
        assert list(memory.index()) == []
        assert [hit.record.text for hit in memory.recall("boat")] == ["a boat"]


def test_spaces_of_one_file_have_one_each(open_memory: Callable[..., Memory], at_any_size: None) -> None:
    ours, theirs = open_memory(), open_memory(space="theirs")
    ours.add("a boat")
    theirs.add("a dog")
    assert made(ours.corpus) != made(theirs.corpus)
    assert [hit.record.text for hit in theirs.recall("boat")] == ["a dog"]


def test_index_of_a_memory_builds_it_and_says_how_far_it_is(filled: Memory, open_memory: Callable[..., Memory]) -> None:
    made(filled.corpus).unlink()
    assert list(filled.index()) == [(0, 60), (60, 60)]
    assert list(filled.index()) == []


def test_a_tenth_more_is_added_to_the_graph(filled: Memory) -> None:
    file = made(filled.corpus)
    before = Graph(file).keys.tolist()
    filled.add_many(f"new {i}" for i in range(6))
    assert Graph(made(filled.corpus)).keys.tolist() == before  # 6 of 66 is less than a tenth
    filled.add("new 6")
    after = Graph(made(filled.corpus)).keys.tolist()
    assert after[:60] == before
    assert len(after) == 67


def test_with_a_tenth_dead_it_is_made_anew(filled: Memory) -> None:
    ids = [record.id for record in filled.records()]
    for id in ids[:6]:
        filled.forget(id)
    assert len(Graph(made(filled.corpus)).keys) == 60
    filled.forget(ids[6])
    assert len(Graph(made(filled.corpus)).keys) == 53


def test_what_lacks_more_than_half_is_not_asked(filled: Memory) -> None:
    filled.add_many(f"new {i}" for i in range(60))
    assert filled.corpus.indexed
    filled.add("one more")
    assert not filled.corpus.indexed
    vector = filled.corpus.embed("one more")
    assert scores_of(filled.corpus, vector, 5) == exact(filled.corpus, vector, 5)


# ---- a memory that changes


def test_what_is_new_changed_or_gone_is_so_at_once(filled: Memory) -> None:
    records = list(filled.records())
    filled.add("an umbrella")
    filled.update(records[3].id, text="a wide parasol")
    filled.forget(records[4].id)
    assert filled.corpus.indexed
    assert filled.recall("umbrella", k=1)[0].record.text == "an umbrella"
    assert filled.recall("wide parasol", k=1)[0].record.text == "a wide parasol"
    found = filled.recall(records[3].text, k=60)
    assert len(found) == 60
    assert {records[3].text, records[4].text}.isdisjoint(hit.record.text for hit in found)


def test_a_fresh_process_places_an_old_graph(filled: Memory, open_memory: Callable[..., Memory]) -> None:
    """Rows have other numbers there: changed records stand where they were first written."""
    records = list(filled.records())
    filled.update(records[3].id, text="a wide parasol")
    filled.forget(records[4].id)
    filled.add("an umbrella")
    corpus = open_memory().corpus
    assert corpus.indexed
    for text in ("parasol", "umbrella", records[3].text, records[4].text, records[5].text):
        assert scores_of(corpus, corpus.embed(text), 59) == exact(corpus, corpus.embed(text), 59)


step = st.one_of(
    st.tuples(st.just("add"), st.lists(st.sampled_from(SMALL), min_size=1, max_size=9).map(" ".join)),
    st.tuples(st.just("update"), st.integers(0, 99), st.lists(st.sampled_from(SMALL), min_size=1, max_size=9)),
    st.tuples(st.just("forget"), st.integers(0, 99)),
    st.tuples(st.just("erase"), st.integers(0, 99)),
    st.tuples(st.just("undo"), st.integers(0, 2)),
    st.tuples(st.just("build")),
    st.tuples(st.just("reopen")),
)


@settings(max_examples=30)
@given(steps=st.lists(step, min_size=3, max_size=25), k=st.integers(1, 12))
def test_any_sequence_of_changes_gives_the_k_best(steps: list[Any], k: int) -> None:
    """Texts of more than four words have several vectors, of which the best counts."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        for name, value in {"FROM": 1, "_PRICE": 0, "_LEAST": 10_000}.items():
            patch.setattr(approximate, name, value)
        path = Path(folder) / "life.db"
        memory = Memory(path, embedder=HashEmbedder(16, window=4), retriever="dense")
        memory.add_many(f"{word} {i}" for i, word in enumerate(SMALL[:8]))
        made(memory.corpus)
        for what, *given in steps:
            memory = changed(memory, what, given)
            corpus = memory.corpus
            for query in ("boat tea", "music"):
                mask = corpus.alive & (np.arange(corpus.size) % 3 > 0)
                for chosen in (None, mask):
                    vector = corpus.embed(query)
                    assert scores_of(corpus, vector, k, chosen) == exact(corpus, vector, k, chosen)
        memory.close()


def changed(memory: Memory, what: str, given: list[Any]) -> Memory:
    """Do one step of a sequence; returns the memory, which may have been opened anew."""
    records = list(memory.records())
    if what == "add":
        memory.add(f"{given[0]} {memory.position}")
    elif what == "build":
        made(memory.corpus)
    elif what == "reopen":
        memory.close()
        return Memory(memory.path, embedder=memory.embedder, retriever="dense")
    elif what == "undo":
        try:
            memory.undo(memory.position - given[0])
        except InputError:
            return memory
    elif records:
        id = records[given[0] % len(records)].id
        {"update": lambda: memory.update(id, text=f"{' '.join(given[1])} {memory.position}"),
         "forget": lambda: memory.forget(id), "erase": lambda: memory.erase(id)}[what]()  # fmt: skip
    return memory


# ---- a file that is not what it should be


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "one byte": lambda data: data[:1],
    "half": lambda data: data[: len(data) // 2],
    "no end": lambda data: data[:-1],
    "a bit in the graph": lambda data: flipped(data, len(data) // 2),
    "a bit in the keys": lambda data: flipped(data, data.index(b'{"dim') - 5),
    "a digit in the label": lambda data: flipped(data, data.index(b'"keys": ') + 9),
    "another length": lambda data: flipped(data, len(data) - 12),
    "two graphs": lambda data: data + data,
    "something else": lambda data: b"SQLite format 3" * 500,
}


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_file_is_told_of_once_passed_over_and_made_anew(filled: Memory, how: str) -> None:
    corpus = filled.corpus
    file = made(corpus)
    damaged = file.with_suffix(".damaged")
    damaged.write_bytes(DAMAGES[how](file.read_bytes()))
    damaged.replace(file)
    vector = corpus.embed("boat")
    with pytest.warns(UserWarning, match="`mnemic index` has made it anew"):
        assert not corpus.indexed
    assert scores_of(corpus, vector, 10) == exact(corpus, vector, 10)  # a second warning would fail this test
    made(corpus)
    assert corpus.indexed
    assert scores_of(corpus, vector, 10) == exact(corpus, vector, 10)


def test_a_graph_of_another_memory_is_never_asked(filled: Memory, open_memory: Callable[..., Memory]) -> None:
    other = open_memory("other.db")
    other.add_many(f"{SMALL[i % 7]} {i}" for i in range(60))
    file = made(other.corpus)
    shutil.copy(made(filled.corpus), file)
    corpus, vector = other.corpus, other.corpus.embed("boat")
    assert not corpus.indexed
    assert scores_of(corpus, vector, 10) == exact(corpus, vector, 10)
    made(corpus)
    assert corpus.indexed
    assert len(Graph(file).keys) == 60


def test_a_copy_of_file_and_graph_is_as_good(
    filled: Memory, open_memory: Callable[..., Memory], tmp_path: Path
) -> None:
    file = made(filled.corpus)
    filled.close()
    shutil.copy(tmp_path / "life.db", tmp_path / "copy.db")
    shutil.copy(file, tmp_path / file.name.replace("life", "copy"))
    assert open_memory("copy.db").corpus.indexed


def test_another_embedder_needs_another_graph(filled: Memory) -> None:
    made(filled.corpus)
    for dimensions in (24, 64):  # of another length, then of the same length under another name
        embedder = HashEmbedder(dimensions, seed=dimensions)
        embedder.name = f"other-{dimensions}"
        for _ in filled.reembed(embedder):
            pass
        assert not filled.corpus.indexed
        made(filled.corpus)
        assert filled.corpus.indexed


def test_a_folder_in_its_place_is_an_error_of_the_file_that_leaves_nothing(
    open_memory: Callable[..., Memory], at_any_size: None, tmp_path: Path
) -> None:
    memory = open_memory()
    memory.add("a boat")
    file = memory.corpus._approximate.file
    assert file is not None
    file.mkdir()
    with (
        pytest.warns(UserWarning, match="cannot be used"),
        pytest.raises(StoreError, match="the memory itself is whole"),
    ):
        made(memory.corpus)
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name or "lock" in path.name] == []
    assert memory.recall("boat")


def test_a_build_that_is_stopped_leaves_nothing(filled: Memory, tmp_path: Path) -> None:
    file = made(filled.corpus)
    file.rename(file.with_name(f"{file.name}.4711.part.cache"))  # what a killed one leaves
    steps = filled.corpus.index()
    next(steps)
    steps.close()  # Ctrl-C
    assert [path.name for path in tmp_path.iterdir() if "vectors" in path.name] == []
    assert made(filled.corpus).exists()


# ---- several processes

BUILDER = """
import sys
from mnemic import Memory
from mnemic.lm.doubles import HashEmbedder
from mnemic.recall import approximate
approximate.FROM = 1
with Memory(sys.argv[1], embedder=HashEmbedder(64), retriever="dense") as memory:
    for done in memory.index():
        print(done, flush=True)
        if "stay" in sys.argv:
            sys.stdin.readline()
"""


def builder(memory: Memory, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", BUILDER, memory.path, *options], text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip


def test_one_process_builds_and_all_see_it(filled: Memory) -> None:
    file = made(filled.corpus)
    file.unlink()
    assert not filled.corpus.indexed
    with builder(filled) as process:
        assert process.wait() == 0
    assert filled.corpus.indexed


def test_only_one_builds_and_a_killed_one_leaves_the_claim(filled: Memory) -> None:
    file = made(filled.corpus)
    file.unlink()
    with builder(filled, "stay") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "(0, 60)\n"
        assert list(filled.index()) == []
        assert not file.exists()
        process.kill()
    assert list(filled.index()) == [(0, 60), (60, 60)]
    assert file.exists()


def test_a_claim_holds_in_its_own_process_too(tmp_path: Path) -> None:
    with building(tmp_path / "x.cache") as ours, building(tmp_path / "x.cache") as again:
        assert (ours, again) == (True, False)
    assert list(tmp_path.iterdir()) == []


# ---- erasing


def test_erase_leaves_no_vector(filled: Memory, tmp_path: Path) -> None:
    file = made(filled.corpus)
    record = next(iter(filled.records()))
    codes = filled.corpus.codes[0].tobytes()
    assert codes in file.read_bytes()
    assert filled.erase(record.id).complete
    assert [path.name for path in tmp_path.iterdir() if codes in path.read_bytes()] == []
    assert not filled.corpus.indexed
    assert len(filled.recall(record.text, k=60)) == 59


def test_an_erase_while_a_graph_is_built_takes_it_along(filled: Memory) -> None:
    file = made(filled.corpus)
    file.unlink()
    steps = filled.corpus.index()
    next(steps)
    filled.erase(next(iter(filled.records())).id)
    list(steps)
    assert not file.exists()


def test_a_graph_that_an_interrupted_erase_left_is_deleted(filled: Memory) -> None:
    file = made(filled.corpus)
    left = file.read_bytes()
    filled.erase(next(iter(filled.records())).id)
    file.write_bytes(left)
    assert not filled.corpus.indexed
    assert not file.exists()


# ---- hybrid


def test_hybrid_gives_the_same_with_a_graph_as_without(
    open_memory: Callable[..., Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    """More rows than a pool takes in; the graph looks far enough to miss next to none of them."""
    memory = open_memory(retriever="hybrid", embedder=Clustered())
    texts = [f"{SMALL[i % 16]} {SMALL[i * 7 % 11]} {SMALL[i * 3 % 13]} {i}" for i in range(1500)]
    memory.add_many({"text": text, "episode": f"e{i // 30}", "speaker": SMALL[i % 2]} for i, text in enumerate(texts))
    asked = [("where was the boat 4100", None), ("music and tea 77", None), ("the king 4200", {"speaker": "boat"})]
    without = [memory.recall(query, k=20, where=where) for query, where in asked]
    for name, value in {"FROM": 1, "_PRICE": 0, "_LEAST": 10_000}.items():
        monkeypatch.setattr(approximate, name, value)
    made(memory.corpus)
    assert memory.corpus.indexed
    monkeypatch.setattr(StoreCorpus, "_compared", lambda *_: pytest.fail("every vector was looked at"))
    found = [memory.recall(query, k=20, where=where) for query, where in asked]
    for hits, same in zip(found, without, strict=True):
        assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in same], abs=0.01)
        for part in ("dense", "context"):
            assert [hit.parts[part] for hit in hits] == pytest.approx([hit.parts[part] for hit in same], abs=0.01)


def test_a_question_to_a_large_memory_looks_at_few_rows(large: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 4,000 rows the pool, at most 1,200, and what stands around it; with the cosines that looking at all gives."""
    corpus, looked = large.corpus, StoreCorpus.dense
    question = Question("where was the boat 4100", corpus)
    every, pool = looked(corpus, question.vector), np.arange(100, 200, dtype=np.int32)
    monkeypatch.setattr(StoreCorpus, "dense", lambda corpus, vector, rows: looked(corpus, vector, rows))
    assert (question.cosines(pool)[pool] == every[pool]).all()
    assert len(Hybrid(large).search("where was the boat 4100", 10, Filter())) == 10


# ---- keys


def test_keys_tell_records_and_vectors_apart() -> None:
    codes = np.random.default_rng(0).integers(-2, 3, (3000, 22)).astype(np.int8)  # 22 is no multiple of 4
    n = np.arange(3000)
    assert len(np.unique(keys_of(n, codes))) == 3000
    assert len(np.unique(keys_of(n, codes[[0] * 3000]))) == 3000
    assert len(np.unique(keys_of(np.ones(3000, np.int64), codes))) == len(np.unique(codes, axis=0))


def test_keys_see_every_bit_of_a_vector() -> None:
    """One bit set, wherever: the highest bits of words must not fall off the end of a sum."""
    codes = np.packbits(np.eye(176, dtype=np.uint8), axis=1).view(np.int8)  # [176 22]
    assert len(np.unique(keys_of(np.ones(176, np.int64), codes))) == 176


def test_the_embedder_may_be_loaded_after_the_graph() -> None:
    """In a process of its own: this one has long loaded both."""
    code = "import mnemic.recall.graph as graph, mnemic.lm.minilm as lm; graph._empty(8); lm.MiniLM().embed(['a'])"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
