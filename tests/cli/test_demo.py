"""`mnemic demo`: the conversation, the questions, the correction, the cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mnemic import demo
from mnemic.lm.scripted import ScriptedLM


def test_the_conversation_is_of_the_promised_size() -> None:
    chunks = demo.conversation()
    sessions = Counter(chunk.episode for chunk in chunks)
    assert len(sessions) == 12
    assert all(10 <= turns <= 20 for turns in sessions.values())
    assert {chunk.speaker for chunk in chunks} == {"Nadia", "Felix", "Priya"}
    assert [chunk.time for chunk in chunks] == sorted(str(chunk.time) for chunk in chunks)
    assert len({chunk.place for chunk in chunks}) == len(chunks)


def test_every_question_has_its_evidence_in_the_conversation() -> None:
    places = {chunk.place for chunk in demo.conversation()}
    script = json.loads(demo._data("questions.json"))
    assert len(script["questions"]) == 8
    assert all(row["evidence"] and places.issuperset(row["evidence"]) for row in script["questions"])
    assert {script[part]["from"] for part in ("fact", "conclusion", "correction")} <= places


def test_the_unanswerable_is_never_said() -> None:
    """Felix's sister is talked about in four turns, and nobody calls her by a name."""
    about = [chunk.text for chunk in demo.conversation() if "sister" in chunk.text]
    assert len(about) == 4
    assert not any("sister's name" in text or "called" in text.split("sister")[1][:20] for text in about)


def test_as_json(call: Callable[..., Any]) -> None:
    done = json.loads(call("demo", "--json").stdout)
    assert (done["messages"], done["sessions"], len(done["asked"])) == (199, 12, 8)
    correction = done["correction"]
    assert [hit["record"]["text"] for hit in correction["before"]] == ["The Heron was built in 1962."]
    assert [hit["record"]["text"] for hit in correction["after"]] == ["The Heron was built in 1958."]
    assert [record["text"] for record in correction["stale"]] == ["The Heron turns 63 in 2025."]
    assert [operation["kind"] for operation in correction["log"]] == ["insert", "insert", "update", "update"]
    assert done["found"] == sum(asked["rank"] is not None for asked in done["asked"])
    assert done["cost"]["embedded_tokens"] > 2000
    assert done["cost"]["disk"]["unit"] == "bytes"


def test_for_people(call: Callable[..., Any], db: Path) -> None:
    result = call("demo", "--db", db)
    assert "8. How many hours did Nadia need for the marathon?" in result.stdout
    assert "Without a language model mnemic cannot tell" in result.stdout
    assert "as of operation 201      The Heron was built in 1962.  (2025-02-23)" in result.stdout
    assert "The Heron turns 63 in 2025." in result.stdout
    assert "tokens        " in result.stdout
    assert json.loads(call("stats", "--db", db, "--json").stdout)["kinds"] == {"episode": 199, "fact": 2}
    assert call("check", "--db", db).exit_code == 0


def test_with_a_model(call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    model = ScriptedLM(lambda request: "NOT IN MEMORY" if "sister" in str(request.messages[-1]) else "See [1].")
    monkeypatch.setattr("mnemic.choose.language_model", lambda spec: model)
    done = json.loads(call("demo", "--json").stdout)
    assert done["model"] == "scripted"
    assert done["unanswerable"]["answer"]["known"] is False
    assert done["cost"]["model_tokens"] > 0


def test_what_is_not_empty_is_left_alone(call: Callable[..., Any], life: Path) -> None:
    result = call("demo", "--db", life)
    assert result.exit_code == 2
    assert "holds memories already" in result.stderr
    assert len(json.loads(call("show", "--written", "2000..", "--json").stdout)) == 3


def test_the_memory_of_the_person_is_left_alone(call: Callable[..., Any], life: Path) -> None:
    before = life.read_bytes()
    assert call("demo", "--json").exit_code in (0, 1)  # MNEMIC_DB is set
    assert life.read_bytes() == before


def test_the_evidence_is_found_by_what_ships(tmp_path: Path) -> None:
    env = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-m", "mnemic", "demo", "--json"], capture_output=True, text=True, env=env,
                          check=False, timeout=120)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["found"] >= 7
