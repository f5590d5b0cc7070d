"""The configuration of the clients: ours is put in, theirs stays."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mnemic.cli import main
from mnemic.cli import mcp as command
from mnemic.errors import InputError
from mnemic.serve import clients
from mnemic.serve.clients import CLIENTS, install, stdio_entry

CURSOR = CLIENTS["cursor"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(Path, "home", classmethod(lambda cls: tmp_path))
    for name in ("XDG_CONFIG_HOME", "APPDATA", "CLAUDE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "path", "key", "typed"),
    [
        ("claude-desktop", ".config/Claude/claude_desktop_config.json", "mcpServers", False),
        ("claude-code", ".claude.json", "mcpServers", True),
        ("cursor", ".cursor/mcp.json", "mcpServers", False),
        ("vscode", ".config/Code/User/mcp.json", "servers", True),
        ("zed", ".config/zed/settings.json", "context_servers", False),
    ],
)
def test_each_client_finds_it_in_its_own_file(
    name: str, path: str, key: str, typed: bool, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients.sys, "platform", "linux")
    entry = stdio_entry("/memories/life.db", space="ana")
    done = install(CLIENTS[name], "mnemic", entry)
    assert (done.path, done.changed, done.backup) == (home / path, True, None)
    assert json.loads(done.path.read_text()) == {
        key: {"mnemic": {**({"type": "stdio"} if typed else {}), "command": sys.executable,
                         "args": ["-m", "mnemic", "mcp", "run", "--db", "/memories/life.db", "--space", "ana"]}}
    }  # fmt: skip


def test_a_mac_and_windows_keep_theirs_elsewhere(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients.sys, "platform", "darwin")
    assert CLIENTS["claude-desktop"].path == home / "Library/Application Support/Claude/claude_desktop_config.json"
    assert CLIENTS["zed"].path == home / ".config/zed/settings.json"
    monkeypatch.setattr(clients.sys, "platform", "win32")
    monkeypatch.setenv("APPDATA", str(home / "roaming"))
    assert CLIENTS["vscode"].path == home / "roaming/Code/User/mcp.json"


def test_what_was_there_stays_and_is_backed_up(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    before = '{"theme": "dark", "mcpServers": {"files": {"command": "f"}, "mnemic": {"url": "u", "env": {"A": "ü"}}}}'
    file.write_text(before)
    file.chmod(0o600)
    done = install(CURSOR, "mnemic", {"command": "c", "args": []}, path=file)
    assert json.loads(file.read_text()) == {
        "theme": "dark",
        "mcpServers": {"files": {"command": "f"}, "mnemic": {"env": {"A": "ü"}, "command": "c", "args": []}},
    }
    assert done.backup is not None
    assert done.backup.read_text() == before
    assert (file.stat().st_mode & 0o777, done.backup.stat().st_mode & 0o777) == (0o600, 0o600)


def test_doing_it_again_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text("{}")
    install(CURSOR, "mnemic", {"command": "c"}, path=file)
    text, names = file.read_text(), sorted(each.name for each in tmp_path.iterdir())
    assert not install(CURSOR, "mnemic", {"command": "c"}, path=file).changed
    assert (file.read_text(), sorted(each.name for each in tmp_path.iterdir())) == (text, names)


def test_a_backup_is_never_written_over(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    for n in range(3):
        file.write_text(f'{{"n": {n}}}')
        install(CURSOR, "mnemic", {"command": str(n)}, path=file)
    assert [file.with_name(f"mcp.json.before-mnemic{end}").read_text() for end in ("", "-2", "-3")] == [
        '{"n": 0}', '{"n": 1}', '{"n": 2}',
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ['{"a": 1, // mine\n}', "[1]", '{"mcpServers": []}', '{"mcpServers": {"mnemic": 1}}', '{"a": 1, "a": 2}',
             "[" * 100_000]
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_left_as_it_is_and_the_sentence_has_what_to_paste(
    tmp_path: Path, text: str
) -> None:
    file = tmp_path / "mcp.json"
    file.write_text(text)
    with pytest.raises(InputError, match=r'was left as it is.*"command": "c"'):
        install(CURSOR, "mnemic", {"command": "c"}, path=file)
    assert file.read_text() == text
    assert [each.name for each in tmp_path.iterdir()] == ["mcp.json"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    file, link = tmp_path / "real.json", tmp_path / "mcp.json"
    file.write_text("{}")
    link.symlink_to(file)
    install(CURSOR, "mnemic", {"command": "c"}, path=link)
    assert link.is_symlink()
    assert "mnemic" in json.loads(file.read_text())["mcpServers"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mcp.json"
    file.write_text('{"a": 1}')

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(clients.os, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        install(CURSOR, "mnemic", {"command": "c"}, path=file)
    assert file.read_text() == '{"a": 1}'
    assert sorted(each.name for each in tmp_path.iterdir()) == ["mcp.json", "mcp.json.before-mnemic"]


def test_the_command_knows_the_clients() -> None:
    assert list(command.install.params[0].type.choices) == [*CLIENTS, "generic"]


def test_the_command_prints_or_writes(tmp_path: Path) -> None:
    pytest.importorskip("mcp")
    db = tmp_path / "life.db"
    printed = CliRunner().invoke(main, ["mcp", "install", "vscode", "--print", "--db", str(db)])
    assert json.loads(printed.output)["servers"]["mnemic"]["args"][-1] == str(db)
    assert not list(tmp_path.iterdir())
    assert "mcpServers" in json.loads(CliRunner().invoke(main, ["mcp", "install", "--db", str(db)]).output)
    written = CliRunner().invoke(main, ["mcp", "install", "cursor", "--db", str(db), "--json"])
    assert json.loads(written.output) == {
        "client": "cursor", "path": str(tmp_path / ".cursor/mcp.json"), "changed": True, "backup": None,
    }  # fmt: skip
    again = CliRunner().invoke(main, ["mcp", "install", "cursor", "--db", str(db)])
    assert again.output == f"{tmp_path / '.cursor/mcp.json'} has it already.\n"
