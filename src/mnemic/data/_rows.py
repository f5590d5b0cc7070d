"""What a row of the table of data sets says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class File:
    """One file, as it may be called and got.

    path      below MNEMIC_DATA (there also with .gz), below the package, or below the downloads
    sha256    of the unpacked content; empty when the set may change
    url       where it can be fetched, at a fixed commit; empty when nowhere
    package   import name of an installable package that carries it
    """

    path: str
    sha256: str = ""
    url: str = ""
    package: str = ""


@dataclass(frozen=True)
class Dataset:
    """One data set.

    parts     part -> files that can stand for it, the preferred one first
    source    who publishes it: owner/name of a public repository, or a package
    """

    name: str
    about: str
    licence: str
    source: str
    parts: Mapping[str, tuple[File, ...]]
