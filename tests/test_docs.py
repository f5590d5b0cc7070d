"""What the documentation shows is true: its examples run, its links lead somewhere, it names what there is.

A file runs from top to bottom in a folder of its own: its ```python blocks in one namespace, the lines behind "$ " of
its ```console blocks in bash. What was printed is compared with what is shown: below the line, or in the ```text block
that directly follows. "..." stands for anything (ids, times, scores). Blocks of ```sh and of no language are not run.
"""

from __future__ import annotations

import doctest
import inspect
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import click
import pytest

from mnemic import Answer, Hit, Memory, Record
from mnemic.cli import main

ROOT = Path(__file__).parents[1]
DOCS = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("docs/systems/*.md"))]
NAMES = [str(path.relative_to(ROOT)) for path in DOCS]

BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
LANGUAGES = ("python", "text", "console", "sh", "")
LINK = re.compile(r"(?<!`)\[[^\]\n]+\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")
VARIABLE = re.compile(r"\bMNEMIC_[A-Z_]*[A-Z]\b")
MNEMIC = 'mnemic() { "$PYTHON" -m mnemic "$@"; }\n'

# What other parts rely on (the parts of a signature are looked for in configuration.md, by name).
RELIED_ON = {
    Memory: "add add_many recall ask get records update forget erase log as_of undo check stats used".split(),
    Record: "id text time kind source metadata".split(),
    Hit: "record score parts passage".split(),
    Answer: "text citations used".split(),
}


@pytest.mark.parametrize("path", DOCS, ids=NAMES)
def test_the_examples_of_a_file_run_and_print_what_it_shows(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("MNEMIC_BUDGET", "MNEMIC_DEBUG", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))  # the memory of the person is in there
    text, names, environment = (
        path.read_text("utf-8"),
        {"__name__": "__main__"},
        {**os.environ, "PYTHON": sys.executable},
    )
    if "import torch\n" in text:
        pytest.importorskip("torch", reason="torch is not installed: pip install torch")
    printed, end = None, 0  # what the block before printed, and where that one ended
    for block in BLOCK.finditer(text):
        indent, language, code = block.groups()
        code, line = re.sub(f"^{indent}", "", code, flags=re.MULTILINE), text.count("\n", 0, block.start()) + 1
        where = f"{path.name}:{line}"
        assert language in LANGUAGES, f"{where}: nothing is known about a block of {language}"
        if language == "text":
            follows = printed is not None and not text[end : block.start()].strip()
            assert follows, f"{where}: it shows the output of no python block"
            _compare(code, printed or "", where)
        printed, end = _run_python("\n" * line + code, path, names) if language == "python" else None, block.end()
        for command, shown in _commands(code) if language == "console" else []:
            _compare(shown, _run_shell(command, environment), f"{where}: {command}")


def _run_python(code: str, path: Path, names: dict[str, Any]) -> str:
    with redirect_stdout(StringIO()) as out:
        exec(compile(code, str(path), "exec"), names)
    return out.getvalue()


def _commands(code: str) -> list[tuple[str, str]]:
    """(command, what is shown below it) of a console block; "> " continues a command."""
    parts = re.split(r"^\$ ", code, flags=re.MULTILINE)
    assert not parts[0].strip(), "a console block begins with a command"
    found = [re.fullmatch(r"(.*?\n(?:> .*\n)*)(.*)", part, re.DOTALL) for part in parts[1:]]
    return [(match[1].replace("\n> ", "\n").strip(), match[2]) for match in found if match]


def _run_shell(command: str, environment: dict[str, str]) -> str:
    if named := re.fullmatch(r"export (\w+)=(.*)", command):
        environment[named[1]] = named[2].strip("\"'")  # holds for the rest of the file
        return ""
    done = subprocess.run(["bash", "-c", MNEMIC + command], env=environment, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
    return done.stdout


def _compare(shown: str, printed: str, where: str) -> None:
    wanted, got = ("\n".join(row.rstrip() for row in output.rstrip().splitlines()) for output in (shown, printed))
    assert doctest.OutputChecker().check_output(wanted, got, doctest.ELLIPSIS), (
        f"{where}\nshown:\n{shown}\nprinted:\n{printed}"
    )


@pytest.mark.parametrize("path", DOCS, ids=NAMES)
def test_its_links_lead_to_files(path: Path) -> None:
    links = ["".join(pair) for pair in LINK.findall(BLOCK.sub("", path.read_text("utf-8")))]
    inside = [link for link in links if not re.match(r"\w+:", link)]
    gone = [link for link in inside if not _leads_somewhere(path, link)]
    assert not gone


def _leads_somewhere(path: Path, link: str) -> bool:
    file, _, heading = link.partition("#")
    target = path.parent / file if file else path
    if not heading or target.suffix != ".md":
        return target.exists()
    titles = re.findall(r"^#+ (.*)$", BLOCK.sub("", target.read_text("utf-8")), re.MULTILINE)
    return heading in [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]


def test_every_command_and_its_options_stand_in_the_page_of_the_command_line() -> None:
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    context = click.Context(main)
    for name in main.list_commands(context):
        assert re.search(rf"^\| `{name}[` ]", page, re.MULTILINE), f"`{name}` has no row in docs/cli.md"
        command = main.get_command(context, name)
        assert command is not None
        options = {each for option in command.params if isinstance(option, click.Option) for each in option.opts}
        missing = [each for each in options if each.startswith("--") and f"`{each}" not in page]
        assert not missing, f"docs/cli.md does not name {missing} of `{name}`"


def test_everything_that_can_be_set_stands_in_the_page_of_configuration() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    sources = [path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py")]
    variables = {name for source in sources for name in VARIABLE.findall(source)}
    arguments = set(inspect.signature(Memory).parameters)
    assert [name for name in sorted(variables | arguments) if f"`{name}" not in page] == []


def test_the_names_that_other_parts_rely_on_are_there_and_documented() -> None:
    pages = "\n".join(path.read_text("utf-8") for path in DOCS)
    for part, names in RELIED_ON.items():
        for name in names:
            known = name in getattr(part, "__dataclass_fields__", {}) or hasattr(part, name)
            assert known, f"{part.__name__}.{name} is gone"
            assert re.search(rf"\.{name}\b|`{name}\b", pages), f"no page names {part.__name__}.{name}"


def test_the_picture_shows_the_levels_of_the_catalog() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts" / "draw_hierarchy.py", "--check"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
    assert done.returncode == 0, done.stdout
