"""The word behind --db."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mnemic.db.address import is_address


class PlaceType(click.Path):
    """A path, or the address of a database as it is."""

    name = "place"

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if isinstance(value, str) and is_address(value) else super().convert(value, param, ctx)
