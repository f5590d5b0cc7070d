"""Every script in benchmarks/ runs: as a process of its own, at a tiny size, with its JSON as promised."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mnemic import data
from mnemic.errors import DataMissing
from mnemic.lm import minilm

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
HELD, MISSED = 0, 1  # a bar may be missed here: the sizes are tiny and nobody promises a quiet machine


def run(script: str, *words: object, codes: tuple[int, ...] = (HELD,), **environment: str) -> Any:
    """The JSON that a script prints."""
    done = subprocess.run([sys.executable, BENCHMARKS / f"{script}.py", *map(str, words), "--json"],
                          env={**os.environ, **environment}, capture_output=True, text=True)  # fmt: skip
    assert done.returncode in codes, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def little_data(tmp_path: Path) -> dict[str, str]:
    """A machine where the conversations are the first three sessions of a real one."""
    try:
        talk = json.loads(data.read("locomo"))[0]
    except DataMissing as error:
        pytest.skip(str(error))
    said = talk["conversation"]
    talk["conversation"] = {name: said[name] for name in ("session_1", "session_2", "session_3")}
    file = tmp_path / "little" / data.dataset("locomo").parts["conversations"][0].path
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps([talk]), encoding="utf-8")
    return {"MNEMIC_DATA": str(tmp_path / "little")}


@pytest.fixture
def no_data(tmp_path: Path) -> dict[str, str]:
    """A machine without data sets: everything but the diary runs there too."""
    (tmp_path / "none").mkdir()
    return {"MNEMIC_DATA": str(tmp_path / "none")}


def test_latency(tmp_path: Path, no_data: dict[str, str]) -> None:
    words = ("--sizes", "300,60", "--questions", 4, "--keep", tmp_path)
    rows = run("latency", *words, **no_data)["rows"]
    assert [(row["records"], row["how"], row["questions"]) for row in rows] == [
        (300, "at rest", 4), (300, "written to", 4), (60, "at rest", 4), (60, "written to", 4)
    ]  # fmt: skip
    for row in rows:
        assert row["bar_ms"] is None  # no bar was set for such sizes
        assert 0 < row["embed_ms"] < row["p95_ms"]
        assert 0 < row["wall_ms"] <= row["p95_ms"]
    assert sorted(path.name for path in tmp_path.glob("*.db")) == ["records-300.db", "records-60.db"]


def test_memory(tmp_path: Path, no_data: dict[str, str]) -> None:
    found = run("memory", "--records", 60, "--imports", 1, codes=(HELD, MISSED), **no_data)
    steps = {row["step"]: row["peak"] for row in found["rows"]}
    assert list(steps) == ["import", "open", "recall"]
    assert 10e6 < steps["import"] < steps["recall"] < 350e6
    assert found["import"]["wall_s"] > 0


def test_ingest(no_data: dict[str, str]) -> None:
    [row] = run("ingest", "--texts", 20, "--rounds", 2, codes=(HELD, MISSED), **no_data)["rows"]
    assert (row["case"], row["texts"], row["rounds"]) == ("demo turns", 20, 2)
    assert row["least"] <= row["ratio"] <= row["most"]


def test_ingest_of_the_data_sets() -> None:
    with_data()
    rows = run("ingest", "--texts", 24, "--rounds", 1, codes=(HELD, MISSED))["rows"]
    assert [row["case"] for row in rows] == ["LoCoMo turns", "Pepys days", "folder of files"]
    assert all(0 < row["texts"] <= row["pieces"] for row in rows)


def test_embedder(little_data: dict[str, str]) -> None:
    shipped = Path(minilm.__file__).parent / "weights" / "minilm.onnx"
    rows = run("embedder", "--conversations", 1, "--fp32", shipped, **little_data)  # the same network in both places
    assert list(rows) == ["int8, ships inside", "float32"]
    one, same = rows.values()
    assert one["recall@10"] == same["recall@10"] > 0.3
    assert same["cosine"] == pytest.approx(1, abs=1e-5)
    assert 0.99 < one["alone"] <= 1.00001


def test_pepys(tmp_path: Path) -> None:
    with_data()
    found = run("pepys", "--days", 3, "--keep", tmp_path)
    assert (found["days"], found["remembered"], found["added"]) == (3, 3, 3)
    assert len(found["questions"]) == 10
    assert all(one["rank"] is None for one in found["questions"])  # none of the ten days is among the first three


def test_pepys_says_what_it_needs(no_data: dict[str, str]) -> None:
    done = subprocess.run([sys.executable, BENCHMARKS / "pepys.py"], env={**os.environ, **no_data},
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode not in (HELD, MISSED)
    assert done.stderr.startswith('the data set "pepys"')


def test_size() -> None:
    found = run("size", "--here")
    assert {"numpy", "onnxruntime", "tokenizers"} <= set(found["packages"])
    assert not {"torch", "pytest", "mypy", "spacy"} & set(found["packages"])  # of other extras
    assert 100e6 < found["bytes"] == sum(found["packages"].values())


def test_durability() -> None:
    found = run("durability", "--times", 2, "--seconds", 2)
    assert list(found) == ["kills", "models", "files", "crowd"]
    assert found["kills"]["kills"] == found["models"]["kills"] == 2
    assert found["files"]["records"] == 12_000 * found["files"]["memories"]


def test_a_lost_write_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a writer that acknowledges what it never wrote."""
    lying = (BENCHMARKS / "durability.py").read_text().replace("outcome.record.id +", '"lie" + outcome.record.id +')
    (tmp_path / "durability.py").write_text(lying)
    monkeypatch.setattr(f"{__name__}.BENCHMARKS", tmp_path)
    found = run("durability", "kills", "--times", 1, codes=(MISSED,))
    assert found["kills"]["lost"] == found["kills"]["acknowledged"] > 0


def with_data() -> None:
    for name in ("locomo", "pepys"):
        try:
            data.path(name)
        except DataMissing as error:
            pytest.skip(str(error))


def test_footprint() -> None:
    pytest.importorskip("torch", reason="torch is not installed: pip install torch")
    try:
        data.path("trec", "train"), data.path("minilm", "weights")
    except DataMissing as error:
        pytest.skip(str(error))
    words = ("--tasks", "trec", "--only", "linear probe", "--seeds", 1, "--epochs", 2, "--train", 96,
             "--rounds", 1)  # fmt: skip
    [row] = run("footprint", *words, OMP_NUM_THREADS="1")["trec"]
    assert row["trainable"] == (384 + 1) * 6
    assert row["saved"] < row["step_bytes"] < row["peak"]
    assert 0.3 < row["accuracy"] <= 1
    assert 0 < row["step_ratio"] < 1


def test_footprint_names_the_arms_there_are() -> None:
    pytest.importorskip("torch", reason="torch is not installed: pip install torch")
    done = subprocess.run([sys.executable, BENCHMARKS / "footprint.py", "--tasks", "trec", "--only", "magic"],
                          capture_output=True, text=True)  # fmt: skip
    assert (done.returncode, "trec has linear probe, all-layer probe, full" in done.stderr) == (2, True)


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated")  # transformers 5 has both names
@pytest.mark.parametrize("task", ["trec", "sign_digits"])
def test_every_arm_of_footprint_makes_a_step(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="torch is not installed: pip install torch")
    spec = importlib.util.spec_from_file_location("footprint_benchmark", BENCHMARKS / "footprint.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "footprint_benchmark", module)  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    for name, value in (("BATCH", 4), ("TOKENS", 8), ("PIXELS", 32)):
        monkeypatch.setattr(module, name, value)
    try:
        made = {name: module.made(task, name, 0).train() for name in module.arms_of(task)}
    except DataMissing as error:
        pytest.skip(str(error))
    batch = module.fixed_batch(task)
    for name, model in made.items():
        model(**batch)["loss"].backward()
        moved = [p for p in model.parameters() if p.grad is not None and p.grad.abs().sum() > 0]
        assert moved, name
