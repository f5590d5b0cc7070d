"""Where the common MCP clients keep their configuration, and how the memory is put into it.

entry = stdio_entry("life.db")                        the command that a client starts
install(CLIENTS["cursor"], "mnemic", entry)           into the client's own file; what was there is backed up first

The file is somebody else's: all of it but our entry stays as it was, and a file that cannot be read as plain JSON (with
comments, say) is not touched. Nothing here needs the MCP library.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemic.errors import InputError

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Client:
    """A program that starts MCP servers.

    key     of the mapping of servers in its file
    typed   does an entry say that it is "stdio"?
    then    what makes the client read the file
    """

    name: str
    title: str
    key: str = "mcpServers"
    typed: bool = False
    then: str = "restart it"

    @property
    def path(self) -> Path:
        """Its file for this person on this system."""
        return _PATHS[self.name]()

    def section(self, name: str, entry: Entry) -> dict[str, Any]:
        """What stands in its file, as it can be pasted there."""
        return {self.key: {name: {**({"type": "stdio"} if self.typed else {}), **entry}}}


@dataclass(frozen=True)
class Installed:
    """backup    copy of the file as it was; None when there was none, or nothing changed"""

    path: Path
    changed: bool
    backup: Path | None = None


def _applications(*parts: str) -> Path:
    """Where programs of a desktop keep what is a person's."""
    if sys.platform == "darwin":
        return Path.home().joinpath("Library", "Application Support", *parts)
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming").joinpath(*parts)
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config").joinpath(*parts)


def _zed() -> Path:
    if sys.platform == "darwin":  # not where other programs of a Mac keep theirs
        return Path.home() / ".config" / "zed" / "settings.json"
    return _applications("Zed" if sys.platform == "win32" else "zed", "settings.json")


_PATHS = {
    "claude-desktop": lambda: _applications("Claude", "claude_desktop_config.json"),
    "claude-code": lambda: Path(os.environ.get("CLAUDE_CONFIG_DIR") or Path.home()) / ".claude.json",
    "cursor": lambda: Path.home() / ".cursor" / "mcp.json",
    "vscode": lambda: _applications("Code", "User", "mcp.json"),
    "zed": _zed,
}

CLIENTS = {
    client.name: client
    for client in (
        Client("claude-desktop", "Claude Desktop", then="quit it and start it again"),
        Client("claude-code", "Claude Code", typed=True, then="start a new session"),
        Client("cursor", "Cursor", then="look into its settings, under MCP"),
        Client("vscode", "VS Code", key="servers", typed=True, then='run "MCP: List Servers" and start it'),
        Client("zed", "Zed", key="context_servers", then="open its agent panel"),
    )
}
GENERIC = Client("generic", "any other client")


def stdio_entry(path: str | Path, *, space: str = "default") -> dict[str, Any]:
    """The command that a client starts: this Python, so that it is found from anywhere."""
    place = str(path)
    if not place.startswith("postgresql:"):
        place = str(Path(place).expanduser().absolute())
    chosen = [] if space == "default" else ["--space", space]
    return {"command": sys.executable, "args": ["-m", "mnemic", "mcp", "run", "--db", place, *chosen]}


def install(client: Client, name: str, entry: Entry, *, path: Path | None = None) -> Installed:
    """Put an entry into a client's file, or into another file of its format.

    Doing it again changes nothing. Other settings of the entry (env, disabled, ...) stay. Raises InputError for a file
    that is not plain JSON with a mapping where one belongs, and leaves it as it is.
    """
    file = Path(os.path.realpath(path or client.path))  # through a link: it would be replaced by a file otherwise
    document = _read(file, client, name, entry)
    servers = document.get(client.key, {})
    ours = client.section(name, entry)[client.key][name]
    if not isinstance(servers, dict) or not isinstance(servers.get(name, {}), dict):
        raise _unreadable(file, f'"{client.key}" in it is no mapping of servers', client, name, entry)
    kept = {word: value for word, value in servers.get(name, {}).items() if word not in ("url", "serverUrl", "headers")}
    if servers.get(name) == {**kept, **ours}:
        return Installed(file, changed=False)
    backup = _backed_up(file) if file.exists() else None
    _write(file, {**document, client.key: {**servers, name: {**kept, **ours}}})
    return Installed(file, changed=True, backup=backup)


def _read(file: Path, client: Client, name: str, entry: Entry) -> dict[str, Any]:
    try:
        text = file.read_text("utf-8-sig") if file.exists() else ""
        document = json.loads(text, object_pairs_hook=_once) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise _unreadable(file, f"it is not plain JSON ({error})", client, name, entry) from None
    if not isinstance(document, dict):
        raise _unreadable(file, "it holds no mapping", client, name, entry)
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A mapping; a name that stands in it twice would lose one of its values."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name stands in it twice")
    return dict(pairs)


def _unreadable(file: Path, why: str, client: Client, name: str, entry: Entry) -> InputError:
    told = json.dumps(client.section(name, entry), ensure_ascii=False)
    return InputError(f"{file} was left as it is, since {why}: put this into it yourself: {told}")


def _backed_up(file: Path) -> Path:
    """A copy beside it, under a name that nothing has yet."""
    for n in range(1, 10_000):
        copy = file.with_name(f"{file.name}.before-mnemic{'' if n == 1 else f'-{n}'}")
        try:
            with open(copy, "xb") as target:
                target.write(file.read_bytes())
        except FileExistsError:
            continue
        shutil.copymode(file, copy)
        return copy
    raise InputError(f"there are too many backups of {file} beside it: take some away.")


def _write(file: Path, document: Mapping[str, Any]) -> None:
    """All of it or nothing: the client may read it at any moment."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}")
    try:
        with open(handle, "w", encoding="utf-8") as target:
            target.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
            target.flush()
            os.fsync(target.fileno())
        if file.exists():
            shutil.copymode(file, beside)
        os.replace(beside, file)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
