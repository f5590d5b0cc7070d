"""For everybody: keyboard, screen reader, narrow screens, dark, long lists. And the pictures of the docs."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
expect = playwright.expect


def test_everything_is_reached_with_the_keyboard_alone(site: Any, page: Any, story: tuple[str, Any]) -> None:
    site.open(page, "memories", story[0])
    page.keyboard.press("Escape")
    page.locator("#main").focus()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    for _ in range(3):  # the button, the filters, the list
        page.keyboard.press("Tab")
    rows = page.get_by_role("listbox", name="Memories")
    expect(rows).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    heading = page.get_by_role("complementary").get_by_role("heading", level=2)
    expect(heading).to_be_focused()
    expect(page.get_by_role("complementary")).to_contain_text("I found a flat in Porto")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # Correct
    expect(page.get_by_label("What is right")).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.type(" And a cat.")
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("complementary")).to_contain_text("far too many stairs. And a cat.")
    page.keyboard.press("Escape")
    expect(rows).to_be_focused()


def test_many_records_are_a_list_of_few_elements(site: Any, page: Any, request: pytest.FixtureRequest) -> None:
    name = request.node.name
    site.space(name).add_many([f"Note {n} about the garden." for n in range(3000)])
    page.goto(site.url("memories", name))
    expect(page.locator("#count")).to_have_text("3,000 memories, the newest first")
    rows = page.get_by_role("listbox", name="Memories")
    rows.focus()
    for _ in range(40):
        page.keyboard.press("End")
        page.wait_for_timeout(50)
        if rows.get_by_role("option", name="Note 0 about").count():
            break
    last = rows.get_by_role("option", name="Note 0 about")
    expect(last).to_be_in_viewport()
    expect(last).to_have_attribute("aria-posinset", "3000")
    assert rows.get_by_role("option").count() < 80


VIEWS = {
    "memories": {}, "search": {"q": "Where does Ana live?"}, "timeline": {}, "past": {"as_of": "operation:6"},
    "audit": {}, "sizes": {}, "add": {},
}  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(site: Any, page: Any, story: tuple[str, Any], scheme: str) -> None:
    axe = axe_script()
    page.emulate_media(color_scheme=scheme)
    plan = next(record for record in story[1].records({"kind": "plan"}))
    for width in (1280, 390) if scheme == "light" else (1280,):
        page.set_viewport_size({"width": width, "height": 860})
        for view, query in VIEWS.items():
            site.open(page, view if view not in ("search", "past") else "memories", story[0], **query)
            assert violations(page, axe) == [], (view, width)
            if view == "search":
                page.goto(site.url("memories", story[0], record=plan.id, **query))
                expect(page.locator("#pane svg.icon, #pane .graph svg").last).to_be_visible()
                assert violations(page, axe) == [], ("a record", width)
                page.get_by_role("button", name="Correct").click()
                assert violations(page, axe) == [], ("a dialog", width)
                page.keyboard.press("Escape")


def axe_script() -> str:
    """axe-core, as the package axe-playwright-python brings it."""
    found = find_spec("axe_playwright_python")
    if found is None or not found.submodule_search_locations:
        pytest.skip("axe is not installed: pip install axe-playwright-python")
    return (Path(next(iter(found.submodule_search_locations))) / "axe.min.js").read_text("utf-8")


def violations(page: Any, axe: str) -> list[str]:
    page.evaluate(f"{axe};0")
    found = page.evaluate("axe.run({ resultTypes: ['violations'] })")["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html'][:200]} {each['nodes'][0]['failureSummary']}" for each in found]


@pytest.mark.parametrize("width", [320, 390, 768])
def test_nothing_sticks_out_on_a_narrow_screen(site: Any, page: Any, story: tuple[str, Any], width: int) -> None:
    page.set_viewport_size({"width": width, "height": 740})
    for view in ("memories", "timeline", "audit", "sizes", "add"):
        site.open(page, view, story[0], q="Ana" if view == "memories" else "")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.querySelector('main').scrollWidth") <= width, view


def test_the_dark_is_chosen_and_kept(site: Any, page: Any, story: tuple[str, Any]) -> None:
    page.goto(site.url("memories", story[0]))
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Light or dark").click()
    dark = page.evaluate(ground)
    page.reload()
    assert (dark != light, page.evaluate(ground)) == (True, dark)


def test_the_pictures_of_the_docs(site: Any, page: Any, tmp_path: Path) -> None:
    """Made at every run; MNEMIC_SCREENSHOTS=docs/page keeps them there."""
    folder = Path(os.environ.get("MNEMIC_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    memory = site.story("ana")
    train = next(record for record in memory.records() if "train" in record.text)
    porto = next(record for record in memory.records() if "lives in Porto" in record.text)
    page.set_viewport_size({"width": 1200, "height": 720})

    def take(name: str, view: str, **query: Any) -> None:
        site.open(page, view, "ana", **query)
        if "record" in query:
            expect(page.locator("#pane .graph svg")).to_be_visible()
        if "record" in query and "q" in query:
            expect(page.locator("#pane .parts")).to_be_visible()
        page.mouse.move(0, 0)
        page.screenshot(path=folder / f"{name}.png", animations="disabled", caret="hide")
        if find_spec("PIL"):
            smaller(folder / f"{name}.png")

    take("search", "memories", q="Where does Ana live?", record=porto.id)
    take("record", "memories", record=train.id)
    take("timeline", "timeline", as_of="operation:9")
    take("audit", "audit")
    page.emulate_media(color_scheme="dark")
    take("dark", "memories", q="Where does Ana live?", record=porto.id)
    page.set_viewport_size({"width": 390, "height": 760})
    take("narrow", "memories", q="Where does Ana live?")
    assert len(list(folder.glob("*.png"))) >= 6


def smaller(path: Path) -> None:
    """A picture of a page has few colours: a third of the bytes shows the same."""
    from PIL import Image

    Image.open(path).convert("RGB").quantize(96, dither=Image.Dither.NONE).save(path, optimize=True)
