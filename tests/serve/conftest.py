"""Servers for tests: a real file, an embedder that needs no model, no network but this machine's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mnemic.serve import Limits, Pool, Settings

HERE = "http://127.0.0.1:8765"
BASE = "/v1/spaces/default"

Serve = Callable[..., Any]


_IN_BOTH = ("test_access", "test_http_records")  # what is kept, by whom: in a file and in PostgreSQL


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kept_in" in metafunc.fixturenames:
        both = metafunc.module.__name__.endswith(_IN_BOTH) and not metafunc.definition.get_closest_marker("file")
        metafunc.parametrize("kept_in", ["file", "postgres"] if both else ["file"], indirect=True)


@pytest.fixture
def kept_in(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def db(kept_in: str, tmp_path: Path, request: pytest.FixtureRequest) -> Path | str:
    """Where the memory is kept."""
    return request.getfixturevalue("postgres")() if kept_in == "postgres" else tmp_path / "life.db"


@pytest.fixture
def pool(db: Path) -> Iterator[Pool]:
    opened = Pool(Settings(str(db), embedder="hash-64", lm="none"))
    yield opened
    opened.close()


@pytest.fixture
def serve(db: Path) -> Iterator[Serve]:
    """serve(**settings) -> a client of a server in this process."""
    from starlette.testclient import TestClient

    from mnemic.serve.http import create_app

    clients: list[TestClient] = []

    def start(*, limits: dict[str, Any] | None = None, **settings: Any) -> TestClient:
        chosen = {"embedder": "hash-64", "lm": "none", **settings}
        app = create_app(Settings(str(db), limits=Limits(**(limits or {})), **chosen))
        client = TestClient(app, base_url=HERE, raise_server_exceptions=False)
        client.__enter__()
        clients.append(client)
        return client

    yield start
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def live(db: Path) -> Iterator[Callable[..., str]]:
    """live(**settings) -> the address of a server in a thread of this process."""
    import socket
    import threading

    import uvicorn

    from mnemic.serve.http import create_app

    stops: list[Callable[[], None]] = []

    def start(**settings: Any) -> str:
        app = create_app(Settings(str(db), **{"embedder": "hash-64", "lm": "none", **settings}))
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=5))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()

        def stop() -> None:
            server.should_exit = True
            thread.join()
            listening.close()

        stops.append(stop)
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    yield start
    for stop in stops:
        stop()


@pytest.fixture
def client(serve: Serve) -> Any:
    return serve()


@pytest.fixture
def as_principal(serve: Serve) -> Callable[..., dict[str, str]]:
    """as_principal(client, name, rights) -> headers that show a new token of a principal."""

    def made(client: Any, name: str, rights: dict[str, list[str]] | None = None, **more: Any) -> dict[str, str]:
        access = client.app.state.serving.pool.access
        if all(each.name != name for each in access.principals()):
            access.create_principal(name)
        _, secret = access.issue(name, rights, **more)
        return {"Authorization": f"Bearer {secret}"}

    return made
