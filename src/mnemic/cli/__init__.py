"""The command line: `mnemic add notes/`, `mnemic recall "where does Ana live"`. A thin skin over the API.

Each command has its file here and is imported when it is called, so that `mnemic --help` is quick. What all
share: options.py (which memory, which records), printing.py (for people and for programs), failing.py (errors
and exit codes).
"""

from __future__ import annotations

from pathlib import Path

import click

from mnemic import __version__
from mnemic.cli.group import Commands
from mnemic.cli.place import PlaceType

# Subcommands of `claims`, `bench`, `mcp` and `access`.
_NESTED = ("list", "run", "report", "install", "principal", "issue", "grant", "revoke")


@click.group("mnemic", cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--db", type=PlaceType(), envvar="MNEMIC_DB", show_envvar=True, help="A file, or postgresql://...")
@click.option("--space", help="Whose memory: spaces of one file do not see each other.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, errors too.")
@click.version_option(__version__, "-V", "--version", message="mnemic %(version)s")
@click.pass_context
def main(context: click.Context, db: Path | str | None, space: str | None, as_json: bool) -> None:
    """Remember what you are given, and answer from it.

    The options stand before or after the command: `mnemic --db life.db add notes/` is the same as
    `mnemic add notes/ --db life.db`.
    """
    given = {"db": db, "space": space, "as_json": as_json or None}
    shared = {name: value for name, value in given.items() if value is not None}
    deep = shared | dict.fromkeys(_NESTED, shared)
    context.default_map = dict.fromkeys(Commands.TABLE, deep)
    if context.get_parameter_source("db") is click.core.ParameterSource.ENVIRONMENT:
        context.default_map["demo"] = {**deep, "db": None}  # it goes into the person's memory only when told to
