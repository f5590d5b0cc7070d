"""Answers on disk: the same request once, errors never, replays without a model, several processes."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mnemic import Memory
from mnemic.errors import InputError, ModelError
from mnemic.lm.cache import Cached, identity
from mnemic.lm.chat import ChatModel
from mnemic.lm.cost import Metered
from mnemic.lm.exchange import Reply, Request, Tool, ToolCall
from mnemic.lm.local import LocalModel
from mnemic.lm.scripted import ScriptedLM

ASK = [{"role": "user", "content": "Where does Ana live?"}]


def counting(name: str = "scripted", **more: Any) -> ScriptedLM:
    """Each time another answer: a repeated one came from the cache."""
    lm = ScriptedLM(lambda request: f"answer {len(lm.requests)}", name)
    for key, value in more.items():
        setattr(lm, key, value)
    return lm


def test_the_same_request_is_asked_once(tmp_path: Path) -> None:
    lm = Cached(counting(), tmp_path / "answers.db")
    first = lm.complete(ASK, max_tokens=9)
    assert lm.complete(ASK, max_tokens=9) == first == Reply("answer 1", first.prompt_tokens, first.completion_tokens)
    assert (lm.hits, lm.misses, lm.models()) == (1, 1, {"scripted": 1})
    lm.close()
    again = Cached(counting(), tmp_path / "answers.db")
    assert again.complete(ASK, max_tokens=9) == first
    assert (again.hits, again.misses) == (1, 0)


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}


@pytest.mark.parametrize(
    "other",
    [
        {"messages": [{"role": "user", "content": "Where does Ana live? "}]},
        {"messages": [{"role": "system", "content": "Where does Ana live?"}]},
        {"max_tokens": 8},
        {"temperature": 0.5},
        {"tools": [Tool("clock", "")]},
        {"tools": [Tool("clock", "Tell the time.")]},
    ],
)
def test_another_request_is_another_question(tmp_path: Path, other: dict[str, Any]) -> None:
    lm = Cached(counting(), tmp_path / "answers.db")
    lm.complete(ASK)
    given = {"messages": ASK, **other}
    assert lm.complete(given.pop("messages"), **given).text == "answer 2"


def test_a_schema_is_part_of_the_request(tmp_path: Path) -> None:
    lm = Cached(ScriptedLM(lambda request: {"a": 1} if request.schema == SCHEMA else "{}"), tmp_path / "answers.db")
    assert lm.complete(ASK, schema=SCHEMA).text == '{"a": 1}'
    assert lm.complete(ASK, schema={"type": "object"}).text == "{}"
    assert lm.misses == 2


def test_the_order_in_a_message_does_not_matter_and_that_of_messages_does(tmp_path: Path) -> None:
    lm = Cached(counting(), tmp_path / "answers.db")
    two = [*ASK, {"role": "assistant", "content": "Lisbon."}]
    lm.complete(two)
    assert lm.complete([{"content": "Where does Ana live?", "role": "user"}, two[1]]).text == "answer 1"
    assert lm.complete(two[::-1]).text == "answer 2"


def test_models_do_not_share_answers(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    Cached(counting("one"), path).complete(ASK)
    two = Cached(counting("two"), path)
    two.complete(ASK)
    assert (two.hits, two.models()) == (0, {"one": 1, "two": 1})
    here, there = (ChatModel("tiny", base_url=url) for url in ("http://here/v1", "http://there/v1"))
    assert identity(here) == "tiny at http://here/v1" != identity(there)


def test_the_seed_counts_above_temperature_zero_only(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    for seed in (1, 2):
        lm = Cached(counting(seed=seed), path)
        lm.complete(ASK, temperature=0.0)
        lm.complete(ASK, temperature=0.7)
    assert (lm.hits, lm.misses) == (1, 1)


def test_errors_are_not_kept(tmp_path: Path) -> None:
    def first_down(request: Request) -> str:
        if len(flaky.requests) == 1:
            raise ModelError("down")
        return "Lisbon."

    flaky = ScriptedLM(first_down)
    lm = Cached(flaky, tmp_path / "answers.db")
    with pytest.raises(ModelError, match="down"):
        lm.complete(ASK)
    assert lm.models() == {}
    assert lm.complete(ASK).text == "Lisbon."


def test_calls_and_counts_come_back_as_they_were(tmp_path: Path) -> None:
    kept = Reply("Sent.", 7, 3, False, (ToolCall("send", {"to": "Ana", "copies": [1, {"x": None}]}, "call_1"),))
    lm = Cached(ScriptedLM(lambda request: kept), tmp_path / "answers.db")
    tools = [Tool("send", "Send.", {"type": "object", "properties": {"to": {"type": "string"}}})]
    assert lm.complete(ASK, tools=tools) == lm.complete(ASK, tools=tools) == kept
    assert lm.hits == 1


def test_a_replay_needs_no_model_and_refuses_what_it_does_not_hold(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    Cached(counting(), path).complete(ASK)
    before = path.read_bytes()
    os.chmod(path, 0o444)
    lm = Cached("scripted", path, replay=True)
    assert lm.complete(ASK).text == "answer 1"
    assert lm.count("two words") == 2
    with pytest.raises(ModelError, match=r"holds no answer of scripted .*1 of scripted.*replay=False"):
        lm.complete(ASK, max_tokens=1)
    with pytest.raises(ModelError, match="holds no answer of another"):
        Cached("another", path, replay=True).complete(ASK)
    silent = counting()
    with pytest.raises(ModelError, match="a replay asks no model"):
        Cached(silent, path, replay=True).complete(ASK, max_tokens=1)
    assert silent.requests == []
    with pytest.raises(InputError, match="a replay only reads"):
        lm.erase("Ana")
    assert path.read_bytes() == before


def test_what_cannot_be_opened_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no answers to replay"):
        Cached("scripted", tmp_path / "none.db", replay=True)
    with pytest.raises(InputError, match="only the name of a model"):
        Cached("scripted", tmp_path / "answers.db")  # type: ignore[arg-type]
    (tmp_path / "text.db").write_text("no database at all, but long enough to be looked at" * 10)
    with pytest.raises(InputError, match="cannot be used as a file of answers"):
        Cached(counting(), tmp_path / "text.db")
    with Memory(tmp_path / "life.db"):
        pass
    with pytest.raises(InputError, match="holds other tables"):
        Cached(counting(), tmp_path / "life.db")
    with pytest.raises(InputError, match="no such table"):
        Cached(counting(), tmp_path / "life.db", replay=True)


def test_a_text_is_erased_from_requests_and_replies(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    lm = Cached(ScriptedLM(lambda request: 'He said "Rua Nova"\nand left.' if "Ben" in str(request) else "Fine."), path)
    for question in ("Ben?", "Where is Rua Nova?", "Ana?"):
        lm.complete([{"role": "user", "content": question}])
    assert lm.erase('said "Rua Nova"\nand') == 1
    assert lm.erase("Rua Nova") == 1
    assert lm.models() == {"scripted": 1}
    lm.close()
    assert b"Rua Nova" not in path.read_bytes()
    with pytest.raises(InputError, match="which text to erase"):
        lm.erase(" ")


def test_threads_share_it(tmp_path: Path) -> None:
    lm = Cached(counting(), tmp_path / "answers.db")
    lm.complete(ASK)
    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(lambda _: lm.complete(ASK).text, range(100)))
    assert (set(texts), lm.hits) == ({"answer 1"}, 100)


def test_processes_that_ask_at_the_same_time_say_the_same(tmp_path: Path) -> None:
    code = """
import os, sys
from mnemic.lm.cache import Cached
from mnemic.lm.scripted import ScriptedLM
lm = Cached(ScriptedLM(lambda request: f"process {os.getpid()}", "shared"), sys.argv[1])
for n in range(40):
    print(n, lm.complete([{"role": "user", "content": str(n)}]).text)
"""
    started = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "answers.db")], stdout=subprocess.PIPE)
               for _ in range(3)]  # fmt: skip
    outputs = {process.communicate(timeout=120)[0] for process in started}
    assert [process.returncode for process in started] == [0, 0, 0]
    assert len(outputs) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_it_goes_on_after_a_fork(tmp_path: Path) -> None:
    lm = Cached(counting(), tmp_path / "answers.db")
    lm.complete(ASK)
    child = os.fork()
    if child == 0:
        os._exit(0 if lm.complete(ASK).text == "answer 1" else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert lm.complete(ASK).text == "answer 1"


def test_it_keeps_the_whole_request_for_whoever_reads_the_file(tmp_path: Path) -> None:
    Cached(counting(), tmp_path / "answers.db").complete(ASK, max_tokens=5)
    row = sqlite3.connect(tmp_path / "answers.db").execute("SELECT model, request, reply FROM answer").fetchone()
    assert (row[0], json.loads(row[1])["messages"], json.loads(row[2])["text"]) == ("scripted", ASK, "answer 1")


def test_half_a_character_is_answered_and_not_kept(tmp_path: Path) -> None:
    lm = Cached(counting(), tmp_path / "answers.db")
    broken = [{"role": "user", "content": "\ud83d"}]
    assert [lm.complete(broken).text, lm.complete(broken).text] == ["answer 1", "answer 2"]


def test_a_meter_outside_counts_questions_and_one_inside_counts_what_was_paid(tmp_path: Path) -> None:
    inside = Metered(counting())
    lm = Metered(Cached(inside, tmp_path / "answers.db"))
    lm.complete(ASK)
    lm.complete(ASK)
    assert (lm.spent.calls, inside.spent.calls) == (2, 1)


def test_a_memory_asks_through_it(tmp_path: Path) -> None:
    lm = Cached(ScriptedLM(lambda request: "Ana lives in Lisbon [1]."), tmp_path / "answers.db")
    with Memory(":memory:", lm=lm) as memory:
        memory.add("Ana lives in Lisbon.", time="2026-05-03")
        assert memory.ask("Where does Ana live?") == memory.ask("Where does Ana live?")
    assert (lm.hits, lm.misses) == (1, 1)


def test_a_real_model_is_replayed_without_loading_it(local_model: LocalModel, tmp_path: Path) -> None:
    first = Cached(local_model, tmp_path / "answers.db").complete(ASK, max_tokens=8)
    again = LocalModel(context=512, threads=1)
    assert Cached(again, tmp_path / "answers.db", replay=True).complete(ASK, max_tokens=8) == first
    assert again._server is None
