"""Names in addresses and headers: a space, a record or a principal may be called anything that can be printed.

In an address `%2F` is a slash of the name and `/` one of the address; servers decode both before an application looks.
In a header the bytes are UTF-8, as every program but a browser sends them; servers read them as Latin-1.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import unquote

from pydantic import AfterValidator
from starlette.types import Scope

_SLASH = "\ufdd0"  # while an address is looked up; it cannot be printed, so no name holds it


def address(scope: Scope) -> str:
    """The path as it is looked up: slashes of names are set apart from those of the address."""
    raw: bytes = scope.get("raw_path") or b""
    if b"%2f" not in raw.lower():
        return str(scope["path"])
    return "/".join(unquote(part).replace("/", _SLASH) for part in raw.decode("ascii", "replace").split("/"))


def in_address(text: str) -> str:
    """The name that stands in an address."""
    return text.replace(_SLASH, "/")


def in_header(text: str) -> str:
    """The name that stands in a header."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text  # it was Latin-1, as browsers send it


Named = Annotated[str, AfterValidator(in_address)]
Headed = Annotated[str, AfterValidator(in_header)]
