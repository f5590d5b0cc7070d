"""MCP as clients reach it: a real process over stdio, streamable HTTP on this machine, many at once on one file."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason='mcp is not installed: pip install "mnemic[serve]"')
pytest.importorskip("uvicorn", reason='uvicorn is not installed: pip install "mnemic[serve]"')
pytest.importorskip("fastapi", reason='fastapi is not installed: pip install "mnemic[serve]"')

import httpx2  # what the SDK's client is made of
import uvicorn
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from mnemic import Memory
from mnemic.serve import Settings
from mnemic.serve.http import create_app

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
Start = Callable[..., tuple[str, Any]]


def process(db: Path) -> StdioServerParameters:
    """What a client's configuration says."""
    words = ["-m", "mnemic", "mcp", "run", "--db", str(db), "--embedder", "hash-64", "--lm", "none"]
    return StdioServerParameters(command=sys.executable, args=words)


@asynccontextmanager
async def over_http(url: str, *, mode: str = "auto", **headers: str) -> Any:
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


async def said(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    return ("ERROR " if result.is_error else "") + result.content[0].text


@pytest.fixture
def start(db: Path) -> Iterator[Start]:
    """start(**settings) -> (address of /mcp, its application): a server in a thread, on a port of its own."""
    running: list[tuple[Any, threading.Thread]] = []

    def go(**settings: Any) -> tuple[str, Any]:
        app = create_app(Settings(str(db), embedder="hash-64", lm="none", **settings))
        server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", 0, log_level="error", lifespan="on"))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started and thread.is_alive():
            threading.Event().wait(0.01)
        running.append((server, thread))
        return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/mcp", app

    yield go
    for server, thread in running:
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_client_over_stdio_writes_reads_and_leaves_a_clean_file(db: Path, mode: str) -> None:
    async def session() -> None:
        async with Client(process(db), mode=mode) as client:
            assert len((await client.list_tools()).tools) == 8
            id = ID.search(await said(client, "remember", text="Ana lives in Porto."))[0]
            assert id in await said(client, "recall", query="Where does Ana live?")
            assert (await said(client, "forget", id="nope")).startswith("ERROR no record nope")
            assert id in (await client.read_resource(f"mnemic://record/{id}")).contents[0].text

    asyncio.run(session())
    with Memory(db, embedder="hash-64") as memory:
        assert [record.text for record in memory.records()] == ["Ana lives in Porto."]
        assert memory.check().ok


def test_stdout_carries_the_protocol_and_nothing_else(db: Path) -> None:
    hello = (
        '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},'
        '"clientInfo":{"name":"t","version":"0"}}}\n'
        '{"jsonrpc":"2.0","method":"notifications/initialized"}\nnonsense\n'
        '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"remember",'
        '"arguments":{"text":"Ben sings."}}}\n'
    )
    with subprocess.Popen([process(db).command, *process(db).args], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True) as server:  # fmt: skip
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(hello)
        server.stdin.flush()
        lines = [server.stdout.readline()]
        while '"id":2' not in lines[-1]:
            lines.append(server.stdout.readline())
        server.stdin.close()  # the client hangs up
        lines += server.stdout.readlines()
    assert server.returncode == 0
    assert all(line.startswith('{"jsonrpc":"2.0"') for line in lines)
    with Memory(db, embedder="hash-64") as memory:
        assert [operation.why for operation in memory.log()] == ["remember (MCP, t)"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_client_over_http_writes_and_reads(start: Start, mode: str) -> None:
    url, app = start()

    async def session() -> None:
        async with over_http(url, mode=mode) as client:
            id = ID.search(await said(client, "remember", text="Ana lives in Porto."))[0]
            assert id in await said(client, "recall", query="Where does Ana live?")
            assert id in (await client.read_resource(f"mnemic://record/{id}")).contents[0].text
            assert "Porto" in (await client.get_prompt("load_memories", {"topic": "Ana"})).messages[0].content.text

    asyncio.run(session())
    assert app.state.serving.pool.enter(None, "default").stats()["records"] == 1


def test_a_page_of_another_origin_and_another_host_are_kept_out(start: Start) -> None:
    url, _ = start()
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    for headers, status in (({"Origin": "https://evil.example"}, 403), ({"Host": "evil.example"}, 421)):
        assert httpx2.post(url, json=body, headers=headers, trust_env=False).status_code == status


def test_no_client_can_hold_a_silent_stream_open(start: Start) -> None:
    url, _ = start()
    for method in ("GET", "DELETE"):
        assert httpx2.request(method, url, headers={"Accept": "text/event-stream"}, trust_env=False).status_code == 405


def test_a_token_opens_its_space_and_nothing_else(start: Start) -> None:
    url, app = start(require_token=True)
    access = app.state.serving.pool.access
    for name, rights in (("ana", {"family": ["write"], "ana": ["write"]}), ("ben", {"family": ["read"]})):
        access.create_principal(name)
        access.grant(name, "family", rights["family"])
        if "ana" in rights:
            access.grant(name, "ana", rights["ana"])
    secrets = {name: access.issue(name)[1] for name in ("ana", "ben")}

    async def session() -> None:
        ana, ben = ({"Authorization": f"Bearer {secrets[name]}"} for name in ("ana", "ben"))
        async with over_http(url, **ana, **{"X-Mnemic-Space": "ana"}) as client:
            own = ID.search(await said(client, "remember", text="Ana hides the key."))[0]
        async with over_http(f"{url}?space=family", **ana) as client:
            shared = ID.search(await said(client, "remember", text="The family eats at seven."))[0]
        async with over_http(url, **ana) as client:  # knows two spaces, and names none
            assert (await said(client, "list")).endswith("with the header X-Mnemic-Space: ana, family.")
        async with over_http(url, **ben) as client:  # knows one
            assert shared in await said(client, "recall", query="key seven")
            assert own not in await said(client, "list")
            refusal = await said(client, "remember", text="Ben was here.")
            assert refusal.startswith('ERROR you may not write in the space "family"')
            assert "#1 " in await said(client, "history")
            assert "#2 " not in await said(client, "history")
        async with over_http(url, **ben, **{"X-Mnemic-Space": "ana"}) as client:
            assert (await said(client, "list")).startswith('ERROR there is no space "ana" that you')

    asyncio.run(session())
    (operation,) = app.state.serving.pool.enter(access.check(secrets["ana"]), "family").log()
    assert operation.who == "principal:ana"


@pytest.mark.parametrize("secret", [None, "mnemic_wrong"])
def test_without_a_token_that_opens_something_nothing_is_said(start: Start, secret: str | None) -> None:
    url, app = start(require_token=True)
    app.state.serving.pool.access.create_principal("ana")
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    for method in ("initialize", "tools/list"):
        answer = httpx2.post(url, json={"jsonrpc": "2.0", "id": 1, "method": method}, headers=headers, trust_env=False)
        assert answer.status_code == 401


def test_a_token_that_is_revoked_opens_nothing_from_then_on(start: Start) -> None:
    url, app = start(require_token=True)
    access = app.state.serving.pool.access
    access.create_principal("ana")
    token, secret = access.issue("ana", {"default": ["write"]})

    async def session() -> None:
        async with over_http(url, Authorization=f"Bearer {secret}") as client:
            assert (await said(client, "remember", text="Ana lives in Porto.")).startswith("Remembered")
            access.revoke(token.id)
            with pytest.raises(MCPError):
                await client.call_tool("list", {})

    asyncio.run(session())


async def writes(connect: Callable[[], Any], clients: int, each: int) -> dict[str, str]:
    """What many clients at once were told is remembered: id -> text."""
    kept: dict[str, str] = {}

    async def one(name: int) -> None:
        async with connect() as client:
            for n in range(each):
                text = f"Client {name} says sentence {n} about boats."
                kept[ID.search(await said(client, "remember", text=text))[0]] = text

    async with asyncio.TaskGroup() as group:
        for name in range(clients):
            group.create_task(one(name))
    return kept


def all_there(db: Path, kept: dict[str, str], many: int) -> None:
    with Memory(db, embedder="hash-64") as memory:
        assert len(kept) == many
        assert {record.id: record.text for record in memory.records()} == kept
        assert sorted(operation.target for operation in memory.log()) == sorted(kept)
        assert memory.check().ok


def test_many_clients_over_http_lose_no_write(start: Start, db: Path) -> None:
    url, _ = start()
    kept = asyncio.run(writes(lambda: over_http(url), 20, 5))
    all_there(db, kept, 100)


def test_many_processes_on_one_file_lose_no_write(db: Path) -> None:
    kept = asyncio.run(writes(lambda: Client(process(db)), 4, 10))
    all_there(db, kept, 40)
