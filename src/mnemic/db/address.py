"""Addresses of databases: postgresql://user:password@host/database?options."""

from __future__ import annotations

import re

_SCHEMES = ("postgresql://", "postgres://")
_SECRET = re.compile(r"(?<=://)([^/@:]*):[^/@]*@|((?:^|[?&])(?:ssl)?password=)[^&]*")


def is_address(place: object) -> bool:
    """Is this the address of a database rather than the path of a file?"""
    return str(place).startswith(_SCHEMES)


def shown_address(address: str) -> str:
    """The address without its passwords, a path as it is: what messages and reports may show."""
    if not is_address(address):
        return address
    return _SECRET.sub(lambda found: found[2] + "..." if found[2] else f"{found[1]}@", address)
