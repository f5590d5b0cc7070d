"""Errors as people and programs read them: one sentence, an exit code, never a traceback.

0    done
1    nothing was found; `check` found damage; a claim does not hold
2    wrong usage or input
3    no such record, operation, system, file of memory; a system that is only planned
4    something about the memory file: another program's, damaged, busy, vectors of another embedder
5    a model that is down, slow or answers nonsense
6    a data set that is not on this machine
7    a part whose libraries are not installed
8    done in part: some files or items were refused, and the output says which and why
70   a bug in mnemic
130  stopped with Ctrl-C; what was reported as remembered is kept
141  whoever read the output has gone (`mnemic log | head`)
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from typing import Any

import click

from mnemic.errors import MnemicError

NOTHING, USAGE, STORE, PARTIAL, BUG, STOPPED, UNREAD = 1, 2, 4, 8, 70, 130, 141
CODES = frozenset({0, NOTHING, USAGE, 3, STORE, 5, 6, 7, PARTIAL, BUG, STOPPED, UNREAD})


def exit_code_of(error: BaseException, *, as_json: bool) -> int:
    """Say what went wrong on stderr; returns the exit code."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else USAGE
    if isinstance(error, BrokenPipeError):
        drop_output()
        return UNREAD
    kind, sentence, code = _told(error)
    try:
        if as_json:
            told = {"error": kind, "message": sentence, "exit_code": code}
            click.echo(json.dumps(told, ensure_ascii=False), err=True)
        elif sentence:
            click.echo(f"mnemic: {sentence}", err=True)
        if code == BUG and os.environ.get("MNEMIC_DEBUG"):
            import traceback

            traceback.print_exception(error)
    except BrokenPipeError:
        drop_output()
    return code


def _told(error: BaseException) -> tuple[str, str, int]:
    """(kind, sentence, exit code) of an error."""
    kind = type(error).__name__
    match error:
        case click.Abort() | KeyboardInterrupt():
            return "Stopped", "stopped.", STOPPED
        case click.UsageError():
            return "Usage", _usage(error), USAGE
        case click.ClickException():
            return "Usage", error.format_message(), USAGE
        case MnemicError():
            return kind, str(error), error.exit_code
        case sqlite3.DatabaseError():
            return kind, f"the memory file cannot be used ({error}): look at it with `mnemic check`.", STORE
        case UnicodeEncodeError():  # a lone surrogate: how Python spells bytes of a word that are no UTF-8
            return "Usage", "a word or a file name holds bytes that are no text in UTF-8: write it another way.", USAGE
        case MemoryError():
            return kind, "there is not enough memory for this: give less at a time.", USAGE
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            return kind, f"{where}{error.strerror or error}: look at the file and its folder, then try again.", USAGE
    known = f"{kind}: {error}" if str(error) else kind
    return kind, (f"this is a bug in mnemic ({' '.join(known.split())}): nothing is half written. "
                  "Set MNEMIC_DEBUG=1 for the traceback and report it."), BUG  # fmt: skip


def _usage(error: click.UsageError) -> str:
    """Click's sentence, and where the help is."""
    message = error.format_message().rstrip()
    if message.startswith("Usage:"):  # a group without its subcommand: click would print all of its help
        message = "A subcommand is missing."
    end = "" if message.endswith((".", "!", "?")) else "."
    asked = f" See `{error.ctx.command_path} --help`." if error.ctx else ""
    return f"{message}{end}{asked}"


def drop_output() -> None:
    """Nobody reads any more: the rest goes nowhere, or Python would complain about it while it exits."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (BrokenPipeError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def leave(code: int) -> Any:
    """End the command with a code, after everything was said."""
    raise click.exceptions.Exit(code)
