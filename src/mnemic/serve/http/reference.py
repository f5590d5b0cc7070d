"""The OpenAPI document as programs read it, and as people do: a page and Markdown that are made of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse

from mnemic.serve.http import shapes
from mnemic.serve.http.routes import ALWAYS, MEANS

DESCRIPTION = (
    "Records are remembered, found, changed and forgotten in spaces. Every change is an operation in a log: it can be "
    "read, and taken back. Errors are application/problem+json, and their detail says what to do. Where a token is "
    "needed, send it as `Authorization: Bearer ...`. A POST with an Idempotency-Key can be sent again without harm. "
    "Lists come in pages: `next` is the cursor of the next one."
)
_LINE = 400  # characters of an example on one line
_METHODS = ("get", "post", "put", "patch", "delete")
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "code,pre{font:14px ui-monospace,monospace}pre{overflow:auto;padding:.7rem;border:1px solid #8886}"
    "summary{cursor:pointer;padding:.3rem 0}td,th{text-align:left;padding:.15rem .8rem .15rem 0;vertical-align:top}"
)


def describe(app: FastAPI) -> None:
    """Give the application its document, and a page for people that loads nothing from elsewhere."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        policy = "default-src 'none'; style-src 'unsafe-inline'"
        return HTMLResponse(html(app.openapi()), headers={"Content-Security-Policy": policy})


def _document(app: FastAPI) -> dict[str, Any]:
    made = get_openapi(title=app.title, version=app.version, summary=app.summary, description=app.description,
                       routes=app.routes)  # fmt: skip
    parts = made.setdefault("components", {})
    known = parts.setdefault("schemas", {})
    known["Problem"] = shapes.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    for unused in ("HTTPValidationError", "ValidationError"):
        known.pop(unused, None)
    parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for path, methods in made["paths"].items():
        for method in methods.values():
            for answer in method["responses"].values():
                if answer["description"] == "Successful Response":
                    answer["description"] = "done"
            if path != "/health":
                method["security"] = [{"token": []}, {}]  # {}: on the machine itself none may be asked for
    return made


# ---- for people


@dataclass(frozen=True)
class Route:
    """One operation of the document. rows: name, where, required, what it is. examples: of body and answer."""

    method: str
    path: str
    tag: str
    title: str
    text: str
    rows: tuple[tuple[str, str, bool, str], ...]
    sent: str
    answers: tuple[tuple[str, str], ...]
    got: str


def routes(document: Mapping[str, Any]) -> Iterator[Route]:
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                yield _route(document, path, method, methods[method])


def _route(document: Mapping[str, Any], path: str, method: str, told: Mapping[str, Any]) -> Route:
    answers = told.get("responses", {})
    good: Mapping[str, Any] = next((answers[code] for code in sorted(answers) if code.startswith("2")), {})
    rows = tuple((each["name"], each["in"], bool(each.get("required")), _about(each))
                 for each in told.get("parameters", ()) if each["name"] != "space")  # fmt: skip
    return Route(method.upper(), path, (told.get("tags") or ["other"])[0], told.get("summary", path),
                 told.get("description", ""), rows, _example(document, told.get("requestBody", {})),
                 tuple((code, answers[code].get("description", "")) for code in sorted(answers)),
                 _example(document, good))  # fmt: skip


def _about(parameter: Mapping[str, Any]) -> str:
    schema = parameter.get("schema", {})
    known = [each for each in (schema, *schema.get("anyOf", ())) if each]
    choices = next((each["enum"] for each in known if "enum" in each), None)
    said = parameter.get("description") or schema.get("title", "")
    one_of = f" ({', '.join(map(str, choices))})" if choices else ""
    default = f"; {json.dumps(schema['default'])} without it" if schema.get("default") is not None else ""
    return f"{said}{one_of}{default}"


def _example(document: Mapping[str, Any], part: Mapping[str, Any]) -> str:
    """An example of a body as JSON; empty where the document has none."""
    for media, content in part.get("content", {}).items():
        if "example" in content:
            return str(content["example"])
        if "json" in media:
            found = _of_schema(document, content.get("schema", {}))
            if found is not None:
                return _written(found)
    return ""


def _written(value: Any) -> str:
    line = json.dumps(value, ensure_ascii=False)
    return line if len(line) <= _LINE else json.dumps(value, ensure_ascii=False, indent=1)


def _of_schema(document: Mapping[str, Any], schema: Mapping[str, Any], deep: int = 0) -> Any:
    if deep > 6:
        return None
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _of_schema(document, document["components"]["schemas"][name], deep + 1)
    if schema.get("examples"):
        return schema["examples"][0]
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("default") is not None:
        return schema["default"]
    for choices in (schema.get("anyOf"), schema.get("allOf"), schema.get("oneOf")):
        if choices:
            return _of_schema(document, choices[0], deep + 1)
    match schema.get("type"):
        case "object":
            fields = schema.get("properties", {})
            return {name: _of_schema(document, each, deep + 1) for name, each in fields.items()}
        case "array":
            least = 2 if schema.get("minItems") == 2 else 1
            inner = _of_schema(document, schema.get("items", {}), deep + 1)
            return [inner] * least if inner is not None else []
        case "string":
            return "..."
        case "integer" | "number":
            return 0
        case "boolean":
            return True
    return None


def html(document: Mapping[str, Any]) -> str:
    parts = [f"<!doctype html><html lang=en><meta charset=utf-8><title>mnemic over HTTP</title><style>{_STYLE}</style>"
             f"<main><h1>mnemic {escape(document['info']['version'])} over HTTP</h1>"
             f"<p>{escape(DESCRIPTION)}</p><p><a href=/openapi.json>openapi.json</a></p>"]  # fmt: skip
    tag = ""
    for route in sorted(routes(document), key=lambda route: route.tag):
        if route.tag != tag:
            tag = route.tag
            parts.append(f"<h2>{escape(tag)}</h2>")
        parts.append(_html_of(route))
    return "".join([*parts, "</main></html>"])


def _html_of(route: Route) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code><td>{where}{', required' if required else ''}<td>{escape(about)}"
        for name, where, required, about in route.rows
    )
    answers = "".join(f"<tr><td>{code}<td>{escape(about)}" for code, about in route.answers)
    return (
        f"<details><summary><code>{route.method} {escape(route.path)}</code> {escape(route.title)}</summary>"
        f"<p>{escape(route.text)}</p>{f'<table>{rows}</table>' if rows else ''}"
        f"{f'<p>Send<pre>{escape(route.sent)}</pre>' if route.sent else ''}"
        f"{f'<p>Get<pre>{escape(route.got)}</pre>' if route.got else ''}<table>{answers}</table></details>"
    )


def markdown(document: Mapping[str, Any]) -> str:
    """The reference of docs/http.md."""
    parts: list[str] = []
    tag = ""
    for route in sorted(routes(document), key=lambda route: route.tag):
        if route.tag != tag:
            tag = route.tag
            parts.append(f"### {tag}")
        parts.append(f"#### `{route.method} {route.path}`\n\n{route.title}. {route.text}".rstrip())
        if route.rows:
            lines = ["| parameter | in | |", "|---|---|---|"]
            lines += [f"| `{name}` | {where}{', required' if required else ''} | {about.replace('|', '/')} |"
                      for name, where, required, about in route.rows]  # fmt: skip
            parts.append("\n".join(lines))
        parts += [f"{word}:\n\n```\n{text.rstrip()}\n```" for word, text in (("Send", route.sent), ("Get", route.got))
                  if text]  # fmt: skip
        own = [f"{code} {about}".strip() for code, about in route.answers if int(code) not in ALWAYS]
        parts.append(f"Answers {', '.join(own)}.")
    return "\n\n".join([_any_route(), *parts]) + "\n"


def _any_route() -> str:
    told = ", ".join(f"{status} {MEANS[status]}" for status in ALWAYS)
    return f"Every route may answer {told}. What else it answers stands with it."
