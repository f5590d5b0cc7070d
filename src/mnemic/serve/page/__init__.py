"""The page: a person opens it in a browser and sees what their memory knows.

static/   index.html, styles, ES modules; served as they are: no build step, nothing from elsewhere

It has no way to the memory but the HTTP API, with the token that the person typed. What a memory says is put into the
page as text only. Two locks behind that: the policy lets no script, style or address in but the page's own files, and
Trusted Types make the browser refuse any attempt to read text as markup.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

if TYPE_CHECKING:
    from mnemic.serve.pool import Pool

POLICY = "; ".join((
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'",
    "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
    "require-trusted-types-for 'script'", "trusted-types 'none'",
))  # fmt: skip
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "Cache-Control": "no-cache",  # asked for again each time, sent again only when it has changed
}
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


class Asset(NamedTuple):
    content: bytes
    type: str
    tag: str


@cache
def assets() -> dict[str, Asset]:
    """The files of the page by name. What is not here does not exist: no path of a request touches the disk."""
    found: dict[str, Asset] = {}
    for each in files(__package__).joinpath("static").iterdir():
        ending = each.name.rpartition(".")[2]
        if ending in _TYPES:
            content = each.read_bytes()
            tag = hashlib.blake2b(content, digest_size=12).hexdigest()
            found[each.name] = Asset(content, _TYPES[ending], f'"{tag}"')
    return found


def mount(app: FastAPI, pool: Pool) -> None:
    """Put the page at / and its files at /page/. It needs no token: it holds nothing of the memory."""

    async def index(request: Request) -> Response:
        return _sent(request, "index.html")

    async def asset(request: Request) -> Response:
        return _sent(request, request.path_params["name"])

    app.add_route("/", index, ["GET"], include_in_schema=False)
    app.add_route("/page/{name}", asset, ["GET"], include_in_schema=False)


def _sent(request: Request, name: str) -> Response:
    found = assets().get(name)
    if found is None:
        raise HTTPException(404)
    headers = {**HEADERS, "ETag": found.tag}
    if found.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(found.content, headers=headers, media_type=found.type)
