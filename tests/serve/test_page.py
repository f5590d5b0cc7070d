"""The page as it is served: its files, its policy, and what its code never does. The browser's side is beside this."""

from __future__ import annotations

import re
from typing import Any

import pytest

pytest.importorskip("fastapi", reason='fastapi is not installed: pip install "mnemic[serve]"')

from mnemic.serve.page import POLICY, assets

MARKUP = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|srcdoc"
                    r"|\beval\(|new Function|setAttribute\(\"style|javascript:")  # fmt: skip
ELSEWHERE = re.compile(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", re.I)


def scripts() -> dict[str, str]:
    return {name: each.content.decode() for name, each in assets().items() if name.endswith(".js")}


def test_the_page_opens_at_the_root_with_its_policy(client: Any) -> None:
    response = client.get("/")
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert response.headers["content-security-policy"] == POLICY
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", sorted(assets()))
def test_each_file_comes_with_the_policy_and_is_sent_again_only_when_it_changed(client: Any, name: str) -> None:
    first = client.get(f"/page/{name}")
    assert (first.status_code, first.headers["content-security-policy"]) == (200, POLICY)
    again = client.get(f"/page/{name}", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/page/nothing.js", "/page/..%2f__init__.py", "/page/%2e%2e/pool.py", "/page/__init__.py"]
)
def test_nothing_else_is_a_file_of_the_page(client: Any, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")


def test_the_page_needs_no_token_and_holds_nothing_of_the_memory(serve: Any) -> None:
    client = serve(require_token=True)
    assert client.get("/").status_code == 200
    assert client.get("/v1/spaces").status_code == 401


def test_the_policy_lets_nothing_in_but_the_page_itself() -> None:
    rules = dict(rule.split(" ", 1) for rule in POLICY.split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["frame-ancestors"] == "'none'"
    assert {rules[name] for name in ("script-src", "style-src", "img-src", "connect-src")} == {"'self'"}
    assert (rules["require-trusted-types-for"], rules["trusted-types"]) == ("'script'", "'none'")


def test_no_script_reads_text_as_markup() -> None:
    assert {name: MARKUP.findall(text) for name, text in scripts().items() if MARKUP.search(text)} == {}


def test_nothing_is_loaded_from_elsewhere() -> None:
    found = {name: ELSEWHERE.findall(each.content.decode()) for name, each in assets().items()}
    names = {address for addresses in found.values() for address in addresses}
    assert names <= {"http://www.w3.org"}  # the name of SVG, which is asked of nobody


def test_the_page_holds_no_script_or_style_of_its_own() -> None:
    html = assets()["index.html"].content.decode()
    assert re.findall(r"<script(?![^>]*\bsrc=)", html) == []
    assert re.findall(r"<style|\bstyle=|\son\w+=", html) == []


def test_every_module_that_is_imported_is_there() -> None:
    wanted = {name for text in scripts().values() for name in re.findall(r"(?:from|import\()\s*\"\./([\w.]+)\"", text)}
    wanted |= set(re.findall(r"/page/([\w.]+)", assets()["index.html"].content.decode()))
    assert wanted <= set(assets())


def test_what_opens_first_is_asked_for_at_once() -> None:
    """Modules that wait for others to name them cost a round trip each."""
    text = scripts()
    wanted, seen = {"main.js"}, set()
    while wanted - seen:
        name = (wanted - seen).pop()
        seen.add(name)
        wanted |= set(re.findall(r"^import .*\"\./([\w.]+)\"", text[name], re.M))
    html = assets()["index.html"].content.decode()
    assert set(re.findall(r"modulepreload\" href=\"/page/([\w.]+)", html)) == seen
