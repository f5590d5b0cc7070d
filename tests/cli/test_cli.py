"""What holds for every command: help, errors, exit codes, where the memory is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import mnemic
from mnemic import catalog
from mnemic.cli import main
from mnemic.cli.failing import CODES
from mnemic.cli.group import Commands
from mnemic.cli.options import default_path

DOCS = Path(__file__).parents[2] / "docs"
NAMES = list(Commands.TABLE)


def commands() -> dict[str, click.Command]:
    context = click.Context(main)
    found = {name: main.get_command(context, name) for name in NAMES}
    return {name: command for name, command in found.items() if command is not None}


def test_all_commands_of_the_design_are_there() -> None:
    asked = "add recall ask log show forget erase undo check stats export load reembed systems claims bench demo"
    assert set(asked.split()) <= set(commands())


def test_help_lists_every_command(call: Callable[..., Any]) -> None:
    output = call("--help").output
    assert all(f"  {name} " in output for name in NAMES)
    assert call().output == output  # without a word, too


@pytest.mark.parametrize("name", NAMES)
def test_help_of_a_command(call: Callable[..., Any], name: str) -> None:
    result = call(name, "--help")
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: mnemic {name}")


@pytest.mark.parametrize("name", NAMES)
def test_every_command_takes_db_and_json(name: str) -> None:
    options = {option for parameter in commands()[name].params for option in parameter.opts}
    inner = getattr(commands()[name], "commands", {})
    assert {"--db", "--json"} <= options
    assert all({"--db", "--json"} <= {o for p in each.params for o in p.opts} for each in inner.values())


def test_docs_name_every_command_and_option() -> None:
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    options = {o for c in commands().values() for p in c.params if isinstance(p, click.Option) for o in p.opts}
    assert [name for name in NAMES if f"`{name}" not in page] == []
    assert sorted(option for option in options if option.startswith("--") and f"`{option}" not in page) == []


def test_docs_name_every_exit_code() -> None:
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    assert [code for code in sorted(CODES) if f"| {code} |" not in page] == []


def test_version(call: Callable[..., Any]) -> None:
    assert call("--version").output == f"mnemic {mnemic.__version__}\n"


def test_a_wrong_word_is_answered_with_the_near_one(call: Callable[..., Any]) -> None:
    result = call("recal", "tea")
    assert result.exit_code == 2
    assert result.stderr == "mnemic: No such command 'recal'. Did you mean \"recall\"? See `mnemic --help`.\n"


def test_a_group_without_its_subcommand(call: Callable[..., Any]) -> None:
    result = call("claims")
    assert (result.exit_code, result.stderr) == (2, "mnemic: A subcommand is missing. See `mnemic claims --help`.\n")


def test_errors_as_json(call: Callable[..., Any], db: Path) -> None:
    result = call("recall", "tea", "--db", db, "--json")
    told = json.loads(result.stderr)
    assert (result.exit_code, result.stdout) == (3, "")
    assert told["error"] == "NotFound"
    assert told["exit_code"] == 3
    assert str(db) in told["message"]


def test_usage_errors_as_json(call: Callable[..., Any]) -> None:
    told = json.loads(call("--json", "recall", "tea", "-k", "none").stderr)
    assert (told["error"], told["exit_code"]) == ("Usage", 2)


@pytest.mark.parametrize("words", [("recall", "x"), ("ask", "x"), ("log",), ("show", "x"), ("forget", "x"),
                                   ("erase", "x", "-y"), ("undo", "1"), ("check",), ("stats",), ("export", "x"),
                                   ("reembed", "hash-8")])  # fmt: skip
def test_reading_makes_no_file(call: Callable[..., Any], db: Path, words: tuple[str, ...]) -> None:
    result = call(*words, "--db", db)
    assert result.exit_code == 3
    assert "there is no memory at" in result.stderr
    assert not db.exists()


@pytest.mark.parametrize("words", [("add", "--text", "x"), ("recall", "x"), ("log",), ("stats",), ("check",)])
def test_another_file_is_never_touched(call: Callable[..., Any], db: Path, words: tuple[str, ...]) -> None:
    db.write_text("my diary")
    result = call(*words, "--db", db)
    assert (result.exit_code, db.read_text()) == (4, "my diary")
    assert result.stderr == f"mnemic: {db}: is not a memory file; name another one, or a new one.\n"


def test_options_stand_before_or_after_the_command(call: Callable[..., Any], life: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    call("--db", other, "--space", "work", "add", "--text", "Elsewhere.")  # beats MNEMIC_DB
    told = json.loads(call("--db", other, "--space", "work", "--json", "stats").stdout)
    assert (told["path"], told["space"], told["records"]) == (str(other), "work", 1)
    assert json.loads(call("stats", "--json").stdout)["path"] == str(life)
    assert json.loads(call("--db", other, "stats", "--db", life, "--json").stdout)["path"] == str(life)
    assert call("systems", "zero_infinity", "--json", "--db", "unused").exit_code == 3


def test_json_before_a_nested_command(call: Callable[..., Any]) -> None:
    listed = json.loads(call("--json", "claims", "list").stdout)
    assert {row["slug"] for row in listed} == {row.slug for row in catalog.SYSTEMS}


def test_the_memory_of_the_person(call: Callable[..., Any]) -> None:
    assert call("add", "--text", "Tea is in the left cupboard.").exit_code == 0
    assert default_path().exists()
    assert "left cupboard" in call("recall", "tea").output


def test_a_planned_system_exits_with_3(call: Callable[..., Any]) -> None:
    result = call("systems", "zero_infinity")
    assert result.exit_code == 3
    assert result.stderr.startswith("mnemic: ")


def test_a_bug_is_one_sentence(call: Callable[..., Any], life: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Any) -> None:
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr("mnemic.memory.Memory.stats", broken)
    result = call("stats")
    assert result.exit_code == 70
    assert result.stderr.startswith("mnemic: this is a bug in mnemic (ZeroDivisionError: division by zero)")
    assert result.stderr.count("\n") == 1
    monkeypatch.setenv("MNEMIC_DEBUG", "1")
    assert "Traceback" in CliRunner().invoke(main, ["stats"]).stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeyboardInterrupt(), 130), (MemoryError(), 2), (OSError(28, "No space left on device", "life.db"), 2)],
)
def test_what_the_machine_does(
    call: Callable[..., Any], life: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def failing(self: Any) -> None:
        raise error

    monkeypatch.setattr("mnemic.memory.Memory.stats", failing)
    result = call("stats")
    assert (result.exit_code, result.stderr.strip().count("\n")) == (code, 0)


def test_help_is_light() -> None:
    code = (
        "import sys\nfrom mnemic.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert loaded & {"numpy", "rich", "openai", "onnxruntime", "tokenizers", "usearch", "mnemic.memory"} == set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(call: Callable[..., Any], shell: str) -> None:
    result = call("completion", shell)
    assert result.exit_code == 0
    assert "_MNEMIC_COMPLETE" in result.stdout
    assert json.loads(call("completion", shell, "--json").stdout)["script"].strip() == result.stdout.strip()


def test_completion_knows_commands_and_retrievers() -> None:
    env = {"_MNEMIC_COMPLETE": "bash_complete", "COMP_WORDS": "mnemic re", "COMP_CWORD": "1"}
    assert CliRunner().invoke(main, env=env).output.split() == ["plain,recall", "plain,reembed"]
    env = {"_MNEMIC_COMPLETE": "bash_complete", "COMP_WORDS": "mnemic recall --retriever le", "COMP_CWORD": "3"}
    assert CliRunner().invoke(main, env=env).output.split() == ["plain,lexical"]
