"""What every request passes first: who asks, from where, how often, how much. Around the HTTP API, MCP and the page.

A browser lets any page send requests to this machine. So a request without a token is answered only when it names this
machine as its host (a name that was bent to 127.0.0.1 does not) and comes from no page of another origin.
"""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mnemic.serve.access import MARK, Denied, Session
from mnemic.serve.http import names, problems
from mnemic.serve.http.problems import Problem
from mnemic.serve.http.serving import Serving
from mnemic.serve.settings import is_loopback

_GUARDED = ("/v1/", "/mcp", "/metrics")
_UPLOADS = ("/records/bulk", "/files", "/load")
_STRANGERS = 120  # requests a minute of one address whose tokens open nothing
_MOST = 10_000  # callers that are counted at once

SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """Middleware; the session that it finds stands in `request.state.session` for whatever comes behind it."""

    def __init__(self, app: ASGIApp, serving: Serving) -> None:
        self.app, self.serving = app, serving
        self._limits = serving.settings.limits
        self._callers: dict[str, tuple[float, float]] = {}  # name -> (requests it has left, when that was)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, status = time.perf_counter(), 500
        scope["path"] = names.address(scope)
        self.serving.metrics.begin()

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in SAFE.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            scope.setdefault("state", {})["session"] = self._admitted(scope)
            await self.app(scope, self._counted(scope, receive), sent)
        except (Problem, Denied) as refusal:
            status_of = refusal.status if isinstance(refusal, Denied) else refusal.status_code
            self.serving.metrics.refused(str(status_of))
            response = problems.of(refusal, openai=scope["path"] == "/v1/chat/completions")
            await response(scope, receive, sent)
        finally:
            path = getattr(scope.get("route"), "path", "other")
            self.serving.metrics.end(scope["method"], path, status, time.perf_counter() - began)

    def _admitted(self, scope: Scope) -> Session | None:
        headers = Headers(scope=scope)
        if not scope["path"].startswith(_GUARDED):
            return None
        if scope["method"] == "OPTIONS" and headers.get("access-control-request-method"):
            return None  # a browser asks whether it may ask; it carries no token yet
        secret = self._secret(headers)
        if secret is None:
            if self.serving.settings.token_required:
                self._count(_address(scope), _STRANGERS)
            else:
                self._from_here(headers)
            return self.serving.pool.session(None) if self.serving.settings.token_required else None
        try:
            session = self.serving.pool.access.check(secret)
        except Denied:
            self._count(_address(scope), _STRANGERS)
            raise
        self._count(f"principal {session.name}", self._limits.per_minute)
        return session

    def _secret(self, headers: Headers) -> str | None:
        kind, _, secret = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not secret.strip():
            return None
        if not secret.strip().startswith(MARK) and not self.serving.settings.token_required:
            return None  # programs written for OpenAI send some key always
        return secret.strip()

    def _from_here(self, headers: Headers) -> None:
        name = _hostname(headers.get("host", ""))
        if not is_loopback(name):
            raise Problem(421, f'this server answers on this machine only, not as "{name[:60]}": ask 127.0.0.1.')
        origin = headers.get("origin")
        if origin is None or origin in self.serving.settings.allow_origins:
            return
        if urlsplit(origin).netloc != headers.get("host"):
            raise Problem(403, f'a page of "{origin[:60]}" may not use this memory: start the server with '
                          "--allow-origin for it.")  # fmt: skip

    def _count(self, caller: str, per_minute: int) -> None:
        """A bucket that holds a minute's requests and fills up evenly; raises Problem (429) when it is empty."""
        now = time.monotonic()
        if len(self._callers) > _MOST:
            self._callers.clear()  # they all begin with a full one again
        left, then = self._callers.get(caller, (float(per_minute), now))
        left = min(float(per_minute), left + (now - then) * per_minute / 60)
        if left < 1:
            wait = int((1 - left) * 60 / per_minute) + 1
            raise Problem(429, f"these are more than {per_minute} requests a minute: try again in {wait} s.",
                          {"Retry-After": str(wait)})  # fmt: skip
        self._callers[caller] = (left - 1, now)

    def _counted(self, scope: Scope, receive: Receive) -> Receive:
        """The body, up to as much as may be sent."""
        upload = scope["path"].endswith(_UPLOADS)
        most = self._limits.upload_bytes if upload else self._limits.body_bytes
        told = Headers(scope=scope).get("content-length", "")
        if told.isdecimal() and int(told) > most:
            raise _too_large(most)
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most:
                raise _too_large(most)
            return message

        return counted


def _too_large(most: int) -> Problem:
    return Problem(413, f"a request takes up to {most:,} bytes here: send less at a time, or use /records/bulk.")


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return f"address {client[0] if client else '?'}"


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
