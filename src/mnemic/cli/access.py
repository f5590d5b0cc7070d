"""`mnemic access`: principals, their tokens, what they may."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from mnemic.cli.options import Place, memory_options
from mnemic.cli.printing import counted, emit, one_line
from mnemic.errors import InputError

if TYPE_CHECKING:
    from mnemic.serve.access import Access, Token

_RIGHTS = ("read", "write", "share", "administer")
_SPAN = re.compile(r"(\d{1,6})([dwh])")

right_option = click.option("--right", "rights", multiple=True, type=click.Choice(_RIGHTS),
                            help="What is permitted there (may be repeated).")  # fmt: skip
there_option = click.option("--in", "there", metavar="SPACE", default="default", show_default=True,
                            help='The space it is about; "*" stands for every space.')  # fmt: skip


@click.group()
def access() -> None:
    """Who may use the memory through `mnemic serve`: principals, their tokens, what they may in each space."""


@access.command()
@click.argument("name")
@click.option("--remove", is_flag=True, help="Take the principal away, with all its tokens.")
@memory_options
def principal(name: str, remove: bool, place: Place, as_json: bool) -> None:
    """Make a principal: a person, a program or an agent. It may nothing until a token or `grant` says so."""
    with _opened(place) as control:
        if remove:
            control.remove_principal(name)
            emit({"removed": name}) if as_json else click.echo(f"{one_line(name, 80)} may nothing any more.")
            return
        made = control.create_principal(name)
    emit(asdict(made)) if as_json else click.echo(
        f"{one_line(name, 80)} is there: `mnemic access issue` makes a token."
    )


@access.command()
@click.argument("name")
@there_option
@right_option
@click.option("--expires", metavar="TIME", help="2027-01-01 (that day included), or 30d, 12h, 4w from now.")
@memory_options
def issue(name: str, there: str, rights: tuple[str, ...], expires: str | None, place: Place, as_json: bool) -> None:
    """Make a token for a principal and show its secret, once.

    With --right the token may only that, and the principal is permitted it; without, it may all that its principal
    may, now and later.
    """
    with _opened(place) as control:
        token, secret = control.issue(name, {there: rights} if rights else None, expires=_expiry(expires))
    if as_json:
        emit({"token": {**asdict(token), "live": token.live}, "secret": secret})
        return
    click.echo(secret)
    click.echo(f"This is shown once: keep it where secrets are kept. Its id is {token.id}.", err=True)


@access.command()
@click.argument("name")
@there_option
@right_option
@memory_options
def grant(name: str, there: str, rights: tuple[str, ...], place: Place, as_json: bool) -> None:
    """Permit a principal exactly these rights in a space; without --right it may nothing there any more."""
    with _opened(place) as control:
        control.grant(name, there, rights)
        granted = control.granted(there)
    if as_json:
        emit(granted)
        return
    may = ", ".join(granted.get(name, ())) or "nothing"
    click.echo(f"{one_line(name, 80)} may {may} in {one_line(there, 80)}.")


@access.command()
@click.argument("id")
@memory_options
def revoke(id: str, place: Place, as_json: bool) -> None:
    """Make a token worthless, from the next request on."""
    with _opened(place) as control:
        token = control.revoke(id)
    emit({**asdict(token), "live": token.live}) if as_json else click.echo(f"{token.id} opens nothing any more.")


@access.command("list")
@memory_options
def listed(place: Place, as_json: bool) -> None:
    """Show all principals with what they may, and all tokens."""
    with _opened(place) as control:
        principals, tokens = control.principals(), control.tokens()
    if as_json:
        emit({"principals": principals, "tokens": [{**asdict(token), "live": token.live} for token in tokens]})
        return
    click.echo(f"{counted(len(principals), 'principal')}, {counted(len(tokens), 'token')}.")
    for each in principals:
        may = "; ".join(f"{one_line(space, 80)}: {', '.join(rights)}" for space, rights in each.rights.items())
        click.echo(f"{one_line(each.name, 80)}  may {may or 'nothing'}")
        for token in tokens:
            if token.principal == each.name:
                click.echo(f"  {token.id}  {_state(token)}")


def _state(token: Token) -> str:
    if token.revoked:
        return f"revoked {token.revoked[:10]}"
    if not token.live:
        return f"expired {token.expires}"
    only = "; ".join(f"{one_line(space, 80)}: {', '.join(rights)}" for space, rights in (token.rights or {}).items())
    until = f", until {token.expires}" if token.expires else ""
    return (f"only {only}" if token.rights is not None else "all that the principal may") + until


@contextmanager
def _opened(place: Place) -> Iterator[Access]:
    with place.open(make=True) as memory:
        from mnemic.serve.access import Access

        yield Access(memory.store)


def _expiry(text: str | None) -> str | None:
    if text is None:
        return None
    found = _SPAN.fullmatch(text)
    if not found:
        return text
    count, unit = int(found[1]), {"h": "hours", "d": "days", "w": "weeks"}[found[2]]
    try:
        return (datetime.now(UTC) + timedelta(**{unit: count})).isoformat(timespec="seconds")
    except OverflowError:
        raise InputError(f'"{text}" is too far away: leave --expires out for a token without an end.') from None
