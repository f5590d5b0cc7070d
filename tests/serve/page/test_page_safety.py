"""Safety: what a memory says is shown and never done; nobody sees more than their token opens."""

from __future__ import annotations

from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
expect = playwright.expect

TRICK = """<script>document.title = 'owned'</script><img src=x onerror="document.title = 'owned'"></textarea>
<a href="javascript:document.title = 'owned'">x</a> [click](javascript:alert(1)) **bold** {{7*7}}"""


def test_what_a_memory_says_is_never_executed(site: Any, page: Any, request: pytest.FixtureRequest) -> None:
    name = request.node.name
    memory = site.space(name)
    source = memory.add(TRICK, source=TRICK, speaker=TRICK, place=TRICK, kind="<b>fact</b>", episode=TRICK,
                        metadata={"<img src=x onerror=alert(1)>": TRICK}, derived_from=[])  # fmt: skip
    made = memory.add(f"made of it {TRICK}", derived_from=[source.id])
    memory.link(source.id, "<svg onload=alert(1)>", made.id, why=TRICK)
    memory.update(source.id, text=f"{TRICK} changed", why=TRICK)
    for url in (site.url("memories", name), site.url("memories", name, q="script bold click", record=source.id),
                site.url("timeline", name, op=memory.newest), site.url("audit", name, record=made.id),
                site.url("sizes", name), site.url("memories", name, as_of="operation:2", record=made.id)):  # fmt: skip
        page.goto("about:blank")
        page.goto(url)
        site.ready(page)
        page.wait_for_timeout(100)
        assert "owned" not in page.title()
        # What stands in the page beside its own elements: nothing that a text brought along.
        assert page.locator("main :is(img, script, iframe, b > b), #pane :is(img, script, iframe)").count() == 0
        assert page.locator("a[href^='javascript:']").count() == 0
    expect(page.get_by_role("complementary")).to_contain_text("<script>document.title = 'owned'</script>")


def test_the_browser_refuses_markup_even_if_a_script_tried(site: Any, page: Any) -> None:
    page.goto(site.address)
    site.ready(page)
    tried = """() => { try { document.body.innerHTML = '<img src=x onerror="document.title=1">'; return 'done'; }
                       catch (error) { return error.name; } }"""
    assert page.evaluate(tried) == "TypeError"


def test_a_token_is_asked_for_and_opens_what_it_may(start: Any, page: Any) -> None:
    site = start(require_token=True)
    access = site.pool.access
    access.create_principal("ana")
    access.create_principal("ben")
    _, hers = access.issue("ana", {"*": ("read", "write", "share", "administer")})
    _, his = access.issue("ben", {"garden": ("read",)})
    site.pool.enter(access.check(hers), "garden", "write").add("The roses need water.")
    page.goto(site.address)
    dialog = page.get_by_role("dialog", name="Token")
    expect(dialog).to_contain_text("token is needed here")
    dialog.get_by_label("Token").fill(his)
    dialog.get_by_role("button", name="Use it").click()
    page.get_by_role("option", name="The roses need water.").click()
    pane = page.get_by_role("complementary")
    expect(pane).to_contain_text("Details")
    expect(pane.get_by_role("button", name="Correct")).to_have_count(0)
    page.get_by_role("link", name="Add").click()
    expect(page.get_by_text("You may read this space, but not write into it.")).to_be_visible()
    assert his not in page.evaluate("Object.values(localStorage).join()")
