"""Imports point one way, and `import mnemic` stays light."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mnemic

ROOT = Path(mnemic.__file__).parent

# From the ground up: a part may import its own floor and those below, and no level imports another.
FLOORS: tuple[set[str], ...] = (
    {"seams", "record", "filter", "moment", "meter", "errors", "catalog"},
    {"lm", "nets", "data", "db", "recall", "files"},  # and memory.py with the files beside it that it is made of
    {"context", "store", "neural", "weights", "footprint", "silicon"},
    {"bench", "learn"},
    {"claims", "serve", "cli", "__main__"},
)
LEVELS = FLOORS[2]

# What `import mnemic` must not load: neural frameworks, network libraries, everything slow.
HEAVY = {
    "aiohttp", "httpcore", "httpx", "http.client", "jax", "matplotlib", "onnxruntime", "openai", "requests", "rich",
    "scipy", "ssl", "tensorflow", "tokenizers", "torch", "transformers", "urllib.request", "urllib3", "usearch",
}  # fmt: skip


def floor(part: str) -> int:
    """Which floor a part of mnemic stands on; a file that is not named above belongs to memory.py."""
    return next((n for n, parts in enumerate(FLOORS) if part in parts), 1)


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """(line, part of mnemic) of every import in a file, those inside functions too, those for types alone not."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test).endswith("TYPE_CHECKING")
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}:{node.lineno}: write the full name of what is imported"
            names = [
                f"{node.module}.{alias.name}" if node.module == "mnemic" else str(node.module) for alias in node.names
            ]
        else:
            continue
        yield from ((node.lineno, name.split(".")[1]) for name in names if name.startswith("mnemic."))


def test_imports_point_one_way() -> None:
    against: list[str] = []
    for file in ROOT.rglob("*.py"):
        mine = file.relative_to(ROOT).parts[0].removesuffix(".py")
        if mine == "__init__":
            continue
        for line, part in imports(file):
            sideways = mine in LEVELS and part in LEVELS and part != mine
            if floor(part) > floor(mine) or sideways:
                against.append(f"{file.relative_to(ROOT)}:{line}: {mine} must not import {part}")
    assert against == []


def test_arrows_are_seen_where_they_hide(tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mnemic.claims import run\n"
        "def late():\n    from mnemic import store\n    import mnemic.cli.claims\n"
    )
    assert sorted(imports(file)) == [(5, "store"), (6, "cli")]


def loaded_by(code: str) -> set[str]:
    """Modules that are loaded in a fresh process after some code ran, with sockets that refuse to be made."""
    blocked = (
        "import sys, json, socket\n"
        "def refuse(*a, **k): raise AssertionError('a socket was made')\n"
        "class Blocked(socket.socket):\n    __init__ = refuse\n"
        "socket.socket = Blocked; socket.create_connection = refuse; socket.getaddrinfo = refuse\n"
        "before = set(sys.modules)\n"
    )
    code = f"{blocked}{code}\nprint(json.dumps(sorted(set(sys.modules) - before)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    ["import mnemic", "from mnemic import Memory", "from mnemic import catalog; catalog.systems()",
     "from mnemic import meter, data, claims"],
)  # fmt: skip
def test_stays_light(code: str) -> None:
    assert loaded_by(code) & HEAVY == set()


def test_import_opens_no_system() -> None:
    loaded = loaded_by("import mnemic; from mnemic import catalog; catalog.system('lst')")
    assert [name for name in loaded if name.startswith(tuple(f"mnemic.{level}." for level in LEVELS))] == []


def test_core_never_imports_torch() -> None:
    """Only files that measure or train may name torch, and then inside a function or for types."""
    eager = [
        str(file.relative_to(ROOT))
        for file in ROOT.rglob("*.py")
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Import | ast.ImportFrom) and "torch" in ast.unparse(node).split()[1].split(".")
        if floor(file.relative_to(ROOT).parts[0].removesuffix(".py")) < 2 and file.relative_to(ROOT).parts[0] != "nets"
    ]
    assert eager == []


def test_typed() -> None:
    assert (ROOT / "py.typed").exists()
