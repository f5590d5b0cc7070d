"""Which files are meant by names and folders."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mnemic.files import Bad, missing, walk
from mnemic.files.formats import READERS

Write = Callable[..., Path]


def names(*paths: str) -> list[str]:
    return [f"! {item}" if isinstance(item, Bad) else item.as_posix() for item in walk([Path(path) for path in paths])]


def test_folders_are_read_in_order_each_file_once(write: Write) -> None:
    for name in ("n/b.md", "n/a.txt", "n/sub/c.jsonl", "z.txt"):
        write(name, "text")
    assert names("n", "z.txt", "n/a.txt") == ["n/a.txt", "n/b.md", "n/sub/c.jsonl", "z.txt"]


def test_what_machines_made_is_left_out(write: Write) -> None:
    for name in ("n/.git/config", "n/.hidden", "n/~$a.docx", "n/a.txt~", "n/node_modules/x.md", "n/env/pyvenv.cfg",
                 "n/env/a.txt", "n/a.txt"):  # fmt: skip
        write(name, "text")
    assert names("n") == ["n/a.txt"]


def test_what_is_named_is_always_there(write: Write) -> None:
    for name in (".hidden", "env/pyvenv.cfg", "photo.jpg"):
        write(name, b"\xff\xd8\x00")
    assert names(".hidden", "env/pyvenv.cfg", "photo.jpg") == [".hidden", "env/pyvenv.cfg", "photo.jpg"]


def test_files_that_are_no_text_are_counted(write: Write) -> None:
    for name in ("n/1.jpg", "n/2.jpg", "n/tool", "n/a.txt"):
        write(name, b"\xff\xd8\x00\x01" * 10)
    assert names("n") == ["n/a.txt", "! n: 3 files in it that cannot be read as text (.jpg, tool) were left out."]


def test_an_empty_folder_is_told(write: Write) -> None:
    write("n/.hidden", "text")
    assert names("n") == ["! n: holds no file that could be read."]


def test_circles_end(write: Write) -> None:
    write("n/a.txt", "text")
    os.symlink(Path("n").absolute(), "n/again")
    assert names("n") == ["n/a.txt"]


@pytest.mark.parametrize("name", ["gone.txt", "link", "a.txt/b", "nul\0"])
def test_missing_says_why(write: Write, name: str) -> None:
    write("a.txt", "text")
    os.symlink("nowhere", "link")
    assert missing(Path(name)) != ""
    assert names(name)[0].startswith("! ")
    assert missing(Path("a.txt")) == ""


def test_the_docs_name_every_kind_of_file() -> None:
    page = (Path(__file__).parents[2] / "docs" / "files.md").read_text(encoding="utf-8")
    assert [suffix for suffix in READERS if f"`{suffix}`" not in page] == []
