"""The reference of the HTTP API says what the server says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason='fastapi is not installed: pip install "mnemic[serve]"')

from starlette.testclient import TestClient

from mnemic.serve.http.reference import routes

ROOT = Path(__file__).parents[2]


def test_the_reference_is_up_to_date() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts" / "write_http_reference.py", "--check"], text=True,
                          capture_output=True)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_route_is_explained_and_every_body_has_an_example(client: TestClient) -> None:
    document: dict[str, Any] = client.get("/openapi.json").json()
    for route in routes(document):
        assert route.title
        told = document["paths"][route.path][route.method.lower()]
        content = told.get("requestBody", {}).get("content", {})
        assert route.sent or not content or "multipart/form-data" in content, f"{route.method} {route.path}"
        for status in told["responses"]:
            if status.startswith(("4", "5")):
                assert list(told["responses"][status]["content"]) == ["application/problem+json"]


def test_what_the_examples_send_is_taken(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    client.post("/v1/principals", json={"name": "ana"})
    for route in routes(document):
        if not route.sent or route.path == "/v1/chat/completions":
            continue
        texts = [{"text": f"{word} for {route.method} {route.path}"} for word in ("one", "two")]
        added = client.post("/v1/spaces/default/records", json=texts).json()["items"]
        body = route.sent.replace("01970c1e-7d2a-7c55-9d3e-5b1f0c6a2e11", added[0]["id"])
        body = body.replace("01970c1e-8f00-7a10-8b7c-2d4e6f801357", added[1]["id"])
        path = route.path.format(space="default", id=added[0]["id"], name="ana", n=1)
        answer = client.request(route.method, path, content=body, headers={"Content-Type": "application/json"})
        taken = (
            {200, 201, 404, 409, 422} if route.path.endswith(("undo", "repair", "principals", "load")) else {200, 201}
        )
        assert answer.status_code in taken, f"{route.method} {path}: {answer.text}"
