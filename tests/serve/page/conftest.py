"""The page in a real browser: one server for all tests, a Chromium for each module, a space for each test."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

# The second half keeps the browser from calling home, which is nowhere here.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
WAIT_MS = 30_000  # for a busy machine; nothing is measured here
NAMES = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Site:
    """A server with the page. pool: its memories, for tests to put something there and to look at what came of it."""

    address: str
    pool: Any

    def space(self, name: str) -> Any:
        return self.pool.enter(None, name, "write")

    def url(self, view: str, space: str, **query: Any) -> str:
        return f"{self.address}/#/{view}?{urlencode({'space': space, **query})}"

    def open(self, page: Any, view: str, space: str, **query: Any) -> None:
        """Go there afresh, and wait until the view stands."""
        page.goto("about:blank")
        page.goto(self.url(view, space, **query))
        self.ready(page)

    def ready(self, page: Any) -> None:
        page.locator("#main > section").first.wait_for()
        page.locator("[aria-busy=true]").first.wait_for(state="detached")

    def story(self, name: str) -> Any:
        """A small life in a space: a move, a talk, a plan that rests on a train that was moved."""
        memory = self.space(name)
        lisbon = memory.add("Ana lives in Lisbon.", kind="fact", time="2020", speaker="Ana", source="chat")
        talk = ["I found a flat in Porto, near the river. It has a balcony and far too many stairs.",
                "Will you move before the summer?",
                "Yes, in May. The garden of the old house goes to my sister.",
                "She will plant tomatoes again, as always.",
                "Ben plays chess on Thursdays, at the club by the station.",
                "The club closes in August."]  # fmt: skip
        memory.add_many([
            {"text": text, "time": f"2026-0{n + 1}-1{n}", "speaker": ("Ana", "Ben")[n % 2], "source": "chat",
             "episode": "talk", "place": f"line {n + 1}"} for n, text in enumerate(talk)
        ])  # fmt: skip
        memory.supersede(lisbon.id, "Ana lives in Porto.", time="2026-05", why="she moved")
        train = memory.add("Ana's train arrives at nine.", kind="fact", time="2026-06-02", source="a call")
        memory.add("Pick Ana up at nine.", kind="plan", derived_from=[train.id])
        memory.update(train.id, text="Ana's train arrives at eleven.", why="she called again")
        return memory


def started(folder: Path, **settings: Any) -> tuple[Site, Callable[[], None]]:
    pytest.importorskip("fastapi", reason='fastapi is not installed: pip install "mnemic[serve]"')
    uvicorn = pytest.importorskip("uvicorn", reason='uvicorn is not installed: pip install "mnemic[serve]"')
    from mnemic.serve import Settings
    from mnemic.serve.http import create_app

    app = create_app(Settings(str(folder / "life.db"), embedder="hash-64", lm="none", **settings))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)

    def stop() -> None:
        server.should_exit = True
        thread.join(30)

    return Site(f"http://127.0.0.1:{port}", app.state.serving.pool), stop


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """start(**settings) -> a server of the test's own."""
    stops: list[Callable[[], None]] = []

    def made(**settings: Any) -> Site:
        site, stop = started(tmp_path, **settings)
        stops.append(stop)
        return site

    yield made
    for stop in stops:
        stop()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made, stop = started(tmp_path_factory.mktemp("page"))
    yield made
    stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Closed after each module: while it is open its loop runs in this thread, and other tests want one of theirs."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install playwright"
    )
    chromium = next(filter(None, map(shutil.which, NAMES)), None)
    if chromium is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    playwright.expect.set_options(timeout=WAIT_MS)
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A tab of a person who was never here; any error of its scripts, and any request elsewhere, fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 860}, reduced_motion="reduce")
    context.set_default_timeout(WAIT_MS)
    tab = context.new_page()
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("dialog", lambda asked: (errors.append(f"a dialog: {asked.message}"), asked.dismiss()))
    tab.on("request", lambda sent: None if sent.url.startswith("http://127.0.0.1:") else errors.append(sent.url))
    yield tab
    context.close()
    assert errors == []


@pytest.fixture
def story(site: Site, request: pytest.FixtureRequest) -> tuple[str, Any]:
    """The name of the test's own space, and its memory with a small life in it."""
    return request.node.name, site.story(request.node.name)
