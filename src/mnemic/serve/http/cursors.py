"""Where a listing goes on: the place is sealed, since numbers of rows would tell how much others write."""

from __future__ import annotations

import base64
import hashlib
import secrets
from binascii import Error

from mnemic.errors import InputError
from mnemic.serve.pool import Pool

_NONCE, _PLACE, _MARK = 8, 8, 6  # bytes
_KEY = "serve.cursors"


class Cursors:
    """Seals and opens places; the key lies in the memory, so that every server of it opens what another sealed."""

    def __init__(self, pool: Pool) -> None:
        store = pool.access.store
        with store.transaction() as db:
            db.execute("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING",
                       (_KEY, secrets.token_hex(32)))  # fmt: skip
        self._key = bytes.fromhex(store.meta(_KEY) or "")

    def seal(self, place: int, listing: str) -> str:
        nonce = secrets.token_bytes(_NONCE)
        hidden = _mixed(place.to_bytes(_PLACE, "big"), self._stream(nonce, listing))
        return base64.urlsafe_b64encode(nonce + hidden + self._mark(nonce + hidden, listing)).decode()

    def open(self, cursor: str, listing: str) -> int:
        """Raises InputError for what was not sealed for this listing."""
        try:
            told = base64.urlsafe_b64decode(cursor.encode("ascii"))
        except (ValueError, Error):
            told = b""
        sealed, mark = told[: _NONCE + _PLACE], told[_NONCE + _PLACE :]
        if len(told) != _NONCE + _PLACE + _MARK or not secrets.compare_digest(mark, self._mark(sealed, listing)):
            raise InputError('the cursor is not one of this listing: take it from "next" as it is, or leave it out.')
        return int.from_bytes(_mixed(sealed[_NONCE:], self._stream(sealed[:_NONCE], listing)), "big")

    def _stream(self, nonce: bytes, listing: str) -> bytes:
        said = b"place" + nonce + listing.encode("utf-8", "replace")
        return hashlib.blake2b(said, key=self._key, digest_size=_PLACE).digest()

    def _mark(self, sealed: bytes, listing: str) -> bytes:
        said = b"mark" + sealed + listing.encode("utf-8", "replace")
        return hashlib.blake2b(said, key=self._key, digest_size=_MARK).digest()


def _mixed(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
