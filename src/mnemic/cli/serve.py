"""`mnemic serve`: HTTP, MCP and the page, from one process on one file."""

from __future__ import annotations

import json
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mnemic.cli.options import (
    Place,
    budget_option,
    default_path,
    embedder_option,
    lm_option,
    memory_options,
    retriever_option,
    writer_option,
)
from mnemic.db.address import shown_address
from mnemic.errors import InputError, MissingExtra

if TYPE_CHECKING:
    from mnemic.serve.settings import Settings

_GRACE = 30  # seconds that running requests have when the server is told to stop
_BACKLOG = 2048  # connections that wait to be taken
_KEEP_ALIVE = 75  # seconds that an idle connection stays open: longer than the minute between two polls


@click.command()
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Where to listen; beyond this machine only with tokens.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0 takes any that is free."
)
@click.option("--require-token", is_flag=True, help="Ask for a token on this machine too.")
@click.option(
    "--allow-origin",
    multiple=True,
    metavar="ORIGIN",
    help="A page of another origin that may use it from a browser (may be repeated).",
)
@click.option(
    "--per-minute",
    type=click.IntRange(1),
    default=6000,
    show_default=True,
    help="Requests of one principal in a minute.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(1),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a request may take.",
)
@click.option(
    "--max-body",
    type=click.IntRange(1),
    default=16,
    show_default=True,
    metavar="MB",
    help="Size of a request; imports may be larger.",
)
@click.option("--cert", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="TLS certificate (PEM).")
@click.option("--key", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Its private key (PEM).")
@lm_option
@retriever_option
@writer_option
@embedder_option
@budget_option
@memory_options
def serve(place: Place, as_json: bool, host: str, port: int, require_token: bool, allow_origin: tuple[str, ...],
          per_minute: int, timeout: float, max_body: int, cert: Path | None, key: Path | None, lm: str | None,
          retriever: str | None, writer: str | None, embedder: str | None, budget: str | None) -> None:  # fmt: skip
    """Serve the memory: HTTP at /v1, MCP at /mcp, a page to look into it at /, the reference at /docs.

    It listens on this machine alone unless --host says otherwise; then every request needs a token (`mnemic access
    issue`). Stop it with Ctrl-C or SIGTERM: running requests are finished, and what was acknowledged is on disk.
    """
    try:
        from mnemic.serve.settings import Limits, Settings
    except ImportError:
        raise MissingExtra("`mnemic serve`", "serve") from None
    if (cert is None) != (key is None):
        raise InputError("--cert and --key go together: give both, or neither.")
    if place.path == default_path():
        place.path.parent.mkdir(parents=True, exist_ok=True)
    limits = Limits(body_bytes=max_body * 1_000_000, per_minute=per_minute, seconds=timeout)
    settings = Settings(str(place.path), host, port, require_token, limits, allow_origin, embedder=embedder,
                        retriever=retriever or "hybrid", writer=writer or "verbatim", budget=budget, lm=lm)  # fmt: skip
    run(settings, as_json=as_json, cert=cert, key=key)


def run(settings: Settings, *, as_json: bool = False, cert: Path | None = None, key: Path | None = None) -> None:
    """Serve until the process is told to stop."""
    try:
        import uvicorn

        from mnemic.serve.http import create_app
    except ImportError:
        raise MissingExtra("`mnemic serve`", "serve") from None
    app = create_app(settings)
    here = app.state.serving
    if settings.token_required and not any(token.live for token in here.pool.access.tokens()):
        here.pool.close()
        raise InputError(
            f"on {settings.host} every request needs a token, and there is none yet: make one first with "
            "`mnemic access principal NAME` and `mnemic access issue NAME`."
        )

    options: dict[str, Any] = {"ssl_certfile": str(cert), "ssl_keyfile": str(key)} if cert else {}
    config = uvicorn.Config(app, settings.host, settings.port, log_level="warning", access_log=False, lifespan="on",
                            server_header=False, timeout_graceful_shutdown=_GRACE,
                            timeout_keep_alive=_KEEP_ALIVE, **options)  # fmt: skip
    try:
        with _listening(settings) as listening:
            said = partial(_say, settings, listening.getsockname()[1], as_json, secure=cert is not None)
            _server(config, here.stopping, said).run(sockets=[listening])
    finally:
        here.pool.close()


def _server(config: Any, stopping: threading.Event, started: Callable[[], None]) -> Any:
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            if self.started:
                started()

        def handle_exit(self, sig: int, frame: Any) -> None:
            stopping.set()  # streams end after what they are at
            super().handle_exit(sig, frame)

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            """A server that was told to stop and did so has not failed: uvicorn would send itself the signal again."""
            before = {sig: signal.signal(sig, self.handle_exit) for sig in (signal.SIGINT, signal.SIGTERM)}
            try:
                yield
            finally:
                for sig, handler in before.items():
                    signal.signal(sig, handler)

    return Server(config)


def _listening(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host.strip("[]"), settings.port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(
            f"cannot listen on port {settings.port} of {settings.host} ({why}): try --port 0, or look at --host."
        ) from None


def _say(settings: Settings, port: int, as_json: bool, *, secure: bool) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http{'s' if secure else ''}://{host}:{port}"
    if as_json:
        click.echo(
            json.dumps({"url": url, "path": shown_address(settings.path), "token_required": settings.token_required})
        )
        return
    needs = "with a token" if settings.token_required else "from this machine alone"
    click.echo(f"{shown_address(settings.path)} is served at {url}, {needs}. Stop with Ctrl-C.")
