"""Books (.epub): the chapters in reading order, each read as a web page. Needs lxml (the extra `files`)."""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from mnemic.errors import MissingExtra
from mnemic.files.bad import Item, Unreadable
from mnemic.files.file import File
from mnemic.files.html import Page
from mnemic.files.outline import Document, sections
from mnemic.files.package import library, package
from mnemic.files.places import Places
from mnemic.files.times import read_time


def read_epub(file: File) -> Iterator[Item]:
    """A chapter (a file inside the book) is an episode."""
    etree = _library()
    with package(file) as archive:
        with library("EPUB book"):
            folder, book = _contents(etree, archive)
            about, chapters = _about(book), _chapters(folder, book)
            locked = _locked(etree, archive)
        places = Places()
        for chapter in chapters:
            if chapter in locked:
                yield file.bad(chapter, "is encrypted by its seller.")
                continue
            try:
                text = archive.read(chapter).decode("utf-8", "replace")
            except (KeyError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error):  # RuntimeError: needs a password
                yield file.bad(chapter, "is missing from the book, or damaged.")
                continue
            document = Document(file.source, f"{file.source}#{chapter}", title=about.get("title", ""),
                                name=file.stem, time=read_time(about.get("date")), metadata=about)  # fmt: skip
            yield from sections(Page().events(io.StringIO(text)), document, places)


def _contents(etree: Any, archive: zipfile.ZipFile) -> tuple[str, Any]:
    """The folder and the tree of the book's table of contents file."""
    box = _parse(etree, archive.read("META-INF/container.xml"))
    path = next(iter(box.xpath("//*[local-name()='rootfile']/@full-path")), None)
    if path is None:
        raise Unreadable("is no EPUB book that can be read (it names no contents).")
    return posixpath.dirname(path), _parse(etree, archive.read(path))


def _chapters(folder: str, book: Any) -> list[str]:
    files = {item.get("id"): item.get("href") or "" for item in book.xpath("//*[local-name()='manifest']/*")}
    order = [item.get("idref") for item in book.xpath("//*[local-name()='spine']/*")]
    paths = (posixpath.normpath(posixpath.join(folder, unquote(files[id]))) for id in order if files.get(id))
    return [path for path in paths if path.lower().endswith((".xhtml", ".html", ".htm", ".xml"))]


def _about(book: Any) -> dict[str, str]:
    about = {}
    for ours, theirs in (("title", "title"), ("author", "creator"), ("date", "date")):
        found = book.xpath(f"//*[local-name()='metadata']/*[local-name()='{theirs}']")
        if found and (text := " ".join("".join(found[0].itertext()).split())):
            about[ours] = text[:300]
    return about


def _locked(etree: Any, archive: zipfile.ZipFile) -> set[str]:
    """Files that are encrypted. Fonts often are, chapters only in a book that was bought locked."""
    if "META-INF/encryption.xml" not in archive.namelist():
        return set()
    tree = _parse(etree, archive.read("META-INF/encryption.xml"))
    return {unquote(uri) for uri in tree.xpath("//*[local-name()='CipherReference']/@URI")}


def _parse(etree: Any, xml: bytes) -> Any:
    """Without entities and network: a book has no business with either."""
    return etree.fromstring(xml, etree.XMLParser(resolve_entities=False, no_network=True))


def _library() -> Any:
    try:
        from lxml import etree  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        raise MissingExtra("reading EPUB books", "files") from None
    return etree
