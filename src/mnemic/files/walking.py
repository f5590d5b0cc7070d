"""The files that are meant when a person names files and folders."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from mnemic.files.bad import Bad, Unreadable
from mnemic.files.decoding import looks_like_text
from mnemic.files.file import File, source_of
from mnemic.files.formats import READERS

_NOT_WRITTEN_BY_PEOPLE = frozenset(("node_modules", "__pycache__", "site-packages"))
_MARKS = ("pyvenv.cfg", "CACHEDIR.TAG")  # a folder with one of these was made by a machine
_SNIFF = 8192


def walk(paths: Iterable[Path], *, but: Collection[str] = ()) -> Iterator[Path | Bad]:
    """Every file that is named, and every readable file in the folders that are, each once, sorted by name.

    A file that is named is always there, readable or not. In folders, hidden names, folders made by machines
    (node_modules, virtual environments, caches) and backups are left out without a word; files that are not text
    are counted in one Bad for each folder. Links are followed, circles end.

    but    absolute names of files that are left out of folders
    """
    seen: set[str] = set()
    for path in paths:
        try:
            found = _named(path, but) if stat.S_ISDIR(path.stat().st_mode) else iter((path,))
        except (OSError, ValueError) as error:  # ValueError: a zero in the name
            yield Bad(source_of(path), "", _missing(path, error), stopped=True)
        else:
            yield from (each for each in found if _is_new(each, seen))


def _named(folder: Path, but: Collection[str]) -> Iterator[Path | Bad]:
    """A folder that somebody named: when there is nothing in it, they are told."""
    empty = True
    for found in _folder(folder, set(), but):
        empty = False
        yield found
    if empty:
        yield Bad(source_of(folder), "", "holds no file that could be read.")


def missing(path: Path) -> str:
    """Why nothing is there; empty when something is."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        return _missing(path, error)
    except OSError:
        pass  # it is there, but may not be looked at: that is its reader's to tell
    return ""


def _missing(path: Path, error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "is a link to something that does not exist." if path.is_symlink() else "does not exist."
    return f"cannot be looked into: {_told(error)}."


def _told(error: OSError | ValueError) -> str:
    return ((error.strerror if isinstance(error, OSError) else "") or str(error)).lower()


def _is_new(path: Path | Bad, seen: set[str]) -> bool:
    if isinstance(path, Bad):
        return True
    name = os.path.abspath(path)
    new = name not in seen
    seen.add(name)
    return new


def _folder(folder: Path, above: set[tuple[int, int]], but: Collection[str]) -> Iterator[Path | Bad]:
    """above: the folders that this one is in, by device and number; a link back to one of them is a circle."""
    try:
        here = folder.stat()
        names = sorted(os.listdir(folder))
    except OSError as error:
        yield Bad(source_of(folder), "", f"cannot be looked into: {_told(error)}.")
        return
    if (here.st_dev, here.st_ino) in above or (above and any(mark in names for mark in _MARKS)):
        return
    inside = above | {(here.st_dev, here.st_ino)}
    unread: Counter[str] = Counter()
    for path in (folder / name for name in names if not _left_out(name)):
        if but and os.path.abspath(path) in but:
            continue
        try:
            mode = path.stat().st_mode
            if stat.S_ISDIR(mode):
                if path.name not in _NOT_WRITTEN_BY_PEOPLE:
                    yield from _folder(path, inside, but)
            elif stat.S_ISREG(mode) and _readable(path):
                yield path
            else:
                unread[path.suffix.lower() or path.name] += 1
        except OSError as error:
            yield Bad(source_of(path), "", f"cannot be looked into: {_told(error)}.")
    if unread:
        kinds = ", ".join(kind for kind, _ in unread.most_common(5))
        yield Bad(source_of(folder), "", f"{unread.total()} {'file' if unread.total() == 1 else 'files'} in it "
                  f"that cannot be read as text ({kinds}) were left out.")  # fmt: skip


def _left_out(name: str) -> bool:
    return name.startswith((".", "~$")) or name.endswith("~")


def _readable(path: Path) -> bool:
    """By its name, else by its first bytes. A file that may not be opened is let through: its reader says why."""
    file = File(path)
    if file.suffix in READERS:
        return True
    try:
        with file.bytes() as stream:
            start = stream.read(_SNIFF)
    except PermissionError:
        return True
    except (OSError, EOFError, Unreadable):
        return False
    return bool(start) and (looks_like_text(start) or start.startswith(b"%PDF-"))
