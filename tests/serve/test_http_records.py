"""Records over HTTP: added, listed, changed only while they are as they were read, erased without a trace."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason='fastapi is not installed: pip install "mnemic[serve]"')

from starlette.testclient import TestClient

BASE = "/v1/spaces/default"


def add(client: TestClient, *texts: str, **fields: Any) -> list[str]:
    answer = client.post(f"{BASE}/records", json=[{"text": text, **fields} for text in texts])
    assert answer.status_code in (200, 201), answer.text
    return [each["id"] for each in answer.json()["items"]]


def test_what_is_added_is_there_under_its_address(client: TestClient) -> None:
    given = {"text": "Ana moved.", "time": "2026-05", "until": "2026-08", "speaker": "Ben", "metadata": {"n": 3},
             "kind": "fact", "importance": 2.0, "pinned": True, "source": "c", "place": "1"}  # fmt: skip
    answer = client.post(f"{BASE}/records", json=given)
    assert answer.status_code == 201
    record = client.get(answer.headers["location"]).json()
    assert {name: record[name] for name in given} == given
    assert record == answer.json()["items"][0]["record"]


def test_each_text_has_its_outcome_and_the_status_sums_them_up(client: TestClient) -> None:
    def sent(*texts: str) -> tuple[int, list[str]]:
        answer = client.post(f"{BASE}/records", json={"items": [{"text": text} for text in texts], "why": "test"})
        return answer.status_code, [each["state"] for each in answer.json()["items"]]

    assert sent("one", "two") == (201, ["added", "added"])
    assert sent("one", "three") == (201, ["unchanged", "added"])
    assert sent("one", "two") == (200, ["unchanged", "unchanged"])
    assert sent("four", " ") == (207, ["added", "refused"])
    assert client.get(f"{BASE}/log").json()["items"][0]["why"] == "test"


def test_one_text_that_cannot_be_kept_is_an_error_that_says_why(client: TestClient) -> None:
    answer = client.post(f"{BASE}/records", json={"text": " "})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:mnemic:input", "title": "What was sent cannot be used", "status": 422,
        "detail": "there is no text to remember: give at least one word."}  # fmt: skip


@pytest.mark.parametrize(
    "body",
    ['{"txt": "x"}', '{"text": 5}', "[]", "5", "{", '{"text": "x", "pinned": "yes"}', '{"text": "\\ud800"}', "\xff"],
)
def test_what_is_no_record_is_refused_with_where_it_is_wrong(client: TestClient, body: str) -> None:
    answer = client.post(
        f"{BASE}/records", content=body.encode("latin-1"), headers={"content-type": "application/json"}
    )
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.get(f"{BASE}/records").json()["items"] == []


def test_pages_hold_everything_once_in_both_orders(client: TestClient) -> None:
    ids = add(client, *(f"note {n}" for n in range(23)))
    for order, wanted in (("oldest", ids), ("newest", ids[::-1])):
        found: list[str] = []
        cursor: str | None = None
        while True:
            asked = {"limit": 5, "order": order, "cursor": cursor}
            page = client.get(f"{BASE}/records", params={name: value for name, value in asked.items() if value})
            found += [each["id"] for each in page.json()["items"]]
            cursor = page.json()["next"]
            if cursor is None:
                break
        assert found == wanted


def test_a_cursor_holds_for_its_listing_only_and_tells_no_number(client: TestClient) -> None:
    add(client, *(f"note {n}" for n in range(5)))
    cursors = {client.get(f"{BASE}/records", params={"limit": 2}).json()["next"] for _ in range(5)}
    assert len(cursors) == 5  # sealed anew each time
    cursor = cursors.pop()
    for path, params in (("records", {"order": "oldest"}), ("records", {"kind": "fact"}), ("log", {})):
        answer = client.get(f"{BASE}/{path}", params={**params, "cursor": cursor})
        assert answer.status_code == 422
        assert "cursor is not one of this listing" in answer.json()["detail"]
    assert client.get(f"{BASE}/records", params={"cursor": "AAAA"}).status_code == 422


def test_filters_are_those_of_the_library(client: TestClient) -> None:
    add(client, "old tea", time="2019", speaker="Ana", metadata={"n": 3})
    add(client, "new tea", time="2026-05", kind="fact", source="notes/a.md")

    def found(**params: Any) -> list[str]:
        return [each["text"] for each in client.get(f"{BASE}/records", params=params).json()["items"]]

    assert found(kind="fact") == ["new tea"]
    assert found(speaker="ana") == ["old tea"]
    assert found(source="notes/*") == ["new tea"]
    assert found(since="2020") == ["new tea"]
    assert found(until="2020") == ["old tea"]
    assert found(metadata='{"n": 3}') == ["old tea"]
    assert found(kind=["fact", "episode"], order="oldest") == ["old tea", "new tea"]
    assert client.get(f"{BASE}/records", params={"metadata": "n=3"}).status_code == 422
    assert client.get(f"{BASE}/records", params={"since": "yesterday"}).status_code == 422


def test_an_unchanged_record_is_not_sent_again(client: TestClient) -> None:
    (id,) = add(client, "tea")
    first = client.get(f"{BASE}/records/{id}")
    again = client.get(f"{BASE}/records/{id}", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    add(client, "something else")
    assert client.get(f"{BASE}/records/{id}", headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    changed = client.patch(f"{BASE}/records/{id}", json={"text": "coffee"})
    assert changed.headers["etag"] != first.headers["etag"]
    assert client.get(f"{BASE}/records/{id}", headers={"If-None-Match": first.headers["etag"]}).status_code == 200


@pytest.mark.parametrize("way", ["patch", "delete", "supersede"])
def test_a_record_that_was_changed_since_it_was_read_is_left_alone(client: TestClient, way: str) -> None:
    (id,) = add(client, "tea")
    old = {"If-Match": client.get(f"{BASE}/records/{id}").headers["etag"]}
    new = {"If-Match": client.patch(f"{BASE}/records/{id}", json={"text": "coffee"}).headers["etag"]}
    path = f"{BASE}/records/{id}"

    def change(headers: dict[str, str]) -> int:
        if way == "patch":
            return client.patch(path, json={"text": "milk"}, headers=headers).status_code
        if way == "delete":
            return client.delete(path, headers=headers).status_code
        return client.post(f"{path}/supersede", json={"text": "milk"}, headers=headers).status_code

    before = client.get(f"{BASE}/log").json()
    assert change(old) == 412
    assert client.get(f"{BASE}/log").json() == before
    assert change(new) in (200, 201)


def test_a_request_with_its_key_is_carried_out_once(client: TestClient) -> None:
    def send(key: str, path: str, body: Any) -> Any:
        return client.post(f"{BASE}/{path}", json=body, headers={"Idempotency-Key": key})

    first = send("k1", "records", {"text": "tea"})
    id = first.json()["items"][0]["id"]
    client.delete(f"{BASE}/records/{id}")
    again = send("k1", "records", {"text": "tea"})  # without the key it would come back
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert again.json()["items"][0] == {"state": "added", "id": id, "record": None, "reason": "", "outcomes": []}
    assert client.get(f"{BASE}/records").json()["items"] == []

    head, tail = add(client, "one", "two")
    for _ in range(2):
        assert send("k2", "links", {"head": head, "relation": "before", "tail": tail}).status_code == 201
    assert len(client.get(f"{BASE}/records/{head}/links").json()["items"]) == 1
    assert send("k3", "undo", {"operation": 2}).json()["items"] == send("k3", "undo", {"operation": 2}).json()["items"]
    new = [send("k4", f"records/{head}/supersede", {"text": "three"}).json()["id"] for _ in range(2)]
    assert new[0] == new[1]


def test_a_key_is_good_for_one_request_of_one_principal(client: TestClient, as_principal: Callable[..., Any]) -> None:
    key = {"Idempotency-Key": "k"}
    assert client.post(f"{BASE}/records", json={"text": "tea"}, headers=key).status_code == 201
    other = client.post(f"{BASE}/records", json={"text": "coffee"}, headers=key)
    assert other.status_code == 422
    assert "was used for another request" in other.json()["detail"]
    ana = as_principal(client, "ana", {"default": ["write"]})
    assert client.post(f"{BASE}/records", json={"text": "coffee"}, headers={**ana, **key}).status_code == 201


def test_a_request_that_failed_may_be_sent_again_with_its_key(client: TestClient) -> None:
    key = {"Idempotency-Key": "k"}
    assert client.post(f"{BASE}/undo", json={"operation": 1}, headers=key).status_code == 404
    add(client, "tea")
    assert client.post(f"{BASE}/undo", json={"operation": 1}, headers=key).status_code == 200


def test_an_answer_lost_in_a_crash_is_not_carried_out_again(client: TestClient) -> None:
    key = {"Idempotency-Key": "k"}
    client.post(f"{BASE}/records", json={"text": "tea"}, headers=key)
    with client.app.state.serving.pool.access.store.transaction() as db:  # type: ignore[attr-defined]
        db.execute("UPDATE answered SET answer = NULL")  # as if the server had been killed between the two
    answer = client.post(f"{BASE}/records", json={"text": "tea"}, headers=key)
    assert answer.status_code == 409
    assert "the log tells" in answer.json()["detail"]


def test_what_replaced_what_is_told_by_the_lineage(client: TestClient) -> None:
    (id,) = add(client, "Ana lives in Porto.")
    new = client.post(f"{BASE}/records/{id}/supersede", json={"text": "Ana lives in Braga.", "time": "2026-08"}).json()
    line = client.get(f"{BASE}/records/{new['id']}/lineage").json()["items"]
    assert [(each["text"], each["until"]) for each in line] == [
        ("Ana lives in Braga.", None), ("Ana lives in Porto.", "2026-08")]  # fmt: skip


def test_what_was_derived_goes_stale_and_is_found_behind_its_source(client: TestClient) -> None:
    (id,) = add(client, "The train arrives at nine.")
    (made,) = add(client, "Pick Ana up at nine.", derived_from=[id])
    client.patch(f"{BASE}/records/{id}", json={"text": "The train arrives at ten."})
    (found,) = client.get(f"{BASE}/records/{id}/derived").json()["items"]
    assert (found["id"], found["stale"]) == (made, f"source {id} was corrected")
    graph = client.get(f"{BASE}/graph", params={"record": id}).json()
    assert {(each["head"], each["relation"], each["tail"]) for each in graph["edges"]} == {(made, "derived from", id)}


def test_forgetting_by_a_filter_takes_what_passes_and_refuses_everything(client: TestClient) -> None:
    add(client, "one", "two", source="chat/1")
    add(client, "three")
    assert client.post(f"{BASE}/forget", json={"where": {}}).status_code == 422
    assert len(client.post(f"{BASE}/forget", json={"where": {"source": "chat*"}}).json()["items"]) == 2
    assert [each["text"] for each in client.get(f"{BASE}/records").json()["items"]] == ["three"]


@pytest.mark.file
def test_an_erased_text_is_in_no_file_and_the_receipt_names_what_was_made_of_it(client: TestClient, db: Path) -> None:
    canary = "Zyxwvq lives at the lighthouse"
    answer = client.post(f"{BASE}/records", json={"text": canary, "metadata": {"note": canary}, "speaker": canary},
                         headers={"Idempotency-Key": canary})  # fmt: skip
    id = answer.json()["items"][0]["id"]
    client.patch(f"{BASE}/records/{id}", json={"place": canary})
    client.get(f"{BASE}/recall", params={"q": canary, "as_of": "operation:1"})
    (made,) = add(client, "Somebody lives far out.", derived_from=[id])
    assert any(canary.encode() in file.read_bytes() for file in db.parent.iterdir())
    receipt = client.post(f"{BASE}/records/{id}/erase", json={"why": "asked for"}).json()
    assert receipt == {"id": id, "operation": receipt["operation"], "derived": [made], "complete": True, "reason": ""}
    told = client.get(f"{BASE}/log", params={"order": "newest"}).text + client.get(f"{BASE}/export").text
    told += client.get(f"{BASE}/records", params={"as_of": "operation:2"}).text
    assert "Zyxwvq" not in told
    stem = canary.split()[0].lower()
    for file in db.parent.iterdir():
        assert stem.encode() not in file.read_bytes().lower(), file
    tomb = client.get(f"{BASE}/log/{receipt['operation']}").json()
    assert (tomb["kind"], tomb["why"], tomb["before"], tomb["after"]) == ("erase", "asked for", None, None)


def test_the_memory_as_it_stood_can_be_listed_read_and_searched(client: TestClient) -> None:
    (id,) = add(client, "Ana likes tea.")
    client.patch(f"{BASE}/records/{id}", json={"text": "Ana likes coffee."})
    then = {"as_of": "operation:1"}
    assert client.get(f"{BASE}/records/{id}", params=then).json()["text"] == "Ana likes tea."
    assert client.get(f"{BASE}/records", params=then).json()["items"][0]["text"] == "Ana likes tea."
    hits = client.get(f"{BASE}/recall", params={"q": "Ana", **then}).json()["items"]
    assert hits[0]["record"]["text"] == "Ana likes tea."
    assert client.get(f"{BASE}/records", params={"as_of": "operation:0"}).json()["items"] == []
    assert client.get(f"{BASE}/records", params={"as_of": "operation:x"}).status_code == 422


def test_json_of_the_server_is_that_of_the_library(client: TestClient) -> None:
    text = 'Ünïcödé "quotes" \u2028 <script>alert(1)</script> \\ 🚂'
    (id,) = add(client, text)
    body = client.get(f"{BASE}/records/{id}").content
    assert json.loads(body)["text"] == text
    assert "🚂".encode() in body
