"""Embedders by name, and the one of a server, against a real server on the loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnemic.errors import EmbedderMismatch, InputError, ModelError
from mnemic.lm.doubles import HashEmbedder
from mnemic.lm.embedders import LocalEmbedder, ServerEmbedder, open_embedder
from mnemic.lm.minilm import MiniLM
from mnemic.memory import Memory


class Server:
    """Answers each request with `answer(texts)`: (status, JSON)."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.answer: Any = lambda texts: (200, self.vectors(texts))
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.requests.append({**body, "key": self.headers["authorization"]})
                status, answer = outer.answer(body["input"])
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: Any) -> None: ...

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @staticmethod
    def vectors(texts: list[str]) -> dict[str, Any]:
        """Out of order, as the protocol allows, and not of length 1."""
        made = 3 * HashEmbedder(8).embed(texts)
        data = [{"object": "embedding", "index": i, "embedding": row.tolist()} for i, row in enumerate(made)]
        return {
            "object": "list",
            "model": "words",
            "data": data[::-1],
            "usage": {"prompt_tokens": 1, "total_tokens": 1},
        }


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server()
    monkeypatch.setenv("MNEMIC_EMBED_BASE_URL", made.url)
    monkeypatch.setenv("MNEMIC_EMBED_API_KEY", "secret")
    yield made
    made.http.shutdown()
    made.http.server_close()


def test_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(open_embedder(), MiniLM)
    assert isinstance(open_embedder(MiniLM.name), MiniLM)
    assert open_embedder("hash-32").dimensions == 32
    assert isinstance(open_embedder("openai:words"), ServerEmbedder)
    assert isinstance(open_embedder("sentence-transformers:some/model"), LocalEmbedder)  # nothing is loaded yet
    monkeypatch.setenv("MNEMIC_EMBEDDER", "hash-16")
    assert open_embedder().name == "hash-16"


@pytest.mark.parametrize("name", ["bert", "openai:", "openai", "hash-", "hash-0", "hash-x", "sentence-transformers:"])
def test_a_name_that_nothing_has(name: str) -> None:
    with pytest.raises(InputError, match="no embedder is called"):
        open_embedder(name)


def test_a_server_gives_vectors_in_order_and_of_length_one(server: Server) -> None:
    texts = [f"tea number {n}" for n in range(300)]
    vectors = open_embedder("openai:words").embed(texts)
    assert np.allclose(vectors, HashEmbedder(8).embed(texts), atol=1e-6)
    assert [len(request["input"]) for request in server.requests] == [128, 128, 44]
    assert {(request["model"], request["key"]) for request in server.requests} == {("words", "Bearer secret")}


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((401, {"error": "no"}), "refused"),
        ((404, {"error": "no such model"}), "check the model words"),
        ((200, {"object": "list", "data": []}), "no vectors"),
        ((200, {"object": "list", "data": [{"index": 0, "embedding": ["x"]}]}), "no vectors"),
        ((200, {"object": "list", "data": [{"index": 0, "embedding": [float("nan")]}]}), "no vectors"),
        ((200, {"object": "list"}), "no vectors"),
    ],
)
def test_a_server_that_gives_nothing_changes_nothing(server: Server, tmp_path: Path, answer: Any, says: str) -> None:
    with Memory(tmp_path / "life.db", embedder="openai:words", retriever="dense") as memory:
        memory.add("here before")
        server.answer = lambda texts: answer
        with pytest.raises(ModelError, match=says):
            memory.add("tea")
        server.answer = lambda texts: (200, server.vectors(texts))
        assert [record.text for record in memory.records()] == ["here before"]
        assert memory.check().ok


def test_a_server_that_is_not_there(server: Server) -> None:
    embedder = ServerEmbedder("words", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(ModelError, match="does not answer"):
        embedder.embed(["tea"])
    with pytest.raises(InputError, match="no URL"):
        ServerEmbedder("words", base_url="localhost:9")


def test_the_file_remembers_whose_vectors_it_has(server: Server, tmp_path: Path) -> None:
    with Memory(tmp_path / "life.db", embedder="openai:words") as memory:
        memory.add("green tea")
    with Memory(tmp_path / "life.db") as memory:
        assert memory.embedder.name == "openai:words"
        assert memory.recall("tea")[0].record.text == "green tea"
    with pytest.raises(EmbedderMismatch, match="reembed"):
        Memory(tmp_path / "life.db", embedder="hash-64")


def test_windows_of_a_server_cover_the_text() -> None:
    embedder = ServerEmbedder("words", base_url="http://127.0.0.1:9/v1", window=10)
    assert embedder.windows("x" * 70) == [(0, 30), (30, 60), (60, 70)]
    assert embedder.windows("") == [(0, 0)]
    assert embedder.count("x" * 9) == 3


def test_a_model_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sentence_transformers", None)
    with pytest.raises(ModelError, match="pip install sentence-transformers"):
        LocalEmbedder("any").embed(["tea"])
