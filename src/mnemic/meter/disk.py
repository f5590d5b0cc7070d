"""Bytes on disk."""

from __future__ import annotations

from pathlib import Path

from mnemic.errors import NotFound
from mnemic.meter.budget import Used


def disk_bytes(path: str | Path) -> Used:
    """A folder with all in it, or a file with what is kept beside it: life.db, life.db-wal, life.db.vectors, ...

    parts   name -> bytes; names are relative to the folder (of the file)
    """
    path = Path(path)
    if not path.exists():
        raise NotFound(f"{path}: no such file or folder, so it takes no space: give the path of a memory.")
    if path.is_dir():
        files, root = [each for each in path.rglob("*") if each.is_file()], path
    else:
        files, root = [each for each in path.parent.iterdir() if _beside(each.name, path.name)], path.parent
    parts: dict[str, int] = {}
    for file in sorted(files):
        parts |= _sizes(file, root)
    return Used(sum(parts.values()), "bytes", parts)


def _beside(name: str, main: str) -> bool:
    return name == main or name.startswith((main + "-", main + "."))


def _sizes(file: Path, root: Path) -> dict[str, int]:
    """The file's size; of a folder beside the main file, all sizes. Nothing if it went away meanwhile."""
    try:
        if file.is_dir():
            return {str(each.relative_to(root)): each.stat().st_size for each in file.rglob("*") if each.is_file()}
        return {str(file.relative_to(root)): file.stat().st_size}
    except FileNotFoundError:  # SQLite removes its -wal and -shm when the last connection closes
        return {}
