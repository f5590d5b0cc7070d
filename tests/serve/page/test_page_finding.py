"""Finding: search, filters, a record, the graph, the timeline."""

from __future__ import annotations

import re
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
expect = playwright.expect


def search(page: Any, words: str) -> None:
    page.get_by_role("searchbox", name="Search the memories").fill(words)
    page.keyboard.press("Enter")
    expect(page.locator("#count")).to_contain_text("the best first")


def test_search_says_why_each_hit_came(site: Any, page: Any, story: tuple[str, Any]) -> None:
    page.goto(site.url("memories", story[0]))
    search(page, "Where does Ana live?")
    hits = page.get_by_role("list", name="Hits").get_by_role("article")
    expect(hits.first).to_contain_text("Ana lives in Porto.")
    hit = story[1].recall("Where does Ana live?", k=20)[0]
    weightiest = sorted(hit.parts.values(), key=abs, reverse=True)[:4]
    parts = hits.first.get_by_role("list", name="Parts of the score").get_by_role("listitem")
    assert parts.locator(".number").all_inner_texts() == [f"{value:.2f}" for value in weightiest]
    expect(hits.first).to_contain_text(f"score {hit.score:.2f}")
    hits.first.get_by_role("link").click()
    pane = page.get_by_role("complementary", name="Details")
    expect(pane).to_contain_text("Why it was found")
    expect(pane).to_contain_text("it has the words of the question, or related ones")
    page.reload()
    expect(pane).to_contain_text("Why it was found")


def test_the_address_holds_the_place_so_that_back_goes_back(site: Any, page: Any, story: tuple[str, Any]) -> None:
    page.goto(site.url("memories", story[0]))
    search(page, "chess & tomatoes?")
    page.reload()
    expect(page.get_by_role("searchbox")).to_have_value("chess & tomatoes?")
    page.get_by_role("link", name="Sizes").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Budget and sizes")
    page.go_back()
    expect(page.get_by_role("list", name="Hits")).to_be_visible()


def test_filters_leave_out(site: Any, page: Any, story: tuple[str, Any]) -> None:
    page.goto(site.url("memories", story[0]))
    page.get_by_text("Filters", exact=True).click()
    page.get_by_label("Kind").select_option("fact")
    page.get_by_label("only what still holds").check()
    options = page.get_by_role("option").filter(has=page.locator(".text"))
    expect(options).to_have_count(2)
    shown = sorted(options.locator(".text").all_inner_texts())
    assert shown == ["Ana lives in Porto.", "Ana's train arrives at eleven."]


def test_a_record_shows_its_sources_what_was_made_of_it_and_its_history(
    site: Any, page: Any, story: tuple[str, Any]
) -> None:
    plan = next(record for record in story[1].records({"kind": "plan"}))
    page.goto(site.url("memories", story[0], record=plan.id))
    pane = page.get_by_role("complementary", name="Details")
    expect(pane).to_contain_text("Stale: it can no longer be trusted, since source “Ana's train arrives at eleven.”")
    pane.get_by_role("link", name="Ana's train arrives at eleven.", exact=True).click()
    expect(pane).to_contain_text("What was made from it")
    expect(pane.get_by_role("link", name="Pick Ana up at nine.", exact=True)).to_be_visible()
    pane.get_by_role("link", name=re.compile("changed: ")).click()
    expect(pane.locator("del")).to_contain_text("nine.")
    expect(pane.locator("ins")).to_contain_text("eleven.")
    expect(pane).to_contain_text("she called again")


def test_the_graph_is_walked_with_arrows(site: Any, page: Any, story: tuple[str, Any]) -> None:
    train = next(record for record in story[1].records() if "train" in record.text)
    page.goto(site.url("memories", story[0], record=train.id))
    here = page.get_by_role("link", name="this memory: Ana's train")
    here.focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("link", name="memory: Pick Ana up at nine.")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("complementary")).to_contain_text("Stale")


def test_the_timeline_scrubs_back_to_the_memory_as_it_was(site: Any, page: Any, story: tuple[str, Any]) -> None:
    name, memory = story
    page.goto(site.url("timeline", name))
    slider = page.get_by_role("slider", name="Moment")
    expect(slider).to_have_attribute("aria-valuetext", f"now, after operation {memory.newest}")
    page.get_by_role("button", name="One operation back").click()
    expect(page.locator(".past")).to_contain_text(f"as it was after operation {memory.newest - 1}")
    slider.press("Home")
    expect(page.locator(".past")).to_contain_text("as it was after operation 1")
    page.get_by_role("link", name="See the memories of then").click()
    expect(page.locator("#count")).to_have_text("1 memory, the newest first")
    page.get_by_role("option", name="Ana lives in Lisbon.").click()
    pane = page.get_by_role("complementary")
    expect(pane).to_contain_text("Ana lives in Lisbon.")
    expect(pane.get_by_role("button", name="Correct")).to_have_count(0)
    expect(pane).not_to_contain_text("ended")
    page.get_by_role("link", name="Back to now").click()
    expect(page.locator("#count")).to_have_text("10 memories, the newest first")


# ---- spaces, budgets


def test_a_space_is_chosen_and_a_new_one_begun(site: Any, page: Any, story: tuple[str, Any]) -> None:
    page.goto(site.url("memories", story[0]))
    menu = page.get_by_label("Space")
    expect(menu).to_contain_text(f"{story[0]} (10)")
    menu.select_option("Another…")
    page.get_by_label("Its name").fill("a new space")
    page.get_by_role("dialog").get_by_role("button", name="Open").click()
    expect(page.get_by_text("Nothing is remembered here yet.")).to_be_visible()
    page.get_by_role("link", name="Add the first memories").click()
    page.get_by_label("What is to be remembered").fill("It begins.")
    page.get_by_role("button", name="Remember").click()
    expect(menu).to_contain_text("a new space (1)")
    menu.select_option(story[0])
    page.get_by_role("link", name="Memories", exact=True).click()
    expect(page.locator("#count")).to_have_text("10 memories, the newest first")
    assert [record.text for record in site.space("a new space").records()] == ["It begins."]


def test_what_is_used_of_the_budget_is_shown(start: Any, page: Any) -> None:
    site = start(budget="40 records")
    site.story("default")
    page.goto(site.url("sizes", "default"))
    expect(page.get_by_role("meter", name="Used of the budget")).to_have_attribute("aria-valuenow", "25")
    expect(page.get_by_text("10 records of 40 records")).to_be_visible()
    page.get_by_role("link", name="plan").click()
    expect(page.get_by_role("listbox", name="Memories").get_by_role("option")).to_have_count(1)
