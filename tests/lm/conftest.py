"""A chat server on the loopback that does what a test says, and the model inside the process where it is installed."""

from __future__ import annotations

import importlib.util
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from mnemic.errors import ModelError
from mnemic.lm.chat import ChatModel
from mnemic.lm.local import LocalModel, carried_model

Behaviour = Callable[["Server", dict[str, Any], BaseHTTPRequestHandler], Any]


class Quiet(ThreadingHTTPServer):
    def handle_error(self, *args: Any) -> None:
        """A client that has left is what some tests are about."""


class Server:
    """A chat server whose every answer is a function of the request: (status, text or JSON), or it writes itself."""

    def __init__(self) -> None:
        self.behave: Behaviour = lambda *_: (
            200,
            {"choices": [{"message": {"role": "assistant", "content": "Lisbon."}}]},
        )
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.bodies.append(body)
                outer.headers.append({name.lower(): value for name, value in self.headers.items()})
                answer = outer.behave(outer, body, self)
                if answer is not None:
                    outer.send(self, *answer)

            def log_message(self, *args: Any) -> None: ...

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @staticmethod
    def send(handler: BaseHTTPRequestHandler, status: int, body: Any) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("content-length", str(len(data)))
        handler.send_header("content-type", "text/html" if data.startswith(b"<") else "application/json")
        handler.end_headers()
        handler.wfile.write(data)

    def model(self, **options: Any) -> ChatModel:
        return ChatModel("tiny", base_url=self.url, **{"retries": 0, "timeout": 5.0, **options})


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.http.shutdown()
    running.http.server_close()


@pytest.fixture(scope="session")
def local_model() -> Iterator[LocalModel]:
    """SmolLM2-135M in llama.cpp, and a skip that says why where it is not installed."""
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip('xllamacpp is not installed: pip install "mnemic[local]"')
    try:
        carried_model()
    except ModelError as error:
        pytest.skip(str(error))
    model = LocalModel(context=1024, threads=1)
    yield model
    model.close()
