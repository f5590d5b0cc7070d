"""Where the server listens, on which memory, within which limits. Nothing here is read from the environment."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from functools import lru_cache

from mnemic.choose import RetrieverChoice
from mnemic.errors import InputError
from mnemic.meter import Budget
from mnemic.seams import Embedder, LanguageModel, Writer


@dataclass(frozen=True)
class Limits:
    """What one request, or one principal, may take.

    body_bytes       of a request; 413 beyond
    upload_bytes     of a file, or of the lines of a bulk add; 413 beyond
    per_minute       requests of one principal; 429 beyond, with Retry-After. The person at the machine has no limit
    seconds          until a request is answered with 503; streams may take longer
    readers          recalls and other quick calls that run at once: more than a few get in each other's way
    slow             questions to a language model and imports that run at once
    """

    body_bytes: int = 16_000_000
    upload_bytes: int = 1_000_000_000
    per_minute: int = 6000
    seconds: float = 60.0
    readers: int = 8
    slow: int = 8

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise InputError(f"the limit {name} is {value}: give a number above 0.")


@dataclass(frozen=True)
class Settings:
    """One server.

    path           the memory: a file, or postgresql://...
    host, port     where it listens; nothing beyond this machine unless the host says so, and then only with a token
    require_token  True asks for a token on this machine too
    allow_origins  pages of other origins that may call it from a browser, like "https://notes.example"
    embedder, retriever, writer, policy, budget, lm    as in Memory
    """

    path: str
    host: str = "127.0.0.1"
    port: int = 8765
    require_token: bool = False
    limits: Limits = field(default_factory=Limits)
    allow_origins: tuple[str, ...] = ()
    embedder: str | Embedder | None = None
    retriever: RetrieverChoice = "hybrid"
    writer: str | Writer = "verbatim"
    policy: str = "forgetting_curve"
    budget: Budget | str | None = None
    lm: str | LanguageModel | None = None

    def __post_init__(self) -> None:
        if self.path == ":memory:":
            raise InputError("a memory in RAM cannot be served: name a file.")
        if not 0 <= self.port < 65536:
            raise InputError(f"there is no port {self.port}: give one from 0 (any that is free) to 65535.")
        if "*" in self.allow_origins:
            raise InputError('allow_origins "*" would let every page on the web in: name the origins.')

    @property
    def token_required(self) -> bool:
        return self.require_token or not is_loopback(self.host)


@lru_cache(maxsize=1024)  # each request asks it of its Host
def is_loopback(host: str) -> bool:
    """Does nobody but this machine reach it?"""
    name = host.strip("[]").partition("%")[0]
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False  # a name may mean anything
