"""Errors as application/problem+json (RFC 9457): what happened, where, and what to do, in one sentence."""

from __future__ import annotations

import json
import logging
import re
import sqlite3
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from mnemic.errors import (
    BudgetError,
    Busy,
    Conflict,
    DataMissing,
    InputError,
    MissingExtra,
    MnemicError,
    ModelError,
    NotFound,
)
from mnemic.serve.access import Denied

MEDIA = "application/problem+json"

# The first that fits is taken: status, type, title.
_KINDS: tuple[tuple[type[MnemicError], int, str, str], ...] = (
    (NotFound, 404, "not-found", "Not found"),
    (BudgetError, 422, "budget", "The budget does not allow it"),
    (InputError, 422, "input", "What was sent cannot be used"),
    (Conflict, 409, "conflict", "The memory has changed"),
    (Busy, 503, "busy", "The memory is busy"),
    (ModelError, 502, "model", "The model did not answer"),
    (MissingExtra, 424, "not-installed", "Not installed here"),
    (DataMissing, 424, "not-installed", "Not installed here"),
    (MnemicError, 500, "memory", "Something about the memory file"),
)
_STATUS = {
    400: ("request", "The request cannot be read"),
    401: ("no-token", "A valid token is needed"),
    403: ("denied", "Not permitted"),
    404: ("not-found", "Not found"),
    405: ("method", "No such method here"),
    409: ("conflict", "The memory has changed"),
    412: ("changed", "It was changed since"),
    413: ("too-large", "Too much at once"),
    415: ("media", "The body is of another type"),
    421: ("host", "Not asked for by this name"),
    422: ("input", "What was sent cannot be used"),
    428: ("condition", "A condition is needed"),
    429: ("too-many", "Too many requests"),
    424: ("no-model", "No language model here"),
    500: ("bug", "A bug in mnemic"),
    503: ("busy", "Not now"),
}
BUG = "this is a bug in mnemic ({}): nothing is half written; the server's log has the traceback, please report it."
_log = logging.getLogger("mnemic.serve")


class Problem(HTTPException):
    """A refusal of the server's own; the library's errors are translated as they are."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.more = more


def problem(status: int, detail: str, *, kind: str = "", title: str = "", headers: Mapping[str, str] | None = None,
            openai: bool = False, **more: Any) -> Response:  # fmt: skip
    known = _STATUS.get(status, ("error", "It did not work"))
    body: dict[str, Any] = {"type": f"urn:mnemic:{kind or known[0]}", "title": title or known[1], "status": status,
                            "detail": detail, **more}  # fmt: skip
    if openai:  # what clients of OpenAI look for
        body["error"] = {"message": detail, "type": kind or known[0], "code": status}
    content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    return Response(content, status, dict(headers or {}), MEDIA)


def answer_errors(app: FastAPI) -> None:
    """Every error of the application leaves as a problem."""
    app.add_exception_handler(MnemicError, _ours)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(sqlite3.DatabaseError, _file)
    app.add_exception_handler(Exception, _bug)


def of(error: Exception, *, openai: bool = False) -> Response:
    """The problem of an error that was raised on purpose."""
    if isinstance(error, Problem):
        return problem(error.status_code, str(error.detail), headers=error.headers, openai=openai, **error.more)
    if isinstance(error, HTTPException):
        return problem(error.status_code, _sentence(error), headers=error.headers, openai=openai)
    if isinstance(error, Denied):
        headers = {"WWW-Authenticate": 'Bearer realm="mnemic"'} if error.status == 401 else {}
        return problem(error.status, str(error), headers=headers, openai=openai)
    status, kind, title = next((s, k, t) for type_, s, k, t in _KINDS if isinstance(error, type_))
    headers = {"Retry-After": "1"} if status == 503 else {}
    return problem(status, str(error), kind=kind, title=title, headers=headers, openai=openai)


def _openai(request: Request) -> bool:
    return request.url.path == "/v1/chat/completions"


async def _ours(request: Request, error: Exception) -> Response:
    return of(error, openai=_openai(request))


async def _refused(request: Request, error: Exception) -> Response:
    response = of(error, openai=_openai(request))
    if response.status_code == 405:  # the router names the methods of the first route alone
        response.headers["Allow"] = ", ".join(sorted(_methods(request)))
    return response


def _methods(request: Request) -> set[str]:
    """Those of the address, told by its most particular path."""
    paths = request.app.openapi()["paths"]
    fitting = [path for path in paths if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)), request.url.path)]
    return {method.upper() for path in sorted(fitting, key=lambda path: path.count("{"))[:1] for method in paths[path]}


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    wrong = [{"where": ".".join(str(step) for step in each["loc"]), "what": str(each["msg"])}
             for each in error.errors()]  # fmt: skip
    media = request.headers.get("content-type", "")
    if wrong and wrong[0]["where"].startswith("body") and "json" not in media and "form-data" not in media:
        said = f'the body was sent as "{media[:60]}"' if media else "the body has no content-type"
        return problem(422, f"{said}: send JSON with the header `content-type: application/json`.", errors=wrong,
                       openai=_openai(request))  # fmt: skip
    first = wrong[0] if wrong else {"where": "the request", "what": "it cannot be read"}
    told = f"{first['where']}: {first['what']}".rstrip(".")
    return problem(422, f"{told}: look at /docs for what this takes.", errors=wrong, openai=_openai(request))


async def _file(request: Request, error: Exception) -> Response:
    _log.error("the memory file cannot be used: %s", error)
    return problem(500, f"the memory file cannot be used ({error}): look at it with `mnemic check`.", kind="memory")


async def _bug(request: Request, error: Exception) -> Response:
    _log.error("%s %s", request.method, request.scope.get("route") or "?", exc_info=error)
    return problem(500, BUG.format(type(error).__name__))


def _sentence(error: HTTPException) -> str:
    if error.status_code == 404:
        return "there is nothing at this address: /docs shows what there is."
    if error.status_code == 405:
        return "this address does not take that method: /docs shows what there is."
    if error.status_code == 400 and "parsing the body" in str(error.detail):
        return "the body is no JSON that can be read: check its syntax, that it is UTF-8, and how deep it is nested."
    return str(error.detail)
