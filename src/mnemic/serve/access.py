"""Who may do what: principals, their tokens, and what is permitted in which space.

access = Access(store)
access.create_principal("ana")
token, secret = access.issue("ana", {"family": ("read", "write")}, expires="2027-01-01")
session = access.check(secret)
session.may("write", "family")

What a principal may is said for each space; "*" stands for all. A token may all that its principal may, or less, where
it was issued with rights of its own. What is taken from the principal is taken from all its tokens at once: rights are
looked up for each request, nothing of them is written into the token.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mnemic.db.changes import uuid7
from mnemic.db.store import Store
from mnemic.errors import InputError, MnemicError, NotFound
from mnemic.limits import encodable
from mnemic.moment import Time, moment, now, shown

RIGHTS = ("read", "write", "share", "administer")
EVERY = "*"  # every space of the file, those to come too
Rights = Mapping[str, Sequence[str]]

_IMPLIES = {
    "read": frozenset({"read"}),
    "write": frozenset({"read", "write"}),  # what is there already is shown to whoever writes it again
    "share": frozenset({"read", "share"}),
    "administer": frozenset(RIGHTS),
}
_SECRET_BYTES = 32
MARK = "mnemic_"  # so that a scanner for lost secrets, and a person, knows what it is
_LONGEST = 200  # characters of a name


class Denied(MnemicError):
    """A request that may not be done. status: 401 no valid token, 403 not permitted, 404 nothing to know of."""

    exit_code = 2

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True)
class Principal:
    """A person, a program or an agent that may use the memory; rights by space."""

    id: str
    name: str
    at: str
    rights: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Token:
    """What is known of a token; its secret is not.

    principal   name
    rights      by space; None when it may all that its principal may
    """

    id: str
    principal: str
    at: str
    expires: str | None = None
    revoked: str | None = None
    rights: Mapping[str, tuple[str, ...]] | None = None

    @property
    def live(self) -> bool:
        return self.revoked is None and not _over(self.expires)


@dataclass(frozen=True)
class Session:
    """Who asks, and what they may: made anew for each request.

    name     stands in the log as who did it
    rights   by space, what they imply among them
    token    id of the token; None for the person at the machine
    """

    name: str
    rights: Mapping[str, frozenset[str]]
    token: str | None = None

    def may(self, need: str, space: str) -> bool:
        return need in self.rights.get(space, ()) or need in self.rights.get(EVERY, ())

    def knows(self, space: str) -> bool:
        """May it be told that there is such a space?"""
        return self.may("read", space)

    @property
    def owner(self) -> bool:
        """True for who may all in every space: only they are told of the file as a whole."""
        return self.may("administer", EVERY)


PERSON = Session("person", {EVERY: _IMPLIES["administer"]})


class Access:
    """The principals, tokens and permissions of one memory. Safe from several threads and processes."""

    def __init__(self, store: Store) -> None:
        self.store = store

    # ---- principals

    def create_principal(self, name: str) -> Principal:
        """Raises InputError when the name is taken or no name."""
        _checked(name, "a principal")
        if self._named(name) is not None:
            raise InputError(f'there is a principal "{name}" already: use it, or another name.')
        principal = Principal(uuid7(), name, now().text)
        with self.store.transaction() as db:
            db.execute("INSERT INTO principal (id, name, at) VALUES (?, ?, ?)", (principal.id, name, principal.at))
        return principal

    def principals(self) -> list[Principal]:
        rows = self.store.read("SELECT id, name, at FROM principal ORDER BY name")
        return [Principal(id, name, at, self._written(id)) for id, name, at in rows]

    def principal(self, name: str) -> Principal:
        """By name; raises NotFound."""
        found = self._named(name)
        if found is None:
            raise NotFound(f"no principal is called {shown(name)}: `mnemic access list` shows all.")
        return found

    def remove_principal(self, name: str) -> None:
        """Take away all that they may, their tokens with it. What they did stays in the log."""
        principal = self.principal(name)
        with self.store.transaction() as db:
            holders = [principal.id, *(id for (id,) in self._tokens_of(principal.id))]
            db.executemany("DELETE FROM permission WHERE holder = ?", [(holder,) for holder in holders])
            db.execute("DELETE FROM token WHERE principal = ?", (principal.id,))
            db.execute("DELETE FROM principal WHERE id = ?", (principal.id,))

    def grant(self, name: str, space: str, rights: Iterable[str]) -> None:
        """Permit a principal exactly these rights in a space; none takes all of them away there."""
        principal, wanted = self.principal(name), _rights(rights)
        _space(space)
        with self.store.transaction() as db:
            db.execute("DELETE FROM permission WHERE holder = ? AND space = ?", (principal.id, space))
            if wanted:
                db.execute("INSERT INTO permission (holder, space, rights) VALUES (?, ?, ?)",
                           (principal.id, space, " ".join(wanted)))  # fmt: skip

    def granted(self, space: str) -> dict[str, tuple[str, ...]]:
        """name -> rights in a space, of those that are named there."""
        rows = self.store.read(
            "SELECT principal.name, permission.rights FROM permission "
            "JOIN principal ON principal.id = permission.holder WHERE permission.space = ? ORDER BY principal.name",
            (space,),
        )
        return {name: tuple(rights.split()) for name, rights in rows}

    # ---- tokens

    def issue(self, principal: Principal | str, rights: Rights | None = None, *, expires: Time | None = None
              ) -> tuple[Token, str]:  # fmt: skip
        """A new token and its secret, which is nowhere else: it cannot be shown again.

        rights    what it may at most, by space; the principal is permitted what of it it was not. None for all that
                  the principal may, now and later
        expires   a day is included
        """
        who = self.principal(principal if isinstance(principal, str) else principal.name)
        narrow = None if rights is None else {_space(space): _rights(given) for space, given in rights.items()}
        if expires is not None and _over(moment(expires).text):
            raise InputError(f"the token would have expired already ({shown(expires)}): give a time to come.")
        token = Token(uuid7(), who.name, now().text, moment(expires).text if expires else None, None, narrow)
        secret = MARK + secrets.token_urlsafe(_SECRET_BYTES)
        with self.store.transaction() as db:
            db.execute(
                "INSERT INTO token (id, principal, digest, at, expires, revoked, narrow) "
                "VALUES (?, ?, ?, ?, ?, NULL, ?)",
                (token.id, who.id, _digest(secret), token.at, token.expires, int(narrow is not None)),
            )
            for space, given in (narrow or {}).items():
                insert = "INSERT INTO permission (holder, space, rights) VALUES (?, ?, ?) "
                db.execute(insert, (token.id, space, " ".join(given)))
                joined = _rights([*who.rights.get(space, ()), *given])
                db.execute(f"{insert} ON CONFLICT (holder, space) DO UPDATE SET rights = excluded.rights",
                           (who.id, space, " ".join(joined)))  # fmt: skip
        return token, secret

    def tokens(self) -> list[Token]:
        """All that were issued, those that ended too, oldest first."""
        rows = self.store.read(
            "SELECT token.id, principal.name, token.at, expires, revoked, narrow FROM token "
            "JOIN principal ON principal.id = token.principal ORDER BY token.id"
        )
        return [
            Token(id, name, at, expires, revoked, self._written(id) if narrow else None)
            for id, name, at, expires, revoked, narrow in rows
        ]

    def revoke(self, id: str) -> Token:
        """From now on the token opens nothing; raises NotFound for an id that no token has."""
        found = next((token for token in self.tokens() if token.id == id), None)
        if found is None:
            raise NotFound(f"no token has the id {shown(id)}: `mnemic access list` shows all.")
        with self.store.transaction() as db:
            db.execute("UPDATE token SET revoked = ? WHERE id = ? AND revoked IS NULL", (now().text, id))
        return next(token for token in self.tokens() if token.id == id)

    def check(self, secret: str) -> Session:
        """What a secret opens, as of now; raises Denied (401) for one that opens nothing."""
        rows = self.store.read(
            "SELECT token.id, expires, revoked, narrow, principal.id, principal.name FROM token "
            "JOIN principal ON principal.id = token.principal WHERE digest = ?",
            (_digest(secret),),
        )
        if not rows or rows[0][2] is not None or _over(rows[0][1]):  # one sentence for all: it tells a thief nothing
            raise Denied(401, "this token opens nothing here: it is wrong, expired or revoked; ask for a new one.")
        id, _, _, narrow, principal, name = rows[0]
        may = _implied(self._written(principal))
        if narrow:
            scope = _implied(self._written(id))
            may = {space: each for space in {*scope, *may} if (each := _in(scope, space) & _in(may, space))}
        return Session(name, may, id)

    # ---- rows

    def _named(self, name: str) -> Principal | None:
        if not isinstance(name, str) or not encodable(name):
            return None
        rows = self.store.read("SELECT id, name, at FROM principal WHERE name = ?", (name,))
        return Principal(rows[0][0], rows[0][1], rows[0][2], self._written(rows[0][0])) if rows else None

    def _tokens_of(self, principal: str) -> list[tuple[str]]:
        return self.store.read("SELECT id FROM token WHERE principal = ?", (principal,))

    def _written(self, holder: str) -> dict[str, tuple[str, ...]]:
        rows = self.store.read("SELECT space, rights FROM permission WHERE holder = ? ORDER BY space", (holder,))
        return {space: tuple(rights.split()) for space, rights in rows}


def _in(rights: Mapping[str, frozenset[str]], space: str) -> frozenset[str]:
    return rights.get(space, frozenset()) | rights.get(EVERY, frozenset())


def _implied(rights: Rights) -> dict[str, frozenset[str]]:
    return {space: frozenset().union(*(_IMPLIES[right] for right in given)) for space, given in rights.items()}


def _digest(secret: str) -> bytes:
    # SHA-256 without salt or stretching is right here, as it would not be for a password: the secret is 256 random
    # bits, so there is nothing to guess, and a table of digests of all of them fits nowhere.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _over(expires: str | None) -> bool:
    return expires is not None and moment(expires).end <= now().start


def _rights(rights: Iterable[str]) -> tuple[str, ...]:
    given = [rights] if isinstance(rights, str) else list(rights)
    for right in given:
        if right not in RIGHTS:
            raise InputError(f"{shown(right)} is no right: use {', '.join(RIGHTS)}.")
    return tuple(right for right in RIGHTS if right in given)


def _space(space: str) -> str:
    _checked(space, "a space")
    return space


def _checked(name: str, what: str) -> None:
    if not isinstance(name, str) or not name.strip() or len(name) > _LONGEST or not encodable(name) \
            or not name.isprintable():  # fmt: skip
        raise InputError(f"{what} needs a name of 1 to {_LONGEST} characters that can be printed, got {shown(name)}.")
