"""Spaces, records and principals may have any name that can be printed; an address takes it percent-encoded."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

pytest.importorskip("fastapi", reason='fastapi is not installed: pip install "mnemic[serve]"')

import httpx

from mnemic.serve.http import names

NAMES = ["a/b", "/", "records/bulk", "日本/東京", "50% off?", "a#b&c=d", "..hidden/..", "x/records/y"]


@pytest.mark.parametrize("name", NAMES)
def test_a_space_of_any_name_is_written_read_and_listed(live: Any, name: str) -> None:
    base = f"{live()}/v1/spaces/{quote(name, safe='')}"
    with httpx.Client(base_url=base) as client:
        added = client.post(f"{base}/records", json={"text": "Ana moved to Porto."})
        assert added.status_code == 201
        (item,) = added.json()["items"]
        assert item["record"]["space"] == name
        address = added.headers["location"]
        assert client.get(f"{base.partition('/v1')[0]}{address}").json()["id"] == item["id"]
        assert client.get(f"{base}/recall", params={"q": "Ana"}).json()["items"][0]["record"]["id"] == item["id"]
        assert client.get(f"{base}/stats").json()["space"] == name
        listed = client.get(f"{base.partition('/v1')[0]}/v1/spaces").json()["items"]
        assert [each["space"] for each in listed] == [name]


def test_a_slash_of_a_name_is_none_of_the_address(client: Any) -> None:
    client.post("/v1/spaces/a/records", json={"text": "in a"})
    assert client.get("/v1/spaces%2Fa/records").status_code == 404
    assert client.get("/v1%2Fspaces/a/records").status_code == 404
    assert client.get("/v1/spaces/a%2Frecords").status_code == 404
    assert client.get("/v1/spaces/a%2frecords/records").json()["items"] == []


def test_a_token_for_one_name_opens_no_other(client: Any, as_principal: Any) -> None:
    ana = as_principal(client, "ana/team", {"a/b": ["write"]})
    client.post("/v1/spaces/a/records", json={"text": "not for Ana"})
    assert client.post("/v1/spaces/a%2Fb/records", json={"text": "hers"}, headers=ana).status_code == 201
    for name in ("a", "a%2Fb%2Frecords", "a%2F", "%2Fb", "a%252Fb", "a%EF%BF%BDb"):
        assert client.get(f"/v1/spaces/{name}/records", headers=ana).status_code == 404, name


def test_a_principal_of_any_name_is_given_rights_and_removed(client: Any) -> None:
    assert client.post("/v1/principals", json={"name": "ana/team"}).status_code == 201
    shared = client.put("/v1/spaces/a%2Fb/grants/ana%2Fteam", json={"rights": ["read"]})
    assert shared.json()["items"] == {"ana/team": ["read"]}
    assert client.delete("/v1/principals/ana%2Fteam").json()["items"] == []


def test_names_in_headers_are_utf_8_and_else_latin_1() -> None:
    assert names.in_header("Küche".encode().decode("latin-1")) == "Küche"
    assert names.in_header("Küche") == "Küche"
    assert names.in_header("plain") == "plain"
