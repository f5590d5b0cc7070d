"""What holds in PostgreSQL beside all that holds wherever a memory is kept: spaces, writers, the server's absence."""

from __future__ import annotations

import fnmatch
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.db.address import is_address, shown_address
from mnemic.db.postgres import schema
from mnemic.db.postgres import store as postgres_store
from mnemic.db.postgres.connection import translated
from mnemic.errors import EmbedderMismatch, InputError, NotAMemory, StoreError
from mnemic.lm.doubles import HashEmbedder
from mnemic.memory import Memory

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed: no PostgreSQL")
Address = Callable[..., str]


@pytest.fixture
def open_at() -> Iterator[Callable[..., Memory]]:
    opened: list[Memory] = []

    def open_one(address: str, **options: Any) -> Memory:
        memory = Memory(address, **{"embedder": HashEmbedder(), "retriever": "dense", **options})
        opened.append(memory)
        return memory

    yield open_one
    for memory in opened:
        memory.close()


def connected(address: str, space: str | None = None) -> Any:
    connection = psycopg.connect(address, autocommit=True)
    if space is not None:
        connection.execute("SELECT set_config('mnemic.space', %s, false)", (f"={space}",))
    return connection


def hang_up(memory: Memory, server: str) -> None:
    """End the memory's connection from the other side."""
    backend = memory.store.read("SELECT pg_backend_pid()")[0][0]
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", (backend,))


def waits_for_a_lock(memory: Memory) -> bool:
    """Does anybody else who uses this memory wait for a lock?"""
    mine = (
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND usename = current_user"
    )
    return bool(memory.store.read(mine)[0][0])


# ---- names


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://ana:secret@host/db", "postgresql://ana@host/db"),
        ("postgresql://ana@host:5432/db?sslmode=require", "postgresql://ana@host:5432/db?sslmode=require"),
        ("postgresql:///db?user=ana&password=secret&host=h", "postgresql:///db?user=ana&password=...&host=h"),
        ("postgresql://h/db?sslpassword=secret&x=1", "postgresql://h/db?sslpassword=...&x=1"),
        ("postgresql://host/db", "postgresql://host/db"),
    ],
)
def test_a_password_is_never_shown(address: str, shown: str) -> None:
    assert shown_address(address) == shown
    assert is_address(address)
    assert not is_address("life.db")


def test_a_wrong_address_says_so_without_the_password() -> None:
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        Memory("postgresql://ana:hunter2@127.0.0.1:1/none")
    assert "hunter2" not in str(caught.value)


def test_question_marks_become_numbers_but_in_texts() -> None:
    assert translated("SELECT '?', a FROM b WHERE c = ? AND d LIKE '%it''s?%' AND e IN (?,?)") == (
        "SELECT '?', a FROM b WHERE c = $1 AND d LIKE '%it''s?%' AND e IN ($2,$3)"
    )


@given(glob=st.text("ab/.*?[]\\+(", max_size=6), text=st.text("ab/.[]\\+(", max_size=6))
def test_a_glob_means_what_it_means_in_a_file(glob: str, text: str) -> None:
    wanted = fnmatch.fnmatchcase(text, glob.replace("[", "[[]"))
    assert bool(re.search(postgres_store._as_regex(glob), text, re.DOTALL)) == wanted


# ---- schema


def test_tables_of_another_program_are_not_touched(postgres: Address) -> None:
    with connected(postgres()) as connection:
        connection.execute("CREATE TABLE record (mine TEXT)")
        with pytest.raises(NotAMemory, match='a table "record" of another program'):
            Memory(postgres())
        tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema()"
        assert connection.execute(tables).fetchone() == (1,)


def test_migrations_run_forward_once_and_a_newer_memory_is_refused(
    postgres: Address, open_at: Callable[..., Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = open_at(postgres())
    memory.add("kept")
    with monkeypatch.context() as newer:
        newer.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, "CREATE TABLE later (x INT)"])
        for _ in range(2):
            assert [record.text for record in open_at(postgres()).records()] == ["kept"]
    with pytest.raises(NotAMemory, match="newer mnemic"):
        open_at(postgres())


# ---- spaces


def test_the_database_shows_a_session_the_rows_of_its_space_alone(
    postgres: Address, open_at: Callable[..., Memory]
) -> None:
    for space in ("one", "two"):
        memory = open_at(postgres(), space=space, budget="100 records")
        first = memory.add(f"{space} is here", source="notes", place="1")
        memory.add(f"{space} follows from it", derived_from=[first.id])
        memory.link(first.id, "next", first.id)
        memory.recall("here")
        memory.store.read("SELECT 1")
        with memory.store.transaction() as db:
            db.execute(
                "INSERT INTO ledger (space, source, fingerprint, report, at) VALUES (?, 's', '', '', '')", (space,)
            )
    for table in schema._KEPT_APART:
        count = f"SELECT count(*), count(DISTINCT space) FROM {table}"
        with connected(postgres(), "one") as ours, connected(postgres()) as nobodys:
            rows, spaces = ours.execute(count).fetchone()
            assert rows > 0, table
            assert spaces == 1, table
            assert ours.execute(f"SELECT DISTINCT space FROM {table}").fetchall() == [("one",)]
            assert nobodys.execute(count).fetchone() == (0, 0), table


def test_a_query_that_forgets_its_space_still_sees_no_other(postgres: Address, open_at: Callable[..., Memory]) -> None:
    open_at(postgres(), space="one").add("secret of one")
    other = open_at(postgres(), space="two")
    other.add("of two")
    assert other.store.read("SELECT text FROM record") == [("of two",)]
    assert other.stats()["spaces"] == ["one", "two"]  # who may see the whole is told of it
    assert other.store.read("SELECT text FROM record") == [("of two",)]  # and sees one space again afterwards


def test_a_space_called_as_the_mark_for_all_sees_only_itself(postgres: Address, open_at: Callable[..., Memory]) -> None:
    open_at(postgres(), space="one").add("secret of one")
    assert open_at(postgres(), space="*").store.read("SELECT text FROM record") == []


# ---- writers


def test_many_writers_of_one_space_lose_and_double_nothing(postgres: Address, open_at: Callable[..., Memory]) -> None:
    memories = [open_at(postgres()) for _ in range(5)]

    def write(number: int) -> None:
        for i in range(12):
            memories[number].add(f"writer {number} says {i}")
            memories[number].add(f"all of them say {i}")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    memory = open_at(postgres())
    assert sorted(record.text for record in memory.records()) == sorted(
        [f"writer {number} says {i}" for number in range(5) for i in range(12)]
        + [f"all of them say {i}" for i in range(12)]
    )
    assert memory.check().ok
    numbers = memory.store.read("SELECT m FROM operation ORDER BY n")
    assert [m for (m,) in numbers] == list(range(1, len(numbers) + 1))


def test_writers_of_different_spaces_do_not_wait_for_each_other(
    postgres: Address, open_at: Callable[..., Memory]
) -> None:
    one, two = open_at(postgres(), space="one"), open_at(postgres(), space="two")
    one.add("the first knows the embedder from now on")
    with one.store.transaction():
        two.add("written while the other is at it")
    assert [record.text for record in two.records()] == ["written while the other is at it"]


def test_two_spaces_cannot_begin_with_two_embedders_at_once(
    postgres: Address, open_at: Callable[..., Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = open_at(postgres(), space="one"), open_at(postgres(), space="two", embedder=HashEmbedder(32))
    looking, raised = open_at(postgres()), list[Exception]()

    def begin() -> None:
        try:
            two.add("written by another embedder")
        except EmbedderMismatch as error:
            raised.append(error)

    second, real = threading.Thread(target=begin), one._committer.embedder_number

    def held_until_the_other_waits(db: Any) -> int:
        number = real(db)
        second.start()
        while second.is_alive() and not waits_for_a_lock(looking):
            pass
        return number

    monkeypatch.setattr(one._committer, "embedder_number", held_until_the_other_waits)
    one.add("written first")
    second.join()
    assert len(raised) == 1
    assert list(two.records()) == []


def test_what_goes_wrong_in_a_transaction_leaves_nothing(postgres: Address, open_at: Callable[..., Memory]) -> None:
    memory = open_at(postgres())

    def fail_half_way() -> None:
        with memory.store.everywhere(), memory.store.transaction() as db:
            db.execute("INSERT INTO meta (key, value) VALUES ('half', 'done')")
            db.execute("SELECT 1 / 0")

    with pytest.raises(StoreError, match="refused"):
        fail_half_way()
    assert memory.store.meta("half") is None
    memory.add("and it goes on")
    assert memory.store.read("SELECT text FROM record") == [("and it goes on",)]


def test_a_lost_connection_comes_back_by_itself(
    postgres: Address, postgres_server: str, open_at: Callable[..., Memory]
) -> None:
    memory = open_at(postgres())
    memory.add("before")
    hang_up(memory, postgres_server)
    with pytest.raises(StoreError, match="cannot be reached"):
        list(memory.records())  # this one met the closed door; nothing is said to be done that was not
    memory.add("after")
    assert [record.text for record in memory.records()] == ["before", "after"]


def test_a_connection_that_is_lost_in_a_transaction_ends_it(
    postgres: Address, postgres_server: str, open_at: Callable[..., Memory]
) -> None:
    """Else the rest of it would be written without its beginning."""
    memory = open_at(postgres())
    memory.add("before")

    def lose_it_half_way() -> None:
        with memory.store.transaction() as db:
            db.execute("INSERT INTO meta (key, value) VALUES ('first', 'half')")
            hang_up(memory, postgres_server)
            with suppress(psycopg.OperationalError):
                db.execute("SELECT 1")
            db.execute("INSERT INTO meta (key, value) VALUES ('second', 'half')")

    with pytest.raises(StoreError, match="nothing of this call was written"):
        lose_it_half_way()
    assert memory.store.meta("first") is memory.store.meta("second") is None
    assert [record.text for record in memory.records()] == ["before"]


def test_a_commit_that_nobody_answered_is_said_to_be_unsure(
    postgres: Address, postgres_server: str, open_at: Callable[..., Memory]
) -> None:
    memory = open_at(postgres())
    memory.add("before")

    def lose_it_at_the_end() -> None:
        with memory.store.transaction():
            hang_up(memory, postgres_server)

    with pytest.raises(StoreError, match="it may be written or not"):
        lose_it_at_the_end()
    memory.add("after")


def test_a_connection_that_is_lost_while_all_is_seen_sees_one_space_afterwards(
    postgres: Address, postgres_server: str, open_at: Callable[..., Memory]
) -> None:
    open_at(postgres(), space="one").add("secret of one")
    other = open_at(postgres(), space="two")
    other.add("of two")

    def lose_it_while_all_is_seen() -> None:
        with other.store.everywhere():
            hang_up(other, postgres_server)
            other.store.read("SELECT 1")

    with pytest.raises(StoreError, match="cannot be reached"):
        lose_it_while_all_is_seen()
    assert other.store.read("SELECT text FROM record") == [("of two",)]


def test_threads_that_see_all_and_threads_that_see_one_space_keep_apart(
    postgres: Address, open_at: Callable[..., Memory]
) -> None:
    open_at(postgres(), space="one").add("secret of one")
    two = open_at(postgres(), space="two")
    two.add("of two")
    wrong: list[Any] = []

    def look(whole: bool) -> None:
        for _ in range(200):
            with two.store.everywhere() if whole else nullcontext():
                seen = two.store.read("SELECT count(*) FROM record")[0][0]
            wrong.extend([seen] if seen != (2 if whole else 1) else [])

    threads = [threading.Thread(target=look, args=(whole,)) for whole in (True, False, True, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_time_limit_of_the_server_is_no_absence(postgres: Address, open_at: Callable[..., Memory]) -> None:
    memory = open_at(postgres())
    memory.store.read("SELECT set_config('statement_timeout', '50', false)")
    with pytest.raises(StoreError, match="refused this"):
        memory.store.read("SELECT pg_sleep(5)")


def test_an_older_pgvector_is_refused(postgres: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "_PGVECTOR", (99, 0))
    with pytest.raises(NotAMemory, match=r"needs 99\.0 or newer"):
        Memory(postgres())


def test_a_zero_character_is_refused_with_the_reason(postgres: Address, open_at: Callable[..., Memory]) -> None:
    memory = open_at(postgres())
    with pytest.raises(InputError, match="zero character"):
        memory.add("a\x00b")
    memory.add("fine", metadata={"zero": "\x00", "one": 1})
    assert list(memory.records({"metadata": {"one": 1}})) == []  # jsonb cannot look into it
    assert memory.check().ok


# ---- search


def test_a_graph_of_vectors_finds_what_comparing_all_finds(
    postgres: Address, open_at: Callable[..., Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = open_at(postgres())
    other = open_at(postgres(), space="other")
    words = np.random.default_rng(0).choice(["sea", "boat", "tea", "rain", "hill", "song", "bread", "lamp"], (300, 5))
    memory.add_many([f"{i} " + " ".join(row) for i, row in enumerate(words.tolist())])
    other.add_many([f"sea boat tea {i}" for i in range(40)])
    exact = {word: [hit.record.id for hit in memory.recall(f"{word} song", k=10)] for word in ("sea", "rain", "lamp")}
    monkeypatch.setattr(postgres_store, "INDEXED_FROM", 100)
    done = list(memory.index())
    assert done[-1] == (340, 340)
    assert list(memory.index()) == []  # it is there
    assert isinstance(memory.store, postgres_store.PostgresStore)
    assert memory.store.has_index(1)
    for word, ids in exact.items():
        found = [hit.record.id for hit in memory.recall(f"{word} song", k=10)]
        assert len(found) == 10
        assert len(set(found) & set(ids)) >= 8, word
    added = memory.add("lamp lamp lamp song")
    assert memory.recall("lamp lamp lamp song", k=1)[0].record.id == added.id
    assert {hit.record.space for hit in memory.recall("sea boat tea", k=10)} == {"default"}


def test_a_graph_that_another_process_is_making_is_left_to_it(
    postgres: Address, open_at: Callable[..., Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = open_at(postgres())
    memory.add_many([f"tea {i}" for i in range(20)])
    monkeypatch.setattr(postgres_store, "INDEXED_FROM", 10)
    with connected(postgres()) as other:
        other.execute("SELECT pg_advisory_lock(hashtextextended('mnemic index ' || current_schema(), 0))")
        assert (20, 20) not in list(memory.index())
    assert list(memory.index())[-1] == (20, 20)


@pytest.mark.parametrize("retriever", ["dense", "lexical", "hybrid"])
def test_the_same_hits_with_the_same_scores_as_in_a_file(
    postgres: Address, open_at: Callable[..., Memory], tmp_path: Path, retriever: str
) -> None:
    rng = np.random.default_rng(1)
    vocabulary = ["sea", "boat", "tea", "rain", "hill", "song", "bread", "lamp", "Ana", "Ben", "moved", "likes"]
    items = [
        {"text": " ".join(rng.choice(vocabulary, rng.integers(3, 30))), "episode": f"e{i // 7}", "speaker": "AB"[i % 2]}
        for i in range(150)
    ]
    in_file, in_database = (
        open_at(str(tmp_path / "m.db"), retriever=retriever),
        open_at(postgres(), retriever=retriever),
    )
    for memory in (in_file, in_database):
        memory.add_many(items)
    for where in (None, {"speaker": "a"}, {"episode": ["e1", "e2", "e3"]}):
        for question in ("Ana likes tea", "rain on the hill", "bread"):
            ours, theirs = in_file.recall(question, k=20, where=where), in_database.recall(question, k=20, where=where)
            assert [round(hit.score, 3) for hit in ours] == [round(hit.score, 3) for hit in theirs]
            by_score = {round(hit.score, 3): set[str]() for hit in ours}
            for hit in (*ours, *theirs):
                by_score[round(hit.score, 3)].add(hit.record.text)
            last = round(ours[-1].score, 3) if ours else None
            for score, texts in by_score.items():
                ties = sum(round(hit.score, 3) == score for hit in ours)
                assert len(texts) <= ties or score == last  # at the end a tie may be cut either way


# ---- looking after


DAMAGE = {
    "DELETE FROM near": "vectors",
    "DELETE FROM posting WHERE record = 1": "words",
    "UPDATE posting SET count = count + 1": "words",
    "INSERT INTO posting (term, record, count) VALUES ('ghost', 77, 1)": "words",
    "UPDATE vector SET windows = ''": "vectors",
    "DELETE FROM derivation": "derivation",
    "UPDATE record SET begins = 5": "columns",
}


@pytest.mark.parametrize(("damage", "where"), DAMAGE.items())
def test_check_finds_damage_and_repair_mends_it(
    postgres: Address, open_at: Callable[..., Memory], damage: str, where: str
) -> None:
    memory = open_at(postgres())
    first = memory.add("tea with Ana", time="2026-05-03")
    memory.add("she likes tea", derived_from=[first.id])
    assert memory.check().ok
    with memory.store.everywhere(), memory.store.transaction() as db:
        db.execute(damage)
    assert where in {problem.where for problem in memory.check().problems}
    assert memory.check(repair=True).ok
    assert memory.check().ok
    assert memory.recall("tea with Ana", k=1)[0].record.id == first.id


def test_a_budget_in_bytes_counts_the_rows_of_the_space(postgres: Address, open_at: Callable[..., Memory]) -> None:
    other = open_at(postgres(), space="other")
    other.add_many([f"not counted {i}" for i in range(50)])
    memory = open_at(postgres(), budget="60 kB")
    for batch in range(4):
        memory.add_many([f"note {batch} {i} " + "word " * 20 for i in range(20)])
        assert memory.used().amount <= 60_000
    assert any(operation.kind == "evict" for operation in memory.log())
    assert memory.check().ok
    assert len(list(other.records())) == 50


def test_erased_text_leaves_the_tables(postgres: Address, postgres_server: str, open_at: Callable[..., Memory]) -> None:
    """The server's write-ahead log keeps what it has until it lets it go: docs/security.md says so."""
    memory = open_at(postgres())
    memory.add("tea")
    record = memory.add("the zebracanary sings", source="zebracanary.txt")
    memory.update(record.id, text="the zebracanary sings louder")
    receipt = memory.erase(record.id)
    assert receipt.complete, receipt.reason
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        admin.execute("CHECKPOINT")
        folder = Path(admin.execute("SHOW data_directory").fetchone()[0])
    read = [file for file in (folder / "base").rglob("*") if file.is_file()]
    assert read
    assert not [file for file in read if b"zebracanary" in file.read_bytes()]
    assert memory.check().ok
