"""Who gets in, from where, how often, with how much; and what is answered to who does not."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("fastapi", reason='fastapi is not installed: pip install "mnemic[serve]"')

from starlette.testclient import TestClient

from mnemic.lm.scripted import ScriptedLM
from mnemic.serve.http import metrics

BASE = "/v1/spaces/default"
ROUTES = ["/v1/spaces", "/v1/me", f"{BASE}/records", "/metrics"]


@pytest.mark.parametrize("path", ROUTES)
def test_where_tokens_are_asked_for_nothing_is_told_without_one(serve: Any, path: str) -> None:
    client = serve(require_token=True)
    for headers in (
        {},
        {"Authorization": "Bearer mnemic_wrong"},
        {"Authorization": "Bearer x"},
        {"Authorization": "x"},
    ):
        answer = client.get(path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert client.get("/health").json()["status"] == "ok"


def test_every_route_of_the_document_but_health_asks_for_a_token(serve: Any) -> None:
    client = serve(require_token=True)
    paths = client.get("/openapi.json").json()["paths"]
    open_ = [
        f"{method} {path}"
        for path, methods in paths.items()
        for method in methods
        if client.request(method, re.sub(r"{\w+}", "x", path)).status_code != 401
    ]
    assert open_ == ["get /health"]


def test_on_this_machine_any_key_will_do_but_a_token_is_taken_at_its_word(client: TestClient) -> None:
    assert client.get("/v1/me", headers={"Authorization": "Bearer none"}).json()["name"] == "person"
    assert client.get("/v1/me", headers={"Authorization": "Bearer mnemic_wrong"}).status_code == 401


def test_a_token_opens_its_space_and_the_others_are_not_there(
    client: TestClient, as_principal: Callable[..., Any]
) -> None:
    client.post("/v1/spaces/hidden/records", json={"text": "a secret"})
    ana = as_principal(client, "ana", {"default": ["read"]})
    assert client.get(f"{BASE}/records", headers=ana).status_code == 200
    assert client.post(f"{BASE}/records", json={"text": "x"}, headers=ana).status_code == 403
    assert client.get("/v1/spaces/hidden/records", headers=ana).status_code == 404
    assert [each["space"] for each in client.get("/v1/spaces", headers=ana).json()["items"]] == ["default"]
    assert set(client.get(f"{BASE}/stats", headers=ana).json()).isdisjoint({"bytes", "on_disk", "path"})


def test_who_may_share_gives_what_they_have_and_nothing_else(
    client: TestClient, as_principal: Callable[..., Any]
) -> None:
    ana = as_principal(client, "ana", {"family": ["share", "write"]})
    ben = as_principal(client, "ben")
    grants = "/v1/spaces/family/grants"

    def share(*rights: str, who: Any = ana) -> int:
        return client.put(f"{grants}/ben", json={"rights": rights}, headers=who).status_code

    assert client.get("/v1/spaces/family/records", headers=ben).status_code == 404
    assert [share("administer"), share("read"), share("read", who=ben)] == [403, 200, 403]
    assert client.get("/v1/spaces/family/records", headers=ben).status_code == 200
    assert client.get(grants, headers=ana).json()["items"] == {"ana": ["write", "share"], "ben": ["read"]}
    assert client.get(grants, headers=ben).status_code == 403
    assert client.delete(f"{grants}/ben", headers=ana).status_code == 200
    assert client.get("/v1/spaces/family/records", headers=ben).status_code == 404
    client.app.state.serving.pool.access.grant("ben", "family", ["administer"])  # type: ignore[attr-defined]
    assert client.delete(f"{grants}/ben", headers=ana).status_code == 403  # more than ana has


def test_principals_and_tokens_are_made_by_owners_alone(client: TestClient, as_principal: Callable[..., Any]) -> None:
    assert client.post("/v1/principals", json={"name": "ana"}).status_code == 201
    issued = client.post("/v1/tokens", json={"principal": "ana", "rights": {"a": ["administer"]}}).json()
    ana = {"Authorization": f"Bearer {issued['secret']}"}
    assert client.get("/v1/me", headers=ana).json()["rights"] == {"a": ["read", "write", "share", "administer"]}
    for path in ("/v1/principals", "/v1/tokens", "/metrics", "/v1/spaces/a/check"):
        assert client.get(path, headers=ana).status_code == 403, path
    assert client.post("/v1/tokens", json={"principal": "ana"}, headers=ana).status_code == 403
    assert issued["secret"] not in client.get("/v1/tokens").text
    assert client.delete(f"/v1/tokens/{issued['token']['id']}").json()["live"] is False
    assert client.get("/v1/me", headers=ana).status_code == 401
    assert client.delete("/v1/principals/ana").json()["items"] == []


# ---- browsers


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "192.168.1.5:8765"])
def test_a_name_that_was_bent_to_this_machine_opens_nothing(client: TestClient, host: str) -> None:
    assert client.get(f"{BASE}/records", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:9999"])
def test_a_page_of_another_origin_can_neither_read_nor_write(client: TestClient, origin: str) -> None:
    for method, body in (("GET", None), ("POST", {"text": "x"})):
        answer = client.request(method, f"{BASE}/records", json=body, headers={"Origin": origin})
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
    assert client.get(f"{BASE}/records", headers={"Origin": "http://127.0.0.1:8765"}).status_code == 200


def test_an_origin_that_was_let_in_may_use_it(serve: Any) -> None:
    client = serve(allow_origins=("https://notes.example",))
    friend = {"Origin": "https://notes.example"}
    asked = client.options(f"{BASE}/records", headers={**friend, "Access-Control-Request-Method": "POST"})
    assert asked.headers["access-control-allow-origin"] == "https://notes.example"
    answer = client.get(f"{BASE}/records", headers=friend)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "https://notes.example")
    assert client.get(f"{BASE}/records", headers={"Origin": "https://evil.example"}).status_code == 403


def test_no_answer_is_taken_for_another_type_or_put_into_a_frame(client: TestClient) -> None:
    for path in ("/health", f"{BASE}/records", "/nothing", "/docs"):
        headers = client.get(path).headers
        assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")


def test_the_reference_loads_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs").text
    assert "default-src 'none'" in client.get("/docs").headers["content-security-policy"]
    assert not re.search(r"(?:src|href)=\W?(?:https?:)?//", page)
    assert page.count("<details>") > 40


def test_no_setting_of_the_environment_makes_it_report_to_anybody(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.example:4318")
    client = serve()  # a look-up of that name would fail the test
    assert client.get("/health").status_code == 200
    told = getattr(client.app, "_telemetry", {})
    assert [name for name, value in told.items() if value] == []


# ---- limits


def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(serve: Any) -> None:
    client = serve(limits={"body_bytes": 1000, "upload_bytes": 5000})
    told = client.post(f"{BASE}/records", json={"text": "x" * 2000})
    untold = client.post(f"{BASE}/records", content=iter([b'{"text": "', b"x" * 2000, b'"}']),
                         headers={"Content-Type": "application/json"})  # fmt: skip
    for answer in (told, untold, client.post(f"{BASE}/records/bulk", content=b"5\n" * 4000)):
        assert answer.status_code == 413
        assert "bytes" in answer.json()["detail"]
    assert client.post(f"{BASE}/records/bulk", content=b'"x"\n' * 500).status_code == 200


def test_a_principal_that_asks_too_often_is_told_when_to_come_back_and_others_are_not(
    serve: Any, as_principal: Callable[..., Any]
) -> None:
    client = serve(limits={"per_minute": 5})
    ana, ben = as_principal(client, "ana", {"a": ["read"]}), as_principal(client, "ben", {"a": ["read"]})
    assert [client.get("/v1/me", headers=ana).status_code for _ in range(6)] == [200] * 5 + [429]
    refused = client.get("/v1/me", headers=ana)
    assert 1 <= int(refused.headers["retry-after"]) <= 13
    assert client.get("/v1/me", headers=ben).status_code == 200
    assert {client.get("/v1/me").status_code for _ in range(20)} == {200}  # the person at the machine


def test_who_tries_tokens_is_slowed_down(serve: Any) -> None:
    client = serve(require_token=True)
    answers = [client.get("/v1/me", headers={"Authorization": f"Bearer mnemic_{n}"}).status_code for n in range(130)]
    assert answers[0] == 401
    assert answers[-1] == 429


def test_what_takes_too_long_is_answered_all_the_same(serve: Any) -> None:
    free = threading.Event()

    def slow(request: Any) -> str:
        free.wait(20)
        return "late [1]"

    client = serve(lm=ScriptedLM(slow), limits={"seconds": 0.3})
    client.post(f"{BASE}/records", json={"text": "tea"})
    answer = client.post(f"{BASE}/ask", json={"question": "tea?"})
    free.set()
    assert answer.status_code == 503
    assert "took longer than 0.3 s" in answer.json()["detail"]
    assert answer.headers["retry-after"] == "5"


def test_a_bug_is_a_problem_without_its_inside(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from mnemic.serve.rooms import Room

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a secret path")

    monkeypatch.setattr(Room, "recall", broken)
    answer = client.get(f"{BASE}/recall", params={"q": "x"})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "a secret path" not in answer.text


def test_an_unknown_address_or_method_says_where_to_look(client: TestClient) -> None:
    assert "/docs" in client.get("/v2/nothing").json()["detail"]
    answer = client.put(f"{BASE}/records", json={})
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


# ---- health and metrics


def test_health_says_when_it_is_stopping(client: TestClient) -> None:
    assert client.get("/health").status_code == 200
    client.app.state.serving.stopping.set()  # type: ignore[attr-defined]
    assert client.get("/health").status_code == 503


def test_metrics_count_requests_by_route_and_name_no_space(client: TestClient) -> None:
    for space in ("hidden one", "hidden two"):
        client.post(f"/v1/spaces/{space}/records", json=[{"text": "tea"}, {"text": "tea"}, {"text": "milk"}])
    client.get("/v1/me", headers={"Host": "evil.example"})
    text = client.get("/metrics").text
    route = 'method="POST",route="/v1/spaces/{space}/records"'
    assert f'mnemic_requests_total{{{route},status="201"}} 2' in text
    assert f'mnemic_request_seconds_bucket{{{route},le="+Inf"}} 2' in text
    assert 'mnemic_remembered_total{state="added"} 4' in text
    assert 'mnemic_refused_total{reason="421"} 1' in text
    assert "hidden" not in text
    for line in text.splitlines():
        assert re.fullmatch(r'# .*|[a-z_]+(\{([a-z]+="[^"]*",?)+\})? [0-9.e+-]+', line), line


def test_methods_that_somebody_makes_up_do_not_pile_up_in_the_metrics(client: TestClient) -> None:
    for n in range(20):
        client.request(f"MADEUP{n}", "/v1/spaces")
    told = client.get("/metrics").text
    assert 'method="other"' in told
    assert "MADEUP" not in told


@pytest.mark.parametrize(
    ("content", "media", "sentence"),
    [
        ('{"text": "tea"}', "application/x-www-form-urlencoded", "`content-type: application/json`"),
        ('{"text": "tea"}', "text/plain", 'the body was sent as "text/plain"'),
        ('{"text": ', "application/json", "JSON"),
        ("[" * 100_000, "application/json", "how deep it is nested"),
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_read_is_told_how_to_be_sent(
    client: TestClient, content: str, media: str, sentence: str
) -> None:
    answer = client.post("/v1/spaces/default/records", content=content, headers={"content-type": media})
    assert answer.status_code in (400, 422)
    assert sentence in answer.json()["detail"]


def test_buckets_add_up() -> None:
    counted = metrics.Metrics()
    for seconds in (0.001, 0.02, 0.02, 99.0):
        counted.begin()
        counted.end("GET", "/x", 200, seconds)
    lines = [line for line in counted.text().splitlines() if line.startswith("mnemic_request_seconds")]
    values = [int(line.rpartition(" ")[2]) for line in lines if "bucket" in line]
    assert values == [1, 1, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4]
    assert lines[-1].endswith(" 4")


# ---- many at once


def test_many_threads_write_and_find_at_once_and_nothing_is_lost_doubled_or_wrong(client: TestClient) -> None:
    serving = client.app.state.serving  # type: ignore[attr-defined]
    for number in range(300):
        serving.pool.enter(None, "default", "write").add(f"Old note {number} of tea.", episode=f"e{number % 20}")
    wrong: list[str] = []
    sent: list[str] = []
    end = time.monotonic() + 3

    def write(number: int) -> None:
        room = serving.pool.enter(None, "default", "write")
        for count in range(1000):
            if time.monotonic() > end:
                return
            text = f"Writer {number} wrote {count} about tea and boats."
            try:
                room.add(text, episode=f"e{number}")
                sent.append(text)
                if count % 7 == 3:
                    room.update(next(iter(room.recall("old note", k=1))).record.id, importance=2.0 + count)
            except Exception as error:
                wrong.append(repr(error))

    def read() -> None:
        room = serving.pool.enter(None, "default")
        while time.monotonic() < end:
            try:
                assert len(room.recall("Who wrote about boats?", k=5)) == 5
            except Exception as error:
                wrong.append(repr(error))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    threads += [threading.Thread(target=read) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    there = [
        record.text for record in serving.pool.enter(None, "default").records() if record.text.startswith("Writer")
    ]
    assert sorted(there) == sorted(sent)
    assert serving.pool.enter(None, "default").check().ok


def test_columns_that_are_kept_up_find_the_same_as_new_ones(client: TestClient) -> None:
    pool = client.app.state.serving.pool  # type: ignore[attr-defined]
    room, words = pool.enter(None, "default", "write"), "tea boat market garden Lisbon train".split()
    ids = []
    for number in range(60):
        ids.append(room.add(" ".join(words[(number * k) % 6] for k in range(1, 5)) + f" {number}").id)
        if number % 9 == 8:
            room.update(ids[number // 2], text=f"boat {number}")
        if number % 13 == 12:
            room.forget(ids[number // 3])
        reader = pool.enter(None, "default")
        kept = reader.recall("tea on the boat", k=8)
        fresh = type(reader)(pool.settings.path, space="default", embedder="hash-64", lm="none")
        wanted = fresh.recall("tea on the boat", k=8)
        assert [hit.record.id for hit in kept] == [hit.record.id for hit in wanted]
        for one, other in zip(kept, wanted, strict=True):  # rows of what is gone stand between: sums round otherwise
            assert one.parts == pytest.approx(other.parts, abs=1e-4)
        fresh.close()
