"""Earlier moments over HTTP: listed page by page out of the log, searched in a copy that is made once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason='fastapi is not installed: pip install "mnemic[serve]"')

from mnemic import Memory
from mnemic.errors import InputError
from mnemic.serve.http import moments, overview
from mnemic.serve.http.kept import Kept

BASE = "/v1/spaces/default"


def add(client: Any, *texts: str, **fields: Any) -> list[str]:
    answer = client.post(f"{BASE}/records", json=[{"text": text, **fields} for text in texts])
    return [each["id"] for each in answer.json()["items"]]


def pages(client: Any, **query: Any) -> Iterator[list[str]]:
    cursor: dict[str, str] = {}
    while True:
        answer = client.get(f"{BASE}/records", params={**query, **cursor})
        assert answer.status_code == 200, answer.text
        yield [each["text"] for each in answer.json()["items"]]
        if answer.json()["next"] is None:
            return
        cursor = {"cursor": answer.json()["next"]}


def test_the_records_of_then_come_page_by_page_in_both_orders(client: Any) -> None:
    client.post("/v1/spaces/noise/records", json={"text": "of others"})
    ids = add(client, *(f"note {n}" for n in range(7)))
    client.patch(f"{BASE}/records/{ids[2]}", json={"text": "note 2, corrected"})
    client.delete(f"{BASE}/records/{ids[3]}")
    add(client, "note 7")
    client.patch(f"{BASE}/records/{ids[0]}", json={"text": "note 0, corrected later"})
    then = ["note 0", "note 1", "note 2, corrected", "note 4", "note 5", "note 6"]
    assert list(pages(client, as_of="operation:9", order="oldest", limit=4)) == [then[:4], then[4:]]
    assert list(pages(client, as_of="operation:9", limit=5)) == [then[:0:-1], then[:1]]
    assert list(pages(client, as_of="operation:2", limit=2)) == [["note 1", "note 0"]]


def test_a_filter_holds_for_the_records_as_they_stood(client: Any) -> None:
    (id, *_) = add(client, "tea", "milk", kind="fact", source="chat", metadata={"n": 1}, time="2026-05")
    client.patch(f"{BASE}/records/{id}", json={"kind": "episode", "source": "mail", "metadata": {}, "time": "2027"})
    then = {"as_of": "operation:2"}
    for query in ({"kind": "fact"}, {"source": "ch*"}, {"metadata": '{"n": 1}'}, {"since": "2026-05", "until": "2026"}):
        assert [*chain(*pages(client, **then, **query, limit=1, order="oldest"))] == ["tea", "milk"], query
        assert [*chain(*pages(client, as_of="operation:3", **query))] == ["milk"], query


@pytest.mark.parametrize("last", [None, 0, 1, 2, 3])
def test_a_time_is_the_moment_after_everything_up_to_it(client: Any, last: int | None) -> None:
    for n in range(4):
        add(client, f"note {n}")
        time.sleep(0.002)
    done = [each["when"] for each in client.get(f"{BASE}/log").json()["items"]]
    when = "2020" if last is None else done[last]
    there = [] if last is None else [f"note {n}" for n in range(last + 1)]
    assert list(pages(client, as_of=when, order="oldest")) == [there]


def test_a_record_is_told_as_it_stood_and_only_while_it_was_there(client: Any) -> None:
    (id,) = add(client, "tea")
    client.patch(f"{BASE}/records/{id}", json={"text": "coffee"})
    client.post(f"{BASE}/links", json={"head": id, "relation": "is", "tail": id})
    client.delete(f"{BASE}/records/{id}")
    told = [client.get(f"{BASE}/records/{id}", params={"as_of": f"operation:{n}"}) for n in range(5)]
    assert [answer.status_code for answer in told] == [404, 200, 200, 200, 404]
    assert [answer.json()["text"] for answer in told[1:4]] == ["tea", "coffee", "coffee"]
    assert client.get(f"{BASE}/records/nobody", params={"as_of": "operation:1"}).status_code == 404


def test_what_was_erased_is_in_no_page_that_comes_after(client: Any, db: Path) -> None:
    ids = add(client, "one", "two", "three", "four")
    query = {"as_of": "operation:4", "order": "oldest", "limit": 2}
    cursor = client.get(f"{BASE}/records", params=query).json()["next"]
    client.get(f"{BASE}/recall", params={"q": "three", "as_of": "operation:4"})
    with Memory(db, embedder="hash-64") as other:  # another process, of which the server is not told
        other.erase(ids[2])
    page = client.get(f"{BASE}/records", params={**query, "cursor": cursor}).json()
    assert [each["text"] for each in page["items"]] == ["four"]
    hits = client.get(f"{BASE}/recall", params={"q": "three", "as_of": "operation:4"}).json()["items"]
    assert "three" not in [hit["record"]["text"] for hit in hits]
    with Memory(db, embedder="hash-64") as other:
        other.erase(ids[1])
    gone = client.get(f"{BASE}/records", params={**query, "cursor": cursor})
    assert gone.status_code == 422
    assert "list from the beginning" in gone.json()["detail"]


def test_a_cursor_of_then_is_none_of_now(client: Any) -> None:
    add(client, "one", "two", "three")
    cursor = client.get(f"{BASE}/records", params={"as_of": "operation:3", "limit": 1}).json()["next"]
    for query in ({}, {"as_of": "operation:2"}, {"as_of": "operation:3", "order": "oldest"}):
        answer = client.get(f"{BASE}/records", params={"cursor": cursor, **query})
        assert answer.status_code == 422


def test_a_moment_is_copied_once_and_serves_until_something_is_erased(client: Any, monkeypatch: Any) -> None:
    ids = add(client, "tea", "milk", "water")
    made: list[int] = []

    class Counted(moments.Snapshot):
        def __init__(self, memory: Any, time: Any) -> None:
            made.append(time)
            super().__init__(memory, time)

    monkeypatch.setattr(moments, "Snapshot", Counted)

    def search(_: int = 0) -> int:
        return client.get(f"{BASE}/recall", params={"q": "tea", "as_of": "operation:2"}).status_code

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(search, range(8))) == [200] * 8
    add(client, "juice")
    assert (search(), len(made)) == (200, 1)  # what was written since is not of then
    client.post(f"{BASE}/records/{ids[0]}/erase")
    assert (search(), len(made)) == (200, 2)


def test_an_audit_is_made_again_only_when_the_space_has_changed(client: Any, monkeypatch: Any) -> None:
    made: list[Any] = []
    real = overview.audit

    def counted(memory: Any, **options: Any) -> Any:
        made.append(options)
        return real(memory, **options)

    monkeypatch.setattr(overview, "audit", counted)
    add(client, "The ferry leaves at nine.", "ok")
    first = client.get(f"{BASE}/audit").json()
    client.post("/v1/spaces/noise/records", json={"text": "of others"})
    assert client.get(f"{BASE}/audit").json() == first
    client.get(f"{BASE}/audit", params={"only": ["junk", "duplicate"]})
    client.get(f"{BASE}/audit", params={"only": ["duplicate", "junk"]})
    assert len(made) == 2
    add(client, "More.")
    assert client.get(f"{BASE}/audit").json()["position"] == 3
    assert len(made) == 3


def test_what_is_being_made_holds_up_only_who_asks_for_it() -> None:
    kept: Kept[str] = Kept(4)
    go = threading.Event()

    def slow() -> str:
        go.wait(5)
        return "slow"

    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(kept.get, "a", slow) for _ in range(2)]
        assert kept.get("b", lambda: "quick") == "quick"
        go.set()
        assert [each.result() for each in waiting] == ["slow", "slow"]


def test_a_few_values_stay_and_an_error_does_not() -> None:
    made: list[str] = []

    def get(kept: Kept[str], key: str) -> str:
        return kept.get(key, lambda: made.append(key) or key * 3)

    few: Kept[str] = Kept(2)
    for key in "abbab":
        get(few, key)
    assert made == ["a", "b"]
    get(few, "c")
    get(few, "a")
    assert made == ["a", "b", "c", "a"]
    made.clear()
    small: Kept[str] = Kept(9, size=len, total=5)
    for key in "aabba":
        get(small, key)
    assert made == ["a", "b", "a"]

    def wrong() -> str:
        raise InputError("no: try again.")

    with pytest.raises(InputError):
        few.get("d", wrong)
    assert get(few, "d") == "ddd"
