"""Ray, started on this machine or joined on others."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from mnemic.errors import InputError, MissingExtra

_CONNECT_SECONDS = 10
_IDLE = "RAY_idle_worker_killing_time_threshold_ms"
_NEVER = str(10**12)  # milliseconds


def library() -> Any:
    """The library, quiet: it would tell its makers about every cluster that it starts."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        return import_module("ray")
    except ImportError:
        raise MissingExtra("adding with Ray", "ray") from None


@contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """Ray in this block: the program's own, the one at an address, or one that is started and stopped here."""
    ray = library()
    if ray.is_initialized():
        yield
        return
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address is None:
            with private():
                ray.init("local", include_dashboard=False, **quiet)
        else:
            _answers(address)
            ray.init(address, **quiet)
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        told = getattr(error, "strerror", None) or str(error).strip().partition("\n")[0].rstrip(".")
        raise InputError(f"no Ray could be had at {address or 'this machine'} ({told}): start one with "
                         "`ray start --head`, or leave the address out.") from None  # fmt: skip
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def private() -> Iterator[None]:
    """A Ray that is started in this block is for this program alone.

    It listens on 127.0.0.1: Ray replaces that address by the machine's own unless it was told, where it starts on
    Windows and macOS, that there is one machine only: by a variable, which its other processes read, and this process
    has read when it imported. And it keeps its idle processes: Ray would stop those beyond the number of cores within
    seconds, and start them (and load their models) again for the next file.
    """
    constants: Any = import_module("ray._private.ray_constants")
    told = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", _IDLE: os.environ.get(_IDLE, _NEVER)}
    before, was = {name: os.environ.get(name) for name in told}, constants.ENABLE_RAY_CLUSTER
    os.environ.update(told)
    constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = was
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _answers(address: str) -> None:
    """Raises OSError when nothing is there: Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if colon:
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
