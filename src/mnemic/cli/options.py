"""Options that several commands share: which memory, how it is opened, which records."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mnemic.cli.place import PlaceType
from mnemic.db.address import is_address, shown_address
from mnemic.errors import InputError, NotFound

if TYPE_CHECKING:
    from mnemic.filter import Filter
    from mnemic.memory import Memory

Command = Callable[..., Any]
MOST = 2**31 - 1  # of any count that a person gives


@dataclass(frozen=True)
class Place:
    """Which memory a command is about: a file or the address of a database, and a space in it."""

    path: Path | str
    space: str

    @property
    def name(self) -> str:
        """What it is called in a report."""
        return self.shown if is_address(self.path) else Path(self.path).name

    @property
    def shown(self) -> str:
        """The path, or the address without its password."""
        return shown_address(str(self.path))

    @property
    def there(self) -> bool:
        """Is there something? Of a database that is known when it is opened."""
        return is_address(self.path) or os.path.lexists(self.path)

    def open(self, *, make: bool = False, **options: Any) -> Memory:
        """The memory; raises NotFound when there is none and none should be made.

        options   of Memory; those that are None are left out
        """
        from mnemic.memory import Memory

        if make and self.path == default_path():
            default_path().parent.mkdir(parents=True, exist_ok=True)
        if not make and not self.there:
            raise NotFound(
                f"there is no memory at {self.path}: make it with `mnemic add`, or name another one with --db."
            )
        given = {name: value for name, value in options.items() if value is not None}
        return Memory(self.path, space=self.space, **given)


def default_path() -> Path:
    """Where the memory of the person is when --db and MNEMIC_DB are silent."""
    if sys.platform == "win32":
        home = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    else:
        home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "mnemic" / "memory.db"


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, errors too.")


def memory_options(command: Command) -> Command:
    """--db, --space and --json; the command is given a Place and as_json."""

    @click.option("--db", type=PlaceType(), help="The memory: a file, or postgresql://...  [env var: MNEMIC_DB]")
    @click.option("--space", default="default", show_default=True, help="Whose memory.")
    @json_option
    @wraps(command)
    def placed(*words: Any, db: Path | str | None, space: str, **options: Any) -> Any:
        return command(*words, place=Place(db or default_path(), space), **options)

    return placed


# ---- how a memory is opened


def _complete_retriever(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    from mnemic.choose import RETRIEVERS

    return [name for name in RETRIEVERS if name.startswith(incomplete)]


retriever_option = click.option(
    "--retriever", metavar="NAME", shell_complete=_complete_retriever,
    help="How to find: hybrid (the default), dense, lexical, hipporag2.",
)  # fmt: skip
writer_option = click.option(
    "--writer", metavar="NAME",
    help="How to remember: verbatim (the default), facts (a model's where one is configured), facts_local.",
)  # fmt: skip
embedder_option = click.option(
    "--embedder", metavar="NAME", help="Text to vectors, for a new file; a file keeps the one that it was made with."
)
lm_option = click.option(
    "--lm", metavar="NAME", help='Language model: local, local:FILE.gguf, openai:NAME, none; else MNEMIC_LLM_MODEL.'
)  # fmt: skip
budget_option = click.option(
    "--budget", metavar="AMOUNT", envvar="MNEMIC_BUDGET", show_envvar=True,
    help='What the memory may take: "50 MB", "10000 records".',
)  # fmt: skip
k_option = click.option(
    "-k", type=click.IntRange(1, MOST), default=5, show_default=True, help="How many memories to find at most."
)  # fmt: skip
yes_option = click.option("--yes", "-y", is_flag=True, help="Do it without asking.")
why_option = click.option("--why", metavar="REASON", help="Stands in the log.")


def as_of(text: str) -> str | int:
    """A moment of the memory as people write it: a time, or the number of an operation."""
    word, _, n = text.partition(":")
    if word != "operation":
        return text
    if not n.isascii() or not n.isdigit() or int(n) > MOST:
        raise InputError(f'"{text}" names no operation: write it like operation:17, as `mnemic log` numbers them.')
    return int(n)


as_of_option = click.option(
    "--as-of", "moment", metavar="TIME", help="Look into the memory as it stood then: 2026-05-03, operation:17, ..."
)


# ---- which records


def filter_options(command: Command) -> Command:
    """--kind, --source, ...; the command is given a Filter called `where`."""

    @click.option("--kind", multiple=True, metavar="KIND", help="Only this kind: episode, fact, ... (may be repeated).")
    @click.option("--source", multiple=True, metavar="SOURCE", help="Only from this source; * and ? match.")
    @click.option("--speaker", multiple=True, metavar="NAME", help="Only what this person said.")
    @click.option("--episode", multiple=True, metavar="NAME", help="Only from this session or document.")
    @click.option("--since", metavar="TIME", help="Only what was true then or later: 2026, 2026-05, 2026-05-03, ...")
    @click.option("--until", metavar="TIME", help="Only what was true then or earlier (that day, month included).")
    @click.option("--written", metavar="TIME", help="Only what was written then; FROM..TO for a range.")
    @click.option("--current", is_flag=True, help="Leave out what has ended or gone stale.")
    @click.option("--where", "pairs", multiple=True, metavar="KEY=VALUE", help="Only with this in its metadata.")
    @wraps(command)
    def filtered(*words: Any, kind: tuple[str, ...], source: tuple[str, ...], speaker: tuple[str, ...],
                 episode: tuple[str, ...], since: str | None, until: str | None, written: str | None, current: bool,
                 pairs: tuple[str, ...], **options: Any) -> Any:  # fmt: skip
        given: dict[str, Any] = {"kind": kind, "source": source, "speaker": speaker, "episode": episode,
                                 "metadata": _metadata(pairs)}  # fmt: skip
        if since is not None or until is not None:
            given["time"] = (since, until)
        if written is not None:
            given["written"] = range_of(written)
        if current:
            given |= {"current": True, "stale": False}
        return command(*words, where=_filter(given), **options)

    return filtered


def _filter(given: dict[str, Any]) -> Filter:
    from mnemic.filter import Filter

    return Filter.of({word: value for word, value in given.items() if value})


def range_of(text: str) -> str | tuple[str | None, str | None]:
    first, dots, last = text.partition("..")
    return (first or None, last or None) if dots else text


def _metadata(pairs: tuple[str, ...]) -> dict[str, Any]:
    return dict(key_value(pair, "--where") for pair in pairs)


def key_value(pair: str, option: str) -> tuple[str, Any]:
    """A pair as people write it: the value is read as JSON where it is (3, true, "3"), else as text."""
    key, equals, value = pair.partition("=")
    if not equals or not key:
        raise InputError(f'{option} "{pair}" is no pair: write it like {option} project=garden.')
    try:
        return key, json.loads(value)
    except (ValueError, RecursionError):
        return key, value
