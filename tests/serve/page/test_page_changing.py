"""Changing: correct, replace, end, forget, erase, undo, repair; import and write down."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
expect = playwright.expect


def texts(memory: Any) -> list[str]:
    return [record.text for record in memory.records()]


def test_a_fact_is_corrected_and_the_correction_undone(site: Any, page: Any, story: tuple[str, Any]) -> None:
    name, memory = story
    page.goto(site.url("memories", name))
    page.get_by_role("option", name="The club closes in August.").click()
    page.get_by_role("button", name="Correct").click()
    dialog = page.get_by_role("dialog", name="Correct this memory")
    dialog.get_by_label("What is right").fill("The club closes in September.")
    dialog.get_by_label("Why").fill("Ben looked it up")
    dialog.get_by_role("button", name="Correct").click()
    expect(page.get_by_role("status").filter(has_text="Corrected.")).to_be_visible()
    expect(page.get_by_role("option", name="The club closes in September.")).to_be_visible()
    assert next(iter(memory.log(last=1))).why == "Ben looked it up"
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("option", name="The club closes in August.")).to_be_visible()
    assert "The club closes in August." in texts(memory)


def test_a_correction_does_not_overwrite_what_others_wrote_meanwhile(
    site: Any, page: Any, story: tuple[str, Any]
) -> None:
    name, memory = story
    club = next(record for record in memory.records() if "August" in record.text)
    page.goto(site.url("memories", name, record=club.id))
    page.get_by_role("button", name="Correct").click()
    memory.update(club.id, text="The club closes in July.")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("What is right").fill("The club closes in May.")
    dialog.get_by_role("button", name="Correct").click()
    expect(dialog.get_by_role("alert")).to_contain_text("It says now: The club closes in July.")
    assert memory.get(club.id).text == "The club closes in July."
    dialog.get_by_role("button", name="Correct").click()
    expect(dialog).to_have_count(0)
    assert memory.get(club.id).text == "The club closes in May."


def test_a_memory_is_replaced_and_all_of_that_undone(site: Any, page: Any, story: tuple[str, Any]) -> None:
    name, memory = story
    before = sorted(texts(memory))
    porto = next(record for record in memory.records() if record.text == "Ana lives in Porto.")
    page.goto(site.url("memories", name, record=porto.id))
    page.get_by_role("button", name="Replace").click()
    page.get_by_label("What holds now").fill("Ana lives in Braga.")
    page.get_by_label("Since when").fill("2026-09")
    page.get_by_role("dialog").get_by_role("button", name="Replace").click()
    expect(page.get_by_role("option", name="Ana lives in Braga.")).to_be_visible()
    assert memory.get(porto.id).until == "2026-09"
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("option", name="Ana lives in Braga.")).to_have_count(0)
    assert (memory.get(porto.id).until, sorted(texts(memory))) == (None, before)


def test_a_memory_is_ended(site: Any, page: Any, story: tuple[str, Any]) -> None:
    name, memory = story
    chess = next(record for record in memory.records() if "chess" in record.text)
    page.goto(site.url("memories", name, record=chess.id))
    page.get_by_role("button", name="End").click()
    until = page.get_by_role("dialog").get_by_label("True until")
    until.fill("some day")
    page.get_by_role("dialog").get_by_role("button", name="End").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("some day")
    until.fill("2026-08-01")
    page.get_by_role("dialog").get_by_role("button", name="End").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert memory.get(chess.id).until == "2026-08-01"


def test_a_memory_is_forgotten_and_brought_back_from_the_log(site: Any, page: Any, story: tuple[str, Any]) -> None:
    name, memory = story
    page.goto(site.url("memories", name))
    page.get_by_role("option", name="She will plant tomatoes").click()
    page.get_by_role("button", name="Forget").click()
    page.get_by_role("dialog").get_by_role("button", name="Forget").click()
    expect(page.get_by_role("option", name="She will plant tomatoes")).to_have_count(0)
    expect(page.get_by_role("heading", name="Forgotten")).to_be_visible()
    assert not any("tomatoes" in text for text in texts(memory))
    page.get_by_role("complementary").get_by_role("link", name="forgotten: She will plant").click()
    page.get_by_role("complementary").get_by_role("button", name="Undo").click()
    expect(page.get_by_role("option", name="She will plant tomatoes")).to_be_visible()
    assert any("tomatoes" in text for text in texts(memory))


def test_a_memory_is_erased_only_when_the_person_writes_so(site: Any, page: Any, story: tuple[str, Any]) -> None:
    name, memory = story
    page.goto(site.url("memories", name))
    page.get_by_role("option", name="Will you move").click()
    page.get_by_role("button", name="Erase").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Write “erase” to go on").fill("yes")
    dialog.get_by_role("button", name="Erase for good").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Nothing was erased")
    dialog.get_by_label("Write “erase” to go on").fill("erase")
    dialog.get_by_role("button", name="Erase for good").click()
    expect(page.get_by_role("complementary")).to_contain_text("erased for good")
    assert not any("Will you" in str(operation) for operation in memory.log())


def test_the_audit_repairs_what_it_found(site: Any, page: Any, story: tuple[str, Any]) -> None:
    name, memory = story
    page.goto(site.url("audit", name))
    stale = page.get_by_role("region", name=re.compile("Stale"))
    expect(stale).to_contain_text("Pick Ana up at nine.")
    stale.get_by_role("button", name="Repair it").click()
    page.get_by_role("dialog").get_by_role("button", name="Repair").click()
    expect(stale).to_have_count(0)
    assert "Pick Ana up at nine." not in texts(memory)


def test_files_are_imported_with_progress(site: Any, page: Any, story: tuple[str, Any], tmp_path: Path) -> None:
    name, memory = story
    notes = tmp_path / "notes.jsonl"
    notes.write_text("".join(f'{{"text": "Note {n} about the garden."}}\n' for n in range(600)) + "no JSON\n")
    page.goto(site.url("add", name))
    page.get_by_label("Choose files").set_input_files(notes)
    told = page.get_by_role("region", name="Import of notes.jsonl")
    expect(told.get_by_role("status")).to_contain_text("600 added, 1 refused. Done.")
    expect(told.get_by_role("progressbar")).to_have_js_property("value", 100)
    told.get_by_role("link", name="See the memories").click()
    expect(page.get_by_role("option", name="Note 599")).to_be_visible()
    assert sum(record.source == "notes.jsonl" for record in memory.records()) == 600


def test_files_are_dropped_anywhere(site: Any, page: Any, story: tuple[str, Any]) -> None:
    name, memory = story
    site.open(page, "sizes", name)
    page.evaluate("""() => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File(["The cat sleeps on the piano."], "cat.txt", { type: "text/plain" }));
      const event = (kind) => new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true });
      for (const kind of ["dragover", "drop"]) document.body.dispatchEvent(event(kind));
    }""")
    expect(page.get_by_role("region", name="Import of cat.txt").get_by_role("status")).to_contain_text("1 added. Done.")
    assert "The cat sleeps on the piano." in texts(memory)


def test_one_memory_is_written_down(site: Any, page: Any, story: tuple[str, Any]) -> None:
    name, memory = story
    page.goto(site.url("add", name))
    page.get_by_role("button", name="Remember").click()
    expect(page.get_by_role("alert").filter(has_text="write at least one word")).to_be_visible()
    page.get_by_label("What is to be remembered").fill("The key is under the stone.")
    page.get_by_label("When it was true").fill("2026-07")
    page.get_by_role("button", name="Remember").click()
    expect(page.get_by_role("status").filter(has_text="Remembered.")).to_be_visible()
    assert [(each.text, each.time) for each in memory.records()][-1] == ("The key is under the stone.", "2026-07")
