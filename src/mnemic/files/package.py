"""Files that are zip archives of XML: Word, slides, books. Opened with a limit on what they unpack to."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO

from mnemic.files.bad import Unreadable
from mnemic.files.file import File

MOST_BYTES = 64_000_000  # of XML: thirty times War and Peace
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MOST_PARTS = 20_000
_TEXT = (".xml", ".rels", ".html", ".xhtml", ".htm", ".opf", ".ncx")


@contextmanager
def package(file: File) -> Iterator[zipfile.ZipFile]:
    """Raises Unreadable for what is no archive, and for one that would unpack out of all proportion."""
    if file.packed:
        raise Unreadable("is a packed document: unpack it first.")
    with ExitStack() as opened:
        raw = opened.enter_context(file.path.open("rb"))
        if raw.read(len(_OLD_OFFICE)) == _OLD_OFFICE:
            raise Unreadable("has a password, or is in the old format: save a copy as .docx or .pptx.")
        try:
            archive = opened.enter_context(zipfile.ZipFile(raw))
        except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError) as error:
            raise Unreadable(f"is damaged, or not what its name says ({_short(error)}).") from None
        texts = sum(part.file_size for part in archive.infolist() if part.filename.lower().endswith(_TEXT))
        if texts > MOST_BYTES or len(archive.infolist()) > _MOST_PARTS:
            raise Unreadable(f"unpacks to more than {MOST_BYTES // 1_000_000} MB of text: split it first.")
        yield archive


def without_media(archive: zipfile.ZipFile) -> BinaryIO:
    """The same package with pictures and films emptied: the libraries would hold all of them in memory."""
    lean = io.BytesIO()
    with zipfile.ZipFile(lean, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as copy:
        for part in archive.infolist():
            text = part.filename.lower().endswith(_TEXT)
            copy.writestr(part.filename, archive.read(part) if text else b"")
    lean.seek(0)
    return lean


@contextmanager
def library(what: str) -> Iterator[None]:
    """What a library raises over a damaged file could be anything; here it is one sentence."""
    try:
        yield
    except (Unreadable, OSError, MemoryError):
        raise
    except Exception as error:
        raise Unreadable(f"is no {what} that can be read ({_short(error)}).") from None


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())[:120]
    return text.rstrip(".") or type(error).__name__
