"""Whatever a file holds: chunks, or a reason that a person can use; never another exception."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mnemic.files import Bad, read
from mnemic.files.formats import ADVICE, READERS
from mnemic.record import Chunk

for library in ("lxml", "pypdfium2", "docx", "pptx"):
    pytest.importorskip(library, reason=f'{library} is not installed: pip install "mnemic[files]"')

SUFFIXES = sorted({".txt", ".md", ".json", ".jsonl", ".csv", ".html", ".pdf", ".docx", ".pptx", ".epub", "", ".gz",
                   ".txt.gz", ".jsonl.gz", ".xyz"})  # fmt: skip
VALID = [".docx", ".epub", ".html", ".json", ".pdf", ".pptx", ".txt.gz"]
quick = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)


def sound(path: Path) -> list[Chunk | Bad]:
    """Reads all of it; fails for a bug, for silence, and for a chunk that a memory would not keep."""
    items = list(read(path))
    assert items
    for item in items:
        if isinstance(item, Bad):
            assert item.reason.endswith(".")
            assert "bug in mnemic" not in item.reason
        else:
            assert item.text == item.text.strip() != ""
            assert item.source == path.as_posix()
            assert item.place
            json.dumps(dict(item.metadata), allow_nan=False)
            "".join((item.text, item.place, item.speaker or "", item.episode or "")).encode()
    places = [item.place for item in items if isinstance(item, Chunk)]
    assert len(set(places)) == len(places)
    return items


@pytest.mark.parametrize("suffix", SUFFIXES)
@quick
@given(content=st.binary(max_size=3000))
@example(content=b"")
@example(content=b"\x00" * 3000)
@example(content=b"\xff\xfe")
@example(content=b"\x1f\x8b\x08")
@example(content=b"%PDF-1.7\n%%EOF")
@example(content=b"PK\x03\x04")
@example(content=b"PK\x05\x06" + bytes(18))
@example(content=b"<html>" * 500)
def test_random_bytes(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    sound(path)


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".csv", ".md", ".html", ".txt"])
@quick
@given(content=st.text(max_size=800))
def test_random_text(tmp_path: Path, suffix: str, content: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    sound(path)


KEYS = """role content text id mapping messages chat_messages sender conversation session_1 parts author message
session_1_date_time uuid title time parent current_node metadata x""".split()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=25,
)


@settings(quick, max_examples=300)
@given(value=JSON)
@example(value={"mapping": {"a": {"message": {"author": {"role": "user"}, "content": {"parts": [1]}}, "parent": "a"}}})
@example(value={"chat_messages": [None, {"attachments": 3, "content": {"text": {"text": []}}}]})
@example(value=[{"id": "\x1b", "text": "a"}, {"id": "\x1b\x1b", "text": "b"}])
@example(value={"session_1": [{"text": {}}], "session_1_date_time": []})
@example(value=[{"role": "user", "content": "\ud800", "name": "\udfff"}])
def test_json_of_nearly_known_shapes(tmp_path: Path, value: object) -> None:
    for name in ("a.json", "a.jsonl"):
        (tmp_path / name).write_text(json.dumps(value), encoding="utf-8")
        sound(tmp_path / name)


@pytest.fixture(scope="module")
def valid(made: ModuleType) -> dict[str, bytes]:
    talk = [{"role": "user", "content": f"message {n}"} for n in range(30)]
    return {".docx": made.docx(), ".pptx": made.pptx(), ".html": made.HTML.encode(), ".json": json.dumps(talk).encode(),
            ".pdf": made.pdf(["Boxes first.", "Then the bed."]), ".epub": made.epub(["<h1>One</h1><p>Boxes.</p>"]),
            ".txt.gz": gzip.compress(b"words and words\n" * 100)}  # fmt: skip


@pytest.mark.parametrize("suffix", VALID)
@settings(quick, max_examples=25)
@given(at=st.floats(0, 1), length=st.integers(0, 40), junk=st.binary(max_size=40), cut=st.booleans())
def test_damaged_documents(valid: dict[str, bytes], tmp_path: Path, suffix: str, at: float, length: int, junk: bytes,
                           cut: bool) -> None:  # fmt: skip
    content = valid[suffix]
    n = int(at * len(content))
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content[:n] + junk + (b"" if cut else content[n + length :]))
    sound(path)


@pytest.mark.parametrize("suffix", VALID)
def test_under_a_wrong_name(valid: dict[str, bytes], tmp_path: Path, suffix: str) -> None:
    for other in sorted({*READERS, *ADVICE, ".gz"}):
        path = tmp_path / f"a{other}"
        path.write_bytes(valid[suffix])
        sound(path)
        path.unlink()


def test_a_bug_in_a_reader_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(file: object) -> Callable[..., None]:
        raise KeyError("oops")

    monkeypatch.setattr("mnemic.files.plain.read_plain", broken)
    (tmp_path / "a.txt").write_text("text")
    (bad,) = read(tmp_path / "a.txt")
    assert isinstance(bad, Bad)
    assert bad.stopped
    assert "a bug in mnemic (KeyError" in bad.reason


def test_a_folder_and_nothing(tmp_path: Path) -> None:
    assert [str(item) for item in read(tmp_path)] == [f"{tmp_path.as_posix()}: is a folder: give it to walk."]
    assert "does not exist" in str(next(iter(read(tmp_path / "gone"))))
