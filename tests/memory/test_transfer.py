"""Loading an export: every line is looked at before anything is written."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic.errors import InputError, MnemicError
from mnemic.lm.doubles import HashEmbedder
from mnemic.memory import Memory

Open = Callable[..., Memory]

RECORD = {"id": "r", "space": "s", "kind": "fact", "text": "tea", "written": "2026-05-03T10:00:00+00:00"}
STATE = {"kind": "fact", "text": "tea", "written": "2026-05-03T10:00:00+00:00"}
OPERATION = {"n": 1, "kind": "insert", "target": "r", "before": None, "after": STATE, "who": "person", "why": "add",
             "at": "2026-05-03T10:00:00+00:00", "call": "c", "undoes": None}  # fmt: skip
EDGE = {"head": "r", "relation": "is", "tail": "x", "weight": 1.0, "source": None}
MARK = {"size": 1, "mtime_ns": 1, "digest": "d"}
REPORT = {"path": "/a", "items": 1, "whole": True, "again": False}
LEDGER = {"source": "a", "fingerprint": json.dumps(MARK), "report": json.dumps(REPORT), "at": "2026-05-03"}
GOOD: dict[str, dict[str, Any]] = {"record": RECORD, "operation": OPERATION}


def write(path: Path, *lines: Any) -> Path:
    """An export: the first line, then these."""
    told = [json.dumps({"mnemic": 1, "space": "s", "embedder": None})]
    path.write_text("\n".join([*told, *(each if isinstance(each, str) else json.dumps(each) for each in lines)]) + "\n")
    return path


def test_a_small_export_by_hand(open_memory: Open, tmp_path: Path) -> None:
    file = write(tmp_path / "e.jsonl", {"record": RECORD}, {"operation": OPERATION}, "", {"ledger": LEDGER})
    memory = open_memory()
    assert [outcome.state for outcome in memory.load(file)] == ["added"]
    assert memory.get("r").text == "tea"
    assert [operation.after for operation in memory.log()] == [STATE]
    assert memory.check().ok


BAD = {
    "no mapping": (3, "a line holds"),
    "two things": ({**GOOD}, "a line holds"),
    "an unknown word": ({"dream": {}}, "a line holds a record, operation, edge or ledger"),
    "no JSON": ("{", "is not JSON"),
    "too deep": ("[" * 100_000, "is not JSON"),
    "a number too long": ('{"record": %s}' % ("9" * 5000), "is not JSON"),
    "record: no id": ({"record": {**RECORD, "id": ""}}, '"id" must not be empty'),
    "record: another type": ({"record": {**RECORD, "text": 4}}, '"text" must be text, got 4'),
    "record: unknown field": ({"record": {**RECORD, "colour": "red"}}, 'no "colour"'),
    "record: missing field": ({"record": {k: v for k, v in RECORD.items() if k != "text"}}, 'needs "text"'),
    "record: no time": ({"record": {**RECORD, "time": "soon"}}, 'cannot read the time "soon"'),
    "record: a time that is a number": ({"record": {**RECORD, "time": 2026}}, '"time" must be text'),
    "record: half a character": ('{"record": {"id": "q", "space": "s", "kind": "f", "written": "2026", '
                                 '"text": "\\ud800"}}', "lone surrogate"),
    "record: ids that are text": ({"record": {**RECORD, "derived_from": "abc"}}, "list of ids"),
    "record: metadata with no number": ('{"record": {"id": "q", "space": "s", "kind": "f", "written": "2026", '
                                        '"text": "x", "metadata": {"n": NaN}}}', "JSON can hold"),
    "record: twice": ({"record": RECORD}, "there twice .line 2."),
    "record: not in the log": ({"record": {**RECORD, "id": "q"}}, "not in the log"),
    "operation: unknown kind": ({"operation": {**OPERATION, "n": 2, "kind": "dream"}}, "one of insert, update"),
    "operation: no position": ({"operation": {**OPERATION, "n": True}}, '"n" of the operation'),
    "operation: a position too large": ({"operation": {**OPERATION, "n": 2**63}}, '"n" of the operation'),
    "operation: a position twice": ({"operation": OPERATION}, "operation 1 comes after operation 1"),
    "operation: undoes itself": ({"operation": {**OPERATION, "n": 2, "undoes": 2}}, '"undoes"'),
    "operation: no time": ({"operation": {**OPERATION, "n": 2, "at": ""}}, "cannot read the time"),
    "operation: about nothing": ({"operation": {**OPERATION, "n": 2, "target": ""}}, "must name a record"),
    "operation: a state that is none": ({"operation": {**OPERATION, "n": 2, "target": "q", "after": []}}, "a mapping"),
    "operation: inserts what is there": ({"operation": {**OPERATION, "n": 2}}, "inserts a record that is there"),
    "operation: a record too many": ({"operation": {**OPERATION, "n": 2, "target": "q"}}, "no line holds it"),
    "operation: goes on from another": (
        {"operation": {**OPERATION, "n": 2, "kind": "delete", "before": {**STATE, "text": "x"}, "after": None}},
        "does not go on"),
    "operation: leaves another": (
        {"operation": {**OPERATION, "n": 2, "kind": "update", "before": STATE, "after": {**STATE, "text": "x"}}},
        "differs from what the log says"),
    "operation: nothing was taken out": (
        {"operation": {**OPERATION, "n": 2, "kind": "delete", "target": "q", "after": None}}, "nothing was erased"),
    "edge: no ends": ({"edge": {}}, 'needs "head"'),
    "edge: no weight": ({"edge": {**EDGE, "weight": "1"}}, "weight of a link must be a number"),
    "edge: an endless weight": ('{"edge": {"head": "a", "relation": "b", "tail": "c", "weight": Infinity, '
                                '"source": null}}', "weight of a link must be a number"),
    "edge: read from nowhere": ({"edge": {**EDGE, "source": "q"}}, "read from q"),
    "edge: not in the log": ({"edge": {**EDGE, "source": "r"}}, "links of record r differ"),
    "ledger: no mapping": ({"ledger": []}, "must be a mapping"),
    "ledger: no report": ({"ledger": {**LEDGER, "report": "{}"}}, "the report of a file has path"),
    "ledger: a count that is none": (
        {"ledger": {**LEDGER, "report": json.dumps({**REPORT, "items": "1"})}}, '"items" in the report'),
}  # fmt: skip


@pytest.mark.parametrize(("line", "says"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("empty", [True, False])
def test_a_bad_line_is_named_and_nothing_is_loaded(
    open_memory: Open, tmp_path: Path, line: Any, says: str, empty: bool
) -> None:
    file = write(tmp_path / "e.jsonl", {"record": RECORD}, {"operation": OPERATION}, line)
    memory = open_memory()
    if not empty:
        memory.add("here before")
    before = memory.position
    with pytest.raises(InputError, match=rf"^e\.jsonl(:\d+)?: .*{says}"):
        memory.load(file)
    assert memory.position == before
    assert len(list(memory.records())) == before
    assert memory.store.embedder() is None or not empty


@pytest.mark.parametrize("content", ["", "\n", "\n\n"])
def test_an_empty_file_is_an_error(open_memory: Open, tmp_path: Path, content: str) -> None:
    (tmp_path / "e.jsonl").write_text(content)
    with pytest.raises(InputError, match=r"e\.jsonl: is"):
        open_memory().load(tmp_path / "e.jsonl")


def test_an_export_of_a_newer_version_is_refused(open_memory: Open, tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text('{"mnemic": 2}\n')
    with pytest.raises(InputError, match="newer mnemic"):
        open_memory().load(tmp_path / "e.jsonl")


def test_an_empty_space_can_be_carried(open_memory: Open, tmp_path: Path) -> None:
    assert open_memory().export(tmp_path / "e.jsonl") == 0
    assert open_memory("other.db").load(tmp_path / "e.jsonl") == []


def test_records_without_a_log_become_inserts(open_memory: Open, tmp_path: Path) -> None:
    """What is left of a damaged export, or what another program wrote."""
    file = write(tmp_path / "e.jsonl", {"record": RECORD}, {"record": {**RECORD, "id": "q", "text": "coffee"}})
    memory = open_memory()
    assert [outcome.state for outcome in memory.load(file)] == ["added", "added"]
    assert [operation.why for operation in memory.log()] == ["load e.jsonl"] * 2
    assert memory.check().ok


def test_an_id_stays_in_one_space(open_memory: Open, tmp_path: Path) -> None:
    memory = open_memory()
    memory.add("tea")
    memory.export(tmp_path / "e.jsonl")
    with pytest.raises(InputError, match=r'e\.jsonl:2: .* in the space "default" of this file already'):
        open_memory(space="other").load(tmp_path / "e.jsonl")


def test_a_loaded_memory_keeps_its_budget(open_memory: Open, tmp_path: Path) -> None:
    memory = open_memory()
    memory.add_many(f"note {n}" for n in range(5))
    memory.export(tmp_path / "e.jsonl")
    small = open_memory("small.db", budget="3 records")
    assert sorted(outcome.state for outcome in small.load(tmp_path / "e.jsonl")) == ["added"] * 3 + ["refused"] * 2
    assert small.used().amount == 3
    assert small.check().ok


def test_spaces_of_one_file_are_carried_one_by_one(open_memory: Open, tmp_path: Path) -> None:
    for space in ("mine", "yours"):
        memory = open_memory(space=space)
        record = memory.add(f"{space} alone")
        memory.update(record.id, text=f"{space} again")
        memory.undo(memory.position)
        memory.export(tmp_path / f"{space}.jsonl")
    for space in ("yours", "mine"):
        other = open_memory("other.db", space=space)
        other.load(tmp_path / f"{space}.jsonl")
        assert [record.text for record in other.records()] == [f"{space} alone"]
        assert [op.undoes is not None for op in other.log()] == [False, False, True]
    assert other.check().ok


# ---- any change of any value


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("exported")
    (folder / "a.txt").write_text("Tea is in the left cupboard.")
    with Memory(folder / "life.db", embedder=HashEmbedder(8), retriever="dense") as memory:
        first = memory.add("Ana moved.", time="2026-05-03", speaker="Ana", source="a", place="1", metadata={"n": [1]})
        fact = memory.add("Ana lives in Portugal.", kind="fact", derived_from=[first.id], pinned=True)
        memory.update(first.id, text="Ana moved to Porto.", edges=[["Ana", "to", "Porto", 1.0]])
        memory.link(first.id, "supports", fact.id)
        memory.undo(memory.position)
        memory.forget(memory.add("Ben drinks green tea.").id)
        memory.erase(memory.add("Nobody needs to know.").id)
        list(memory.ingest([folder / "a.txt"]))
        memory.export(folder / "e.jsonl")
    return (folder / "e.jsonl").read_text().splitlines()


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["insert", "erase", "evict", "2026", "\ud800", "\0", 2**70]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)  # fmt: skip


@settings(max_examples=150)
@given(data=st.data(), value=anything)
def test_any_changed_value_is_refused_or_sound(exported: list[str], data: st.DataObject, value: Any) -> None:
    """One value anywhere in the export becomes another: an error with nothing loaded, or a memory that checks clean."""
    number = data.draw(st.integers(0, len(exported) - 1))
    line = json.loads(exported[number])
    holder, key = data.draw(st.sampled_from(list(_places(line))))
    if data.draw(st.booleans()):
        holder[key] = value
    elif isinstance(holder, dict):
        del holder[key]
    lines = [*exported[:number], json.dumps(line), *exported[number + 1 :]]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "e.jsonl").write_text("\n".join(lines))
        with Memory(Path(folder, "x.db"), embedder=HashEmbedder(8), retriever="dense") as memory:
            try:
                memory.load(Path(folder, "e.jsonl"))
            except MnemicError:
                assert (memory.position, memory.store.embedder()) == (0, None)
            else:
                assert memory.check().ok, memory.check().problems
                list(memory.ingest([folder]))
                memory.export(Path(folder, "again.jsonl"))


@settings(max_examples=60)
@given(cut=st.integers(0, 5000))
def test_a_cut_off_export_is_refused_or_sound(exported: list[str], cut: int) -> None:
    text = "\n".join(exported)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "e.jsonl").write_text(text[: cut % len(text)])
        with Memory(Path(folder, "x.db"), embedder=HashEmbedder(8), retriever="dense") as memory:
            try:
                memory.load(Path(folder, "e.jsonl"))
            except InputError:
                assert memory.position == 0
            else:
                assert memory.check().ok


def _places(value: Any) -> Any:
    """(holder, key) of every value inside."""
    keys = range(len(value)) if isinstance(value, list) else list(value) if isinstance(value, dict) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])
