"""The table of commands, and what happens around every one of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any, ClassVar, NoReturn

import click

from mnemic.cli.failing import UNREAD, drop_output, exit_code_of


class Commands(click.Group):
    """Commands by name; a command's file is imported when it is called, its help line stands here."""

    TABLE: ClassVar[dict[str, str]] = {
        "add": "Remember files, folders or a text.",
        "recall": "Show the memories that fit a query best.",
        "ask": "Answer a question from the memory, with citations.",
        "log": "Show what changed the memory, and why.",
        "show": "Show records with all that is known about them.",
        "forget": "Let records go; `undo` brings them back.",
        "erase": "Take a record's text out of everything, for good.",
        "undo": "Take back an operation of the log.",
        "check": "Check the file, or repair it.",
        "audit": "Look for what is made up, stale, contradictory, double, junk.",
        "stats": "Show counts and sizes.",
        "export": "Write the memory as JSON lines.",
        "load": "Read what `export` wrote.",
        "copy": "Copy a memory to another file or database, whole.",
        "index": "Read what a retriever needs out of records.",
        "reembed": "Make all vectors again with another embedder.",
        "serve": "Serve the memory on this machine: HTTP, MCP and a page to look into it.",
        "mcp": "Give an agent the memory: install it in Claude, Cursor, VS Code, Zed, or run it.",
        "access": "Say who may use the memory through `serve`: people, tokens, rights.",
        "systems": "List all systems, or show one.",
        "claims": "Reproduce the papers' claims: list, run, report.",
        "bench": "Run the benchmarks that ship with mnemic.",
        "footprint": "Show what a training step takes, before anything is trained.",
        "demo": "Remember a conversation and ask about it.",
        "completion": "Print the completion script of a shell.",
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.TABLE)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.TABLE:
            return None
        command: click.Command = getattr(import_module(f"mnemic.cli.{cmd_name}"), cmd_name)
        return _with_shared_options(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]  # click may use up the list
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            close = get_close_matches(word, self.TABLE, 1)
            hint = f' Did you mean "{close[0]}"?' if close else ""
            raise click.UsageError(f"{error.message}{hint}", ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self.TABLE.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # here, because click would make it a 1
            drop_output()
            raise click.exceptions.Exit(UNREAD) from None

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None,  # type: ignore[override]
             **extra: Any) -> NoReturn:  # fmt: skip
        """Run a command and exit with its code; no error leaves as a traceback."""
        words = list(sys.argv[1:] if args is None else args) or ["--help"]
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # a file name that is no UTF-8 must not break the message about it
                stream.reconfigure(errors="backslashreplace")
        try:
            code = super().main(words, prog_name or "mnemic", **{**extra, "standalone_mode": False})
            sys.stdout.flush()
        except BaseException as error:
            code = exit_code_of(error, as_json="--json" in words)
        sys.exit(code if isinstance(code, int) else 0)


def _with_shared_options(command: click.Command) -> click.Command:
    """--db and --json go with every command, so that a script need not know which of them use it."""
    for inner in getattr(command, "commands", {}).values():
        _with_shared_options(inner)
    known = {option for parameter in command.params for option in parameter.opts}
    for option in (click.Option(["--db"], expose_value=False, hidden=True),
                   click.Option(["--json"], is_flag=True, expose_value=False, hidden=True)):  # fmt: skip
        if not known.intersection(option.opts):
            command.params.append(option)
    return command
