"""`mnemic access`: what it makes, shows and takes away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mnemic.cli.access import access
from mnemic.errors import InputError, NotFound


@pytest.fixture
def call(db: Path) -> Any:
    def run(*words: str) -> str:
        done = CliRunner().invoke(access, [*words, "--db", str(db)])
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.output

    return run


def test_a_secret_is_shown_once_and_never_in_the_list(call: Any) -> None:
    call("principal", "ana")
    secret = call("issue", "ana", "--right", "read").splitlines()[0]
    assert secret.startswith("mnemic_")
    assert len(secret) > 45
    assert secret not in call("list")
    assert secret not in call("list", "--json")


def test_the_list_tells_what_each_may(call: Any) -> None:
    call("principal", "ana")
    call("issue", "ana", "--in", "family", "--right", "read", "--right", "share", "--expires", "2999-01-01")
    call("issue", "ana")
    call("grant", "ana", "--in", "*", "--right", "administer")
    told = call("list")
    assert "ana  may *: administer; family: read, share" in told
    assert "only family: read, share, until 2999-01-01" in told
    assert "all that the principal may" in told
    token = json.loads(call("list", "--json"))["tokens"][0]["id"]
    call("revoke", token)
    assert "revoked 20" in call("list")
    call("principal", "ana", "--remove")
    assert call("list").startswith("0 principals, 0 tokens")


def test_a_grant_without_rights_takes_them_away(call: Any) -> None:
    call("principal", "ana")
    assert call("grant", "ana", "--in", "a", "--right", "write") == "ana may write in a.\n"
    assert call("grant", "ana", "--in", "a") == "ana may nothing in a.\n"


def test_what_cannot_be_is_an_error(call: Any) -> None:
    with pytest.raises(NotFound):
        call("issue", "nobody")
    call("principal", "ana")
    with pytest.raises(InputError, match="too far away"):
        call("issue", "ana", "--expires", "999999w")
    with pytest.raises(InputError):
        call("issue", "ana", "--expires", "tomorrow")
