"""Which model answers: by name, from the environment, or none. Nothing is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnemic.errors import InputError
from mnemic.lm.chat import OPENAI, ChatModel
from mnemic.lm.local import LocalModel
from mnemic.lm.models import open_model
from mnemic.lm.scripted import ScriptedLM


def test_no_model_is_configured_by_default() -> None:
    assert open_model() is None
    assert open_model("none") is None


def test_the_environment_names_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNEMIC_LLM_MODEL", "llama3.2:1b")
    monkeypatch.setenv("MNEMIC_LLM_BASE_URL", "http://localhost:8080/v1/")
    monkeypatch.setenv("MNEMIC_LLM_API_KEY", "sk-2")
    monkeypatch.setenv("MNEMIC_LLM_TIMEOUT", "2.5")
    model = open_model()
    assert isinstance(model, ChatModel)
    assert (model.name, model.base_url, model.timeout) == ("llama3.2:1b", "http://localhost:8080/v1", 2.5)


def test_specs_name_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hosted = open_model("openai:gpt-x")
    assert isinstance(hosted, ChatModel)
    assert (hosted.name, hosted.base_url) == ("gpt-x", OPENAI)
    gguf = tmp_path / "some.gguf"
    gguf.write_bytes(b"GGUF....")
    monkeypatch.setenv("MNEMIC_LLM_MODEL", f"local:{gguf}")
    local = open_model()
    assert isinstance(local, LocalModel)
    assert local.name == "local:some"
    mine = ScriptedLM(lambda request: "yes")
    assert open_model(mine) is mine


@pytest.mark.parametrize("spec", ["", "gpt-x", "openai:", "remote"])
def test_a_name_that_nothing_has_lists_those_that_work(spec: str) -> None:
    with pytest.raises(InputError, match=r'use "local", "local:FILE.gguf", "openai:MODEL" or "none"'):
        open_model(spec)


def test_half_a_configuration_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNEMIC_LLM_BASE_URL", "http://localhost:1/v1")
    with pytest.raises(InputError, match="MNEMIC_LLM_MODEL is not"):
        open_model()
    monkeypatch.setenv("MNEMIC_LLM_MODEL", "tiny")
    monkeypatch.setenv("MNEMIC_LLM_TIMEOUT", "soon")
    with pytest.raises(InputError, match='MNEMIC_LLM_TIMEOUT is "soon": give seconds'):
        open_model()


def test_an_object_that_is_no_model_is_refused() -> None:
    with pytest.raises(InputError, match="a dict is no language model: it has no `name`"):
        open_model({})  # type: ignore[arg-type]
