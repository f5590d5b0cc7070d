"""Which reader reads which file: by its name, and where that does not tell, by its first bytes."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import cast

from mnemic.files.bad import Item, Unreadable
from mnemic.files.decoding import looks_like_text
from mnemic.files.file import File

Reader = Callable[[File], Iterator[Item]]

# suffix -> "module:function"; imported when a file of the kind is met
_READERS = {
    "plain:read_plain": ".txt .text .log .rst .org .tex .srt .vtt",
    "markdown:read_markdown": ".md .markdown .mdx .qmd",
    "json_files:read_json": ".json",
    "json_files:read_json_lines": ".jsonl .ndjson",
    "table:read_table": ".csv .tsv .tab",
    "html:read_html": ".html .htm .xhtml",
    "pdf:read_pdf": ".pdf",
    "word:read_word": ".docx .docm",
    "slides:read_slides": ".pptx .pptm",
    "epub:read_epub": ".epub",
}
READERS = {suffix: reader for reader, suffixes in _READERS.items() for suffix in suffixes.split()}
# what people have and we do not read, and what to do with it
_ADVICE = {
    "save it as .docx": ".doc .rtf .odt .pages .wpd",
    "save it as .pptx": ".ppt .odp .key",
    "save its sheets as .csv": ".xls .xlsx .ods .numbers",
    "unpack it and give the folder": ".zip .tar .tgz .7z .rar .bz2 .xz .zst",
    "convert it to .epub": ".mobi .azw .azw3",
    "export it as .json or .csv": ".db .sqlite .sqlite3 .parquet .feather .pkl .npy .npz",
    "write down what it says or shows": ".jpg .jpeg .png .gif .webp .heic .mp3 .m4a .wav .ogg .mp4 .mov .mkv .avi",
}
ADVICE = {suffix: advice for advice, suffixes in _ADVICE.items() for suffix in suffixes.split()}
_ONE_FILE = frozenset((".pdf", ".docx", ".docm", ".pptx", ".pptm", ".epub"))  # not read through a .gz
_PACKAGES = {"word/document.xml": ".docx", "ppt/presentation.xml": ".pptx", "META-INF/container.xml": ".epub"}
_SNIFF = 8192


def reader_of(file: File) -> Reader:
    """Raises Unreadable, saying what to do, for a kind that is not read."""
    if file.packed and file.suffix in _ONE_FILE:
        raise Unreadable("is a packed document: unpack it first.")
    name = READERS.get(file.suffix) or READERS[_suffix_of(file)]
    module, function = name.split(":")
    return cast(Reader, getattr(import_module(f"mnemic.files.{module}"), function))


def _suffix_of(file: File) -> str:
    """The suffix that the content of a file with an unknown one would deserve."""
    with file.bytes() as stream:
        start = stream.read(_SNIFF)
    if start.startswith(b"%PDF-") and not file.packed:
        return ".pdf"
    if start.startswith(b"PK\x03\x04") and not file.packed and file.suffix not in ADVICE:
        return _package_suffix(file)
    if not looks_like_text(start):
        raise Unreadable(f"is not text: {ADVICE.get(file.suffix, 'mnemic cannot read this kind of file')}.")
    if re.match(rb"\s*(<!doctype html|<html)", start, re.I):
        return ".html"
    return ".json" if re.match(rb'\s*(\{\s*"|\[\s*[{"\[])', start) else ".txt"


def _package_suffix(file: File) -> str:
    try:
        with zipfile.ZipFile(file.path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        names = set()
    for part, suffix in _PACKAGES.items():
        if part in names:
            return suffix
    raise Unreadable(f"is an archive: {ADVICE['.zip']}.")
