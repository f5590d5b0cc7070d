"""`mnemic mcp`: the memory as tools of an agent."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import click

from mnemic.cli.options import (
    Place,
    budget_option,
    default_path,
    embedder_option,
    lm_option,
    memory_options,
    retriever_option,
)
from mnemic.cli.printing import emit
from mnemic.errors import InputError, MissingExtra

_NAMES = ("claude-desktop", "claude-code", "cursor", "vscode", "zed", "generic")
_SECONDS = 600.0  # a call may take: a model in the process is slow, and nobody else waits


@click.group()
def mcp() -> None:
    """Give an agent the memory: as an MCP server that Claude, Cursor, VS Code, Zed and others start."""


@mcp.command()
@click.argument("client", required=False, type=click.Choice(_NAMES), metavar="[CLIENT]")
@click.option("--print", "only_print", is_flag=True, help="Print the configuration and write nothing.")
@click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write into this file instead of the client's own: a project's .mcp.json, .cursor/mcp.json, ...",
)
@click.option("--name", default="mnemic", show_default=True, help="What the client calls the server.")
@memory_options
def install(client: str | None, only_print: bool, file: Path | None, name: str, place: Place, as_json: bool) -> None:
    """Put the memory into the configuration of CLIENT: claude-desktop, claude-code, cursor, vscode or zed.

    What is in the file already stays, and is copied beside it before it is changed. Without CLIENT, and for generic,
    the configuration that most clients read is printed.
    """
    from mnemic.serve.clients import CLIENTS, GENERIC, stdio_entry
    from mnemic.serve.clients import install as put

    if not name.strip() or not name.isprintable():
        raise InputError("--name needs a name that can be printed: leave it out for mnemic.")
    chosen = CLIENTS.get(client or "generic", GENERIC)
    entry = stdio_entry(place.path, space=place.space)
    if only_print or (chosen is GENERIC and file is None):
        click.echo(json.dumps(chosen.section(name, entry), ensure_ascii=False, indent=2))
        return
    if find_spec("mcp") is None:
        raise MissingExtra("the server that the client would start", "serve")
    done = put(chosen, name, entry, path=file)
    if as_json:
        emit({"client": chosen.name, "path": done.path, "changed": done.changed, "backup": done.backup})
    elif not done.changed:
        click.echo(f"{done.path} has it already.")
    else:
        kept = f" What was there before is in {done.backup}." if done.backup else ""
        click.echo(f"{chosen.title} finds {place.shown} as {name} in {done.path}: {chosen.then}.{kept}")


@mcp.command()
@lm_option
@retriever_option
@embedder_option
@budget_option
@memory_options
def run(place: Place, as_json: bool, lm: str | None, retriever: str | None, embedder: str | None,
        budget: str | None) -> None:  # fmt: skip
    """Serve the memory to one client over stdin and stdout. Clients start this themselves; see `install`."""
    from mnemic.serve.mcp import serve_stdio
    from mnemic.serve.settings import Limits, Settings

    if place.path == default_path():
        place.path.parent.mkdir(parents=True, exist_ok=True)
    settings = Settings(str(place.path), limits=Limits(seconds=_SECONDS), embedder=embedder,
                        retriever=retriever or "hybrid", budget=budget, lm=lm)  # fmt: skip
    serve_stdio(settings, space=place.space)
