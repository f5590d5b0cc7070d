"""A connection to PostgreSQL that is used like SQLite's: `?` for parameters, in a transaction only when told so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from mnemic.db.address import shown_address
from mnemic.errors import Busy, InputError, MissingExtra, NotAMemory, StoreError

if TYPE_CHECKING:
    import psycopg

LOCK_SECONDS = 60  # how long a writer waits for other writers of the space before it gives up
_CONNECT_SECONDS = 10
_WORD = re.compile(r"'(?:[^']|'')*'|\?")


class PostgresConnection:
    """Implements mnemic.db.connection.Connection. Comes back by itself when the server was away between two calls;
    never inside of a `block`, whose rest would be carried out without its beginning.

    settings   of the session (mnemic.space), set anew on every connection
    """

    _in_block = False

    def __init__(self, address: str, settings: dict[str, str]) -> None:
        try:
            import psycopg
        except ImportError:
            raise MissingExtra("a memory on PostgreSQL", "postgres") from None
        self._psycopg, self._address, self.settings = psycopg, address, settings
        self._connection = self._opened()

    @property
    def in_transaction(self) -> bool:
        idle = self._psycopg.pq.TransactionStatus.IDLE
        return not self._connection.closed and self._connection.info.transaction_status != idle

    @property
    def usable(self) -> bool:
        """False for a connection that is lost, and in a transaction that can only be rolled back."""
        failed = self._psycopg.pq.TransactionStatus.INERROR
        return not self._connection.closed and self._connection.info.transaction_status != failed

    @contextmanager
    def block(self, begin: str, end: Literal["COMMIT", "ROLLBACK"]) -> Iterator[None]:
        """A transaction, rolled back when the block fails. Raises Unsure when a COMMIT was not answered."""
        self.execute(begin)
        self._in_block = True
        try:
            yield
            try:
                self.execute(end)
            except self._psycopg.OperationalError as error:
                if end == "COMMIT" and self._connection.closed:
                    raise Unsure(_first_line(error)) from error
                raise
        except BaseException:  # Ctrl-C must not leave half a memory either
            if self.in_transaction:  # the error itself may have ended it
                self.execute("ROLLBACK")
            raise
        finally:
            self._in_block = False

    def execute(self, sql: str, parameters: Sequence[Any] = (), /, *, binary: bool = False) -> psycopg.RawCursor[Any]:
        return self._cursor().execute(translated(sql).encode(), _plain(parameters) or None, binary=binary)

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> psycopg.RawCursor[Any]:
        cursor = self._cursor()
        cursor.executemany(translated(sql).encode(), [_plain(each) for each in parameters])
        return cursor

    def close(self) -> None:
        self._connection.close()

    def another(self) -> PostgresConnection:
        """A second connection, for what has to be looked at while this one is busy."""
        return PostgresConnection(self._address, dict(self.settings))

    def _cursor(self) -> psycopg.RawCursor[Any]:
        if self._connection.closed:
            if self._in_block:
                raise self._psycopg.OperationalError("the connection was lost")
            self._connection = self._opened()
        return self._psycopg.RawCursor(self._connection)

    def _opened(self) -> psycopg.Connection[Any]:
        connection = self._psycopg.connect(self._address, autocommit=True, connect_timeout=_CONNECT_SECONDS,
                                           application_name="mnemic")  # fmt: skip
        for name, value in {"lock_timeout": f"{LOCK_SECONDS}s", **self.settings}.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        return connection


class Unsure(Exception):
    """The connection was lost while a transaction was being committed: nobody told whether it was."""


def translate(error: Exception, address: str) -> Exception:
    """PostgreSQL's error as one of ours, with what to do."""
    from psycopg import errors

    where, told = shown_address(address), _first_line(error)
    match error:
        case Unsure():
            return Busy(f"{where}: the connection was lost while this was being committed ({told}), so it may be "
                        "written or not: look at `mnemic log` before you do it again.")  # fmt: skip
        case errors.LockNotAvailable():
            return Busy(f"{where}: another process has been writing for over {LOCK_SECONDS} s; "
                        "try again when it is done.")  # fmt: skip
        case errors.DiskFull():
            return Busy(f"{where}: the disk is full; nothing of this call was written.")
        case errors.InsufficientPrivilege() | errors.ReadOnlySqlTransaction():
            return NotAMemory(f"{where}: this user may not do that there ({told}); ask who runs the database.")
        case errors.DataError() if "NUL" in told or "0x00" in told:
            return InputError("a text holds a zero character, which PostgreSQL cannot keep: take it out.")
        case errors.OperationalError() | errors.InterfaceError() if _is_away(error):
            return Busy(f"{where}: the database cannot be reached ({told}); nothing of this call was written. "
                        "Is it running, and is the address right?")  # fmt: skip
        case errors.Error():
            return StoreError(f"{where}: the database refused this ({told}); nothing of this call was written.")
    return error


def _is_away(error: psycopg.Error) -> bool:
    """Is the server not there, or not for us? Its other refusals (a time limit, a deadlock) come with codes too."""
    code = error.sqlstate
    return code is None or (code[:2] in ("08", "28", "3D", "53", "57") and code != "57014")


@lru_cache(maxsize=1000)
def translated(sql: str) -> str:
    """The statement with $1, $2, ... for each `?` that stands outside of a text."""
    count = 0

    def numbered(found: re.Match[str]) -> str:
        nonlocal count
        if found[0] != "?":
            return found[0]
        count += 1
        return f"${count}"

    return _WORD.sub(numbered, sql)


def _plain(parameters: Sequence[Any]) -> list[Any]:
    return [int(each) if isinstance(each, bool) else each for each in parameters]


def _first_line(error: Exception) -> str:
    """Libpq's first line, which names host and user and never a password."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


__all__ = ["LOCK_SECONDS", "PostgresConnection", "Unsure", "translate", "translated"]
