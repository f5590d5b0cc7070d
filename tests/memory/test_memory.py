"""What a memory promises: durable, replayable, undoable, erasable, within its budget."""

from __future__ import annotations

import datetime as dt
import gc
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

from mnemic.errors import BudgetError, Conflict, EmbedderMismatch, InputError, NotAMemory, NotFound
from mnemic.lm.doubles import HashEmbedder
from mnemic.memory import Memory
from mnemic.policies import ForgettingCurve
from mnemic.record import Chunk, Operation, Record
from mnemic.seams import View

Open = Callable[..., Memory]


def texts(memory: Memory) -> list[str]:
    return [record.text for record in memory.records()]


# ---- adding


def test_what_was_added_is_there_after_reopening(open_memory: Open) -> None:
    record = open_memory().add("Ana moved to Lisbon.", time="2026-05-03", source="chat", speaker="Ben",
                               metadata={"mood": "glad", "n": 3})  # fmt: skip
    assert open_memory().get(record.id) == record
    assert (record.time, record.kind, record.space) == ("2026-05-03", "episode", "default")


def test_the_same_text_from_the_same_source_is_kept_once(memory: Memory) -> None:
    first = memory.add("Ana moved.", source="chat")
    position = memory.position
    assert memory.add("Ana moved.", source="chat") == first
    assert memory.position == position
    assert memory.add("Ana moved.", source="letter").id != first.id


def test_a_changed_text_at_the_same_place_updates_the_record(memory: Memory) -> None:
    old = memory.add("The code is 1234.", source="notes.md", place="# Door")
    outcome = memory.add_many([Chunk("The code is 9876.", source="notes.md", place="# Door")])[0]
    assert outcome.state == "updated"
    assert outcome.record is not None
    assert outcome.record.id == old.id
    assert texts(memory) == ["The code is 9876."]


def test_one_bad_item_is_refused_alone_and_says_why(memory: Memory) -> None:
    outcomes = memory.add_many(
        ["good", "  ", {"text": "when?", "time": "yesterday"}, {"txt": "typo"}, Chunk("also good")]
    )
    assert [outcome.state for outcome in outcomes] == ["added", "refused", "refused", "refused", "added"]
    assert "at least one word" in outcomes[1].reason
    assert "2026-05-03" in outcomes[2].reason
    assert "txt" in outcomes[3].reason
    assert texts(memory) == ["good", "also good"]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"text": ""}, "at least one word"),
        ({"text": "half \ud800"}, "lone surrogate"),
        ({"text": "x", "time": "2026-13"}, "calendar"),
        ({"text": "x", "metadata": {"o": object()}}, "JSON"),
        ({"text": "x", "importance": 0}, "above 0"),
        ({"text": "x", "kind": ""}, "must not be empty"),
        ({"text": "x", "time": "2026-05", "until": "2026-04"}, "lies before"),
        ({"text": "x", "source": 3}, "must be text"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_the_reason(memory: Memory, fields: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        memory.add(**fields)  # type: ignore[arg-type]
    assert memory.position == 0


def test_ids_rise_in_the_order_of_writing(memory: Memory) -> None:
    ids = [outcome.record.id for outcome in memory.add_many([f"note {i}" for i in range(50)]) if outcome.record]
    assert ids == sorted(ids)


# ---- time


def test_time_filters_cover_both_ends(memory: Memory) -> None:
    for time in ("2023-04-30", "2023-05", "2023-05-31", "2023-06-01T00:00", None):
        memory.add(f"note of {time}", time=time)
    assert [r.time for r in memory.records({"time": "2023-05"})] == ["2023-05", "2023-05-31"]
    assert [r.time for r in memory.records({"time": ("2023-05-31", None)})] == [
        "2023-05",
        "2023-05-31",
        "2023-06-01T00:00:00",
    ]
    assert [r.time for r in memory.records({"time": dt.date(2023, 4, 30)})] == ["2023-04-30"]


def test_a_fact_holds_until_it_ends_and_an_episode_only_then(memory: Memory) -> None:
    memory.add("Ana lives in Porto", kind="fact", time="2020", until="2023-05")
    memory.add("Ana lives in Lisbon", kind="fact", time="2023-05")
    memory.add("Ana went to a fair", time="2023-05-07")
    assert [r.text for r in memory.records({"time": "2026"})] == ["Ana lives in Lisbon"]
    assert [r.text for r in memory.records({"time": "2022-01-01"})] == ["Ana lives in Porto"]
    assert [r.text for r in memory.records({"current": True})] == ["Ana lives in Lisbon", "Ana went to a fair"]


def test_filters_by_kind_source_speaker_and_metadata(memory: Memory) -> None:
    memory.add("one", kind="fact", source="notes/a.md", speaker="Ána", metadata={"p": 1})
    memory.add("two", source="notes/b[1].md", speaker="Ben", metadata={"p": True})
    memory.add("three", source="chat", metadata={"p": "1", "q": [1, 2]})
    wanted = [({"kind": "fact"}, "one"), ({"source": "notes/*"}, "one two"), ({"source": "notes/b[1].md"}, "two"),
              ({"speaker": ["ÁNA", "ben"]}, "one two"), ({"metadata": {"p": "1"}}, "three"),
              ({"metadata": {"q": [1, 2]}}, "three"), ({"kind": "fact", "source": "chat"}, "")]  # fmt: skip
    for where, expected in wanted:
        assert " ".join(r.text for r in memory.records(where)) == expected, where


def test_an_unknown_filter_says_which_exist(memory: Memory) -> None:
    with pytest.raises(InputError, match="use id, kind, source"):
        list(memory.records({"colour": "red"}))


# ---- changing


def test_update_keeps_identity_and_refuses_unknown_fields(memory: Memory) -> None:
    record = memory.add("Ana has a cat")
    assert memory.update(record.id, text="Ana has two cats", importance=2.0).importance == 2.0
    assert memory.get(record.id).text == "Ana has two cats"
    with pytest.raises(InputError, match='no "colour"'):
        memory.update(record.id, colour="red")
    with pytest.raises(NotFound, match="forgotten"):
        memory.update("nobody", text="x")


@pytest.mark.parametrize("change", ["correct", "end", "forget", "erase"])
def test_what_was_derived_goes_stale_transitively(memory: Memory, change: str) -> None:
    source = memory.add("Ana moved to Lisbon")
    child = memory.add("Ana lives in Lisbon", kind="fact", derived_from=[source.id])
    grandchild = memory.add("Ana needs Portuguese", kind="fact", derived_from=[child.id])
    bystander = memory.add("Ben lives in Rome", kind="fact")
    {
        "correct": lambda: memory.update(source.id, text="Ana moved to Porto"),
        "end": lambda: memory.update(source.id, until="2026-06"),
        "forget": lambda: memory.forget(source.id),
        "erase": lambda: memory.erase(source.id),
    }[change]()
    assert source.id in (memory.get(child.id).stale or "")
    assert source.id in (memory.get(grandchild.id).stale or "")
    assert memory.get(bystander.id).stale is None
    assert memory.check().ok


def test_a_note_on_a_source_leaves_what_was_derived_alone(memory: Memory) -> None:
    source = memory.add("Ana moved to Lisbon")
    child = memory.add("Ana lives in Lisbon", kind="fact", derived_from=[source.id])
    memory.update(source.id, metadata={"seen": True}, pinned=True)
    assert memory.get(child.id).stale is None


def test_forget_needs_to_be_told_what(memory: Memory) -> None:
    memory.add("one", kind="fact")
    memory.add("two")
    for wrong in ({}, {"where": {}}):
        with pytest.raises(InputError):
            memory.forget(**wrong)
    assert len(memory.forget(where={"kind": "fact"})) == 1
    assert texts(memory) == ["two"]


# ---- log, undo, as_of


def test_undo_takes_back_each_kind_of_operation(memory: Memory) -> None:
    a, b = memory.add("alpha"), memory.add("beta")
    child = memory.add("from alpha", derived_from=[a.id])
    memory.update(a.id, text="ALPHA", time="2026")
    update = memory.position - 1  # the stale mark of the child came last
    memory.undo(update)
    assert memory.get(a.id) == a
    assert memory.get(child.id).stale is None
    memory.forget(b.id)
    memory.undo(memory.position)
    assert memory.get(b.id) == b
    memory.undo(2)
    assert texts(memory) == ["alpha", "from alpha"]
    memory.link(a.id, "knows", child.id)
    memory.undo(memory.position)
    assert list(memory.edges()) == []
    assert memory.check().ok


def test_undo_refuses_what_later_operations_built_on(memory: Memory) -> None:
    record = memory.add("one")
    memory.update(record.id, text="two")
    memory.update(record.id, text="three")
    with pytest.raises(InputError, match="undo operation 3 first"):
        memory.undo(2)
    with pytest.raises(NotFound, match="no operation 99"):
        memory.undo(99)
    memory.erase(record.id)
    with pytest.raises(InputError, match="erased"):
        memory.undo(4)
    with pytest.raises(InputError, match="erased"):
        memory.undo(1)


def test_an_undo_can_be_undone(memory: Memory) -> None:
    record = memory.add("one")
    memory.update(record.id, text="two")
    memory.undo(2)
    memory.undo(3)
    assert memory.get(record.id).text == "two"


def test_as_of_is_the_memory_as_it_stood(memory: Memory) -> None:
    a = memory.add("Ana lives in Porto")
    position = memory.position
    b = memory.add("Ben has a boat")
    memory.update(a.id, text="Ana lives in Lisbon")
    memory.forget(b.id)
    then = memory.as_of(position + 1)
    assert [r.text for r in then.records()] == ["Ana lives in Porto", "Ben has a boat"]
    assert then.recall("where does Ana live", k=1)[0].record == a
    assert then.recall("boat", k=1)[0].record == b
    assert len(memory.as_of(position)) == 1
    assert len(memory.as_of("1999")) == 0
    assert [r.text for r in memory.as_of(dt.datetime.now(dt.UTC)).records()] == ["Ana lives in Lisbon"]


def test_replay_survives_a_clock_set_back(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.add("one")
    from mnemic import moment

    monkeypatch.setattr("mnemic.db.changes.now", lambda: moment.moment("1999-01-01T00:00:00+00:00"))
    memory.add("two")
    times = [operation.when for operation in memory.log()]
    assert times == sorted(times)


# ---- spaces, writers, conflicts


def test_spaces_do_not_see_each_other(open_memory: Open) -> None:
    mine, yours = open_memory(space="mine"), open_memory(space="yours")
    record = mine.add("my secret", source="s")
    assert yours.add("my secret", source="s").id != record.id
    with pytest.raises(NotFound):
        yours.get(record.id)
    assert [hit.record.space for hit in mine.recall("secret", k=5)] == ["mine"]
    assert len(list(yours.log())) == 1


class Careless:
    """A writer that lets somebody else write between its look and its proposal."""

    name = "careless"

    def __init__(self, other: Memory) -> None:
        self.other = other

    def observe(self, chunk: Chunk, view: View) -> list[Operation]:
        self.other.add("meanwhile")
        return [Operation("insert", "", after={"kind": "fact", "text": chunk.text, "written": "2026"})]


def test_a_proposal_from_an_older_look_is_a_conflict(open_memory: Open) -> None:
    memory = open_memory(writer=Careless(open_memory()))
    with pytest.raises(Conflict, match="nothing was written"):
        memory.add("fact")
    assert texts(memory) == ["meanwhile"]


# ---- budgets


@pytest.mark.parametrize("policy", ["forgetting_curve", "recency"])
def test_a_budget_in_records_holds_and_the_log_tells_what_left(open_memory: Open, policy: str) -> None:
    memory = open_memory(budget="10 records", policy=policy)
    memory.add("keep me", pinned=True)
    for i in range(30):
        memory.add(f"note {i}")
    assert memory.used().amount == 10
    assert "keep me" in texts(memory)
    gone = [operation for operation in memory.log() if operation.kind == "evict"]
    assert len(gone) == 21
    assert gone[0].who == f"policy:{policy}"
    memory.budget = None
    memory.undo(gone[0].n)
    assert memory.check().ok


@pytest.mark.file
def test_a_budget_in_bytes_holds_on_disk(open_memory: Open) -> None:
    memory = open_memory(budget="400 kB")
    for batch in range(30):
        memory.add_many([f"note {batch} {i} " + f"word{batch * i} " * 10 for i in range(20)])
        assert memory.used().amount <= 400_000
    memory.close()
    assert Path(memory.path).stat().st_size <= 400_000
    memory = open_memory()
    assert memory.check().ok
    assert any(operation.kind == "evict" for operation in memory.log())
    assert "note 29 19 word551" in texts(memory)[-1]


def test_what_is_found_often_stays(open_memory: Open) -> None:
    now = [1_000_000_000.0]
    memory = open_memory(budget="5 records", policy=ForgettingCurve(clock=lambda: now[0] + 5e9))
    for i in range(5):
        memory.add(f"animal{i}")
    for _ in range(3):
        memory.recall("animal0", k=1)
    memory.add("animal5")
    assert "animal0" in texts(memory)
    assert "animal1" not in texts(memory)


def test_forgetting_curve_by_hand(open_memory: Open) -> None:
    # two days old, found 3 times, importance 2: strength 2 * (1 + 3) = 8 days, R = exp(-2 / 8)
    record = Record("id", "s", "fact", "x", importance=2.0, written="2026-01-01")
    value, why = ForgettingCurve(clock=lambda: 2 * 86_400.0)._retention(record, 3, 0.0)
    assert value == -0.25
    assert "retention 0.779 after 2.0 days, found 3 times" in why


def test_a_budget_that_only_pinned_records_fill_refuses_and_writes_nothing(open_memory: Open) -> None:
    memory = open_memory(budget="2 records")
    memory.add_many([Chunk("a", pinned=True), Chunk("b", pinned=True)])
    with pytest.raises(BudgetError, match="Nothing was written"):
        memory.add_many([Chunk("c", pinned=True)])
    assert texts(memory) == ["a", "b"]


@pytest.mark.parametrize("budget", ["0 records", "much", "5 tokens", "-3 MB"])
def test_a_budget_that_cannot_be_is_refused(open_memory: Open, budget: str) -> None:
    with pytest.raises(BudgetError):
        open_memory(budget=budget)


# ---- erase


@pytest.mark.file
def test_erased_text_is_nowhere_in_the_files(memory: Memory, tmp_path: Path) -> None:
    canary = "xylophonecanary"
    for i in range(300):
        memory.add(f"ordinary note number {i}")
    record = memory.add(f"the {canary} sings " + "la " * 5000 + canary, metadata={"tag": canary}, speaker=canary)
    memory.update(record.id, text=f"the {canary} croaks")
    memory.forget(record.id)
    memory.undo(memory.position)
    receipt = memory.erase(record.id, why="asked to")
    assert receipt.complete
    for file in tmp_path.iterdir():
        assert canary.encode() not in file.read_bytes(), file
    assert memory.check().ok
    tombstone = next(iter(memory.log(last=1)))
    assert (tombstone.kind, tombstone.who, tombstone.why, tombstone.before) == ("erase", "person", "asked to", None)


@pytest.mark.file
def test_erase_reaches_what_was_forgotten_before(memory: Memory, tmp_path: Path) -> None:
    record = memory.add("zebracanary")
    memory.forget(record.id)
    memory.erase(record.id)
    assert all(b"zebracanary" not in file.read_bytes() for file in tmp_path.iterdir())
    with pytest.raises(NotFound):
        memory.erase("nobody")


# ---- files


@pytest.mark.file
def test_other_files_are_refused_and_not_touched(tmp_path: Path, open_memory: Open) -> None:
    import sqlite3

    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as db:
        db.execute("CREATE TABLE t (x)")
    newer = Path(open_memory("newer.db").path)
    db = sqlite3.connect(newer)
    db.execute("PRAGMA user_version = 999")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    text = tmp_path / "notes.txt"
    text.write_text("these are my notes, not a database; " * 10)
    for path, says in ((foreign, "another program"), (newer, "pip install -U"), (text, "not a memory"),
                       (tmp_path, "folder"), (tmp_path / "no" / "where.db", "does not exist")):  # fmt: skip
        before = path.read_bytes() if path.is_file() else b""
        with pytest.raises(NotAMemory, match=says):
            open_memory(path.relative_to(tmp_path))
        assert not path.is_file() or path.read_bytes() == before


@pytest.mark.file
def test_migrations_run_forward_once(open_memory: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = open_memory()
    record = memory.add("written by version 1")
    memory.close()
    from mnemic.db import schema

    monkeypatch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, "CREATE TABLE later (x);\n"])
    memory = open_memory()
    assert memory.get(record.id) == record
    assert memory.store.read("SELECT count(*) FROM later") == [(0,)]
    assert memory.store.read("PRAGMA user_version") == [(len(schema.MIGRATIONS),)]
    memory.close()
    monkeypatch.undo()
    with pytest.raises(NotAMemory, match="newer mnemic"):
        open_memory()


def test_vectors_of_two_embedders_never_mix(open_memory: Open) -> None:
    open_memory().add("x")
    with pytest.raises(EmbedderMismatch, match="mnemic reembed hash-32"):
        open_memory(embedder=HashEmbedder(32))


def test_an_embedder_that_came_second_writes_nothing(open_memory: Open) -> None:
    """Both were opened while the memory had no vectors yet."""
    first, second = open_memory(), open_memory(embedder=HashEmbedder(32))
    first.add("tea")
    with pytest.raises(EmbedderMismatch, match="open it again"):
        second.add("coffee")
    assert texts(first) == ["tea"]
    assert first.check().ok


def test_reembed_reaches_every_space(open_memory: Open) -> None:
    one, two = open_memory(space="one"), open_memory(space="two")
    one.add("tea")
    two.add("coffee")
    assert list(one.reembed(HashEmbedder(32)))[-1] == (2, 2)
    assert one.check().ok
    again = open_memory(space="two", embedder=None)
    assert again.embedder.name == "hash-32"
    assert again.recall("coffee", k=1)[0].parts["dense"] > 0.9


def test_reembed_resumes_and_switches_at_the_end(open_memory: Open) -> None:
    memory = open_memory()
    memory.add_many([f"animal{i} lives here" for i in range(20)])
    steps = memory.reembed(HashEmbedder(32), batch=5)
    assert [next(steps) for _ in range(3)] == [(0, 20), (5, 20), (10, 20)]
    steps.close()  # as a kill would
    assert open_memory().recall("animal3", k=1)[0].record.text == "animal3 lives here"
    assert next(iter(list(memory.reembed(HashEmbedder(32), batch=5)))) == (10, 20)
    assert memory.recall("animal3", k=1)[0].record.text == "animal3 lives here"
    assert memory.stats()["embedder"] == "hash-32"
    assert memory.check().ok


# ---- export, load


def test_export_and_load_lose_nothing(open_memory: Open, tmp_path: Path) -> None:
    memory = open_memory()
    a = memory.add("Ana – naïve ☕", time="2026-05", metadata={"x": [1, None]}, speaker="Ben")
    b = memory.add("fact", kind="fact", derived_from=[a.id], pinned=True)
    memory.update(a.id, text="Ana moved")
    memory.link(a.id, "supports", b.id)
    memory.forget(memory.add("passing").id)
    memory.erase(memory.add("gone for good").id)
    assert memory.export(tmp_path / "one.jsonl") == 2
    other = open_memory("other.db")
    other.load(tmp_path / "one.jsonl")
    other.export(tmp_path / "two.jsonl")
    assert (tmp_path / "one.jsonl").read_text() == (tmp_path / "two.jsonl").read_text()
    assert other.check().ok
    assert other.recall("Ana moved", k=1)[0].record.id == a.id


def test_loading_into_a_memory_adds_what_is_not_there(open_memory: Open, tmp_path: Path) -> None:
    memory = open_memory()
    kept = memory.add("shared")
    memory.export(tmp_path / "e.jsonl")
    memory.add("newer")
    assert [outcome.state for outcome in memory.load(tmp_path / "e.jsonl")] == ["unchanged"]
    memory.forget(kept.id)
    assert [outcome.state for outcome in memory.load(tmp_path / "e.jsonl")] == ["added"]
    assert memory.get(kept.id).text == "shared"


def test_a_broken_export_changes_nothing(open_memory: Open, tmp_path: Path) -> None:
    memory = open_memory()
    memory.add("one")
    memory.export(tmp_path / "e.jsonl")
    cut = (tmp_path / "e.jsonl").read_text()[:-20]
    (tmp_path / "cut.jsonl").write_text(cut)
    other = open_memory("other.db")
    with pytest.raises(InputError, match="cut off"):
        other.load(tmp_path / "cut.jsonl")
    assert other.position == 0
    with pytest.raises(InputError, match="not an export"):
        other.load(__file__)


# ---- check


@pytest.mark.file
@pytest.mark.parametrize(
    ("damage", "where"),
    [
        ("DELETE FROM vector WHERE record = 1", "vectors"),
        ("UPDATE vector SET windows = x'00' WHERE record = 1", "vectors"),
        ("INSERT INTO words (rowid, terms) VALUES (1, 'ghost')", "words"),
        ("INSERT INTO words (words) VALUES ('delete-all')", "words"),
        ("DELETE FROM derivation", "derivation"),
        (
            "INSERT INTO edge (space, head, relation, tail, weight, source) "
            "VALUES ('default', 'a', 'b', 'c', 1, 'gone')",
            "edges",
        ),
    ],
)
def test_check_finds_damage_and_repair_mends_it(memory: Memory, damage: str, where: str) -> None:
    a = memory.add("one two")
    memory.add("three", derived_from=[a.id])
    memory.store.db.execute(damage)
    report = memory.check()
    assert {problem.where for problem in report.problems} == {where}
    assert memory.check(repair=True).ok
    assert memory.check().ok
    assert memory.recall("two", k=1)[0].record == a


def test_check_tells_when_rows_and_log_disagree(memory: Memory) -> None:
    memory.add("one")
    memory.store.db.execute("UPDATE record SET importance = 7")
    report = memory.check(repair=True)
    assert [problem.where for problem in report.problems] == ["log"]
    assert not report.problems[0].mendable


def test_an_eviction_that_the_budget_repeats_is_said(open_memory: Open) -> None:
    memory = open_memory(budget="2 records")
    for text in ("one", "two", "three"):
        memory.add(text)
    eviction = next(operation for operation in memory.log() if operation.kind == "evict")
    with pytest.raises(InputError, match="let go again at once"):
        memory.undo(eviction)
    assert len(list(memory.records())) == 2
    assert memory.check().ok


def test_a_budget_set_later_holds_from_the_next_change_on(memory: Memory) -> None:
    for text in ("one", "two", "three"):
        memory.add(text)
    memory.budget = "2 records"
    memory.add("four")
    assert len(list(memory.records())) == 2
    memory.budget = None
    memory.add("five")
    assert len(list(memory.records())) == 3
    with pytest.raises(InputError):
        memory.budget = "2 tokens"


@pytest.mark.parametrize("n", [-1, 2**63, True])
def test_as_of_an_operation_that_no_log_can_hold(memory: Memory, n: int) -> None:
    with pytest.raises(InputError, match="from 0"):
        memory.as_of(n)


def test_threads_ask_while_another_writes(open_memory: Open) -> None:
    memory = open_memory(retriever="hybrid")
    memory.add_many([f"tea number {i} with Ana" for i in range(50)])
    stop, failed = threading.Event(), list[BaseException]()

    def ask() -> None:
        while not stop.is_set():
            try:
                assert len(memory.recall("tea with Ana", k=5)) == 5
            except BaseException as error:
                failed.append(error)
                return

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(40):
        record = memory.add(f"coffee number {i} with Ben", episode=f"e{i % 3}")
        if i % 3 == 0:
            memory.update(record.id, text=f"cocoa number {i} with Ben")
        if i % 5 == 0:
            memory.forget(record.id)
    stop.set()
    for thread in threads:
        thread.join()
    assert failed == []
    assert memory.check().ok


def test_columns_that_stood_still_for_a_search_go_when_it_is_over(open_memory: Open) -> None:
    memory = open_memory()
    memory.add("one")
    seen = weakref.ref(memory.corpus)
    held = memory.corpus
    for i in range(3):
        memory.add(f"more {i}")
        assert len(memory.recall("more", k=10)) == i + 2
    assert held.size == 1  # what somebody holds does not move
    del held
    gc.collect()
    assert seen() is None
