"""Recall, ask, the log, the overview, imports and exports over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("fastapi", reason='fastapi is not installed: pip install "mnemic[serve]"')

from starlette.testclient import TestClient

from mnemic.lm.scripted import ScriptedLM

BASE = "/v1/spaces/default"


def events(text: str) -> list[tuple[str, Any]]:
    """(event, data) of a stream."""
    found = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((fields.get("event", ""), json.loads(fields["data"])))
    return found


def add(client: TestClient, *texts: str, **fields: Any) -> list[str]:
    answer = client.post(f"{BASE}/records", json=[{"text": text, **fields} for text in texts])
    return [each["id"] for each in answer.json()["items"]]


def test_a_hit_tells_what_its_score_is_made_of(client: TestClient) -> None:
    add(client, "Ana moved to Porto.", "Ben drinks tea.", "It rained.")
    hits = client.get(f"{BASE}/recall", params={"q": "Where did Ana move?", "k": 2}).json()["items"]
    assert hits[0]["record"]["text"] == "Ana moved to Porto."
    assert len(hits) == 2
    for hit in hits:
        assert hit["score"] == pytest.approx(sum(hit["parts"].values()), abs=1e-5)
        assert hit["record"]["text"][slice(*hit["span"])] == hit["passage"]


def test_recall_takes_filters_and_times(client: TestClient) -> None:
    add(client, "We live by the park.", time="2019")
    add(client, "We live on the hill.", time="2026")

    def found(**params: Any) -> list[str]:
        answer = client.get(f"{BASE}/recall", params={"q": "Where do we live?", **params})
        return [hit["record"]["text"] for hit in answer.json()["items"]]

    assert found(time="2019") == ["We live by the park."]
    assert found(time="2025..2027") == ["We live on the hill."]
    assert found(since="2025", k=1) == ["We live on the hill."]
    assert client.get(f"{BASE}/recall", params={"q": " "}).status_code == 422
    assert client.get(f"{BASE}/recall").status_code == 422


def test_an_answer_cites_its_records(serve: Any) -> None:
    client = serve(lm=ScriptedLM(lambda request: "Ana lives in Porto [1]."))
    (id,) = add(client, "Ana moved to Porto.")
    answer = client.post(f"{BASE}/ask", json={"question": "Where does Ana live?"}).json()
    assert (answer["text"], answer["known"], answer["model"]) == ("Ana lives in Porto [1].", True, "scripted")
    assert [each["record"]["id"] for each in answer["citations"]] == [id]
    assert answer["used"]["parts"]["prompt"] > 0
    assert client.post(f"{BASE}/ask", json={"question": "x", "budget": "2 potatoes"}).status_code == 422


def test_a_streamed_answer_tells_what_was_found_then_the_text_then_all_of_it(serve: Any) -> None:
    client = serve(lm=ScriptedLM(lambda request: "Ana lives in Porto [1], by the river, where the boats are."))
    (id,) = add(client, "Ana moved to Porto by the river, where the boats are.")
    asked = {"question": "Where does Ana live?"}
    answer = client.post(f"{BASE}/ask", json=asked, headers={"Accept": "text/event-stream"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = events(answer.text)
    names = [name for name, _ in told]
    assert (names[0], set(names[1:-1]), names[-1]) == ("recalled", {"text"}, "done")
    assert len(names) > 10  # word by word
    assert told[0][1]["items"][0]["record"]["id"] == id
    assert "".join(data["text"] for name, data in told if name == "text") == told[-1][1]["text"]
    assert told[-1][1] == client.post(f"{BASE}/ask", json=asked).json()


def test_an_error_in_a_stream_is_its_last_event(serve: Any) -> None:
    client = serve(lm=ScriptedLM(lambda request: ""))
    add(client, "Ana moved to Porto.")
    answer = client.post(f"{BASE}/ask", json={"question": "Ana?"}, headers={"Accept": "text/event-stream"})
    told = events(answer.text)
    assert [name for name, _ in told] == ["recalled", "problem"]
    assert told[1][1]["status"] == 502


def test_the_log_is_paged_and_numbered_in_its_space(client: TestClient) -> None:
    client.post("/v1/spaces/noise/records", json={"text": "noise"})
    add(client, *(f"note {n}" for n in range(7)))
    for order, wanted in (("oldest", [1, 2, 3, 4, 5, 6, 7]), ("newest", [7, 6, 5, 4, 3, 2, 1])):
        found: list[int] = []
        cursor = None
        while True:
            asked = {"limit": 3, "order": order, "cursor": cursor}
            page = client.get(f"{BASE}/log", params={name: value for name, value in asked.items() if value})
            found += [each["n"] for each in page.json()["items"]]
            cursor = page.json()["next"]
            if cursor is None:
                break
        assert found == wanted
    assert [each["n"] for each in client.get(f"{BASE}/log", params={"after": 5}).json()["items"]] == [6, 7]
    assert client.get(f"{BASE}/log/3").json()["after"]["text"] == "note 2"
    assert client.get(f"{BASE}/log/8").status_code == 404


def test_the_history_of_a_record_goes_on_when_it_is_forgotten_and_undo_brings_it_back(client: TestClient) -> None:
    (id,) = add(client, "tea")
    client.delete(f"{BASE}/records/{id}", params={"why": "old"})
    assert client.get(f"{BASE}/records/{id}").status_code == 404
    log = client.get(f"{BASE}/records/{id}/history").json()["items"]
    assert [(each["n"], each["kind"], each["why"]) for each in log] == [(1, "insert", "add"), (2, "delete", "old")]
    (done,) = client.post(f"{BASE}/undo", json={"operation": 2}).json()["items"]
    assert (done["kind"], done["undoes"]) == ("insert", 2)
    assert client.get(f"{BASE}/records/{id}").json()["text"] == "tea"
    assert client.get(f"{BASE}/records/nothing/history").status_code == 404


def test_the_timeline_counts_everything_once(client: TestClient) -> None:
    add(client, "a", time="2020-01-01")
    add(client, "b", "c", time="2020-12-31")
    add(client, "d")
    told = client.get(f"{BASE}/timeline", params={"buckets": 12}).json()
    assert told["records"]["counts"] == [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    assert told["undated"] == 1
    assert sum(told["operations"]["counts"]) == 4
    assert told["operations"]["last"][-1] == 4
    assert client.get("/v1/spaces/empty/timeline").json()["records"]["counts"] == []


def test_the_graph_shows_links_and_neighbours_up_to_a_number_of_nodes(client: TestClient) -> None:
    ids = add(client, *(f"note {n}" for n in range(4)), episode="e")
    client.post(f"{BASE}/links", json={"head": ids[1], "relation": "answers", "tail": ids[3]})
    graph = client.get(f"{BASE}/graph", params={"record": ids[1]}).json()
    assert {(each["head"], each["relation"], each["tail"]) for each in graph["edges"]} == {
        (ids[1], "answers", ids[3]), (ids[0], "before", ids[1]), (ids[1], "before", ids[2])}  # fmt: skip
    assert ({node["id"] for node in graph["nodes"]}, graph["whole"]) == (set(ids), True)
    few = client.get(f"{BASE}/graph", params={"record": ids[1], "most": 2}).json()
    assert (len(few["nodes"]), few["whole"]) == (2, False)


def test_the_audit_finds_and_repairs(client: TestClient) -> None:
    add(client, "Ana likes green tea in the morning.", source="a")
    add(client, "Ana likes green tea in the morning.", source="b")
    found = client.get(f"{BASE}/audit").json()
    assert found["counts"]["duplicate"] == 1
    add(client, "news")
    old = client.post(f"{BASE}/audit/repair", json={"position": found["position"]})
    assert old.status_code == 409
    done = client.post(f"{BASE}/audit/repair", json={"only": ["duplicate"]}).json()
    assert done["done"] == 1
    assert client.get(f"{BASE}/audit").json()["counts"]["duplicate"] == 0
    assert client.post(f"{BASE}/undo", json={"operation": done["operations"][0]["n"]}).status_code == 200


def test_stats_tell_sizes_budget_and_model(serve: Any) -> None:
    client = serve(budget="100 records")
    add(client, "tea")
    told = client.get(f"{BASE}/stats").json()
    assert (told["records"], told["newest"], told["budget"], told["model"]) == (1, 1, "100 records", None)
    assert told["used"]["amount"] == 1
    assert client.get(f"{BASE}/check").json()["ok"] is True


def test_a_program_proposes_operations_that_are_done_together_or_not_at_all(client: TestClient) -> None:
    (id,) = add(client, "Ana lives in Porto.")
    fact = {"kind": "insert", "after": {"kind": "fact", "text": "Ana is in Portugal.", "derived_from": [id]}}

    def propose(*operations: Any, **more: Any) -> Any:
        return client.post(f"{BASE}/operations", json={"operations": operations, **more})

    assert propose(fact, {"kind": "delete", "target": "nothing"}).status_code == 404
    assert client.get(f"{BASE}/stats").json()["records"] == 1
    done = propose(fact, {"kind": "update", "target": id, "after": {"importance": 2.0}}, read_at=1, why="a test")
    assert [each["state"] for each in done.json()["items"]] == ["added", "updated"]
    assert propose(fact, read_at=1).status_code == 409
    log = client.get(f"{BASE}/log").json()["items"]
    assert [(each["who"], each["why"]) for each in log[1:]] == [("person", "a test")] * 2
    assert len({each["call"] for each in log[1:]}) == 1


# ---- imports


def test_a_bulk_add_tells_its_progress_and_what_was_refused(client: TestClient) -> None:
    lines = [json.dumps({"text": f"note {n}", "source": "bulk"}) for n in range(600)]
    lines[300:300] = ["{broken", "", "5", '{"txt": "x"}', '{"text": " "}', '"only a text"']
    answer = client.post(f"{BASE}/records/bulk", content="\n".join(lines))
    told = events(answer.text)
    assert [name for name, _ in told] == ["progress", "progress", "progress", "done"]
    last = told[-1][1]
    assert (last["added"], last["refused"], last["stopped"]) == (601, 4, False)
    assert last["done"] == last["size"] == len("\n".join(lines))
    assert [each["where"] for each in last["reasons"]] == ["line 304", "line 305", "line 301", "line 303"]
    assert client.get(f"{BASE}/stats").json()["records"] == 601
    again = events(client.post(f"{BASE}/records/bulk", content="\n".join(lines)).text)[-1][1]
    assert (again["added"], again["unchanged"]) == (0, 601)


def test_a_bulk_add_ends_after_its_batch_when_the_server_is_stopping(client: TestClient) -> None:
    client.app.state.serving.stopping.set()  # type: ignore[attr-defined]
    lines = "\n".join(json.dumps({"text": f"note {n}"}) for n in range(600))
    last = events(client.post(f"{BASE}/records/bulk", content=lines).text)[-1][1]
    assert (last["added"], last["stopped"]) == (256, True)
    assert client.get(f"{BASE}/stats").json()["records"] == 256  # what was told is there


def test_files_are_read_as_the_library_reads_them_under_their_own_names(client: TestClient) -> None:
    sent = [("file", ("trip.md", "# Trip\n\nWe met Ana.\n", "text/markdown")),
            ("file", ("../../chat.jsonl", '"It rained."\n{broken\n', "application/json"))]  # fmt: skip
    last = events(client.post(f"{BASE}/files", files=sent).text)[-1][1]
    assert (last["added"], last["refused"]) == (2, 1)
    records = client.get(f"{BASE}/records", params={"order": "oldest"}).json()["items"]
    assert [(each["source"], each["place"]) for each in records] == [("trip.md", "# Trip"), ("chat.jsonl", "line 1")]
    assert client.post(f"{BASE}/files", files=[("file", ("..", "x"))]).status_code == 422


def test_a_file_may_have_a_name_longer_than_a_disk_takes(client: TestClient) -> None:
    name = "日" * 190 + ".md"
    last = events(client.post(f"{BASE}/files", files=[("file", (name, "# A long name\n\nIt rained."))]).text)[-1]
    assert (last[0], last[1]["added"]) == ("done", 1)
    assert client.get(f"{BASE}/records").json()["items"][0]["source"] == name


def test_an_export_of_one_server_loads_into_another(client: TestClient, tmp_path: Any) -> None:
    from mnemic import Memory

    ids = add(client, "tea", "coffee")
    client.patch(f"{BASE}/records/{ids[0]}", json={"text": "milk"})
    (tmp_path / "e.jsonl").write_bytes(client.get(f"{BASE}/export").content)
    with Memory(tmp_path / "copy.db", embedder="hash-64") as memory:
        memory.load(tmp_path / "e.jsonl")
        assert [record.text for record in memory.records()] == ["milk", "coffee"]
        assert len(list(memory.log())) == 3
        memory.export(tmp_path / "again.jsonl")
    taken = client.post("/v1/spaces/other/load", content=(tmp_path / "again.jsonl").read_bytes())
    assert taken.status_code == 422
    assert "default" not in taken.json()["detail"]  # whose it is is not told
    again = client.post(f"{BASE}/load", content=(tmp_path / "again.jsonl").read_bytes())
    assert [each["state"] for each in again.json()["items"]] == ["unchanged", "unchanged"]
